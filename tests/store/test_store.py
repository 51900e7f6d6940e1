import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from faceloom.errors import RequestError, StoreError
from faceloom.faces import FrameId
from faceloom.formats.record import MaskRecord
from faceloom.media.sources import Source, SourceKind, VideoIndex, find_sources, longer_names
from faceloom.store.database import APPLICATION_ID, SCHEMA_VERSION
from faceloom.store.folder import DATABASE, file_name, write_file
from faceloom.store.frames import STARVED
from faceloom.store.reading import read_faces, read_frames
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, Status
from faceloom.store.sources import Known
from faceloom.store.store import Store


def add_inputs(store: Store, *inputs: Path) -> list[tuple[str, Known]]:
    """Gives the store a new run and the pictures under the inputs."""
    store.begin_run(versions={})
    answers = []
    with store.sources.adding():
        for source in find_sources(inputs):
            named, known = store.sources.add(source, other_names=longer_names(source))
            if known in {Known.NEW, Known.CHANGED}:
                store.sources.add_picture(named)
            answers.append((named.name, known))
    return answers


def picture(path: Path, content: bytes = b"pixels") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def face(frame: FrameId, index: int = 0, *, chip: str | None = None) -> FaceRow:
    rng = np.random.default_rng(index)
    return FaceRow(
        frame=frame,
        index=index,
        box=rng.random(4, np.float32) * 100,
        score=0.75,
        confidence=None,
        keypoints=rng.random((5, 2), np.float32) * 100,
        landmarks=rng.random((68, 2), np.float32) * 100,
        frame_to_chip=rng.random((2, 3)),
        masks={"components": MaskRecord(size=4, content=b"png")},
        embedding=rng.random(16, np.float32),
        chip=chip,
    )


def rows(*frames: FrameRow, faces: tuple[FaceRow, ...] = (), number: int = 0) -> ChunkRows:
    return ChunkRows(number=number, frames=frames, faces=faces, seconds=1.0)


def done(frame: FrameId) -> FrameRow:
    return FrameRow(id=frame, height=3, width=4, status=Status.DONE, sha256="0" * 64)


def test_a_face_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.jpg")
    frame = FrameId("a.jpg", 0)
    stored = face(frame)
    with Store(tmp_path / "out") as store:
        add_inputs(store, tmp_path / "in")
        store.commit(rows(done(frame), faces=(stored,)))
    ((found, time),) = read_faces(tmp_path / "out")
    assert time is None
    for name in ("box", "keypoints", "landmarks", "frame_to_chip", "embedding"):
        assert np.array_equal(getattr(found, name), getattr(stored, name)), name
    assert (found.frame, found.index, found.score, found.masks) == (frame, 0, 0.75, stored.masks)


