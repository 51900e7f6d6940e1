"""Faces at the edge of their frame: what their chips show there, and how much of it is told, on real pictures."""

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import faceloom
from conftest import prepared
from faceloom.choices import Border
from faceloom.cli.main import main
from faceloom.errors import RequestError
from faceloom.faces import Face
from faceloom.geometry.affine import apply, invert
from faceloom.models.weights import WeightCache
from faceloom.store.reading import read_faces
from faceloom.store.summary import read_summary
from jobs import exported, files_below

SIZE = 128


@pytest.fixture(scope="module")
def picture(samples: Path, cache: WeightCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait whose upper edge cuts off the hair."""
    for name in ("yunet", "facemesh", "dlib"):
        prepared(cache, name)  # skips where the weights cannot be had
    portrait = cv2.imread(str(samples / "portrait.png"))
    assert portrait is not None
    path = tmp_path_factory.mktemp("edges") / "cut.png"
    cv2.imwrite(str(path), portrait[90:])
    return path


def extract(picture: Path, out: Path, **options: Any) -> Face:
    faceloom.extract(picture, out, **{"size": SIZE, "format": "png", "crop": "whole", "mask": (), **options})
    with faceloom.open(out) as results:
        (face,) = results.faces(rejected=True)
    return face


def read(out: Path, row: Face) -> NDArray[np.uint8]:
    chip = cv2.imread(str(out / str(row.chip)), cv2.IMREAD_UNCHANGED)
    assert chip is not None
    return np.asarray(chip, np.uint8)


def beyond(row: Face, picture: Path) -> NDArray[np.bool_]:
    """The pixels of a chip that lie more than two of the frame's above it."""
    assert row.frame_to_chip is not None
    places = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=2).astype(np.float32)
    return np.asarray(apply(invert(row.frame_to_chip), places)[..., 1] < -2)


def test_a_new_folder_has_black_beyond_the_frame_and_tells_how_much_that_is(picture: Path, tmp_path: Path) -> None:
    row = extract(picture, tmp_path / "out")
    made_up = beyond(row, picture)
    assert 0.2 < made_up.mean() < 0.6
    assert row.made_up == pytest.approx(made_up.mean(), abs=0.03)
    assert not read(tmp_path / "out", row)[made_up].any()
    (line,) = map(json.loads, exported(tmp_path / "out").splitlines())
    told = faceloom.read_chip_metadata(tmp_path / "out" / str(row.chip))
    assert line["made_up"] == told["made_up"] == round(row.made_up or 0, 4)


@pytest.mark.parametrize("chip_format", ["png", "webp"])
def test_a_transparent_chip_has_no_opacity_beyond_the_frame(picture: Path, tmp_path: Path, chip_format: str) -> None:
    out = tmp_path / "out"
    row = extract(picture, out, border="transparent", format=chip_format, overlay_chips=True)
    chip = read(out, row)
    assert chip.shape == (SIZE, SIZE, 4)
    assert not chip[..., 3][beyond(row, picture)].any()
    assert chip[..., 3].mean() / 255 == pytest.approx(1 - (row.made_up or 0), abs=0.01)
    assert faceloom.read_chip_metadata(out / str(row.chip))["made_up"] == round(row.made_up or 0, 4)
    assert faceloom.where(out / str(row.chip)).index == 0
    with faceloom.open(out) as results:
        (face,) = results.faces()
        assert results.chip(face).shape == (SIZE, SIZE, 3)
    (drawn,) = (out / "overlays").rglob("*.jpg")
    overlay = cv2.imread(str(drawn))
    assert overlay is not None
    assert overlay.shape == (SIZE, SIZE, 3)


def test_a_jpeg_cannot_be_transparent(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="png or webp"):
        extract(picture, tmp_path / "out", border="transparent", format="jpg")
    assert not (tmp_path / "out").exists()


