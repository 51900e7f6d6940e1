"""Chips of every crop, level or not, and the masks that lie over them, on real pictures."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import faceloom
from conftest import prepared
from faceloom.choices import Border, Crop
from faceloom.errors import RequestError
from faceloom.faces import Face
from faceloom.geometry.affine import apply, compose, invert, scale_of, scaling
from faceloom.geometry.borders import cut_bordered, extent
from faceloom.geometry.chips import Framing, frame_to_chip, lay_mask, patch_bounds
from faceloom.media.pictures import read_picture
from faceloom.models.weights import WeightCache
from faceloom.store.reading import read_faces
from faceloom.store.rows import FaceRow
from faceloom.store.summary import read_summary

SIZE = 256
FRAMINGS = [Framing(crop, level) for crop, level in product(Crop, (True, False))]
Results = dict[Framing, Path]


@pytest.fixture(scope="module")
def pictures(samples: Path, cache: WeightCache, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The portrait, and the two front rows of the crowd."""
    for name in ("yunet", "facemesh", "unet"):
        prepared(cache, name)  # skips where the weights cannot be had
    front = tmp_path_factory.mktemp("front") / "front.png"
    crowd = cv2.imread(str(samples / "crowd.jpg"), cv2.IMREAD_COLOR)
    assert crowd is not None
    cv2.imwrite(str(front), crowd[400:])
    return [samples / "portrait.png", front]


@pytest.fixture(scope="module")
def results(pictures: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Results:
    """A result folder for each framing."""
    folder = tmp_path_factory.mktemp("crops")
    outs = {framing: folder / f"{framing.crop}-{framing.level}" for framing in FRAMINGS}
    for framing, out in outs.items():
        extract(pictures, out, framing)
    return outs


def extract(pictures: list[Path], out: Path, framing: Framing) -> None:
    told: Any = {"crop": framing.crop.value, "level": framing.level}
    faceloom.extract(pictures, out, size=SIZE, format="png", mask=["components", "unet"], **told)


def rows(folder: Path) -> list[FaceRow]:
    return [face for face, _ in read_faces(folder)]


def picture(path: Path) -> NDArray[np.uint8]:
    return read_picture(path.read_bytes(), path).image


def decoded(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)


def found(face: FaceRow) -> dict[str, Any]:
    """What is known of a face whatever its chip shows."""
    line = face.to_json(None)
    return {name: value for name, value in line.items() if name not in {"affine", "masks", "chip", "made_up"}}


def test_the_crop_changes_nothing_of_what_is_found(results: Results) -> None:
    expected = list(map(found, rows(results[Framing()])))
    assert len(expected) > 8
    for folder in results.values():
        assert list(map(found, rows(folder))) == expected


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_chip_is_the_square_of_its_frame_that_its_map_says(
    results: Results, pictures: list[Path], framing: Framing
) -> None:
    frames = {path.name: picture(path) for path in pictures}
    for face in rows(results[framing]):
        assert face.landmarks is not None
        assert face.frame_to_chip is not None
        assert face.chip is not None
        expected = frame_to_chip(face.landmarks, size=SIZE, framing=framing)
        np.testing.assert_allclose(face.frame_to_chip, expected)
        chip = picture(results[framing] / face.chip)
        frame = frames[face.frame.source]
        whole = cut_bordered(frame, expected, size=SIZE, frame=extent(*frame.shape[:2]), border=Border.BLACK)
        shrinks = scale_of(expected) <= 0.5  # averaged over blocks that begin elsewhere
        assert np.abs(chip.astype(int) - whole).mean() < (2 if shrinks else 0.1)


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_mask_covers_the_square_that_the_chip_shows(results: Results, framing: Framing) -> None:
    standard = {(face.frame, face.index): face for face in rows(results[Framing()])}
    for face in rows(results[framing]):
        assert face.frame_to_chip is not None
        assert face.landmarks is not None
        hull = decoded(face.masks["components"].png)
        chip_to_mask = scaling(len(hull) / SIZE, len(hull) / SIZE)
        nose = apply(compose(chip_to_mask, face.frame_to_chip), face.landmarks[27:36]).round().astype(int)
        assert (hull[nose[:, 1], nose[:, 0]] > 127).all()
        other = standard[face.frame, face.index]
        assert other.frame_to_chip is not None
        to_chip = compose(compose(chip_to_mask, face.frame_to_chip), invert(compose(chip_to_mask, other.frame_to_chip)))
        for name in ("components", "unet"):
            mask = decoded(face.masks[name].png)
            expected = lay_mask(decoded(other.masks[name].png), to_chip, size=len(mask))
            assert np.minimum(mask, expected).sum() > 0.95 * np.maximum(mask, expected).sum()


def test_chips_that_are_not_level_stand_as_their_frames(results: Results) -> None:
    for crop in Crop:
        level, standing = rows(results[Framing(crop)]), rows(results[Framing(crop, level=False)])
        for one, other in zip(level, standing, strict=True):
            assert one.frame_to_chip is not None
            assert other.frame_to_chip is not None
            assert other.frame_to_chip[0, 1] == other.frame_to_chip[1, 0] == 0
            assert scale_of(one.frame_to_chip) == pytest.approx(scale_of(other.frame_to_chip))
            middle = np.full(2, (SIZE - 1) / 2, np.float32)
            np.testing.assert_allclose(
                apply(invert(one.frame_to_chip), middle), apply(invert(other.frame_to_chip), middle), atol=1e-3
            )


def test_what_is_cut_from_reaches_as_far_as_the_chip(pictures: list[Path], shared: Path) -> None:
    """In a frame without edges, whatever the crop; less than a hundredth may be missing, as for networks."""
    portraits = sorted((shared / "lfw_subset_krasserm").rglob("*.jpg"))[:40]
    faces = [face for frame in faceloom.stream([*pictures, *portraits], mask=()) for face in frame.faces]
    assert len(faces) > 50
    for crop in Crop:
        assert min(covered(face, crop) for face in faces) > 0.99


def covered(face: Face, crop: Crop) -> float:
    """Share of a chip's pixels that lie in what it is cut from, far from the frame's edges."""
    assert face.landmarks is not None
    x0, y0, x1, y1 = patch_bounds(face.box + 10_000, height=30_000, width=30_000, scale=Framing(crop).patch_scale)
    places = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE)), axis=2).astype(np.float32)
    shown = apply(invert(frame_to_chip(face.landmarks + 10_000, size=SIZE, framing=Framing(crop))), places)
    return float(((shown >= [x0 - 0.5, y0 - 0.5]) & (shown <= [x1 - 0.5, y1 - 0.5])).all(axis=2).mean())