def test_a_chunk_is_committed_whole_or_not_at_all(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.jpg")
    frame = FrameId("a.jpg", 0)
    twice = (face(frame), face(frame))  # the same index again: the second insert fails

    def commit_both() -> None:
        with Store(tmp_path / "out") as store:
            add_inputs(store, tmp_path / "in")
            store.commit(rows(done(frame), faces=twice))

    with pytest.raises(StoreError, match="UNIQUE"):
        commit_both()
    assert list(read_faces(tmp_path / "out")) == []
    assert list(read_frames(tmp_path / "out")) == []


def test_files_of_a_committed_chunk_reach_their_places_even_if_the_run_ends_before_they_are_moved(
    tmp_path: Path,
) -> None:
    picture(tmp_path / "in" / "a.jpg")
    picture(tmp_path / "in" / "b.jpg")
    with Store(tmp_path / "out") as store:
        add_inputs(store, tmp_path / "in")
        write_file(store.files_of(1) / "chips/b.jpg/lost.jpg", b"of a chunk that is never committed")
        store.commit(rows(done(FrameId("a.jpg", 0))))
        write_file(store.files_of(0) / "chips/a.jpg/0.jpg", b"as if the moves had not happened")
    assert (tmp_path / "out/chips/a.jpg/0.jpg").exists()
    assert not (tmp_path / "out/chips/b.jpg").exists()
    assert not (tmp_path / "out/.pending").exists()


def test_files_join_those_that_are_in_their_folder_already(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.jpg")
    with Store(tmp_path / "out") as store:
        add_inputs(store, tmp_path / "in")
        chips = tmp_path / "out/chips/a.jpg"
        for number, name in enumerate(["0.jpg", "below/1.jpg", "2.jpg", "below/3.jpg"]):
            write_file(store.files_of(number) / "chips/a.jpg" / name, name.encode())
            store.commit(ChunkRows(number=number, frames=(), faces=(), seconds=0))
            assert (chips / name).read_bytes() == name.encode()
    assert sorted(str(path.relative_to(chips)) for path in chips.rglob("*.jpg")) == [
        "0.jpg",
        "2.jpg",
        "below/1.jpg",
        "below/3.jpg",
    ]


def test_what_happened_in_a_run_is_noted_with_it(tmp_path: Path) -> None:
    with Store(tmp_path / "out") as store:
        assert store.run_id == 0
        for number in (1, 2):
            store.begin_run(versions={"faceloom": number})
            assert store.run_id == number
            store.add_event("oom", {"text": f"run {number}"})
        store.note_plan({"lanes": 2})
        store.end_run(outcome="done", summary={"faces": 3})
    with closing(sqlite3.connect(tmp_path / "out" / DATABASE)) as db:
        events = db.execute("SELECT run_id, kind, detail, at FROM event ORDER BY id").fetchall()
        runs = db.execute("SELECT id, versions, plan, outcome, summary, started_at <= finished_at FROM run").fetchall()
    assert [event[:3] for event in events] == [(1, "oom", '{"text": "run 1"}'), (2, "oom", '{"text": "run 2"}')]
    assert all(datetime.fromisoformat(at).utcoffset() == timedelta(0) for *_, at in events)
    assert runs == [
        (1, '{"faceloom": 1}', None, None, None, None),
        (2, '{"faceloom": 2}', '{"lanes": 2}', "done", '{"faces": 3}', 1),
    ]


def test_a_killed_runs_files_are_moved_or_swept_when_the_store_is_next_opened(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from faceloom.store.folder import write_file
from faceloom.store.store import Store
out = Path({str(tmp_path / "out")!r})
with Store(out) as store:
    store.begin_run(versions={{}})
    from faceloom.store.rows import ChunkRows
    store.commit(ChunkRows(number=0, frames=(), faces=(), seconds=0))
    write_file(store.files_of(0) / "chips/a/kept.jpg", b"")
    write_file(store.files_of(1) / "chips/a/swept.jpg", b"")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    with Store(tmp_path / "out"):
        assert [path.name for path in (tmp_path / "out/chips/a").iterdir()] == ["kept.jpg"]


def test_only_one_run_writes_to_a_folder(tmp_path: Path) -> None:
    with Store(tmp_path / "out"), pytest.raises(StoreError, match="another run is writing"), Store(tmp_path / "out"):
        pass


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "out" / "holiday.jpg")
    with pytest.raises(RequestError, match=r"holiday\.jpg"), Store(tmp_path / "out"):
        pass


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE)) as other:
        other.execute("CREATE TABLE recipe (name TEXT)")
    with pytest.raises(StoreError, match="another program"), Store(tmp_path):
        pass


def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path / "out"):
        pass
    with closing(sqlite3.connect(tmp_path / "out" / DATABASE)) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="newer faceloom") as caught, Store(tmp_path / "out"):
        pass
    assert (caught.value.found, caught.value.expected) == (SCHEMA_VERSION + 1, SCHEMA_VERSION)


