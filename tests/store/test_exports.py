import base64
import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.api import extract
from faceloom.attributes import ATTRIBUTES
from faceloom.cli.main import main
from faceloom.errors import RequestError, StoreError
from faceloom.formats.registry import formats
from faceloom.geometry.affine import apply
from faceloom.media.chip_files import read_chip_metadata
from faceloom.store.exports import export, export_to
from formats.records import usable
from jobs import exported

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def out(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    broken = folder / "broken.jpg"
    broken.write_bytes((samples / "crowd.jpg").read_bytes()[:300])
    extract([samples / "portrait.png", samples / "clip.mp4", broken], folder / "out", size=128, format="png")
    return folder / "out"


def test_a_line_a_face_in_the_form_of_the_contract(out: Path) -> None:
    lines = [json.loads(line) for line in exported(out).splitlines()]
    assert len(lines) == 76
    keys = ["source", "frame", "time_s", "index", "box", "score", "keypoints", "landmarks"]
    keys += ["confidence", "affine", "pose", "sharpness", "made_up", "masks", "chip"]
    for line in lines:
        assert [key for key in line if key in keys] == keys
        assert set(line) <= {"source", "frame", "time_s"} | {attribute.key for attribute in ATTRIBUTES}
        shapes = [np.shape(line[name]) for name in ("box", "keypoints", "landmarks", "affine", "pose", "sharpness")]
        assert shapes == [(4,), (5, 2), (68, 2), (2, 3), (3,), ()]
        assert set(line["masks"]) == {"components", "extended"}


def test_lines_are_sorted_by_source_frame_and_index(out: Path) -> None:
    places = [(line["source"], line["frame"], line["index"]) for line in map(json.loads, exported(out).splitlines())]
    assert places == sorted(places)


def test_a_mask_is_a_picture_of_its_stated_size(out: Path) -> None:
    line = json.loads(exported(out).splitlines()[-1])
    mask = line["masks"]["components"]
    pixels = cv2.imdecode(np.frombuffer(base64.b64decode(mask["png_base64"]), np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert pixels.shape == (mask["size"], mask["size"])
    assert 0 < (pixels > 127).mean() < 1


def test_the_affine_lays_the_landmarks_into_the_chip(out: Path) -> None:
    line = json.loads(exported(out).splitlines()[-1])
    in_chip = apply(np.array(line["affine"]), np.array(line["landmarks"], np.float32))
    assert (in_chip > 0).all()
    assert (in_chip < 128).all()


def test_a_chip_file_says_what_the_export_says(out: Path) -> None:
    line = json.loads(exported(out).splitlines()[0])
    metadata = read_chip_metadata(out / line["chip"])
    shared = set(metadata) & set(line)
    numbers = ["box", "score", "keypoints", "landmarks", "confidence", "affine", "pose", "sharpness"]
    assert shared >= {"source", "frame", "time_s", "index", *numbers}
    assert shared == {"source", "frame", "time_s", *(one.key for one in ATTRIBUTES if one.in_chips and one.key in line)}
    assert all(metadata[key] == line[key] for key in shared)
    assert set(metadata["models"]) == {"detect/yunet", "align/facemesh"}


def test_a_line_a_frame_with_what_failed_and_why(out: Path) -> None:
    lines = [json.loads(line) for line in exported(out, frames=True).splitlines()]
    assert len(lines) == 27
    assert [list(line) for line in lines] == [
        ["source", "frame", "time_s", "width", "height", "faces", "status", "reason"]
    ] * len(lines)
    (failed,) = (line for line in lines if line["status"] == "failed")
    assert failed["source"] == "broken.jpg"
    assert failed["reason"]
    assert [line["time_s"] for line in lines if line["source"] == "clip.mp4"] == [i / 25 for i in range(25)]


def test_csv_has_the_same_numbers_in_columns_of_their_own(out: Path) -> None:
    text = io.StringIO()
    export(out, text, to="csv", frames=False)
    rows = list(csv.DictReader(io.StringIO(text.getvalue())))
    lines = [json.loads(line) for line in exported(out).splitlines()]
    assert len(rows) == len(lines)
    for row, line in zip(rows, lines, strict=True):
        assert [float(row[f"box_{i}"]) for i in range(4)] == line["box"]
        assert float(row["landmarks_67_1"]) == line["landmarks"][67][1]
        assert [float(row[f"pose_{i}"]) for i in range(3)] == line["pose"]
        assert row["masks"] == "components extended"


def test_an_unknown_format_names_the_known_ones(out: Path) -> None:
    with pytest.raises(RequestError, match="csv, cvat"):
        export(out, io.StringIO(), to="nothing", frames=False)


def test_a_folder_without_a_store_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no results of faceloom"):
        export(tmp_path, io.StringIO(), to="jsonl", frames=False)


def test_boxes_only_leave_the_rest_empty(samples: Path, tmp_path: Path) -> None:
    extract(samples / "portrait.png", tmp_path / "out", align=None)
    (line,) = (json.loads(line) for line in exported(tmp_path / "out").splitlines())
    assert (line["landmarks"], line["affine"], line["masks"], line["chip"]) == (None, None, {}, None)
    assert (line["pose"], line["sharpness"]) == (None, None)
    text = io.StringIO()
    export(tmp_path / "out", text, to="csv", frames=False)
    (row,) = csv.DictReader(io.StringIO(text.getvalue()))
    assert row["landmarks_0_0"] == ""


def test_what_a_format_does_not_hold_is_told_and_only_if_there_is_any(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(out), "--to", "wider", "--out", str(tmp_path / "a.txt")]) == 0
    told = capsys.readouterr().err
    assert told.startswith("not in this format: times, frame sizes, keypoints, landmarks")
    assert "embeddings" not in told
    assert (tmp_path / "a.txt").read_text().startswith("clip.mp4#000000.png\n3\n")


def test_every_format_writes_what_its_reader_reads(out: Path, tmp_path: Path) -> None:
    lines = exported(out).splitlines()
    for found in usable(formats()):
        target = tmp_path / found.name
        export_to(out, target, to=found.name)
        assert sum(len(frame.faces) for frame in found.read(target)) == len(lines)


def test_bytes_are_not_written_as_text(out: Path) -> None:
    with pytest.raises(RequestError, match="--out"):
        export(out, io.StringIO(), to="fsa", frames=False)


def test_the_command_line_lists_every_format(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit):
        main(["export", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert ", ".join(found.name for found in formats()) in told


def test_an_export_of_no_face_is_a_file_or_folder_of_none(tmp_path: Path) -> None:
    blank = np.zeros((64, 64, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "blank.png"), blank)
    extract(tmp_path / "blank.png", tmp_path / "out")
    for found in usable(formats()):
        export_to(tmp_path / "out", tmp_path / found.name, to=found.name)
        assert not [face for frame in found.read(tmp_path / found.name) for face in frame.faces]
