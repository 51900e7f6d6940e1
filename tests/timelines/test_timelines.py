"""Timelines: stretches against sets of frames, exact times, and the files that other programs read."""

import csv
import io
import itertools
import json
import re
import sqlite3
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import faceloom
from faceloom.cli.main import main
from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.media.sources import Source, SourceKind
from faceloom.store.folder import DATABASE
from faceloom.store.persons import read_embeddings, write_persons
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.store.store import Store
from faceloom.timelines.stretches import Clock, SeenFace, join
from faceloom.timelines.timeline import Timeline, timeline
from store.made_results import CONFIG, face_of

TICK = Fraction(1, 30000)
STEP = 1001
FRAMES = 50
CUT, VFR = "film.mp4", "phone.mp4"
ANN, BOB = {*range(3, 9), *range(11, 16), *range(40, 50)}, {5, 6, 7, 38}
VFR_TICKS = [0, 900, 2700, 3000, 9000, 9001, 12000]


def write_videos(folder: Path) -> Path:
    """A film of constant rate with two people, and a phone's of frames as they came."""
    out = folder / "out"
    with Store(out) as store:
        store.configuration.use(CONFIG)
        store.begin_run(versions={})
        with store.sources.adding():
            for name, base in ((CUT, str(TICK)), (VFR, "1/3000")):
                store.sources.add(
                    Source(name=name, path=folder / name, kind=SourceKind.VIDEO, time_base=base), other_names=()
                )
        frames = [FrameId(CUT, i) for i in range(FRAMES)] + [FrameId(VFR, i) for i in range(len(VFR_TICKS))]
        ticks = [i * STEP for i in range(FRAMES)] + VFR_TICKS
        lay_frames(out, frames, ticks)
        faces = [face_of(FrameId(CUT, i), 0, quality=0.5 + 0.01 * (i == 13) - 0.1 * (i > 20)) for i in sorted(ANN)]
        faces += [face_of(FrameId(CUT, i), 1) for i in sorted(BOB)]
        faces += [face_of(FrameId(VFR, i), 0) for i in (1, 2, 4)]
        rows = [FrameRow(id=frame, height=9, width=9, status=Status.DONE) for frame in frames]
        store.commit(ChunkRows(number=0, frames=tuple(rows), faces=tuple(faces), seconds=1.0))
        store.end_run(outcome="done", summary={})
    ids, _ = read_embeddings(out)
    write_persons(
        out, ids, ["Bob <b>" if face.index else "Ann" for face in sorted(faces, key=lambda f: (f.frame, f.index))]
    )
    return out


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("timelines"))


def lay_frames(out: Path, frames: Sequence[FrameId], ticks: Sequence[int]) -> None:
    with closing(sqlite3.connect(out / DATABASE)) as db, db:
        db.executemany("UPDATE source SET time_base = ? WHERE name = ?", [(str(TICK), CUT), ("1/3000", VFR)])
        query = "INSERT INTO frame (source_id, idx, ticks) SELECT id, ?, ? FROM source WHERE name = ?"
        db.executemany(query, [(frame.index, tick, frame.source) for frame, tick in zip(frames, ticks, strict=True)])


def set_tracks(out: Path) -> None:
    """Of the film the faces of Ann up to a break are a track, and all of Bob's another."""
    with closing(sqlite3.connect(out / DATABASE)) as db, db:
        film = "source_id = (SELECT id FROM source WHERE name = 'film.mp4')"
        db.execute(f"UPDATE face SET track = 1 WHERE {film} AND idx = 0 AND frame_idx < 20")
        db.execute(f"UPDATE face SET track = 2 WHERE {film} AND idx = 1")


def runs(frames: set[int]) -> list[tuple[int, int]]:
    """Runs of consecutive numbers."""
    return [
        (first, next(i for i in range(first, max(frames) + 2) if i not in frames) - 1)
        for first in sorted(frames)
        if first - 1 not in frames
    ]


def test_stretches_are_the_runs_of_frames_with_exact_times(out: Path) -> None:
    line = timeline(out, gap=0.0, source=[CUT])
    for name, frames in (("Ann", ANN), ("Bob <b>", BOB)):
        some = [one for one in line.stretches if one.name == name]
        assert [(one.first, one.last) for one in some] == runs(frames)
        for one in some:
            assert (one.start, one.end) == (one.first * STEP * TICK, (one.last + 1) * STEP * TICK)
            assert one.frames == one.last - one.first + 1
    assert line.video(CUT).rate == Fraction(30000, 1001)
    best = {one.first: one.best.frame for one in line.stretches if one.name == "Ann"}
    assert best == {3: 3, 11: 13, 40: 40}
    assert line.stretches[0].best.chip == f"chips/{CUT}/000003_0.jpg"


