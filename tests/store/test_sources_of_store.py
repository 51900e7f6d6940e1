"""Taking files up: their names, their frames, and whether they are what they were."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from faceloom.errors import StoreError
from faceloom.faces import FrameId
from faceloom.faults import Fault
from faceloom.media.notes import Note
from faceloom.media.sources import PassedOver, RemoteAddress, Shape, Source, SourceKind, VideoIndex
from faceloom.store.folder import DATABASE
from faceloom.store.frames import STARVED
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.store.sources import Known
from faceloom.store.store import Store
from faceloom.store.summary import read_summary


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "out") as store:
        store.begin_run(versions={})
        yield store


def picture(path: Path, content: bytes = b"x") -> Source:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return Source(name=path.name, path=path, kind=SourceKind.PICTURE)


def named(source: Source, name: str) -> Source:
    return Source(name=name, path=source.path, kind=source.kind)


def add(store: Store, source: Source, *other_names: str) -> tuple[str, Known]:
    with store.sources.adding():
        found, known = store.sources.add(source, other_names=other_names)
    assert (found.path, found.kind) == (source.path, source.kind)
    return found.name, known


def index(frames: int, *, problem: str | None = None, notes: tuple[str, ...] = ()) -> VideoIndex:
    return VideoIndex(
        height=3,
        width=4,
        time_base=Fraction(1, 10),
        ticks=np.arange(frames) * 2,
        reading_bytes=50,
        keyframes=np.arange(frames) % 3 == 0,
        problem=problem,
        notes=notes,
    )


def waiting(store: Store) -> list[tuple[str, int, int | None, int | None]]:
    return [(frame.source.name, frame.index, frame.ticks, frame.seek_ticks) for frame in store.frames.pending()]


@pytest.mark.parametrize(
    ("taken", "asked", "others", "got"),
    [
        ("a.jpg", "a.jpg", ["b/a.jpg"], "b/a.jpg"),
        ("a.jpg", "a.jpg", ["a.jpg", "b/a.jpg"], "b/a.jpg"),
        ("a", "a/b.jpg", ["c.jpg"], "c.jpg"),  # its files would lie below another's
        ("a/b.jpg", "a", ["c.jpg"], "c.jpg"),  # or another's below its own
        ("a/b/c.jpg", "a", ["c.jpg"], "c.jpg"),
        ("a/b", "a/b/c/d.jpg", ["c.jpg"], "c.jpg"),
        ("a/b.jpg", "a/c.jpg", ["c.jpg"], "a/c.jpg"),
        ("a/b.jpg", "a/b.jpg0", ["c.jpg"], "a/b.jpg0"),
        ("ab/c.jpg", "a", ["c.jpg"], "a"),
        ("a", "ab/c.jpg", ["c.jpg"], "ab/c.jpg"),
    ],
)
def test_a_source_gets_the_first_name_that_is_free_and_lies_across_no_other(
    taken: str, asked: str, others: list[str], got: str, store: Store, tmp_path: Path
) -> None:
    add(store, named(picture(tmp_path / "one"), taken))
    assert add(store, named(picture(tmp_path / "other"), asked), *others) == (got, Known.NEW)


def test_without_a_free_name_a_source_is_refused(store: Store, tmp_path: Path) -> None:
    for name in ("x", "y"):
        add(store, picture(tmp_path / name))
    with pytest.raises(StoreError, match=r"no free name for .*z \(x and its other names are taken\)") as raised:
        add(store, named(picture(tmp_path / "z"), "x"), "y")
    assert raised.value.path == tmp_path / "z"


def test_a_file_that_is_gone_leaves_its_name_to_the_same_content_elsewhere(store: Store, tmp_path: Path) -> None:
    source = picture(tmp_path / "before/a.jpg", b"12345")
    add(store, source)
    with store.sources.adding():
        store.sources.add_picture(source)
    digest = "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"
    done = FrameRow(id=FrameId("a.jpg", 0), height=1, width=1, status=Status.DONE, sha256=digest)
    store.commit(ChunkRows(number=0, frames=(done,), faces=(), seconds=1))
    source.path.unlink()
    store.begin_run(versions={})
    assert add(store, picture(tmp_path / "after/a.jpg", b"12345")) == ("a.jpg", Known.SAME)
    assert add(store, picture(tmp_path / "after/a.jpg", b"12345")) == ("a.jpg", Known.TWICE)
    store.begin_run(versions={})
    assert add(store, picture(tmp_path / "after/a.jpg", b"54321")) == ("a.jpg", Known.CHANGED)
    assert store.frames.counts().done == 0


def test_a_changed_file_loses_its_chips(store: Store, tmp_path: Path) -> None:
    add(store, picture(tmp_path / "a.jpg"))
    chip = tmp_path / "out/chips/a.jpg/0.jpg"
    chip.parent.mkdir(parents=True)
    chip.write_bytes(b"x")
    store.begin_run(versions={})
    assert add(store, picture(tmp_path / "a.jpg", b"other")) == ("a.jpg", Known.CHANGED)
    assert not chip.parent.exists()


def test_a_file_that_is_gone_is_taken_up_for_reading_to_say_so(store: Store, tmp_path: Path) -> None:
    source = Source(name="gone.jpg", path=tmp_path / "gone.jpg", kind=SourceKind.PICTURE)
    assert add(store, source) == ("gone.jpg", Known.NEW)


def test_what_was_passed_over_and_is_a_source_now_is_not_told_of_any_more(store: Store, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.jpg")
    with store.sources.adding():
        store.sources.pass_over(PassedOver(name="a.jpg", path=source.path, why="rubbish"))
    assert read_summary(store.folder)["passed_over"]["rubbish"]["count"] == 1
    add(store, source)
    assert read_summary(store.folder)["passed_over"] == {}
    with store.sources.adding():
        store.sources.drop(source, "no picture")
    found = read_summary(store.folder)
    assert (found["sources"], found["passed_over"]) == ({}, {"no picture": {"count": 1, "first": ["a.jpg"]}})


def test_videos_are_to_be_counted_once_and_only_this_runs(store: Store, tmp_path: Path) -> None:
    files = [picture(tmp_path / f"{i}.mp4").path for i in range(4)]
    videos = [Source(name=path.name, path=path, kind=SourceKind.VIDEO) for path in files]
    for source in videos:
        add(store, source)
    add(store, picture(tmp_path / "still.jpg"))
    with store.sources.adding():
        store.sources.add_video(videos[1], index(3), sha256="1" * 64)
        store.sources.add_failed(videos[2], "no video", Fault.MACHINE)
    assert store.sources.unreadable == 1
    assert list(store.sources.uncounted()) == [videos[0], videos[3]]
    store.begin_run(versions={})
    assert list(store.sources.uncounted()) == []
    add(store, videos[3])
    assert list(store.sources.uncounted()) == [videos[3]]


def test_the_frames_of_a_video_have_times_and_keyframes(store: Store, tmp_path: Path) -> None:
    video = Source(name="a.mp4", path=picture(tmp_path / "a.mp4").path, kind=SourceKind.VIDEO)
    add(store, video)
    with store.sources.adding():
        store.sources.add_video(video, index(5, problem="cut off", notes=(Note.PAGES,)), sha256="1" * 64)
    assert waiting(store) == [("a.mp4", i, 2 * i, 6 * (i // 3)) for i in range(5)]
    (frame, *_) = store.frames.pending()
    assert (frame.source.time_base, frame.source.notes) == ("1/10", (Note.PAGES,))
    found = read_summary(store.folder)
    assert found["problems"] == [{"source": "a.mp4", "frame": 4, "status": "pending", "reason": "cut off"}]
    assert found["notes"] == {Note.PAGES: 1}


@pytest.mark.parametrize(
    ("wanted", "frames", "problems"),
    [(range(0, 5, 2), [0, 2, 4], [4]), (range(1, 3), [1, 2], []), (range(3, 5), [3, 4], [4]), (range(0), [], [])],
)
def test_of_a_part_of_a_video_only_what_reaches_its_end_tells_that_something_is_missing(
    wanted: range, frames: list[int], problems: list[int], store: Store, tmp_path: Path
) -> None:
    video = Source(name="a.mp4", path=picture(tmp_path / "a.mp4").path, kind=SourceKind.VIDEO)
    add(store, video)
    with store.sources.adding():
        store.sources.add_video(video, index(5, problem="cut off"), sha256="1" * 64, wanted=wanted)
    assert [frame for _, frame, *_ in waiting(store)] == frames
    assert [problem["frame"] for problem in read_summary(store.folder)["problems"]] == problems


def test_pictures_that_were_not_looked_at_come_some_at_a_time(store: Store, tmp_path: Path) -> None:
    pictures = [picture(tmp_path / f"{i}.jpg") for i in range(5)]
    for source in pictures:
        add(store, source)
        with store.sources.adding():
            store.sources.add_picture(source)
    assert list(store.sources.unsized(2)) == [tuple(pictures[:2]), tuple(pictures[2:4]), tuple(pictures[4:])]
    with store.sources.adding():
        store.sources.add_shape(pictures[1], Shape(height=3, width=4, reading_bytes=9))
    store.commit(
        ChunkRows(number=0, frames=(FrameRow(id=FrameId("0.jpg", 0), status=Status.DONE),), faces=(), seconds=1)
    )
    assert list(store.sources.unsized(9)) == [tuple(pictures[2:])]
    store.begin_run(versions={})
    assert list(store.sources.unsized(9)) == []


def test_the_pages_of_a_picture_are_frames_of_it(store: Store, tmp_path: Path) -> None:
    source = picture(tmp_path / "a.tiff")
    add(store, source)
    with store.sources.adding():
        store.sources.add_picture(source)
        for _ in range(2):  # whoever looks again adds nothing
            store.sources.add_shape(source, Shape(height=3, width=4, reading_bytes=9, pages=3))
    assert waiting(store) == [("a.tiff", page, None, None) for page in range(3)]
    assert list(store.frames.shapes()) == [(SourceKind.PICTURE, Shape(height=3, width=4, reading_bytes=9))]
    assert read_summary(store.folder)["notes"] == {Note.PAGES: 1}


@pytest.mark.parametrize(
    ("reason", "fault", "every", "is_tried"),
    [
        ("broken", None, False, False),
        ("broken", None, True, True),
        ("broken", Fault.MACHINE, False, True),
        (STARVED + "too large", None, False, True),
        ("too large: " + STARVED, None, False, False),
        (STARVED.upper(), None, False, False),
    ],
)
def test_what_failed_is_tried_again_where_that_can_help(
    reason: str, fault: Fault | None, every: bool, is_tried: bool, store: Store, tmp_path: Path
) -> None:
    kinds = {"a.jpg": SourceKind.PICTURE, "b.mp4": SourceKind.VIDEO, "other.jpg": SourceKind.PICTURE}
    sources = {name: Source(name=name, path=picture(tmp_path / name).path, kind=kind) for name, kind in kinds.items()}
    for source in sources.values():
        add(store, source)
        with store.sources.adding():
            store.sources.add_failed(source, reason, fault)
    store.begin_run(versions={})
    for name in ("a.jpg", "b.mp4"):
        assert add(store, sources[name]) == (name, Known.SAME)
    store.frames.retry(every=every)
    # Of a video that was never counted no frame is known any more.
    assert [source.name for source in store.sources.uncounted()] == ["b.mp4"] * is_tried
    assert waiting(store) == [("a.jpg", 0, None, None)] * is_tried
    assert store.frames.failures(9) == [(name, 0, reason) for name in ("a.jpg", "b.mp4") if not is_tried]
    assert len(read_summary(store.folder)["problems"]) == (1 if is_tried else 3), "another run's are left alone"


def fetched(url: str, size_bytes: int = 7, tag: int = 3) -> Source:
    address = RemoteAddress(url=url, size_bytes=size_bytes, tag=tag)
    return Source(name=url.rpartition("/")[2], path=Path("scratch"), kind=SourceKind.PICTURE, address=address)


def is_wanted(store: Store, source: Source) -> bool:
    assert source.address
    with store.sources.adding():
        return store.sources.is_wanted(source.address)


def test_an_object_is_wanted_until_all_its_frames_are_done(tmp_path: Path) -> None:
    one, other = fetched("s3://bucket/one.jpg"), fetched("s3://bucket/other.jpg")
    with Store(tmp_path / "out") as store:
        store.begin_run(versions={})
        assert is_wanted(store, one)
        with store.sources.adding():
            for source in (one, other):
                store.sources.add(source, other_names=())
                store.sources.add_picture(source)
        assert is_wanted(store, one)
        for number, (source, status) in enumerate([(one, Status.DONE), (other, Status.FAILED)]):
            row = FrameRow(id=FrameId(source.name, 0), height=3, width=4, status=status, reason="told")
            store.commit(ChunkRows(number=number, frames=(row,), faces=(), seconds=1.0))
        assert not is_wanted(store, one)
        assert is_wanted(store, other)
        assert is_wanted(store, fetched("s3://bucket/one.jpg", size_bytes=8))
        assert is_wanted(store, fetched("s3://bucket/one.jpg", tag=4))
        store.end_run(outcome="done", summary={})
    with Store(tmp_path / "out") as store:
        store.begin_run(versions={})
        assert not is_wanted(store, one)
    with closing(sqlite3.connect(tmp_path / "out" / DATABASE)) as db:
        runs = dict(db.execute("SELECT name, run_id FROM source").fetchall())
    assert runs["one.jpg"] > runs["other.jpg"]  # it is one of the later run's, unfetched


@pytest.mark.parametrize("pages", [1, 2, 3])
def test_every_page_of_a_picture_is_a_frame(store: Store, tmp_path: Path, pages: int) -> None:
    source = picture(tmp_path / "a.tif")
    with store.sources.adding():
        store.sources.add(source, other_names=())
        store.sources.add_picture(source)
        store.sources.add_shape(source, Shape(height=3, width=4, reading_bytes=9, pages=pages))
    assert [index for _, index, _, _ in waiting(store)] == list(range(pages))
