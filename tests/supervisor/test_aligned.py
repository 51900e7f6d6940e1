"""Pictures that are faces already: everything but the detector runs on them, and results lie over the picture."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from faceloom.api import derive, extend, extract
from faceloom.errors import RequestError
from faceloom.geometry.affine import apply
from faceloom.geometry.chips import EYE_SHARE, frame_to_chip
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.results.faces import ResultFace
from faceloom.results.results import open as open_results
from jobs import exported, files_below

SIZE = 256
FLOW: dict[str, Any] = {"mask": ["unet", "extended"], "format": "png", "size": SIZE, "mask_size": SIZE}


@pytest.fixture(scope="module")
def source(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run finds that looks for faces; its chips are what is aligned."""
    out = tmp_path_factory.mktemp("source") / "out"
    extract([samples / "portrait.png", samples / "crowd.jpg"], out, max_faces=4, **FLOW)
    return out


@pytest.fixture(scope="module")
def aligned(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("aligned") / "out"
    summary = extract(source / "chips", out, aligned=True, **FLOW)
    assert (summary.frames, summary.faces, summary.failed) == (5, 5, 0)
    assert not any(stage["stage"].startswith("detect") for phase in summary.plan["phases"] for stage in phase["stages"])
    return out


def faces_of(folder: Path) -> dict[str, ResultFace]:
    """Faces by the chip that they were found in, or are in."""
    with open_results(folder) as results:
        found = list(results.faces())
    return {
        face.frame.source
        if len(found) == len({one.frame for one in found})
        else (face.chip or "")[len("chips/") :]: face
        for face in found
    }


def overlap(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    a, b = np.asarray(one) > 127, np.asarray(other) > 127
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize(("align", "most_px"), [("facemesh", 3.0), ("none", 0.1)])
def test_chips_of_ours_show_what_was_found_in_their_frames(
    align: str, most_px: float, source: Path, aligned: Path, tmp_path: Path
) -> None:
    """With an aligner found again, without one as the chips tell."""
    if align == "none":
        extract(source / "chips", tmp_path / "out", aligned=True, align="none", **FLOW)
        aligned = tmp_path / "out"
    found, known = faces_of(aligned), faces_of(source)
    assert found.keys() == known.keys()
    for name, face in found.items():
        before = known[name]
        assert before.landmarks is not None
        assert face.landmarks is not None
        wanted = apply(frame_to_chip(before.landmarks, size=SIZE), before.landmarks)
        assert np.abs(face.landmarks - wanted).mean() < most_px
        assert face.score == pytest.approx(before.score, abs=1e-4)
        assert face.made_up == 0
        for mask in ("unet", "extended"):
            assert overlap(face.masks[mask], before.masks[mask]) > 0.96


def test_chips_and_masks_lie_over_the_picture(source: Path, aligned: Path) -> None:
    for name, face in faces_of(aligned).items():
        assert face.frame_to_chip is not None
        np.testing.assert_allclose(face.frame_to_chip, [[1, 0, 0], [0, 1, 0]], atol=1e-6)
        with Image.open(source / "chips" / name) as picture, Image.open(aligned / str(face.chip)) as chip:
            np.testing.assert_array_equal(np.asarray(chip.convert("RGB")), np.asarray(picture.convert("RGB")))


def test_what_a_chip_tells_is_believed_after_it_was_resized_and_not_if_it_cannot_be(
    source: Path, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    (chip,) = (source / "chips" / "portrait.png").glob("*.png")
    with Image.open(chip) as picture:
        text = picture.info["faceloom"]
        small = picture.convert("RGB").resize((160, 160), Image.Resampling.LANCZOS)
    for name, told in {
        "told": text,
        "absurd": _told(text, box=[1.0] * 5),
        "huge": _told(text, affine=[[1e20, 0, 0], [0, 1e30, 0]]),
    }.items():
        notes = PngInfo()
        notes.add_itxt("faceloom", told)
        small.save(pictures / f"{name}.png", pnginfo=notes)
    extract(pictures, tmp_path / "out", aligned=True, align="none", **{**FLOW, "mask": ["extended"]})
    found = faces_of(tmp_path / "out")
    landmarks = next(iter(faces_of(source)[name] for name in faces_of(source) if name.startswith("portrait"))).landmarks
    assert landmarks is not None
    wanted = (apply(frame_to_chip(landmarks, size=SIZE), landmarks) + 0.5) * 160 / SIZE - 0.5
    np.testing.assert_allclose(np.asarray(found["told.png"].landmarks), wanted, atol=0.3)
    mean = MEAN_FACE * EYE_SHARE * 160 + 79.5
    for name in ("absurd.png", "huge.png"):
        np.testing.assert_allclose(np.asarray(found[name].landmarks), mean, atol=1e-3)


def _told(text: str, **other: Any) -> str:
    """What a chip tells, with something else in it."""
    return json.dumps({**json.loads(text), **other})


def test_any_square_crop_is_taken_to_show_what_was_said(source: Path, aligned: Path, tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    names = sorted(str(path.relative_to(source / "chips")) for path in (source / "chips").glob("*/*.png"))
    for i, name in enumerate(names):  # nothing is told of them, and they are larger
        with Image.open(source / "chips" / name) as picture:
            picture.convert("RGB").resize((384, 384), Image.Resampling.BICUBIC).save(pictures / f"{i}.png")
    Image.new("RGB", (64, 48)).save(pictures / "wide.png")
    summary = extract(pictures, tmp_path / "out", aligned=True, **FLOW)
    assert (summary.frames, summary.faces, summary.failed) == (6, 5, 1)
    assert "is 64 x 48 pixels" in summary.failures[0]
    found, told = faces_of(tmp_path / "out"), faces_of(aligned)
    for i, name in enumerate(names):
        landmarks, known = found[f"{i}.png"].landmarks, told[name].landmarks
        assert landmarks is not None
        assert known is not None
        assert np.abs((landmarks + 0.5) * SIZE / 384 - 0.5 - known).mean() < 3
        assert overlap(found[f"{i}.png"].masks["unet"], told[name].masks["unet"]) > 0.93


def test_passes_change_nothing(source: Path, aligned: Path, tmp_path: Path) -> None:
    extract(source / "chips", tmp_path / "out", aligned=True, **FLOW, passes="separate", batch={"mask": "2!"})
    assert exported(tmp_path / "out") == exported(aligned)
    assert files_below(tmp_path / "out") == files_below(aligned)


def test_stages_are_added_to_what_was_aligned_and_lie_over_the_picture_too(
    source: Path, aligned: Path, tmp_path: Path
) -> None:
    extract(source / "chips", tmp_path / "out", aligned=True, **{**FLOW, "mask": ["extended"]})
    extend(tmp_path / "out", mask=["unet"])
    added, whole = faces_of(tmp_path / "out"), faces_of(aligned)
    for name, face in whole.items():
        np.testing.assert_array_equal(np.asarray(added[name].masks["unet"]), np.asarray(face.masks["unet"]))


def test_chips_that_are_derived_of_what_was_aligned_are_laid_by_landmarks(aligned: Path, tmp_path: Path) -> None:
    derive(aligned, tmp_path / "out", crop="face", size=128)
    for face in faces_of(tmp_path / "out").values():
        assert face.landmarks is not None
        assert face.frame_to_chip is not None
        assert 1.4 < np.linalg.norm(face.frame_to_chip[:, 0]) * SIZE / 128 < 1.8  # 0.35 of the side in place of 0.22


def test_a_folder_of_faces_that_were_looked_for_is_another(source: Path, aligned: Path) -> None:
    with pytest.raises(RequestError):
        extract(source / "chips", aligned, **FLOW)


def test_there_is_no_second_look_where_nothing_is_looked_for(source: Path, aligned: Path) -> None:
    with pytest.raises(RequestError, match="only-empty"):
        extract(source / "chips", aligned, aligned=True, only_empty=True, **FLOW)


@pytest.mark.parametrize("options", [{"detect": "centerface"}, {"detect": "import", "from_": "a.csv"}, {"tiles": 640}])
def test_nothing_is_told_to_a_detector_that_there_is_not(options: dict[str, Any], source: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="aligned"):
        extract(source / "chips", tmp_path / "out", aligned=True, **options)