def test_a_stream_gives_the_chips_that_extract_writes(results: Results, pictures: list[Path]) -> None:
    for framing in FRAMINGS:
        stored = {(face.frame, face.index): face for face in rows(results[framing])}
        told: Any = {"crop": framing.crop.value, "level": framing.level}
        for frame in faceloom.stream(pictures, mask=["components", "unet"], **told):
            for face in frame.faces:
                row = stored[face.frame, face.index]
                assert row.chip is not None
                chip = picture(results[framing] / row.chip)
                np.testing.assert_array_equal(faceloom.chip(face, size=SIZE, **told), chip)
                for name, mask in face.masks.items():
                    np.testing.assert_array_equal(mask, decoded(row.masks[name].png))


def test_a_folder_without_a_crop_is_one_of_the_crop_there_always_was(results: Results) -> None:
    config = read_summary(results[Framing()])["config"]
    assert not {"crop", "level"} & set(config)
    configs = [json.dumps(read_summary(folder)["config"]) for folder in results.values()]
    assert len(set(configs)) == len(FRAMINGS)


def test_a_folder_of_one_crop_is_not_gone_on_with_in_another(results: Results, pictures: list[Path]) -> None:
    with pytest.raises(RequestError, match="crop"):
        extract(pictures, results[Framing()], Framing(Crop.FACE))


@pytest.mark.parametrize("wrong", [{"crop": "nose"}, {"size": 63}, {"size": 1025}, {"format": "gif"}])
def test_a_chip_that_cannot_be_had_is_refused(wrong: dict[str, Any], samples: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        faceloom.extract(samples, tmp_path / "out", **wrong)


def test_a_webp_chip_says_what_the_store_says(pictures: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    faceloom.extract(pictures, out, size=128, format="webp", crop="whole")
    for face in rows(out):
        assert face.chip is not None
        assert face.chip.endswith(".webp")
        told = faceloom.read_chip_metadata(out / face.chip)
        line = replace(face, masks={}, embedding=None).to_json(None)
        expected = {name: value for name, value in line.items() if name in told}
        assert {name: told[name] for name in expected} == json.loads(json.dumps(expected))
        assert {"source", "frame", "time_s", "box", "landmarks", "affine", "models"} <= set(told)
