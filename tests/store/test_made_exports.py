"""What is read and written from a store, and where its chips come from, against the faces that were put into it."""

import base64
import io
import json
import shutil
import sqlite3
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from faceloom.attributes import Part
from faceloom.errors import MediaError, RequestError, StoreError
from faceloom.faces import FrameId
from faceloom.formats.registry import format_named, formats
from faceloom.geometry.affine import compose, scaling
from faceloom.media.chip_files import read_chip_metadata
from faceloom.store.exports import export, export_to, read_lost
from faceloom.store.folder import DATABASE
from faceloom.store.origins import find_origin
from faceloom.store.reading import (
    has_landmarks,
    read_chip_size,
    read_config,
    read_faces,
    read_faces_of,
    read_frames,
    stored_faces,
    stored_frames,
)
from faceloom.store.rows import FaceRow
from formats.records import usable
from jobs import exported
from store.made_results import CLIP, CONFIG, MASK_SIZE, SIZE, digest, face_of, write_media, write_result

ANN, CROWD, NOBODY = "ann_in_july.png", "deep/crowd.jpg", "nobody.jpg"
ORDER = [(ANN, 0, 0), ("bob.png", 0, 0), *((CROWD, 0, i) for i in range(12)), *((CLIP, frame, 0) for frame in range(3))]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    write_result(write_media(folder / "in"), folder / "out")
    return folder / "out"


