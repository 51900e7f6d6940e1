import io
import logging
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from faceloom.api import extract
from faceloom.cli.live_progress import live
from faceloom.cli.main import main
from faceloom.events import Progress
from faceloom.orders import order

SLOW_S = 1.0
MANY = Progress(
    stages=("detect/yunet", "align/facemesh", "mask/unet"),
    phase=1,
    phases=2,
    frames=1_234_567,
    total_frames=9_999_999,
    faces=12_345_678,
    frames_per_second=1204.4,
    eta_s=43_384.2,
    held_bytes=9 << 30,
    budget_bytes=16 << 30,
    cards=(("cuda:0", 70 << 30, 80 << 30),),
)


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_the_time_that_is_left_is_in_view(columns: int) -> None:
    screen = io.StringIO()
    console = Console(file=screen, width=columns, force_terminal=True, color_system=None, legacy_windows=False)
    with live(console) as on_event:
        on_event(MANY)
    drawn = [re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]|\r", "", line).rstrip() for line in screen.getvalue().split("\n")]
    (counts,) = {line for line in drawn if "frames/s" in line}
    assert counts.endswith("ETA 12:03:04")
    assert len(counts) <= columns
    assert any(line.startswith("pass 1 of 2: detect, align, mask   9,216 MiB of 16.0 GiB") for line in drawn)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_commands_and_flags(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", shell])
    assert ended.value.code == 0
    script = capsys.readouterr().out
    assert {"extract", "--detect-size", "--overlay-chips"} <= set(re.findall(r"[-\w]+", script))
    if shutil.which(shell):
        (tmp_path / "completion").write_text(script)
        subprocess.run([shell, "-n", str(tmp_path / "completion")], check=True)


def test_bash_completes_a_flag(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    ask = (
        f"source {tmp_path / 'completion'}; COMP_WORDS=(faceloom extract --overl); COMP_CWORD=2;"
        " $(complete -p faceloom | sed 's/.*-F \\([^ ]*\\).*/\\1/'); echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["--overlay", "--overlay-chips"]


def test_what_is_done_is_told_on_stderr_and_in_a_file(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "faceloom.log"
    arguments = ["extract", str(samples / "portrait.png"), "--out", str(tmp_path / "out"), "--size", "64"]
    assert main([*arguments, "--log-file", str(log), "--verbose"]) == 0
    said = capsys.readouterr().err
    assert "faceloom: stages detect/yunet, align/facemesh" in said
    assert "1 frames done, 0 failed, 0 to do" in said
    assert "chunk 0" not in said
    text = log.read_text()
    assert re.search(r"INFO +faceloom\.orders\.order: stages detect/yunet", text)
    assert re.search(r"DEBUG +faceloom\.supervisor\.scheduler: chunk \d+ on cpu: 1 frames, 1 faces", text)
    assert not logging.getLogger("faceloom").handlers
    assert main([*arguments]) == 0
    assert log.read_text() == text


def test_a_log_that_cannot_be_written_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--log-file", str(tmp_path / "gone" / "a.log")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_fresh_run_has_done_nothing_before(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(samples / "portrait.png", folder)
    (folder / "broken.mp4").write_bytes(b"no film")
    arguments = ["extract", str(folder), "--out", str(tmp_path / "out"), "--size", "64"]
    assert main(arguments) == 1
    assert "done before" not in capsys.readouterr().out
    assert main(arguments) == 1
    assert "2 of them done before" in capsys.readouterr().out
    derived = ["derive", str(tmp_path / "out"), "--out", str(tmp_path / "derived"), "--size", "64"]
    assert main(derived) == 0
    assert "done before" not in capsys.readouterr().out


def test_the_time_of_the_summary_is_the_clocks(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare = order._weights

    def slowly(*args: Any) -> dict[str, Path]:
        time.sleep(SLOW_S)
        return prepare(*args)

    monkeypatch.setattr(order, "_weights", slowly)
    begun = time.monotonic()
    summary = extract(samples / "portrait.png", tmp_path / "out", size=64)
    assert summary.seconds == pytest.approx(time.monotonic() - begun, abs=SLOW_S / 2)


def test_a_picture_that_is_no_chip_is_said_to_be_none(samples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["where", str(samples / "portrait.png")]) == 4
    assert f"{samples / 'portrait.png'} is no chip of faceloom: it says nothing of a face" in capsys.readouterr().err


def test_overlays_of_chips_are_drawn(samples: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["extract", str(samples / "portrait.png"), "--out", str(out), "--overlay-chips", "--quiet"]) == 0
    assert list((out / "overlays").rglob("*.jpg"))