def test_breaks_up_to_the_gap_are_bridged_and_counted_exactly(out: Path) -> None:
    def begun(gap: float) -> list[int]:
        return [one.first for one in timeline(out, gap=gap, person=["Ann"], source=[CUT]).stretches]

    gap = float(2 * STEP * TICK)  # between frames 8 and 11 nothing is shown of Ann for two frames
    assert begun(gap + 1e-9) == [3, 40]
    assert begun(gap - 1e-9) == [3, 11, 40]
    (first, _) = timeline(out, gap=0.1, person=["Ann"], source=[CUT]).stretches
    assert (first.first, first.last, first.frames) == (3, 15, 11)


def test_frames_as_they_came_end_when_the_next_one_is_shown(out: Path) -> None:
    line = timeline(out, gap=0.0, source=[VFR])
    times = [(one.start, one.end) for one in line.stretches]
    assert times == [(Fraction(900, 3000), Fraction(3000, 3000)), (Fraction(9000, 3000), Fraction(9001, 3000))]
    assert line.video(VFR).rate is None
    assert line.video(VFR).end == Fraction(12000 + 1, 3000), (
        "the last lasts as most do; of several lengths the shortest"
    )


@given(
    seen=st.sets(st.integers(0, 60), min_size=1),
    steps=st.lists(st.integers(1, 400), min_size=61, max_size=61),
    gap=st.integers(0, 900),
)
def test_stretches_hold_every_frame_once_and_are_apart(seen: set[int], steps: list[int], gap: int) -> None:
    ticks = np.concatenate([[0], np.cumsum(steps)])[:61].astype(np.int64)
    clock = Clock(indexes=np.arange(61), ticks=ticks, tick=Fraction(1, 100))
    some = [SeenFace(frame=i, index=0, worth=0.0, quality=None, chip=None) for i in sorted(seen)]
    found = list(join(some, clock, source="a", name="b", track=None, gap=Fraction(gap, 100)))
    within = [{i for i in seen if one.first <= i <= one.last} for one in found]
    assert set.union(*within) == seen
    assert sum(map(len, within)) == len(seen) == sum(one.frames for one in found)
    for frames in within:
        ordered = sorted(frames)
        assert all(ticks[b] - ticks[a + 1] <= gap for a, b in itertools.pairwise(ordered) if b > a + 1)
    for one, other in itertools.pairwise(found):
        assert one.end is not None
        assert other.start is not None
        assert other.start - one.end > Fraction(gap, 100)


@pytest.mark.parametrize("rate", [24, 25, 30, Fraction(24000, 1001), Fraction(30000, 1001), Fraction(60000, 1001)])
def test_a_rate_is_known_though_its_times_are_rounded_to_milliseconds(rate: Fraction) -> None:
    indexes = np.arange(0, 3000, 3)
    ticks = np.array([round(int(i) * 1000 / Fraction(rate)) for i in indexes], np.int64)
    assert Clock(indexes=indexes, ticks=ticks, tick=Fraction(1, 1000)).rate == rate


def test_a_video_without_times_is_told_by_frames() -> None:
    clock = Clock(indexes=np.arange(0, 50, 5), ticks=None, tick=None)
    some = [SeenFace(frame=i, index=0, worth=0.0, quality=None, chip=None) for i in (5, 10, 20)]
    found = list(join(some, clock, source="a", name="b", track=None, gap=Fraction(9)))
    assert [(one.first, one.last, one.end_index, one.start) for one in found] == [(5, 10, 15, None), (20, 20, 25, None)]


def test_what_people_said_is_read_and_raw_leaves_it_out(out: Path, tmp_path: Path) -> None:
    folder = write_videos(tmp_path)
    said = faceloom.corrections(folder)
    said.reject([f"{CUT}#{i}/0" for i in range(3, 9)])
    said.name("Ann", "Zoe")
    assert {one.name for one in timeline(folder).stretches} == {"Zoe", "Bob <b>"}
    assert [one.first for one in timeline(folder, person=["Zoe"], source=[CUT]).stretches] == [11, 40]
    assert timeline(folder, raw=True).stretches == timeline(out).stretches


def test_tables_and_json_tell_every_stretch(out: Path) -> None:
    line = timeline(out)
    rows = list(csv.DictReader(io.StringIO(line.text("csv"))))
    told = json.loads(line.text("json"))
    assert len(rows) == len(told["stretches"]) == len(line.stretches)
    for row, one, stretch in zip(rows, told["stretches"], line.stretches, strict=True):
        assert Fraction(row["start"]) == Fraction(one["start"]) == stretch.start
        assert (row["name"], int(row["first"]), int(row["last"])) == (stretch.name, stretch.first, stretch.last)
    assert told["videos"][0]["rate"] == "30000/1001"