def old_store(folder: Path) -> None:
    """A store as the first version made it, with one source, frame and face."""
    folder.mkdir()
    with closing(sqlite3.connect(folder / DATABASE)) as old:
        old.executescript(Path(__file__).with_name("schema_1.sql").read_text())
        old.executescript(
            f"""
            PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 1;
            INSERT INTO run (started_at, versions) VALUES ('2026-01-01', '{{}}');
            INSERT INTO source (name, path, kind, size_bytes, mtime_ns, run_id)
                VALUES ('a.jpg', 'a.jpg', 'picture', 1, 1, 1);
            INSERT INTO frame (source_id, idx, status) VALUES (1, 0, 'done');
            INSERT INTO face (source_id, frame_idx, idx, x0, y0, x1, y1, score) VALUES (1, 0, 0, 1, 2, 3, 4, 0.5);
            """
        )


def columns(folder: Path) -> dict[str, set[str]]:
    """The names of the columns of every table."""
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: {row[1] for row in db.execute(f"PRAGMA table_info({table})")} for table in tables}


def test_an_older_store_is_brought_up_to_date_when_it_is_written_or_read(tmp_path: Path) -> None:
    with Store(tmp_path / "new"):
        pass
    old_store(tmp_path / "written")
    with Store(tmp_path / "written"):
        pass
    old_store(tmp_path / "read")
    (face,) = [face for face, _ in read_faces(tmp_path / "read")]
    assert face.box.tolist() == [1, 2, 3, 4]
    assert columns(tmp_path / "written") == columns(tmp_path / "read") == columns(tmp_path / "new")


