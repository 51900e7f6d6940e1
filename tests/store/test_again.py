"""What is done again: stages that faces miss, second looks at empty frames, and chips that are lost."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceloom.faces import FrameId
from faceloom.formats.record import MaskRecord
from faceloom.media.sources import Shape, Source, SourceKind, find_sources
from faceloom.store.folder import DATABASE
from faceloom.store.reading import read_faces
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.store.store import Store
from store.made_results import CLIP, CONFIG, commit, face_of, take_up, write_media, write_result

ANN, BOB, CROWD, NOBODY = "ann_in_july.png", "bob.png", "deep/crowd.jpg", "nobody.jpg"
UNET = "mask/unet"
EVERY = [(ANN, 0), (BOB, 0), (CROWD, 0), (CLIP, 0), (CLIP, 1), (CLIP, 2)]
"""The frames that have faces."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A result, open for a run that was given all its sources again."""
    write_result(write_media(tmp_path / "in"), tmp_path / "out")
    with Store(tmp_path / "out") as store:
        begin(store, tmp_path / "in")
        yield store


def begin(store: Store, *inputs: Path) -> None:
    store.begin_run(versions={})
    with store.sources.adding():
        for source in find_sources(inputs):
            store.sources.add(source, other_names=())


def waiting(store: Store) -> list[tuple[str, int]]:
    return [(frame.source.name, frame.index) for frame in store.frames.pending()]


def rows(*frames: FrameRow, number: int = 1, **more: object) -> ChunkRows:
    return ChunkRows(number=number, frames=frames, faces=(), seconds=1.0, **more)  # type: ignore[arg-type]


def done(name: str, index: int = 0, status: Status = Status.DONE, reason: str | None = None) -> FrameRow:
    return FrameRow(id=FrameId(name, index), height=480, width=640, status=status, reason=reason)


def counted(store: Store) -> tuple[int, int, int, int]:
    counts = store.frames.counts()
    return counts.pending, counts.done, counts.failed, counts.faces


def test_nothing_is_to_be_done_by_a_run_that_was_given_the_same_again(store: Store) -> None:
    assert waiting(store) == []
    assert counted(store) == (0, 7, 0, 17)


def test_a_new_stage_is_missed_by_every_frame_with_a_face_and_by_no_other(store: Store) -> None:
    assert store.configuration.add_stages({UNET: {"weights": "d"}}) == [UNET]
    assert store.again.stages(store.run_id) == [UNET]
    store.do_again([UNET], sources_of=store.run_id)
    assert sorted(waiting(store)) == EVERY
    assert counted(store) == (6, 1, 0, 17)


def test_a_frame_whose_only_face_was_rejected_misses_nothing(tmp_path: Path, store: Store) -> None:
    with closing(sqlite3.connect(tmp_path / "out" / DATABASE)) as db, db:
        db.execute(f"UPDATE face SET rejected = 'roll: 50' WHERE chip LIKE '%{BOB}%'")
    store.configuration.add_stages({UNET: {}})
    store.do_again([UNET])
    assert sorted(waiting(store)) == [frame for frame in EVERY if frame != (BOB, 0)]


def test_what_a_stage_adds_is_beside_what_there_was_and_the_frame_is_done(tmp_path: Path, store: Store) -> None:
    store.configuration.add_stages({UNET: {}})
    store.do_again([UNET])
    mask = MaskRecord(size=4, content=b"png")
    added = replace(face_of(FrameId(CROWD, 0), 3), masks={"unet": mask}, embedding=None, chip=None, score=0.0)
    store.commit(replace(rows(done(CROWD)), faces=(added,)))
    assert (CROWD, 0) not in waiting(store)
    faces = {face.index: face for face, _ in read_faces(tmp_path / "out") if face.frame.source == CROWD}
    before = face_of(FrameId(CROWD, 0), 3)
    assert faces[3].masks == {**before.masks, "unet": mask}
    assert (faces[3].chip, faces[3].score) == (before.chip, before.score)
    assert faces[3].embedding is not None
    np.testing.assert_array_equal(faces[3].embedding, before.embedding)
    assert "unet" not in faces[2].masks
    assert len(faces) == 12


def test_what_could_not_be_done_again_has_a_reason_until_the_next_run_tries_it(tmp_path: Path, store: Store) -> None:
    store.configuration.add_stages({UNET: {}})
    store.do_again([UNET])
    store.commit(rows(done(ANN, status=Status.FAILED, reason="too dark"), done(BOB, status=Status.FAILED), done(CROWD)))
    assert counted(store) == (3, 2, 2, 17)
    assert store.frames.failures(9) == [(ANN, 0, "too dark"), (BOB, 0, "unreadable")]
    assert store.frames.failures(1) == [(ANN, 0, "too dark")]
    begin(store, tmp_path / "in")
    store.do_again([UNET], sources_of=store.run_id)
    assert sorted(waiting(store)) == [frame for frame in EVERY if frame != (CROWD, 0)]
    assert store.frames.failures(9) == []


