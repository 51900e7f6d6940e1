import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

from faceloom.media.sources import printable
from faceloom.store.reading import read_faces, read_frames
from faceloom.units import MIB
from reliability.bad_inputs import VIDEOS, Corpus, declaring_gif, write_corpus, write_traps

LONGEST_S = 400
TIGHT_BYTES = 400 * MIB
FRAMES = 24


@dataclass(frozen=True, kw_only=True)
class Run:
    """What came of a corpus."""

    code: int
    summary: dict[str, Any]
    errors: str
    frames: dict[str, list[dict[str, Any]]]
    """By source."""
    faces: dict[str, list[dict[str, Any]]]
    """By source, without what names it."""
    events: Counter[str]


def extracted(folder: Path, out: Path, *flags: str) -> Run:
    """The command over a folder, in a process that may not take for ever."""
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(folder), "--out", str(out)]
    command += ["--size", "64", "--json", "--quiet", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_S)
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    assert done.returncode in {0, 1}, done.stderr[-3000:]
    frames, faces = defaultdict(list), defaultdict(list)
    for frame in read_frames(out):
        frames[frame["source"]].append(frame)
    for face, time in read_faces(out):
        told = face.to_json(time)
        faces[told.pop("source")].append(told)
    with closing(sqlite3.connect(out / "faceloom.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM frame WHERE status = 'pending'").fetchone() == (0,)
        events = Counter(kind for (kind,) in db.execute("SELECT kind FROM event"))
    return Run(
        code=done.returncode,
        summary=json.loads(done.stdout),
        errors=done.stderr,
        frames=dict(frames),
        faces=dict(faces),
        events=events,
    )


def names_of(corpus: Corpus) -> set[str]:
    return {printable(name) for name in corpus.names}


def bad_rows(run: Run) -> list[dict[str, Any]]:
    """Rows that are neither done nor failed with a reason that tells something."""
    return [
        frame
        for frames in run.frames.values()
        for frame in frames
        if not (frame["status"] == "done" or (frame["status"] == "failed" and len(frame["reason"] or "") > 5))
    ]


LONG = pytest.mark.skipif("FACELOOM_LONG" not in os.environ, reason="takes minutes: set FACELOOM_LONG=1")


@pytest.fixture(scope="module", params=["short", pytest.param("long", marks=[pytest.mark.slow, LONG])])
def corpus(request: pytest.FixtureRequest, samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus") / "in"
    return write_corpus(folder, samples, is_long=request.param == "long")


@pytest.fixture(scope="module")
def run(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return extracted(corpus.folder, tmp_path_factory.mktemp("found") / "out")


def test_every_source_is_a_row_with_frames_done_or_failed_for_a_reason(corpus: Corpus, run: Run) -> None:
    assert run.frames.keys() == names_of(corpus)
    assert bad_rows(run) == []
    assert run.code == 1


def test_no_worker_ends_over_a_damaged_file(corpus: Corpus, run: Run) -> None:
    assert run.events["worker_restarted"] == 0
    assert run.summary["events"]["worker_restarted"] == 0
    reasons = [frame["reason"] or "" for frames in run.frames.values() for frame in frames]
    assert [reason for reason in reasons if "worker" in reason] == []


def test_what_is_undamaged_is_done(corpus: Corpus, run: Run) -> None:
    failed = [frame for name in corpus.whole for frame in run.frames[printable(name)] if frame["status"] != "done"]
    assert failed == []
    counts = {name: len(run.frames[f"videos/{name}"]) for name in VIDEOS}
    assert counts == dict.fromkeys(VIDEOS, FRAMES)


def test_the_same_pixels_have_the_same_faces_whatever_the_file(corpus: Corpus, run: Run) -> None:
    assert corpus.equal
    for name, original in corpus.equal.items():
        expected = run.faces[original]
        shown = {face["frame"] for face in expected}  # animations go on
        found = [face for face in run.faces.get(printable(name), []) if face["frame"] in shown]
        keys = ("index", "box", "score", "keypoints", "landmarks")
        assert expected
        assert len(found) == len(expected), name
        for one, other in zip(found, expected, strict=True):
            assert [one[key] for key in keys] == [other[key] for key in keys], name


def test_nearly_the_same_pixels_have_nearly_the_same_faces(corpus: Corpus, run: Run) -> None:
    for name, original in corpus.similar.items():
        found, expected = run.faces.get(printable(name), []), run.faces[original]
        assert len(found) == len(expected) > 0, name
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one["landmarks"], other["landmarks"], atol=4, err_msg=name)


def test_a_tight_budget_costs_what_does_not_fit_and_nothing_else(corpus: Corpus, run: Run, tmp_path: Path) -> None:
    tight = extracted(corpus.folder, tmp_path / "out", "--memory", str(TIGHT_BYTES))
    assert tight.frames.keys() == run.frames.keys()
    assert bad_rows(tight) == []
    assert tight.events["worker_restarted"] == 0
    assert tight.summary["peak_bytes"]["cpu"] <= TIGHT_BYTES
    starved = {
        name
        for name, frames in tight.frames.items()
        for frame in frames
        if (frame["reason"] or "").startswith("not enough memory: ")
    }
    assert not {name for name in starved if not name.startswith(("declared/", "bombs/", "flipped/"))}
    others = tight.frames.keys() - starved
    assert {name: tight.frames[name] for name in others} == {name: run.frames[name] for name in others}
    assert {name: tight.faces.get(name) for name in others} == {name: run.faces.get(name) for name in others}


def with_portrait(write: Callable[[Path], None], samples: Path, folder: Path, *flags: str) -> Run:
    """What comes of a folder with the sample portrait and something else."""
    (folder / "in").mkdir()
    (folder / "in" / "portrait.png").write_bytes((samples / "portrait.png").read_bytes())
    write(folder / "in" / "others")
    return extracted(folder / "in", folder / "out", *flags)


def test_what_is_no_file_is_passed_over(samples: Path, tmp_path: Path) -> None:
    run = with_portrait(write_traps, samples, tmp_path)
    assert run.code == 0
    assert run.frames.keys() == {"portrait.png"}


def test_a_huge_picture_beside_a_huge_video_cost_only_themselves(samples: Path, tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / "huge.gif").write_bytes(declaring_gif(15_000))
        (folder / "huge.hdr").write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 60000 +X 60000\n")

    run = with_portrait(write, samples, tmp_path, "--memory", str(TIGHT_BYTES))
    assert run.summary["faces"] == 1
    assert run.summary["failed"] == 2
    assert run.summary["peak_bytes"]["cpu"] <= TIGHT_BYTES


@pytest.mark.parametrize("name", ["pipe.jpg", "pipe.mp4", "folder.jpg", "null.jpg", "around"])
def test_a_trap_that_is_named_itself_ends_at_once(name: str, tmp_path: Path) -> None:
    write_traps(tmp_path / "in")
    (tmp_path / "in" / "loop.jpg").unlink()
    (tmp_path / "in" / "one.mp4").unlink()
    (tmp_path / "in" / "other.mp4").unlink()
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(tmp_path / "in" / name)]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_a_file_that_may_not_be_read_is_a_row_with_the_reason(samples: Path, tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        folder.mkdir()
        for name in ("secret.jpg", "secret.mp4"):
            (folder / name).write_bytes(b"content")
            (folder / name).chmod(0)

    run = with_portrait(write, samples, tmp_path)
    assert run.code == 1
    assert "ermission denied" in run.frames["others/secret.jpg"][0]["reason"]
    assert "ermission denied" in run.frames["others/secret.mp4"][0]["reason"]


def test_a_folder_that_is_a_thousand_levels_deep_is_searched(samples: Path, tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        before = Path.cwd()
        folder.mkdir()
        try:
            os.chdir(folder)
            for _ in range(1200):
                Path("d").mkdir()
                os.chdir("d")
            PillowImage.new("RGB", (8, 8)).save("deep.png")
        finally:
            os.chdir(before)

    try:
        assert "portrait.png" in with_portrait(write, samples, tmp_path).frames
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "in")], check=True)  # shutil's way down is recursive too
