"""Faces that a file tells of, in the store: taken in, given to their sources, and read."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from faceloom.errors import StoreError
from faceloom.faces import FrameId
from faceloom.formats.record import FaceRecord, FrameRecord
from faceloom.media.chunks import Span
from faceloom.media.sources import Source, SourceKind
from faceloom.store.known import write_known
from faceloom.store.store import Store
from store.made_results import CLIP, take_up, write_media

ANN, CROWD = "ann_in_july.png", "deep/crowd.jpg"


def told_of(name: str, frame: int = 0, *indexes: int, score: float | None = 0.5) -> FrameRecord:
    faces = [FaceRecord(index=i, box=np.array([i, 2, 30 + i, 40], np.float32), score=score) for i in (indexes or (0,))]
    return FrameRecord(id=FrameId(name, frame), faces=tuple(faces))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    media = write_media(tmp_path / "in")
    with Store(tmp_path / "out") as store:
        store.begin_run(versions={})
        take_up(store, media)
        yield store


def take(store: Store, *frames: FrameRecord) -> tuple[int, int, list[FrameId]]:
    path = store.folder.parent / "known"
    write_known(frames, path)
    store.known.take(path, sha256="0" * 64)
    return store.known.match()


def spans(name: str, first: int, count: int) -> list[Span]:
    kind = SourceKind.VIDEO if name == CLIP else SourceKind.PICTURE
    return [
        Span(source=Source(name=name, path=Path(name), kind=kind), first=first, count=count, ticks=tuple(range(count)))
    ]


def places(store: Store, name: str, first: int = 0, count: int = 1) -> list[tuple[int, int]]:
    return [(face.frame.index, face.index) for face in store.known_faces(spans(name, first, count))]


def test_faces_are_read_by_frame_and_index_and_no_others(store: Store) -> None:
    frames = [told_of(CLIP, 2), told_of(CLIP, 1, 3, 0), told_of(CLIP, 0), told_of(ANN)]
    assert take(store, *frames) == (5, 0, [])
    assert places(store, CLIP, 0, 3) == [(0, 0), (1, 0), (1, 3), (2, 0)]
    assert places(store, CLIP, 1, 1) == [(1, 0), (1, 3)]
    assert places(store, CROWD) == []
    (face,) = store.known_faces(spans(ANN, 0, 1))
    assert (face.frame, face.score, face.box.tolist()) == (FrameId(ANN, 0), 0.5, [0, 2, 30, 40])


def test_a_face_without_a_score_is_certain(store: Store) -> None:
    take(store, told_of(ANN, score=None))
    assert [face.score for face in store.known_faces(spans(ANN, 0, 1))] == [1.0]


def test_the_digest_of_the_file_is_kept_and_another_file_takes_its_place(store: Store) -> None:
    assert store.known.sha256 is None
    take(store, told_of(ANN))
    assert store.known.sha256 == "0" * 64
    write_known([told_of(CROWD)], store.folder.parent / "known")
    store.known.take(store.folder.parent / "known", sha256="1" * 64)
    assert store.known.sha256 == "1" * 64
    assert (places(store, ANN), places(store, CROWD)) == ([], [(0, 0)])


def test_what_cannot_be_taken_in_changes_nothing(store: Store, tmp_path: Path) -> None:
    take(store, told_of(ANN))
    with closing(sqlite3.connect(tmp_path / "broken")) as db:
        db.execute("CREATE TABLE other (a)")
    for _ in range(2):  # and what was attached is let go
        with pytest.raises(sqlite3.OperationalError):
            store.known.take(tmp_path / "broken", sha256="2" * 64)
    assert (store.known.sha256, places(store, ANN)) == ("0" * 64, [(0, 0)])


def test_a_face_that_stands_there_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"face 3 of a\.jpg#7 stands there twice"):
        write_known([told_of("a.jpg", 7, 3), told_of("a.jpg", 7, 3)], tmp_path / "known")
    write_known([told_of("a.jpg", 7, 3)], tmp_path / "known")  # what the other try has left is no hindrance


@pytest.mark.parametrize(
    ("told", "frame", "name", "index"),
    [
        ("deep/crowd.jpg", 0, CROWD, 0),
        ("deep/crowd", 0, CROWD, 0),
        ("crowd.jpg", 0, CROWD, 0),
        ("crowd", 0, CROWD, 0),
        ("else/where/crowd.jpg", 0, CROWD, 0),
        ("else/where/crowd", 0, CROWD, 0),
        ("walk", 2, CLIP, 2),
        ("walk_000001.png", 0, CLIP, 0),
        ("frames/walk_000003.png", 0, CLIP, 2),
    ],
)
def test_names_of_other_programs_are_given_to_their_sources(
    told: str, frame: int, name: str, index: int, store: Store
) -> None:
    assert take(store, told_of(told, frame)) == (1, 0, [])
    assert places(store, name, 0, 3) == [(index, 0)]


@pytest.mark.parametrize(
    "told",
    ["walk_000000.png", "walk_00001.png", "walk_000001.jpg", "crowd_000001.png", "walk_000001.png.png", "crow", "deep"],
)
def test_names_that_could_be_anybodys_are_nobodys(told: str, store: Store) -> None:
    assert take(store, told_of(told)) == (1, 1, [FrameId(told, 0)])


def test_a_name_that_two_sources_could_have_is_neithers(store: Store, tmp_path: Path) -> None:
    for name in ("one/same.jpg", "other/same.png"):
        source = Source(name=name, path=tmp_path / name, kind=SourceKind.PICTURE)
        with store.sources.adding():
            store.sources.add(source, other_names=())
            store.sources.add_picture(source)
    assert take(store, told_of("same"), told_of("same.png", 0, 1)) == (2, 1, [FrameId("same", 0)])
    assert places(store, "other/same.png") == [(0, 1)]


def test_a_name_whose_faces_its_source_has_already_stays_strange(store: Store) -> None:
    assert take(store, told_of(ANN), told_of("ann_in_july")) == (2, 1, [FrameId("ann_in_july", 0)])
    assert places(store, ANN) == [(0, 0)]


def test_frames_that_no_source_has_are_told_of_three_at_most_and_in_order(store: Store) -> None:
    frames = [told_of(CLIP, 3), told_of("z.jpg", 0, 0, 1), told_of("b.jpg"), told_of(ANN, 1), told_of(CLIP, 0)]
    assert take(store, *frames) == (6, 5, [FrameId(ANN, 1), FrameId("b.jpg", 0), FrameId(CLIP, 3)])


def test_many_strange_names_are_all_gone_through(store: Store) -> None:
    frames = [told_of(f"{i:05}/crowd.jpg", 0, i) for i in range(1001)]
    assert take(store, *frames) == (1001, 0, [])
    assert len(places(store, CROWD)) == 1001


def test_faces_of_a_store_that_is_closed_are_an_error_of_ours(store: Store) -> None:
    assert list(store.known_faces([])) == []
    with pytest.raises(StoreError), Store(store.folder):
        pass
