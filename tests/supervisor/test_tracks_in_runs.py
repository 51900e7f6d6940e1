import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import faceloom
from faceloom.errors import RequestError
from faceloom.geometry.boxes import iou
from faceloom.store.folder import DATABASE
from jobs import exported

LOST = range(3, 5)


@pytest.fixture(scope="module")
def made(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The samples' clip, extracted and tracked."""
    out = tmp_path_factory.mktemp("tracked") / "out"
    faceloom.extract(samples / "clip.mp4", out, size=64, mask="extended", track=True, end="11f")
    return out


@pytest.fixture
def tracked(made: Path, tmp_path: Path) -> Path:
    """A copy of that."""
    return Path(shutil.copytree(made, tmp_path / "tracked"))


def lose(folder: Path, frames: range) -> dict[tuple[int, int | None], np.ndarray]:
    """Takes all faces of some frames away, as if no detector had found them; where they were, by frame and track."""
    with faceloom.open(folder) as results:
        found = [face for face in results if face.frame.index in frames and face.mark is None]
    lost = {(face.frame.index, face.track): face for face in found}
    for face in lost.values():
        assert face.chip is not None
        (folder / face.chip).unlink()
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(f"DELETE FROM face WHERE frame_idx BETWEEN {frames[0]} AND {frames[-1]}")
        db.commit()
    return {place: face.box for place, face in lost.items()}


def test_what_a_track_misses_is_found_where_it_should_be(tracked: Path) -> None:
    """And has all that the others have: landmarks, a chip, masks."""
    where = lose(tracked, LOST)
    faceloom.track(tracked)
    with faceloom.open(tracked) as results:
        filled = [face for face in results if face.frame.index in LOST]
        assert {face.mark for face in filled} == {"filled"}
        assert {(face.frame.index, face.track) for face in filled} == set(where)
        for face in filled:
            assert iou(face.box[None], where[face.frame.index, face.track][None])[0, 0] > 0.7
            assert face.landmarks is not None
            assert results.chip(face).shape == (64, 64, 3)
            assert results.mask(face, "extended").any()
    assert not faceloom.check(tracked).flaws
    before = exported(tracked)
    assert faceloom.track(tracked).unchanged == 1
    assert exported(tracked) == before


def test_a_network_that_is_not_the_one_of_the_run_does_not_look(tracked: Path) -> None:
    lose(tracked, LOST)
    with closing(sqlite3.connect(tracked / DATABASE)) as db:
        (told,) = db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        config = json.loads(told)
        config["stages"]["detect/yunet"]["weights"] = "0" * 64
        db.execute("UPDATE meta SET value = ? WHERE key = 'config'", (json.dumps(config),))
        db.commit()
    with pytest.raises(RequestError, match="detect/yunet"):
        faceloom.track(tracked)
    assert faceloom.track(tracked, fill=0).tracks


def test_chips_are_cut_by_steady_landmarks_where_that_is_asked_for(tracked: Path, tmp_path: Path) -> None:
    faceloom.track(tracked, fill=0)
    faceloom.derive(tracked, tmp_path / "steady", size=64, smooth=True)
    told = [json.loads(line) for line in faceloom.export(tracked, smooth=True).splitlines()]
    made = [json.loads(line) for line in faceloom.export(tmp_path / "steady").splitlines()]
    assert [line["landmarks"] for line in made] == [line["landmarks"] for line in told]
    assert [line["affine"] for line in made] == [line["affine"] for line in told]
    raw = [json.loads(line) for line in faceloom.export(tracked).splitlines()]
    assert [line["landmarks"] for line in raw] != [line["landmarks"] for line in told]


def test_faces_that_nothing_was_seen_of_have_chips_where_that_is_asked_for(samples: Path, tmp_path: Path) -> None:
    faceloom.extract(samples / "clip.mp4", tmp_path / "out", size=64, end="8f", track=True, interpolated=True)
    lose(tmp_path / "out", LOST)
    blind(tmp_path / "out")
    faceloom.track(tmp_path / "out")
    with faceloom.open(tmp_path / "out") as results:
        laid = [face for face in results if face.mark == "interpolated"]
        assert laid
        chips = {face.chip: results.chip(face).tobytes() for face in laid}
    faceloom.derive(tmp_path / "out", tmp_path / "without", size=64)
    faceloom.derive(tmp_path / "out", tmp_path / "with", size=64, interpolated=True)
    with faceloom.open(tmp_path / "without") as results:
        assert {face.chip for face in results if face.mark == "interpolated"} == {None}
    with faceloom.open(tmp_path / "with") as results:
        made = {face.chip: results.chip(face).tobytes() for face in results if face.mark == "interpolated"}
    assert made == chips


def blind(folder: Path) -> None:
    """Has nobody look again: the folder says that it was made without a detector."""
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        (text,) = db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        config = json.loads(text)
        del config["stages"]["detect/yunet"]
        db.execute("UPDATE meta SET value = ? WHERE key = 'config'", (json.dumps(config),))
        db.commit()