def test_a_stage_that_is_taken_back_is_missed_no_more(store: Store) -> None:
    before = store.configuration.now
    store.configuration.add_stages({UNET: {}})
    store.configuration.take_back([UNET])
    assert store.configuration.now == before
    assert store.again.stages(store.run_id) == []


def test_a_run_of_some_sources_does_those_again_and_one_of_none_takes_up_all(tmp_path: Path, store: Store) -> None:
    store.configuration.add_stages({UNET: {}})
    begin(store, tmp_path / "in" / ANN)
    store.do_again([UNET], sources_of=store.run_id)
    assert waiting(store) == [(ANN, 0)]
    assert store.again.stages(store.run_id) == [UNET]
    store.do_again([UNET])
    assert sorted(waiting(store)) == EVERY


def test_a_second_look_is_for_frames_in_which_no_face_was_found_and_has_its_number(store: Store) -> None:
    store.look_again(1)
    assert waiting(store) == [(NOBODY, 0)]
    assert store.again.stages(store.run_id) == [], "a look is no stage that faces miss"
    assert counted(store) == (1, 6, 0, 17)
    found = face_of(FrameId(NOBODY, 0), 0)
    store.commit(replace(rows(done(NOBODY)), faces=(found,)))
    assert waiting(store) == []
    assert [face.index for face, _ in read_faces(store.folder) if face.frame.source == NOBODY] == [0]
    store.look_again(2)
    assert waiting(store) == []


def test_a_look_that_was_had_is_not_had_again_and_another_is(tmp_path: Path, store: Store) -> None:
    store.look_again(1)
    store.commit(rows(done(NOBODY)))
    store.look_again(1)
    assert waiting(store) == []
    store.look_again(2)
    assert waiting(store) == [(NOBODY, 0)]


def test_a_second_look_that_sees_nothing_of_its_frame_leaves_it_as_it_was(store: Store) -> None:
    store.look_again(1)
    unseen = FrameRow(id=FrameId(NOBODY, 0), status=Status.FAILED, reason="no picture")
    store.commit(rows(unseen))
    assert store.frames.failures(9) == [(NOBODY, 0, "no picture")]
    assert counted(store) == (0, 6, 1, 17)
    store.do_again([])
    assert counted(store) == (0, 7, 0, 17)


def test_lost_chips_of_this_runs_sources_are_to_be_made_again(tmp_path: Path, store: Store) -> None:
    assert not store.find_lost_chips()
    (tmp_path / f"out/chips/{CLIP}/000001_0.jpg").unlink()
    whole = tmp_path / "out/chips/bob.png/000000_0.jpg"
    whole.write_bytes(whole.read_bytes()[:-1])
    (tmp_path / "out/chips/deep/crowd.jpg/000000_5.jpg").unlink()
    (tmp_path / "out/chips/deep/crowd.jpg/000000_7.jpg").unlink()
    assert store.find_lost_chips()
    assert store.again.stages(store.run_id) == ["chips"]
    store.do_again(["chips"])
    assert sorted(waiting(store)) == [(BOB, 0), (CROWD, 0), (CLIP, 1)]


@pytest.mark.parametrize(
    "chip", [b"chips/bob.png/000000_0.jpg", "/etc/hostname", "chips/pipe", "chips/link", "chips", ""]
)
def test_what_is_no_chip_of_ours_is_made_again_whoever_has_named_it(
    chip: str | bytes, tmp_path: Path, store: Store
) -> None:
    os.mkfifo(tmp_path / "out/chips/pipe")
    (tmp_path / "out/chips/link").symlink_to(tmp_path / "out/chips/bob.png/000000_0.jpg")
    with closing(sqlite3.connect(tmp_path / "out" / DATABASE)) as db, db:
        db.execute("UPDATE face SET chip = ? WHERE chip = 'chips/bob.png/000000_0.jpg'", (chip,))
    assert store.find_lost_chips()