@pytest.fixture
def out(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def change(out: Path, text: str) -> None:
    with closing(sqlite3.connect(out / DATABASE)) as db, db:
        db.executescript(text)


def time_of(face: FaceRow) -> Fraction | None:
    return Fraction(face.frame.index, 2) if face.frame.source == CLIP else None


def test_every_face_is_read_as_it_was_put_in_with_its_time_and_in_order(whole: Path) -> None:
    found = list(read_faces(whole))
    assert [(face.frame.source, face.frame.index, face.index) for face, _ in found] == ORDER
    for face, time in found:
        expected = face_of(face.frame, face.index)
        assert time == time_of(expected)
        assert (face.score, face.chip, face.pose, face.made_up) == (
            *(expected.score, expected.chip, expected.pose, expected.made_up),
        )
        assert face.masks == expected.masks
        assert face.rejected is face.person is None
        for name in ("box", "keypoints", "landmarks", "frame_to_chip", "embedding"):
            np.testing.assert_array_equal(getattr(face, name), getattr(expected, name), err_msg=name)


def test_the_order_is_that_of_names_frames_and_indexes_whatever_order_rows_are_in(out: Path) -> None:
    before = exported(out)
    change(out, "UPDATE face SET id = 1000 - id; UPDATE mask SET face_id = 1000 - face_id")
    assert exported(out) == before


def test_the_faces_of_a_frame_and_its_look_are_found(out: Path) -> None:
    assert [face.index for face in read_faces_of(out, FrameId(CROWD, 0))] == list(range(12))
    change(
        out, f"UPDATE frame SET look = 3 WHERE source_id = (SELECT id FROM source WHERE name = '{CLIP}') AND idx = 1"
    )
    with stored_faces(out) as found:
        assert [(look, len(faces)) for look, faces in map(found, [FrameId(CLIP, 1), FrameId(CLIP, 2)])] == [
            (3, 1),
            (0, 1),
        ]
        assert found(FrameId(NOBODY, 0)) == found(FrameId("else.jpg", 0)) == found(FrameId(CROWD, 1)) == (0, [])


def test_lines_are_the_faces_and_masks_lie_over_the_chips_square(whole: Path) -> None:
    lines = [json.loads(line) for line in exported(whole).splitlines()]
    assert [(line["source"], line["frame"], line["index"]) for line in lines] == ORDER
    for line in lines:
        face = face_of(FrameId(line["source"], line["frame"]), line["index"])
        assert line["time_s"] == (None if time_of(face) is None else line["frame"] / 2)
        assert line["box"] == [round(float(side), 3) for side in face.box]
        for name, mask in line["masks"].items():
            assert base64.b64decode(mask["png_base64"]) == face.masks[name].png
            assert mask["size"] == MASK_SIZE
    with stored_frames(whole) as frames:
        (frame,) = [frame for frame in frames if frame.id == FrameId(ANN, 0)]
    (stored,) = frame.faces
    assert stored.frame_to_chip is not None
    lies = stored.masks["extended"].frame_to_mask
    assert lies is not None
    np.testing.assert_allclose(lies, compose(scaling(MASK_SIZE / SIZE, MASK_SIZE / SIZE), stored.frame_to_chip))


def test_frames_for_formats_are_those_that_were_done_and_may_be_gone_through_twice(out: Path) -> None:
    change(
        out,
        f"UPDATE frame SET status = 'failed' WHERE source_id = (SELECT id FROM source WHERE name = '{NOBODY}');"
        "UPDATE face SET rejected = 'roll: 50' WHERE source_id = (SELECT id FROM source WHERE name = 'bob.png');"
        "UPDATE frame SET status = 'pending' WHERE source_id = (SELECT id FROM source WHERE name = 'bob.png');",
    )
    others = [FrameId(ANN, 0), FrameId(CROWD, 0), *(FrameId(CLIP, i) for i in range(3))]
    with stored_frames(out) as frames:
        assert [frame.id for frame in frames] == [frame.id for frame in frames] == others
        assert [frame.time for frame in frames] == [None, None, 0.0, 0.5, 1.0]
        assert {(frame.width, frame.height) for frame in frames} == {(640, 480)}
        assert [len(frame.faces) for frame in frames] == [1, 12, 1, 1, 1]
    with stored_frames(out, rejected=True) as frames:
        assert [frame.id for frame in frames] == sorted([*others, FrameId("bob.png", 0)])
    assert [frame["source"] for frame in read_frames(out)] == [ANN, CROWD, NOBODY, CLIP, CLIP, CLIP]


def test_frames_are_told_with_faces_that_no_filter_rejected(out: Path) -> None:
    change(out, "UPDATE face SET rejected = 'roll: 50' WHERE idx > 2; UPDATE frame SET reason = 'cut' WHERE idx = 2")
    lines = [json.loads(line) for line in exported(out, frames=True).splitlines()]
    assert [line["faces"] for line in lines] == [1, 1, 3, 0, 1, 1, 1]
    assert lines[-1] == {
        "source": CLIP, "frame": 2, "time_s": 1.0, "width": 640, "height": 480,
        "faces": 1, "status": "done", "reason": "cut",
    }  # fmt: skip
    assert len(exported(out).splitlines()) == 8
    text = io.StringIO()
    export(out, text, to="csv", frames=True)
    assert text.getvalue().splitlines()[0] == "source,frame,time_s,width,height,faces,status,reason"


def test_rejected_faces_are_marked_where_a_format_can_mark_them(out: Path, tmp_path: Path) -> None:
    change(out, "UPDATE face SET rejected = 'roll: 50' WHERE idx = 2")
    text = io.StringIO()
    export(out, text, to="jsonl", frames=False, rejected=True)
    assert [json.loads(line).get("rejected") for line in text.getvalue().splitlines()].count("roll: 50") == 1
    assert len(text.getvalue().splitlines()) == 17
    export_to(out, tmp_path / "all.jsonl", to="jsonl", rejected=True)
    assert (tmp_path / "all.jsonl").read_text() == text.getvalue()
    export_to(out, tmp_path / "kept.jsonl", to="jsonl")
    assert (tmp_path / "kept.jsonl").read_text() == exported(out)
    for to in ("wider", "pts"):
        with pytest.raises(RequestError, match="cannot mark faces as rejected, and there they would pass for others"):
            export_to(out, tmp_path / "none", to=to, rejected=True)
        assert not (tmp_path / "none").exists()


def test_every_format_is_written_and_reads_as_many_faces(whole: Path, tmp_path: Path) -> None:
    for found in usable(formats()):
        target = tmp_path / found.name
        export_to(whole, target, to=found.name)
        assert target.stat().st_mode & 0o077 == 0
        assert sum(len(frame.faces) for frame in found.read(target)) == 17
        with pytest.raises(FileExistsError):
            export_to(whole, target, to=found.name)
    export_to(whole, tmp_path / "shared", to="pts", share=True)
    shared = [tmp_path / "shared", *(tmp_path / "shared").rglob("*")]
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in shared)


def test_what_cannot_be_written_is_said_before_there_is_a_file(out: Path, tmp_path: Path) -> None:
    text = io.StringIO()
    with pytest.raises(RequestError, match="frames can be written as jsonl or csv, not as 'coco'"):
        export(out, text, to="coco", frames=True)
    for to in ("pts", "fsa"):
        with pytest.raises(RequestError, match="cannot be written as text; name a place to write to with --out"):
            export(out, text, to=to, frames=False)
    assert text.getvalue() == ""
    with pytest.raises(StoreError, match="holds no results"):
        export_to(tmp_path, tmp_path / "new", to="jsonl")
    assert not (tmp_path / "new").exists()


def test_an_export_of_nothing_is_an_empty_file_or_folder(out: Path, tmp_path: Path) -> None:
    change(out, "DELETE FROM face")
    export_to(out, tmp_path / "points", to="pts")
    assert [*(tmp_path / "points").iterdir()] == []
    export_to(out, tmp_path / "lines", to="jsonl")
    assert (tmp_path / "lines").read_bytes() == b""


