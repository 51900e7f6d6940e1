"""What is read of a store is what was written into it, cell by cell."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from faceloom.errors import StoreError
from faceloom.store.again import quoted
from faceloom.store.embeddings import read_embedded
from faceloom.store.exports import read_paths
from faceloom.store.folder import DATABASE
from faceloom.store.persons import read_embeddings, write_persons
from faceloom.store.privacy import make_folders_below
from faceloom.store.rows import FaceRow
from faceloom.store.store import Store
from faceloom.store.tracked_videos import TrackedVideo, digest_of_faces, select_videos
from store.made_results import CLIP, PICTURES, write_media, write_result


@pytest.fixture
def media(tmp_path: Path) -> Path:
    return write_media(tmp_path / "in")


@pytest.fixture
def faces(media: Path, tmp_path: Path) -> list[FaceRow]:
    return write_result(media, tmp_path / "out")


@pytest.fixture
def out(faces: list[FaceRow], tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def db(out: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(out / DATABASE)) as db:
        yield db


@pytest.fixture
def video(db: sqlite3.Connection) -> TrackedVideo:
    (video,) = select_videos(db)
    return video


def test_embeddings_come_back_with_the_number_and_the_person_of_each_face(out: Path, faces: list[FaceRow]) -> None:
    ids, embeddings = read_embeddings(out)
    people = [f"person {number % 3}" for number in range(len(ids))]
    write_persons(out, ids, people)
    (found,) = read_embedded(out, numbers=16)
    assert found.ids.tolist() == list(ids)
    assert list(found.persons) == people
    np.testing.assert_array_equal(found.embeddings, embeddings)
    with pytest.raises(StoreError, match="another length than 15"):
        next(read_embedded(out, numbers=15))


def test_pictures_are_told_where_they_lie(out: Path, media: Path) -> None:
    assert read_paths(out) == {name: media / name for name in PICTURES}


def test_a_video_is_told_with_what_its_times_are_counted_in(media: Path, video: TrackedVideo) -> None:
    assert (video.source.name, video.source.path, video.source.time_base) == (CLIP, media / CLIP, "1/10")
    assert (video.frames, video.faces, video.frame_bytes) == (3, 3, 480 * 640 * 3)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *((name, 7.5) for name in ("x0", "y0", "x1", "y1")),
        ("landmarks", bytes(68 * 8)),
        ("embedding", bytes(64)),
        ("rejected", "is a statue"),
        ("idx", 9),
    ],
)
def test_the_digest_of_a_videos_faces_changes_with_each_thing_that_tracks_follow_from(
    db: sqlite3.Connection, video: TrackedVideo, column: str, value: object
) -> None:
    before = digest_of_faces(db, video)
    db.execute(f"UPDATE face SET {column} = ? WHERE source_id = ? AND frame_idx = 1", (value, video.id))
    assert digest_of_faces(db, video) != before


def test_the_digest_of_a_videos_faces_does_not_change_with_anything_else(
    db: sqlite3.Connection, video: TrackedVideo
) -> None:
    before = digest_of_faces(db, video)
    db.execute("UPDATE face SET sharpness = 3, person = 'Ann' WHERE source_id = ?", (video.id,))
    db.execute("UPDATE face SET x0 = 3 WHERE source_id != ?", (video.id,))
    assert digest_of_faces(db, video) == before


def test_an_index_over_an_expression_is_refused(out: Path, db: sqlite3.Connection) -> None:
    db.execute("CREATE INDEX mine ON face (x0, y1)")
    db.commit()
    with Store(out):
        pass
    db.execute("CREATE INDEX other ON face (lower(person))")
    db.commit()
    with pytest.raises(StoreError, match="an index over an expression"), Store(out):
        pass


def test_a_name_with_quotes_is_one_name_in_a_query() -> None:
    names = ("it's", "'", "plain")
    with closing(sqlite3.connect(":memory:")) as db:
        assert db.execute(f"SELECT {quoted(names)}").fetchone() == names


@pytest.mark.parametrize(("share", "mode"), [(None, 0o700), (False, 0o700), (True, 0o755)])
def test_folders_are_for_their_owner_unless_they_are_to_be_shared(
    tmp_path: Path, share: bool | None, mode: int
) -> None:
    below = Path("a/b/c")
    if share is None:
        make_folders_below(tmp_path, below)
    else:
        make_folders_below(tmp_path, below, share=share)
    assert {(tmp_path / part).stat().st_mode & 0o777 for part in ("a", "a/b", "a/b/c")} == {mode}
