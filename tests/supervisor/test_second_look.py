"""Another detector for the frames in which the first found no face."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from faceloom.api import extend, extract
from faceloom.errors import RequestError
from faceloom.events import NOT_DONE_YET, Event, Notice
from faceloom.store.database import connect
from faceloom.store.summary import read_summary
from jobs import exported, files_below

BLIND: dict[str, Any] = {"size": 64, "min_score": 0.94}
"""So that the first detector misses most."""


@pytest.fixture(scope="module")
def media(whole_samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    for name in ("crowd.jpg", "portrait.png", "clip.mp4"):
        shutil.copy(whole_samples / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def first(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result with frames in which nothing was found, and others."""
    out = tmp_path_factory.mktemp("first") / "out"
    extract(media, out, **BLIND)
    assert 10 < len(empty(out)) < 70
    return out


@pytest.fixture(scope="module")
def second(media: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the other detector finds in all frames."""
    out = tmp_path_factory.mktemp("second") / "out"
    extract(media, out, size=64, detect="centerface")
    return out


def frames(folder: Path) -> dict[tuple[str, int], dict[str, Any]]:
    lines = map(json.loads, exported(folder, frames=True).splitlines())
    return {(line["source"], line["frame"]): line for line in lines}


def empty(folder: Path) -> set[tuple[str, int]]:
    return {place for place, line in frames(folder).items() if not line["faces"]}


def by_frame(folder: Path) -> dict[tuple[str, int], list[str]]:
    found: dict[tuple[str, int], list[str]] = {}
    for line in exported(folder).splitlines():
        told = json.loads(line)
        found.setdefault((told["source"], told["frame"]), []).append(line)
    return found


def looks(folder: Path) -> dict[tuple[str, int], int]:
    with connect(folder, read_only=True) as db:
        rows = db.execute("SELECT name, idx, look FROM frame JOIN source ON source.id = source_id").fetchall()
    return {(name, index): look for name, index, look in rows}


def copied(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def test_frames_without_a_face_get_what_the_other_detector_finds_and_the_others_keep_what_they_have(
    media: Path, first: Path, second: Path, tmp_path: Path
) -> None:
    out = copied(first, tmp_path / "out")
    summary = extract(media, out, size=64, only_empty=True, detect="centerface")
    unseen = empty(first)
    assert (summary.failed, summary.outcome) == (0, "done")
    assert summary.images["detect/centerface"] == len(unseen)
    wanted = {place: found for place, found in by_frame(second).items() if place in unseen}
    assert len(wanted) > 5
    assert by_frame(out) == by_frame(first) | wanted
    chips = {name: content for name, content in files_below(out).items() if name not in files_below(first)}
    assert chips.keys() == files_below(second).keys() & chips.keys()
    assert len(chips) == sum(map(len, wanted.values()))
    assert looks(out) == {place: int(place in unseen) for place in looks(first)}
    (look,) = read_summary(out)["config"]["looks"]
    assert list(look) == ["detect/centerface"]
    # Nobody looks twice in the same way, and the first command goes on with its own folder.
    again = extract(media, out, size=64, only_empty=True, detect="centerface")
    assert (again.images, again.outcome) == ({}, "done")
    assert extract(media, out, **BLIND).skipped == 77
    assert by_frame(out) == by_frame(first) | wanted


def test_the_same_detector_with_other_options_is_another_look_and_each_has_its_number(
    media: Path, first: Path, tmp_path: Path
) -> None:
    out = copied(first, tmp_path / "out")
    extract(media, out, size=64, only_empty=True, min_score=0.937)
    extract(media, out, size=64, only_empty=True, detect="centerface")
    assert set(looks(out).values()) == {0, 1, 2}
    assert len(read_summary(out)["config"]["looks"]) == 2
    extend(out, mask=["unet"])
    assert all("unet" in json.loads(line)["masks"] for line in exported(out).splitlines())


def test_killed_half_way_no_row_is_lost_and_the_same_command_goes_on(media: Path, first: Path, tmp_path: Path) -> None:
    whole, out = copied(first, tmp_path / "whole"), copied(first, tmp_path / "out")
    extract(media, whole, size=64, only_empty=True, detect="centerface")
    command = ["extract", str(media), "--out", str(out), "--size", "64", "--only-empty", "--detect", "centerface"]
    process = subprocess.Popen(
        [sys.executable, "-m", "faceloom.cli.main", *command],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    with closing(process.stderr):  # type: ignore[type-var]
        while not any(looks(out).values()):
            assert process.poll() is None, "the run ended before it could be disturbed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for place, found in by_frame(first).items():
        assert by_frame(out)[place] == found
    assert frames(out).keys() == frames(first).keys()
    extract(media, out, size=64, only_empty=True, detect="centerface")
    assert exported(out) == exported(whole)
    assert exported(out, frames=True) == exported(whole, frames=True)
    assert files_below(out) == files_below(whole)


def test_a_frame_that_can_no_longer_be_read_stays_as_it_was(samples: Path, tmp_path: Path) -> None:
    from PIL import Image

    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    shutil.copy(samples / "crowd.jpg", folder / "crowd.jpg")
    Image.new("RGB", (320, 240), "grey").save(folder / "nobody.png")
    extract(folder, out, **BLIND | {"min_score": 1.0})
    before = exported(out, frames=True)
    mtime = (folder / "nobody.png").stat().st_mtime_ns
    (folder / "nobody.png").write_bytes(b"x" * (folder / "nobody.png").stat().st_size)
    os.utime(folder / "nobody.png", ns=(mtime, mtime))  # nothing tells that it is another file
    summary = extract(folder, out, size=64, only_empty=True, detect="centerface")
    assert (summary.failed, summary.outcome) == (1, "done")
    assert summary.failures[0].startswith("nobody.png#0: ")
    assert exported(out, frames=True).splitlines()[1] == before.splitlines()[1]
    assert looks(out) == {("crowd.jpg", 0): 1, ("nobody.png", 0): 0}
    assert read_summary(out)["again"] == {"look/1": 1}


def test_frames_that_have_not_been_done_once_are_passed_over_and_told_of(samples: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    shutil.copy(samples / "portrait.png", folder / "portrait.png")
    extract(folder, out, **BLIND)
    shutil.copy(samples / "crowd.jpg", folder / "crowd.jpg")
    heard: list[Event] = []
    summary = extract(folder, out, size=64, only_empty=True, detect="centerface", on_event=heard.append)
    assert (summary.frames, summary.faces, summary.outcome) == (1, 1, "done")
    assert [event.kind for event in heard if isinstance(event, Notice)] == [NOT_DONE_YET]
    extract(folder, out, **BLIND)
    assert looks(out) == {("crowd.jpg", 0): 0, ("portrait.png", 0): 1}


def test_what_cannot_be_a_second_look_is_refused(media: Path, first: Path, tmp_path: Path) -> None:
    out = copied(first, tmp_path / "out")
    with pytest.raises(RequestError, match="has found none there"):
        extract(media, out, only_empty=True, **BLIND)
    with pytest.raises(RequestError, match=r"stages.mask/unet"):
        extract(media, out, only_empty=True, detect="centerface", size=64, mask=["unet"])
    with pytest.raises(RequestError, match="run the command without --only-empty first"):
        extract(media, tmp_path / "new", only_empty=True, detect="centerface")
    assert not (tmp_path / "new").exists()
    assert read_summary(out)["config"] == read_summary(first)["config"]