def test_the_border_changes_nothing_of_what_is_found(picture: Path, tmp_path: Path) -> None:
    found = []
    for border in Border:
        extract(picture, tmp_path / border, border=border.value, mask=["components"], identify="dlib")
        found.append([repr(face.to_json(None)) + repr(face.embedding) for face, _ in read_faces(tmp_path / border)])
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("border", Border)
def test_streamed_and_derived_chips_have_the_border_of_a_run(picture: Path, tmp_path: Path, border: Border) -> None:
    told: dict[str, Any] = {"crop": "whole", "border": border.value}
    row = extract(picture, tmp_path / "out", **told)
    chip = read(tmp_path / "out", row)
    (frame,) = faceloom.stream(picture, mask=(), crop="whole")
    (face,) = frame.faces
    assert face.made_up == row.made_up
    order = [2, 1, 0, 3][: chip.shape[2]]
    np.testing.assert_array_equal(faceloom.chip(face, size=SIZE, **told)[..., order], chip)
    extract(picture, tmp_path / "other", crop="head")
    faceloom.derive(tmp_path / "other", tmp_path / "derived", size=SIZE, format="png", **told)
    assert files_below(tmp_path / "derived") == files_below(tmp_path / "out")


def test_a_folder_of_before_there_was_a_choice_goes_on_repeating(picture: Path, samples: Path, tmp_path: Path) -> None:
    """Its configuration has no such key, which is what one with repeated edges looks like."""
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    shutil.copy(picture, folder / "a.png")
    options: dict[str, Any] = {"size": SIZE, "format": "png", "crop": "whole", "mask": ()}
    faceloom.extract(folder, out, border="repeat", **options)
    assert "border" not in read_summary(out)["config"]
    shutil.copy(picture, folder / "b.png")
    faceloom.extract(folder, out, **options)
    chips = files_below(out)
    one, other = (
        cv2.imdecode(np.frombuffer(chips[f"chips/{name}.png/000000_0.png"], np.uint8), cv2.IMREAD_COLOR)
        for name in "ab"
    )
    np.testing.assert_array_equal(one, other)
    with pytest.raises(RequestError, match="border"):
        faceloom.extract(folder, out, border="black", **options)


def test_a_new_folder_goes_on_as_it_was_made_and_in_no_other_way(picture: Path, tmp_path: Path) -> None:
    extract(picture, tmp_path / "out")
    assert read_summary(tmp_path / "out")["config"]["border"] == "black"
    extract(picture, tmp_path / "out")
    extract(picture, tmp_path / "out", border="black")
    with pytest.raises(RequestError, match="border"):
        extract(picture, tmp_path / "out", border="repeat")


@pytest.mark.parametrize("limit", ["20%", 0.2, "0.2"])
def test_faces_of_which_too_much_is_made_up_are_rejected_and_stay(
    picture: Path, tmp_path: Path, limit: float | str
) -> None:
    row = extract(picture, tmp_path / "out", max_border=limit, identify="dlib", mask=["components"])
    assert (row.rejected or "").startswith("border: 0.4")
    assert (row.chip, row.embedding, len(row.masks)) == (None, None, 0)
    assert row.landmarks is not None
    assert row.made_up is not None
    assert read_summary(tmp_path / "out")["rejected_by"] == {"border": 1}
    kept = extract(picture, tmp_path / "kept", max_border="60%", identify="dlib")
    assert kept.rejected is None
    assert kept.chip is not None
    with pytest.raises(RequestError, match="max_border"):
        extract(picture, tmp_path / "out", max_border="30%", identify="dlib", mask=["components"])


def test_faces_of_a_file_and_of_a_stream_are_rejected_too(picture: Path, tmp_path: Path) -> None:
    extract(picture, tmp_path / "first")
    (tmp_path / "faces.jsonl").write_text(exported(tmp_path / "first"))
    told: dict[str, Any] = {"detect": "import", "from_": tmp_path / "faces.jsonl", "max_border": "20%"}
    for align in ("facemesh", None):
        row = extract(picture, tmp_path / f"told-{align}", align=align, **told)
        assert (row.rejected or "").startswith("border: ")
    (frame,) = faceloom.stream(picture, mask=(), crop="whole", max_border="20%")
    assert (frame.faces[0].rejected or "").startswith("border: ")


@pytest.mark.parametrize("wrong", ["120%", -0.1, "many", "nan", "20 px"])
def test_a_share_that_is_none_is_refused(picture: Path, tmp_path: Path, wrong: float | str) -> None:
    with pytest.raises(RequestError, match="share"):
        extract(picture, tmp_path / "out", max_border=wrong)


def test_a_limit_needs_landmarks_to_lay_chips_by(picture: Path, tmp_path: Path) -> None:
    assert main(["extract", str(picture), "--out", str(tmp_path / "out"), "--align", "none", "--max-border", "9%"]) == 2