def test_what_a_format_lacks_is_told_if_there_is_any_of_it(out: Path) -> None:
    wider = format_named("wider")
    lost = read_lost(out, wider)
    expected = [part for part in Part if part not in wider.keeps and part not in {Part.PERSONS, Part.REJECTED}]
    assert set(lost) <= set(expected)
    assert {Part.TIMES, Part.SIZES, Part.LANDMARKS, Part.EMBEDDINGS, Part.MASKS, Part.POSES} <= set(lost)
    assert lost == [part for part in Part if part in lost]
    change(
        out,
        "UPDATE face SET landmarks = NULL, embedding = NULL, pitch = NULL; DELETE FROM mask;"
        "UPDATE frame SET ticks = NULL, width = NULL;",
    )
    left = read_lost(out, wider)
    assert not {Part.TIMES, Part.SIZES, Part.LANDMARKS, Part.EMBEDDINGS, Part.MASKS, Part.POSES} & set(left)
    assert Part.KEYPOINTS in left
    pts = format_named("pts")
    assert (Part.EMPTY in read_lost(out, pts)) is (Part.EMPTY not in pts.keeps)
    change(out, "DELETE FROM frame WHERE NOT EXISTS (SELECT 1 FROM face WHERE face.source_id = frame.source_id)")
    assert Part.EMPTY not in read_lost(out, pts)


def test_the_configuration_is_read_as_it_was_written(out: Path, tmp_path: Path) -> None:
    assert read_config(out) == CONFIG
    assert read_chip_size(out) == SIZE
    assert has_landmarks(out)
    write_result(
        write_media(tmp_path / "in"),
        tmp_path / "bare",
        config={**CONFIG, "chips": None, "overlay": False},
    )
    assert read_chip_size(tmp_path / "bare") is None
    change(out, "UPDATE face SET landmarks = NULL WHERE idx = 0")
    assert has_landmarks(out)
    change(out, "UPDATE face SET landmarks = NULL")
    assert not has_landmarks(out)
    change(out, "DELETE FROM face")
    assert has_landmarks(out)


# --- where chips come from -----------------------------------------------------------------------------


def test_every_chip_in_the_folder_is_the_stores_and_elsewhere_its_own(whole: Path, tmp_path: Path) -> None:
    media = whole.parent / "in"
    for face, time in read_faces(whole):
        assert face.chip
        away = Path(shutil.copy(whole / face.chip, tmp_path / "away.jpg"))
        known, alone = find_origin(whole / face.chip), find_origin(away)
        for origin in (known, alone):
            assert (origin.source, origin.frame, origin.index) == (face.frame.source, face.frame.index, face.index)
            assert origin.time_s == (None if time is None else float(time))
            assert origin.box == tuple(round(float(side), 3) for side in face.box)
        assert (known.chip, known.folder, known.path) == (whole / face.chip, whole, media / face.frame.source)
        assert known.sha256 == digest(media / face.frame.source)
        assert (alone.chip, alone.folder, alone.path, alone.sha256, alone.span) == (away, None, None, None, None)
        assert known.span is not None
        assert (known.span.first, known.span.count, known.span.source.name) == (face.frame.index, 1, face.frame.source)
        if face.frame.source == CLIP:
            assert (known.span.ticks, known.span.seek_ticks) == ((5 * face.frame.index,), [0, 0, 10][face.frame.index])
            assert known.span.source.time_base == "1/10"
        else:
            assert (known.span.ticks, known.span.seek_ticks) == (None, None)


def test_an_origin_is_told_as_json(whole: Path, tmp_path: Path) -> None:
    chip = whole / f"chips/{CLIP}/000001_0.jpg"
    box = list(read_chip_metadata(chip)["box"])
    media = whole.parent / "in" / CLIP
    assert find_origin(chip).to_json() == {
        "chip": str(chip), "source": CLIP, "path": str(media), "exists": True, "sha256": digest(media),
        "frame": 1, "time_s": 0.5, "index": 0, "box": box, "folder": str(whole),
    }  # fmt: skip
    away = Path(shutil.copy(chip, tmp_path / "away.jpg"))
    told = find_origin(away).to_json()
    assert (told["path"], told["exists"], told["sha256"], told["folder"]) == (None, False, None, None)


def test_a_chip_that_the_store_does_not_know_tells_of_itself_and_what_is_no_chip_is_refused(out: Path) -> None:
    stray = Path(shutil.copy(out / f"chips/{CLIP}/000001_0.jpg", out / "chips/stray.jpg"))
    assert (find_origin(stray).folder, find_origin(stray).frame) == (None, 1)
    beside = Path(shutil.copy(out / f"chips/{CLIP}/000001_0.jpg", out / "beside.jpg"))
    assert find_origin(beside).folder is None
    with pytest.raises(MediaError, match="there is no file"):
        find_origin(out / "chips/none.jpg")
    with pytest.raises(MediaError):
        find_origin(out / f"overlays/{CLIP}/000001.jpg")
