import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import faceloom
from clips import write_clip
from faceloom.cli.main import main
from faceloom.errors import BudgetError, RequestError
from faceloom.events import Event, Notice, Tracking
from faceloom.faces import FrameId, Image
from faceloom.media.sources import Source, SourceKind
from faceloom.media.video_index import index_video
from faceloom.store.folder import DATABASE
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, Status
from faceloom.store.store import Store
from jobs import exported

FRAMES, CUT = 24, 14
_SIZE = (48, 64)


def scenes() -> list[Image]:
    """A clip with one cut."""
    y, x = np.mgrid[: _SIZE[0], : _SIZE[1]]
    first = np.stack([x * 3, y * 4, 200 - x], axis=2).astype(np.uint8)
    second = np.stack([240 - y * 4, 40 + x, y * 2], axis=2).astype(np.uint8)
    return [first] * CUT + [second] * (FRAMES - CUT)


def box(index: int, who: int) -> NDArray[np.float32]:
    left = 4 + 32 * who + 0.4 * index
    return np.array([left, 10, left + 20, 34], np.float32)


def faces_of(index: int) -> Sequence[FaceRow]:
    """Two faces; the second is the first in the order of some frames, and is not found in two of them."""
    there = [who for who in (0, 1) if who == 0 or index not in (5, 6)]
    ranked = there if index % 3 else there[::-1]
    frame = FrameId("clip.mp4", index)
    return [FaceRow(frame=frame, index=i, box=box(index, who), score=0.9) for i, who in enumerate(ranked)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A result folder of a clip and a picture, filled as a run does that was interrupted now and then."""
    clip = write_clip(tmp_path / "clip.mp4", [i * 3600 for i in range(FRAMES)], images=scenes())
    (tmp_path / "still.jpg").write_bytes(b"pixels")
    source = Source(name="clip.mp4", path=clip, kind=SourceKind.VIDEO)
    still = Source(name="still.jpg", path=tmp_path / "still.jpg", kind=SourceKind.PICTURE)
    with Store(tmp_path / "out") as store:
        store.configuration.use({"stages": {}, "mask_size": 256})  # no detector, so that none is loaded
        store.begin_run(versions={})
        with store.sources.adding():
            for one in (source, still):
                store.sources.add(one, other_names=[])
            store.sources.add_picture(still)
            store.sources.add_video(source, index_video(clip), sha256="0" * 64)
        chunks = [range(8), range(16, FRAMES), range(8, 16)]
        for number, indexes in enumerate(chunks):
            rows = [FrameRow(id=FrameId("clip.mp4", i), status=Status.DONE, height=48, width=64) for i in indexes]
            faces = tuple(face for i in indexes for face in faces_of(i))
            store.commit(ChunkRows(number=number, frames=tuple(rows), faces=faces, seconds=0.1))
        still_face = FaceRow(frame=FrameId("still.jpg", 0), index=0, box=box(0, 0), score=0.9)
        frame = FrameRow(id=FrameId("still.jpg", 0), status=Status.DONE, height=48, width=64)
        store.commit(ChunkRows(number=9, frames=(frame,), faces=(still_face,), seconds=0.1))
    return tmp_path / "out"


def numbers(folder: Path) -> dict[tuple[int, float], int | None]:
    """The tracks of all faces of the clip, by frame and left edge."""
    with faceloom.open(folder) as results:
        return {(face.frame.index, float(face.box[0])): face.track for face in results.faces(source="clip.mp4")}


def test_tracks_go_over_gaps_and_chunks_and_never_over_a_cut(folder: Path) -> None:
    tracked = faceloom.track(folder)
    assert (tracked.videos, tracked.shots, tracked.tracks, tracked.faces) == (1, 2, 4, 2 * FRAMES)
    of_people: dict[tuple[int, bool], set[int | None]] = {}
    for (index, left), number in numbers(folder).items():
        who = int(left > 30)
        of_people.setdefault((who, index >= CUT), set()).add(number)
    assert sorted(len(some) for some in of_people.values()) == [1, 1, 1, 1]
    assert len(set().union(*of_people.values())) == 4


def test_results_have_tracks_and_shots_with_their_times(folder: Path) -> None:
    assert not list(faceloom.open(folder).tracks())
    faceloom.track(folder)
    with faceloom.open(folder) as results:
        tracks, shots = list(results.tracks()), list(results.shots(source="clip.mp4"))
        with pytest.raises(RequestError):
            results.tracks(source="clap.mp4")
    assert [(one.source, one.number) for one in tracks] == [("clip.mp4", n) for n in (1, 2, 3, 4)]
    assert sorted((one.first, one.last, one.faces) for one in tracks) == [
        (0, CUT - 1, CUT),
        (0, CUT - 1, CUT),
        (CUT, FRAMES - 1, FRAMES - CUT),
        (CUT, FRAMES - 1, FRAMES - CUT),
    ]
    assert [one.start_s for one in tracks] == [0, 0, CUT / 25, CUT / 25]
    assert [(one.first, one.last) for one in shots] == [(0, CUT - 1), (CUT, FRAMES - 1)]


def test_exports_say_the_track_of_faces_that_are_in_one(folder: Path) -> None:
    before = exported(folder)
    faceloom.track(folder)
    lines = [json.loads(line) for line in faceloom.export(folder, found_only=True).splitlines()]
    assert all(("track" in line) == (line["source"] == "clip.mp4") for line in lines)
    for line in lines:
        line.pop("track", None)
    assert lines == [json.loads(line) for line in before.splitlines()]


def test_a_face_that_nobody_saw_is_laid_between_those_that_were_found(folder: Path) -> None:
    faceloom.track(folder)
    with faceloom.open(folder) as results:
        laid = [face for face in results if face.mark is not None]
    assert [(face.frame.index, face.index, face.mark, face.score, face.chip) for face in laid] == [
        (5, 1, "interpolated", 0, None),
        (6, 1, "interpolated", 0, None),
    ]
    assert np.abs(np.array([face.box for face in laid]) - [box(5, 1), box(6, 1)]).max() < 0.01
    assert len({face.track for face in laid}) == 1
    assert exported(folder).count('"mark":"interpolated"') == 2


def test_gaps_longer_than_asked_for_stay(folder: Path) -> None:
    """Both faces before and after are 0.12 seconds apart."""
    faceloom.track(folder, fill=0.1)
    assert '"mark"' not in exported(folder)
    faceloom.track(folder, fill=0.13)
    assert exported(folder).count('"mark"') == 2


def test_frames_that_are_done_again_lose_what_filled_their_gaps(folder: Path) -> None:
    faceloom.track(folder)
    with Store(folder) as store:
        store.begin_run(versions={})
        frame = FrameRow(id=FrameId("clip.mp4", 5), status=Status.DONE, height=48, width=64)
        with closing(sqlite3.connect(folder / DATABASE)) as db:
            db.execute("DELETE FROM face WHERE frame_idx = 5 AND mark IS NULL")
            db.commit()
        found = FaceRow(frame=frame.id, index=1, box=box(5, 1), score=0.9)
        store.commit(ChunkRows(number=0, frames=(frame,), faces=(found,), seconds=0.1))
    with faceloom.open(folder) as results:
        assert [face.mark for face in results if face.frame.index == 5] == [None]


def test_only_what_has_changed_is_done_again(folder: Path) -> None:
    """A rejected face is in no track, and those around it are linked without it."""
    events: list[Event] = []
    faceloom.track(folder)
    before = numbers(folder)
    assert faceloom.track(folder, fill=0).unchanged == 0
    found = numbers(folder)
    faceloom.track(folder)
    assert faceloom.track(folder, on_event=events.append).unchanged == 1
    assert [event for event in events if isinstance(event, Tracking)][-1].frames == FRAMES
    corrections = faceloom.corrections(folder)
    face = next(face for face in faceloom.open(folder).faces(source="clip.mp4") if face.frame.index == 9)
    corrections.reject([face])
    with faceloom.open(folder) as results:
        told = {f.frame.index: f.track for f in results.faces(rejected=True) if f.rejected}
    assert told == {9: None}
    assert faceloom.track(folder).unchanged == 0
    with faceloom.open(folder) as results:
        marks = {face.frame.index: face.mark for face in results if face.mark}
    assert marks == dict.fromkeys((5, 6, 9), "interpolated")
    faceloom.track(folder, fill=0)
    left = numbers(folder)
    assert left == {place: number for place, number in found.items() if place != (9, float(face.box[0]))}
    corrections.undo()
    assert faceloom.track(folder).unchanged == 0
    assert numbers(folder) == before


def test_without_its_file_a_video_is_one_shot_until_the_file_is_back(folder: Path) -> None:
    clip = folder.parent / "clip.mp4"
    clip.rename(clip.with_suffix(".away"))
    events: list[Event] = []
    assert faceloom.track(folder, on_event=events.append).shots == 1
    assert [event.kind for event in events if isinstance(event, Notice)] == ["no_cuts"]
    clip.with_suffix(".away").rename(clip)
    assert faceloom.track(folder).shots == 2


def test_a_budget_that_is_too_small_changes_nothing(folder: Path) -> None:
    with pytest.raises(BudgetError) as raised:
        faceloom.track(folder, memory="20MiB")
    assert raised.value.needed_bytes > raised.value.budget_bytes == 20 << 20
    assert not list(faceloom.open(folder).shots())


def test_an_older_store_is_tracked_once_it_is_brought_up_to_date(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        for table in ("shot", "steady", "tracked"):
            db.execute(f"DROP TABLE {table}")
        db.execute("DROP INDEX face_tracked")
        db.execute("ALTER TABLE face DROP COLUMN track")
        db.execute("PRAGMA user_version = 7")
        db.commit()
    assert faceloom.track(folder).tracks == 4
    assert not faceloom.check(folder).flaws


def test_a_killed_call_leaves_what_was_and_the_next_one_finishes(folder: Path) -> None:
    faceloom.track(folder)
    before = exported(folder)
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        db.execute("UPDATE face SET track = NULL")
        db.execute("DELETE FROM tracked")
        db.commit()
    code = (
        "import os, sys, faceloom.tracks as t\n"
        "t.write_tracks = lambda *a, **k: os.kill(os.getpid(), 9)\n"
        "t.track(sys.argv[1])"
    )
    assert subprocess.run([sys.executable, "-c", code, str(folder)], check=False).returncode == -9
    assert '"track"' not in exported(folder)
    faceloom.track(folder)
    assert exported(folder) == before


def test_merged_folders_have_the_tracks_of_each(folder: Path, tmp_path: Path) -> None:
    faceloom.track(folder)
    faceloom.merge([folder], tmp_path / "merged")
    assert exported(tmp_path / "merged") == exported(folder)
    assert faceloom.track(tmp_path / "merged").unchanged == 1
    assert smoothed(tmp_path / "merged") == smoothed(folder)
    faceloom.merge([folder], tmp_path / "merged")


def smoothed(folder: Path) -> dict[tuple[str, int, int], list[float]]:
    """The boxes of faces in tracks as they are steady."""
    lines = map(json.loads, faceloom.export(folder, smooth=True).splitlines())
    return {(line["source"], line["frame"], line["track"]): line["box"] for line in lines if "track" in line}


def shake(folder: Path, by: float, *, frames: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        where = f"WHERE mark IS NULL AND frame_idx {frames}"
        db.execute(f"UPDATE face SET x0 = x0 + ? * (frame_idx % 2), x1 = x1 + ? * (frame_idx % 2) {where}", (by, by))
        db.commit()


def test_what_shakes_is_steady_on_demand_and_stays_as_it_was_found(folder: Path) -> None:
    shake(folder, 3, frames=">= 0")
    before = [face.box.tolist() for face in faceloom.open(folder)]
    faceloom.track(folder, fill=0)
    assert [face.box.tolist() for face in faceloom.open(folder)] == before
    of_track = [box[0] for (_, frame, track), box in sorted(smoothed(folder).items()) if track == 3 and frame >= CUT]
    found = [left for (frame, left), track in sorted(numbers(folder).items()) if track == 3 and frame >= CUT]
    assert np.abs(np.diff(of_track, 2)).mean() < np.abs(np.diff(found, 2)).mean() / 2


def test_what_is_steady_never_reaches_across_a_cut(folder: Path) -> None:
    faceloom.track(folder)
    before = smoothed(folder)
    shake(folder, 5, frames=f"< {CUT}")
    faceloom.track(folder)
    after = smoothed(folder)
    assert {place: box for place, box in after.items() if place[1] >= CUT} == {
        place: box for place, box in before.items() if place[1] >= CUT
    }
    assert after != before


def test_who_is_forgotten_goes_with_what_fills_the_gaps_of_their_tracks(folder: Path) -> None:
    faceloom.track(folder)
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        (track,) = db.execute("SELECT track FROM face WHERE mark IS NOT NULL").fetchone()
        db.execute("UPDATE face SET person = 'Ann' WHERE mark IS NULL AND track = ?", (track,))
        db.commit()
    faceloom.forget(folder, person="Ann")
    with faceloom.open(folder) as results:
        assert track not in {face.track for face in results}
        assert not [face for face in results if face.mark]


def test_the_command_says_how_many_there_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", str(folder)]) == 0
    assert capsys.readouterr().out == "4 tracks of 48 faces, in 2 shots of 1 video\n"
    assert main(["track", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] == 1
    assert main(["show", str(folder)]) == 0
    assert "tracks    4 of 48 faces, in 2 shots\n" in capsys.readouterr().out


def test_times_are_exact_where_a_tick_is_no_decimal(folder: Path) -> None:
    with faceloom.open(folder) as results:
        times = [frame.time for frame in results.frames(source="clip.mp4")]
    assert times[1] == Fraction(1, 25)
