"""The sources of another result folder, taken for chips that are cut again."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from faceloom.errors import RequestError, StoreError
from faceloom.faces import FrameId
from faceloom.media.chunks import Span
from faceloom.media.sources import Source, SourceKind
from faceloom.store.folder import DATABASE
from faceloom.store.reading import read_frames
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.store.store import Store
from store.made_results import CLIP, CONFIG, commit, face_of, take_up, write_media, write_result

ANN, BOB, CROWD, NOBODY = "ann_in_july.png", "bob.png", "deep/crowd.jpg", "nobody.jpg"
EVERY = [(ANN, 0), (BOB, 0), (CROWD, 0), (CLIP, 0), (CLIP, 1), (CLIP, 2)]


@pytest.fixture
def given(tmp_path: Path) -> Path:
    write_result(write_media(tmp_path / "in"), tmp_path / "given")
    return tmp_path / "given"


@pytest.fixture
def store(given: Path, tmp_path: Path) -> Iterator[Store]:
    """Another folder, which has the sources of the one that is given."""
    with Store(tmp_path / "out") as store:
        store.configuration.use(CONFIG)
        adopt(store, given)
        yield store


def adopt(store: Store, given: Path) -> None:
    store.begin_run(versions={})
    store.adopt(given)


def change(folder: Path, text: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as db, db:
        db.execute("PRAGMA foreign_keys = ON")
        db.executescript(text)


def waiting(store: Store) -> list[tuple[str, int]]:
    return sorted((frame.source.name, frame.index) for frame in store.frames.pending())


def finish(store: Store) -> None:
    """As if the faces had been found here."""
    faces = [face_of(FrameId(name, index), 0) for name, index in EVERY if name != CROWD]
    faces += [face_of(FrameId(CROWD, 0), i) for i in range(12)]
    frames = {face.frame for face in faces}
    without_chips = tuple(replace(face, chip=None) for face in faces)
    rows = tuple(FrameRow(id=frame, height=480, width=640, status=Status.DONE) for frame in sorted(frames))
    store.commit(ChunkRows(number=store.run_id, frames=rows, faces=without_chips, seconds=1))


def test_frames_with_faces_are_to_be_done_and_those_without_are_as_they_were(store: Store) -> None:
    assert waiting(store) == EVERY
    ((done),) = read_frames(store.folder)
    assert (done["source"], done["status"], done["width"], done["height"]) == (NOBODY, "done", 640, 480)
    frames = {(frame.source.name, frame.index): frame for frame in store.frames.pending()}
    clip = frames[CLIP, 1]
    assert (clip.ticks, clip.seek_ticks, clip.source.time_base, clip.source.kind) == (5, 0, "1/10", SourceKind.VIDEO)


def test_frames_that_failed_there_are_none_here(given: Path, tmp_path: Path) -> None:
    change(given, "UPDATE frame SET status = 'failed', reason = 'x' WHERE source_id = 4;")
    with closing(sqlite3.connect(given / DATABASE)) as db:
        (name,) = db.execute("SELECT name FROM source WHERE id = 4").fetchone()
    with Store(tmp_path / "out") as store:
        adopt(store, given)
        assert name == NOBODY
        assert list(read_frames(store.folder)) == []
        assert waiting(store) == EVERY


def test_what_is_here_and_has_the_same_faces_stays(store: Store, given: Path) -> None:
    finish(store)
    assert waiting(store) == []
    adopt(store, given)
    assert waiting(store) == []
    assert store.frames.counts().done == 7


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM face WHERE idx = 4;",
        "UPDATE face SET x1 = x1 + 1 WHERE idx = 4;",
        "UPDATE face SET rejected = 'roll: 50' WHERE idx = 4;",
        f"UPDATE source SET sha256 = 'other' WHERE name = '{CROWD}';",
        f"UPDATE frame SET look = 1 WHERE source_id = (SELECT id FROM source WHERE name = '{CROWD}');",
    ],
)
def test_what_has_other_faces_there_now_is_done_again_and_nothing_else(text: str, store: Store, given: Path) -> None:
    finish(store)
    change(given, text)
    adopt(store, given)
    assert waiting(store) == [(CROWD, 0)]


def test_what_is_gone_there_goes_here_with_its_files(store: Store, given: Path) -> None:
    finish(store)
    chip = store.folder / f"chips/{BOB}/000000_0.jpg"
    chip.parent.mkdir(parents=True)
    chip.write_bytes(b"x")
    change(given, f"DELETE FROM source WHERE name = '{BOB}';")
    adopt(store, given)
    assert BOB not in {frame["source"] for frame in read_frames(store.folder)}
    assert not chip.parent.exists()
    assert waiting(store) == []


def test_a_source_that_is_not_as_it_was_fails_for_a_reason_until_it_is(given: Path, tmp_path: Path) -> None:
    media = tmp_path / "in"
    (media / ANN).rename(tmp_path / "away")
    content = (media / CROWD).read_bytes()
    (media / CROWD).write_bytes(content[:-1] + b"x")
    (media / BOB).unlink()
    (media / BOB).mkdir()
    os.utime(media / CLIP, (5, 5))  # another time, the same content
    with Store(tmp_path / "out") as store:
        adopt(store, given)
        assert waiting(store) == [(CLIP, 0), (CLIP, 1), (CLIP, 2)]
        reasons = {name: reason for name, _, reason in store.frames.failures(9)}
        assert list(reasons) == [ANN, BOB, CROWD]
        assert reasons[ANN].startswith(f"the source is not at {media / ANN} any more (No such file or directory); put")
        assert reasons[BOB] == f"the source at {media / BOB} is no file any more; extract anew"
        assert reasons[CROWD] == f"the source at {media / CROWD} has changed since its faces were found; extract anew"
        (tmp_path / "away").rename(media / ANN)
        (media / CROWD).write_bytes(content)
        adopt(store, given)
        assert waiting(store) == [(ANN, 0), (CROWD, 0), (CLIP, 0), (CLIP, 1), (CLIP, 2)]
        assert [name for name, *_ in store.frames.failures(9)] == [BOB]


def test_faces_are_read_as_they_were_found_there(store: Store, given: Path, tmp_path: Path) -> None:
    with Store(given) as other:
        other.begin_run(versions={})
        other.do_again(["mask/unet"])
        source = Source(name=CLIP, path=tmp_path / "in" / CLIP, kind=SourceKind.VIDEO)
        spans = [Span(source=source, first=1, count=2, ticks=(5, 10), seek_ticks=0)]
        found = list(other.known_faces(spans))
    assert [(face.frame, face.index) for face in found] == [(FrameId(CLIP, 1), 0), (FrameId(CLIP, 2), 0)]
    assert (found[0].box == face_of(FrameId(CLIP, 1), 0).box).all()


def test_a_folder_that_is_not_finished_or_empty_is_refused(given: Path, tmp_path: Path) -> None:
    change(given, "UPDATE frame SET status = 'pending' WHERE idx > 0;")
    with Store(tmp_path / "out") as store:
        with pytest.raises(RequestError, match="is not finished, 2 of its frames are still to be done; run"):
            adopt(store, given)
        with Store(tmp_path / "empty"):
            pass
        with pytest.raises(RequestError, match="holds no frames"):
            adopt(store, tmp_path / "empty")
        with pytest.raises(StoreError, match="holds no results"):
            adopt(store, tmp_path / "none")
        assert waiting(store) == []


def test_a_run_that_takes_up_the_same_files_commits_to_their_rows(tmp_path: Path) -> None:
    media = write_media(tmp_path / "in")
    with Store(tmp_path / "out") as store:
        store.begin_run(versions={})
        take_up(store, media)
        assert waiting(store) == sorted([*EVERY, (NOBODY, 0)])
        commit(store, [face_of(FrameId(ANN, 0), 0)], overlays=False)
        assert waiting(store) == []
