"""Stages that are added to a result: the same as if they had been asked for at once."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from faceloom.api import extend, extract
from faceloom.cli.main import main
from faceloom.errors import RequestError, StoreError
from faceloom.events import SOURCE_CHANGED, Event, Notice
from faceloom.store.database import connect
from faceloom.store.exports import export
from faceloom.store.summary import read_summary
from jobs import exported, files_below

DEFAULT = ["components", "extended"]


@pytest.fixture(scope="module")
def media(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures and a video, one of them below another folder, and one without a face."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("media")
    (folder / "deep").mkdir()
    shutil.copy(samples / "crowd.jpg", folder / "crowd.jpg")
    shutil.copy(samples / "portrait.png", folder / "deep/portrait.png")
    shutil.copy(samples / "clip.mp4", folder / "deep/clip.mp4")
    Image.new("RGB", (320, 240), "grey").save(folder / "nobody.png")
    return folder


@pytest.fixture(scope="module")
def short(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of the default stages."""
    out = tmp_path_factory.mktemp("short") / "out"
    extract(media, out, size=64)
    return out


@pytest.fixture(scope="module")
def whole(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is wanted: the default stages and one more at once."""
    out = tmp_path_factory.mktemp("whole") / "out"
    extract(media, out, size=64, mask=[*DEFAULT, "unet"])
    return out


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def left(folder: Path) -> int:
    with connect(folder, read_only=True) as db:
        return int(db.execute("SELECT count(*) FROM again").fetchone()[0])


def faces_with(folder: Path, mask: str) -> int:
    with connect(folder, read_only=True) as db:
        return int(db.execute("SELECT count(*) FROM mask WHERE name = ?", (mask,)).fetchone()[0])


def test_a_result_that_was_extended_is_the_one_of_all_stages_at_once(
    media: Path, short: Path, whole: Path, tmp_path: Path
) -> None:
    out = copied(short, tmp_path / "out")
    chips = files_below(out)
    summary = extend(out, mask=["unet"])
    assert (summary.faces, summary.failed, summary.outcome) == (101, 0, "done")
    assert (summary.frames, summary.skipped) == (28, 1)  # one of them without a face
    assert exported(out) == exported(whole)
    assert exported(out, frames=True) == exported(whole, frames=True)
    assert files_below(out) == chips
    # No detector and no aligner was in memory, let alone called.
    assert [[one["stage"] for one in phase["stages"]] for phase in summary.plan["phases"]] == [["mask/unet"]]
    assert summary.images == {"mask/unet": 101}
    # The folder is one of all stages from now on.
    assert read_summary(out)["config"] == read_summary(whole)["config"]
    assert extract(media, out, size=64, mask=[*DEFAULT, "unet"]).skipped == 28
    with pytest.raises(RequestError):
        extract(media, out, size=64)


def test_several_stages_at_once_and_one_after_the_other_are_the_same(media: Path, tmp_path: Path) -> None:
    bare, one, other = tmp_path / "bare", tmp_path / "one", tmp_path / "other"
    extract(media / "crowd.jpg", bare, size=64, mask=[])
    for out in (one, other):
        copied(bare, out)
    extend(one, mask=["unet", "extended"])
    extend(other, mask=["extended"])
    extend(other, mask=["unet"])
    extract(media / "crowd.jpg", tmp_path / "whole", size=64, mask=["extended", "unet"])
    assert exported(one) == exported(other) == exported(tmp_path / "whole")


def test_crops_that_show_something_else_have_the_masks_that_go_with_them(media: Path, tmp_path: Path) -> None:
    options = {"size": 64, "mask_size": 100, "crop": "whole", "level": False}
    extract(media / "crowd.jpg", tmp_path / "out", mask=["extended"], **options)  # type: ignore[arg-type]
    extend(tmp_path / "out", mask=["unet"])
    extract(media / "crowd.jpg", tmp_path / "whole", mask=["extended", "unet"], **options)  # type: ignore[arg-type]
    assert exported(tmp_path / "out") == exported(tmp_path / "whole")


def test_faces_that_a_filter_has_rejected_get_nothing_more(media: Path, tmp_path: Path) -> None:
    options = {"size": 64, "filter": ["roll=10"]}
    extract(media / "crowd.jpg", tmp_path / "out", **options)  # type: ignore[arg-type]
    summary = extend(tmp_path / "out", mask=["unet"])
    extract(media / "crowd.jpg", tmp_path / "whole", mask=[*DEFAULT, "unet"], **options)  # type: ignore[arg-type]
    assert 0 < summary.images["mask/unet"] < 25
    exports = []
    for name in ("out", "whole"):
        told = io.StringIO()
        export(tmp_path / name, told, to="jsonl", frames=False, rejected=True)
        exports.append(told.getvalue())
    assert exports[0] == exports[1]
    assert exports[0].count("\n") == 25


def test_embeddings_are_added_as_masks_are(media: Path, shared: Path, tmp_path: Path) -> None:
    net = {"identify/arcface": shared.parent / "weights/fr_feature.onnx"}
    extract(media / "crowd.jpg", tmp_path / "out", size=64)
    extend(tmp_path / "out", identify="arcface", weights=net)
    extract(media / "crowd.jpg", tmp_path / "whole", size=64, identify="arcface", weights=net)
    assert '"embedding"' in exported(tmp_path / "whole")
    assert exported(tmp_path / "out") == exported(tmp_path / "whole")
    with pytest.raises(RequestError, match="a face has one"):
        extend(tmp_path / "out", identify="sface", weights={"identify/sface": net["identify/arcface"]})


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    """The command in a process group of its own."""
    command = [sys.executable, "-m", "faceloom.cli.main", *map(str, arguments)]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def kill_when(done: int, out: Path, command: Sequence[str | Path]) -> None:
    """Kills a command as soon as so many faces have the mask."""
    process = start(*command)
    deadline = time.monotonic() + 120
    with closing(process.stderr):  # type: ignore[type-var]
        while faces_with(out, "unet") < done:
            assert process.poll() is None, "the run ended before it could be disturbed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_killed_half_way_the_same_command_ends_with_the_same_result(short: Path, whole: Path, tmp_path: Path) -> None:
    out = copied(short, tmp_path / "out")
    for done in (1, 40):
        kill_when(done, out, ["extend", out, "--mask", "unet", "--quiet"])
        assert 0 < left(out) < 27
        assert read_summary(out)["frames"]["done"] == 28
    assert main(["extend", str(out), "--mask", "unet", "--quiet"]) == 0
    assert left(out) == 0
    assert exported(out) == exported(whole)


def test_killed_half_way_extract_with_all_stages_goes_on(media: Path, short: Path, whole: Path, tmp_path: Path) -> None:
    out = copied(short, tmp_path / "out")
    kill_when(1, out, ["extend", out, "--mask", "unet", "--quiet"])
    missing = left(out)
    summary = extract(media, out, size=64, mask=[*DEFAULT, "unet"])
    assert set(summary.images) == {"mask/unet"}
    assert (summary.frames, summary.faces, summary.failed) == (28, 101, 0)
    assert 0 < missing < 27
    assert exported(out) == exported(whole)
    assert left(out) == 0


def test_frames_that_were_still_to_be_done_get_all_stages_when_they_are(
    media: Path, short: Path, whole: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part"
    shutil.copytree(media, part)
    (part / "deep/clip.mp4").unlink()
    extract(part, tmp_path / "out", size=64)
    extend(tmp_path / "out", mask=["unet"])
    shutil.copy(media / "deep/clip.mp4", part / "deep/clip.mp4")
    extract(part, tmp_path / "out", size=64, mask=[*DEFAULT, "unet"])
    assert exported(tmp_path / "out") == exported(whole)


def test_a_file_that_is_gone_or_has_changed_is_a_reason_and_no_loss(media: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    shutil.copytree(media, folder)
    out = tmp_path / "out"
    extract(folder, out, size=64, chips=False)
    before = [json.loads(line) for line in exported(out).splitlines()]
    (folder / "deep/portrait.png").rename(tmp_path / "away.png")
    with (folder / "deep/clip.mp4").open("ab") as file:
        file.write(b"more")
    (folder / "crowd.jpg").touch()  # another time, the same content
    heard: list[Event] = []
    summary = extend(out, mask=["unet"], on_event=heard.append)
    assert (summary.failed, summary.outcome) == (26, "done")
    told = [event.text for event in heard if isinstance(event, Notice)]
    assert [event.kind for event in heard if isinstance(event, Notice)] == [SOURCE_CHANGED] * 2
    assert any("portrait.png" in text and "is gone" in text for text in told)
    assert any("clip.mp4" in text and "has changed" in text for text in told)
    assert summary.failures[0].startswith("deep/clip.mp4#0: ")
    after = [json.loads(line) for line in exported(out).splitlines()]
    for one, other in zip(before, after, strict=True):
        assert ("unet" in other["masks"]) is (one["source"] == "crowd.jpg")
        other["masks"].pop("unet", None)
        assert one == other
    shown = json.dumps(read_summary(out))
    assert "has changed since it was read" in shown
    # What comes back is done by the same command; what has changed, by extract.
    (tmp_path / "away.png").rename(folder / "deep/portrait.png")
    assert extend(out, mask=["unet"]).failed == 25
    assert extract(folder, out, size=64, mask=[*DEFAULT, "unet"], chips=False).failed == 0
    assert faces_with(out, "unet") == len(exported(out).splitlines()) > 80


def test_the_budget_holds_and_changes_nothing(short: Path, whole: Path, tmp_path: Path) -> None:
    out = copied(short, tmp_path / "out")
    command = [sys.executable, "-m", "faceloom.cli.main", "extend", str(out), "--mask", "unet", "--json"]
    refused = subprocess.run([*command, "--memory", "150MiB"], capture_output=True, text=True, check=False)
    assert refused.returncode == 3
    assert "the smallest budget that would do is" in refused.stderr
    assert read_summary(out)["config"] == read_summary(short)["config"]  # nothing has begun
    assert left(out) == 0
    needed = refused.stderr.partition("would do is ")[2].partition(" MiB")[0].replace(",", "")
    done = subprocess.run([*command, "--memory", f"{needed}MiB"], capture_output=True, text=True, check=False)
    summary = json.loads(done.stdout)
    assert summary["peak_bytes"]["cpu"] <= summary["budget_bytes"]["cpu"]
    assert exported(out) == exported(whole)


def test_what_cannot_be_added_is_refused(short: Path, media: Path, tmp_path: Path) -> None:
    out = copied(short, tmp_path / "out")
    with pytest.raises(RequestError, match="name what to add"):
        extend(out)
    with pytest.raises(RequestError, match="no mask plugin 'nobody'"):
        extend(out, mask=["nobody"])
    with pytest.raises(StoreError, match="holds no results"):
        extend(tmp_path, mask=["unet"])
    extract(media / "crowd.jpg", tmp_path / "boxes", align=None)
    with pytest.raises(RequestError, match="no landmarks"):
        extend(tmp_path / "boxes", mask=["unet"])
    assert exported(out) == exported(short)
    summary = extend(out, mask=["components"])  # is there already
    assert (summary.frames, summary.skipped, summary.images) == (28, 28, {})