def test_chips_that_were_just_written_are_looked_at_by_the_next_run(tmp_path: Path) -> None:
    media, out = write_media(tmp_path / "in"), tmp_path / "out"
    with Store(out) as store:
        store.configuration.use(CONFIG)
        store.begin_run(versions={})
        take_up(store, media, [BOB])
        commit(store, [face_of(FrameId(BOB, 0), 0)], overlays=False, names=[BOB])
        (out / f"chips/{BOB}/000000_0.jpg").unlink()
        assert not store.find_lost_chips()
    with Store(out) as store:
        begin(store, media / BOB)
        assert store.find_lost_chips()


def test_lost_chips_of_other_sources_are_left_alone(tmp_path: Path, store: Store) -> None:
    (tmp_path / "out/chips/bob.png/000000_0.jpg").unlink()
    begin(store, tmp_path / "in" / ANN)
    assert not store.find_lost_chips()


def test_files_that_are_gone_or_have_changed_are_given_up_with_a_reason(tmp_path: Path, store: Store) -> None:
    store.configuration.add_stages({UNET: {}})
    (tmp_path / "in" / ANN).unlink()
    (tmp_path / "in" / CLIP).write_bytes(b"another")
    os.utime(tmp_path / "in" / BOB, (5, 5))
    content = (tmp_path / "in" / CROWD).read_bytes()
    (tmp_path / "in" / CROWD).write_bytes(content[:-1] + b"x")  # as long as before
    store.do_again([UNET])
    told = list(store.sources.refuse_changed())
    assert [text.partition(":")[0] for text in told] == [ANN, CROWD, CLIP]
    assert told[0] == f"{ANN}: the file {tmp_path / 'in' / ANN} is gone"
    assert all("has changed since it was read; extract does it anew" in text for text in told[1:])
    assert waiting(store) == [(BOB, 0)]
    reasons = {(name, index): reason for name, index, reason in store.frames.failures(9)}
    assert reasons[CLIP, 2] == f"{tmp_path / 'in' / CLIP} has changed since it was read; extract does it anew"
    assert set(reasons) == {(ANN, 0), (CROWD, 0), (CLIP, 0), (CLIP, 1), (CLIP, 2)}
    assert list(store.sources.refuse_changed()) == told, "whoever asks once more is told the same"


def test_frames_of_a_shape_are_given_up_and_the_others_go_on(store: Store) -> None:
    shape = Shape(height=480, width=640, reading_bytes=1000)
    store.configuration.add_stages({UNET: {}})
    store.do_again([UNET])
    assert list(store.frames.shapes()) == [(SourceKind.VIDEO, shape)]
    for kind, other in [
        (SourceKind.PICTURE, shape),
        *((SourceKind.VIDEO, replace(shape, **{name: 1})) for name in ("height", "width", "reading_bytes")),
    ]:
        store.frames.give_up(kind, other, "too large")
        assert len(waiting(store)) == 6
    store.frames.give_up(SourceKind.VIDEO, shape, "too large")
    assert sorted(waiting(store)) == EVERY[:3]
    assert store.frames.failures(9) == [(CLIP, i, "too large") for i in range(3)]
    assert list(store.frames.shapes()) == []


def test_pending_frames_of_a_shape_fail_in_the_run_that_gives_them_up(tmp_path: Path) -> None:
    write_media(tmp_path / "in")
    with Store(tmp_path / "out") as store:
        begin(store, tmp_path / "in")
        names = (ANN, BOB, CROWD)
        with store.sources.adding():
            for name, pages in zip(names, (1, 1, 3), strict=True):
                source = Source(name=name, path=tmp_path / "in" / name, kind=SourceKind.PICTURE)
                store.sources.add_picture(source)
                shape = Shape(height=6, width=8 if name == BOB else 9, reading_bytes=5, pages=pages)
                store.sources.add_shape(source, shape)
        assert waiting(store) == [(ANN, 0), (BOB, 0), *((CROWD, page) for page in range(3))]
        assert {(shape.height, shape.width, shape.reading_bytes) for _, shape in store.frames.shapes()} == {
            (6, 8, 5),
            (6, 9, 5),
        }
        store.frames.give_up(SourceKind.PICTURE, Shape(height=6, width=9, reading_bytes=5), "not enough memory: 9")
        assert waiting(store) == [(BOB, 0)]
        assert store.frames.failures(9) == [
            (name, page, "not enough memory: 9") for name, page in [(ANN, 0), (CROWD, 0), (CROWD, 1), (CROWD, 2)]
        ]
        assert counted(store) == (1, 0, 4, 0)
        store.frames.retry()
        assert counted(store) == (1, 0, 4, 0), "what failed in this run stays as it is"
    with Store(tmp_path / "out") as store:
        begin(store, tmp_path / "in")
        store.frames.retry()
        assert counted(store) == (5, 0, 0, 0)