def test_webvtt_has_a_cue_for_each_stretch_of_one_video(out: Path) -> None:
    text = timeline(out, source=[CUT]).text("vtt")
    assert text.startswith("WEBVTT\n\n")
    cues = re.findall(r"^(\d\d:\d\d:\d\d\.\d{3}) --> (\S+)\n<v (.*?)>(.*)$", text, re.MULTILINE)
    assert cues[0] == ("00:00:00.100", "00:00:00.534", "Ann", "Ann"), "frames 3 to 15, the break bridged"
    assert all("<b>" not in cue[3] for cue in cues)
    with pytest.raises(RequestError, match="--source"):
        timeline(out).text("vtt")


def test_a_drawing_has_a_bar_for_each_stretch_where_it_is(out: Path) -> None:
    line = timeline(out, source=[CUT])
    root = ET.fromstring(line.text("svg"))
    bars = root.findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == len(line.stretches)
    left = min(float(bar.attrib["x"]) for bar in bars if bar[0].text and bar[0].text.startswith("Ann"))
    width = next(float(bar.attrib["width"]) for bar in bars if float(bar.attrib["x"]) == left)
    assert width / 13 == pytest.approx((left - 180) / 3, rel=0.01), "frames 3 to 15 begin after three"


def test_editors_read_the_same_frames(out: Path, tmp_path: Path) -> None:
    otio = pytest.importorskip("opentimelineio", reason="pip install 'faceloom[timeline]'")
    line = timeline(out, source=[CUT], gap=0.0)
    line.write(tmp_path / "film.otio", "otio")
    read = otio.adapters.read_from_file(str(tmp_path / "film.otio"))
    assert [track.name for track in read.tracks] == ["Ann", "Bob <b>"]
    for track, frames in zip(read.tracks, (ANN, BOB), strict=True):
        placed = [(clip, track.range_of_child(clip)) for clip in track if isinstance(clip, otio.schema.Clip)]
        assert [(int(at.start_time.value), int(at.end_time_inclusive().value)) for _, at in placed] == runs(frames)
        assert all(clip.source_range == at for clip, at in placed), "each clip is where it is in the video"
        assert all(at.start_time.rate == 30000 / 1001 for _, at in placed)
    phone = otio.adapters.read_from_string(timeline(out, source=[VFR], gap=0.0).text("otio"), "otio_json")
    (clip, *_) = (item for item in phone.tracks[0] if isinstance(item, otio.schema.Clip))
    assert (clip.source_range.start_time.value, clip.source_range.duration.value) == (900, 2100)
    assert clip.source_range.start_time.rate == 3000
    edl = timeline(out, source=[CUT], person=["Ann"], gap=0.0).text("edl")
    events = re.findall(r"^\d+ +\S+ +V +C +(\S+) (\S+) (\S+) (\S+)", edl, re.MULTILINE)
    places = [[int(code[-2:]) + 30 * int(code[-5:-3]) for code in event] for event in events]
    assert places == [[first, last + 1, first, last + 1] for first, last in runs(ANN)]
    for wrong in (timeline(out, source=[CUT]), timeline(out, source=[VFR])):
        with pytest.raises(RequestError):
            wrong.text("edl")


def test_tracks_are_told_each_as_a_whole(out: Path, tmp_path: Path) -> None:
    folder = write_videos(tmp_path)
    with pytest.raises(RequestError, match="faceloom track"):
        timeline(folder, by="track")
    set_tracks(folder)
    line = timeline(folder, by="track")
    assert [(one.name, one.track, one.first, one.last, one.frames) for one in line.stretches] == [
        ("Ann (track 1)", 1, 3, 15, 11),
        ("Bob <b> (track 2)", 2, 5, 38, 4),
    ]
    assert [one.track for one in timeline(folder, by="track", person=["Ann"]).stretches] == [1]


def test_the_command_prints_writes_and_refuses(out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["timeline", str(out)]) == 0
    table = capsys.readouterr().out
    assert "Ann" in table
    assert "00:00:00.100 to 00:00:00.534" in table
    assert main(["timeline", str(out), "--to", "json", "--out", str(tmp_path / "a.json")]) == 0
    assert json.loads((tmp_path / "a.json").read_text())["stretches"]
    assert main(["timeline", str(out), "--to", "json", "--out", str(tmp_path / "a.json")]) == 2
    for wrong in (["--person", "Eve"], ["--source", "no.mp4"], ["--to", "avi"], ["--out", str(tmp_path / "b")]):
        assert main(["timeline", str(out), *wrong]) == 2
        assert capsys.readouterr().err.startswith("faceloom: ")
    assert isinstance(timeline(out), Timeline)