def test_an_older_store_that_cannot_be_written_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old_store(tmp_path / "old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # not by mode: root may write anything
    with pytest.raises(StoreError, match="older faceloom") as caught:
        list(read_faces(tmp_path / "old"))
    assert (caught.value.found, caught.value.expected) == (1, SCHEMA_VERSION)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "out" / DATABASE, b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(StoreError), Store(tmp_path / "out"):
        pass


def test_another_configuration_is_refused_with_every_difference(tmp_path: Path) -> None:
    with Store(tmp_path / "out") as store:
        store.configuration.use({"a": {"b": 1, "c": 2}, "d": 3})
    with pytest.raises(RequestError) as caught, Store(tmp_path / "out") as store:
        store.configuration.use({"a": {"b": 1, "c": 4}, "e": 5})
    message = str(caught.value)
    assert all(text in message for text in ("a.c: 2 in the folder, 4 asked", "d: 3 in", "e: null in the folder, 5"))
    assert "a.b" not in message


def test_files_of_one_name_in_two_inputs_are_told_apart_and_stay_so(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    picture(one / "x.jpg", b"1")
    picture(other / "x.jpg", b"2")
    with Store(tmp_path / "out") as store:
        assert add_inputs(store, one, other) == [("x.jpg", Known.NEW), ("other/x.jpg", Known.NEW)]
        assert add_inputs(store, one, other) == [("x.jpg", Known.SAME), ("other/x.jpg", Known.SAME)]
        assert add_inputs(store, other) == [("other/x.jpg", Known.SAME)]


def test_a_file_named_twice_is_done_once(tmp_path: Path) -> None:
    path = picture(tmp_path / "in" / "x.jpg")
    with Store(tmp_path / "out") as store:
        assert add_inputs(store, tmp_path / "in", path) == [("x.jpg", Known.NEW), ("x.jpg", Known.TWICE)]


def test_a_moved_folder_is_known_by_its_content(tmp_path: Path) -> None:
    picture(tmp_path / "before" / "x.jpg")
    with Store(tmp_path / "out") as store:
        add_inputs(store, tmp_path / "before")
        shutil.move(tmp_path / "before", tmp_path / "after")
        assert add_inputs(store, tmp_path / "after") == [("x.jpg", Known.SAME)]


def test_a_touched_file_with_the_same_content_is_not_done_again(tmp_path: Path) -> None:

    path = picture(tmp_path / "in" / "x.jpg")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    frame = FrameId("x.jpg", 0)
    with Store(tmp_path / "out") as store:
        add_inputs(store, tmp_path / "in")
        store.commit(rows(FrameRow(id=frame, height=1, width=1, status=Status.DONE, sha256=digest)))
        os.utime(path, (0, 0))
        assert add_inputs(store, tmp_path / "in") == [("x.jpg", Known.SAME)]
        path.write_bytes(b"PIXELS")
        assert add_inputs(store, tmp_path / "in") == [("x.jpg", Known.CHANGED)]
        assert store.frames.counts().pending == 1


def test_frames_of_sources_that_this_run_was_not_given_are_left_alone(tmp_path: Path) -> None:
    picture(tmp_path / "one" / "x.jpg")
    picture(tmp_path / "other" / "y.jpg")
    with Store(tmp_path / "out") as store:
        add_inputs(store, tmp_path / "one", tmp_path / "other")
        add_inputs(store, tmp_path / "other")
        assert [frame.source.name for frame in store.frames.pending()] == ["y.jpg"]


def test_what_failed_for_want_of_memory_is_done_again_and_videos_are_counted_again(tmp_path: Path) -> None:
    names = ["broken.gif", "counted.gif", "large.gif", "picture.jpg"]
    for name in names:
        picture(tmp_path / "in" / name)
    broken, counted, large, still = find_sources([tmp_path / "in"])
    one_frame = VideoIndex(
        height=2, width=2, time_base=Fraction(1, 10), ticks=None, reading_bytes=1, keyframes=np.ones(1, np.bool_)
    )
    with Store(tmp_path / "out") as store:
        for _ in range(2):
            store.begin_run(versions={})
            with store.sources.adding():
                for source in (broken, counted, large, still):
                    store.sources.add(source, other_names=())
            store.frames.retry()
            if store.run_id == 1:
                with store.sources.adding():
                    store.sources.add_picture(still)
                    store.sources.add_video(counted, one_frame, sha256="")
                    store.sources.add_failed(broken, "no frame")
                    store.sources.add_failed(large, STARVED + "too large")
                starved = [
                    FrameRow(id=FrameId(name, 0), status=Status.FAILED, reason=STARVED)
                    for name in ("counted.gif", "picture.jpg")
                ]
                store.commit(rows(*starved))
        assert [source.name for source in store.sources.uncounted()] == ["large.gif"]
        assert [frame.source.name for frame in store.frames.pending()] == ["counted.gif", "picture.jpg"]
        assert store.frames.failures(9) == [("broken.gif", 0, "no frame")]


def test_pending_frames_come_once_although_commits_go_on(tmp_path: Path) -> None:
    names = [f"{i:04}.jpg" for i in range(1100)]
    for name in names:
        picture(tmp_path / "in" / name)
    with Store(tmp_path / "out") as store:
        add_inputs(store, tmp_path / "in")
        seen = []
        for number, frame in enumerate(store.frames.pending()):
            seen.append(frame.source.name)
            store.commit(rows(done(FrameId(frame.source.name, 0)), number=number))
        assert seen == names
        assert store.frames.counts().done == 1100


def test_a_name_with_odd_bytes_can_be_stored_and_read_again(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path / "in") + b"/caf\xe9\n.jpg"))
    picture(path)
    with Store(tmp_path / "out") as store:
        ((name, _),) = add_inputs(store, tmp_path / "in")
        (frame,) = store.frames.pending()
        assert frame.source == Source(name=name, path=path, kind=SourceKind.PICTURE)
    assert name == "caf\\xe9\\n.jpg"


def test_a_path_made_of_a_long_name_fits_the_file_system(tmp_path: Path) -> None:
    long_names = ["ü" * 120 + str(i) for i in range(2)]
    paths = {file_name(f"folder/{name}") for name in long_names}
    assert len(paths) == 2
    for path in paths:
        write_file(tmp_path / path / "chip.jpg", b"")


def test_a_file_that_cannot_be_written_is_a_store_error(tmp_path: Path) -> None:
    picture(tmp_path / "file")
    with pytest.raises(StoreError, match="run the same command again"):
        write_file(tmp_path / "file" / "below" / "x.jpg", b"")
