"""Raw colours: a picture with a profile gives what the same values without one give."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from faceloom.api import derive, extend, extract, stream
from faceloom.cli.main import main
from faceloom.errors import RequestError
from faceloom.store.reading import read_config, read_faces
from faceloom.store.summary import read_summary
from media.picture_files import wide_profile

NAME = "portrait.png"


@pytest.fixture(scope="module")
def bare(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture without a profile."""
    path = tmp_path_factory.mktemp("bare") / NAME
    PillowImage.open(samples / NAME).convert("RGB").save(path)
    return path


@pytest.fixture(scope="module")
def wide(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same values, with a profile that says that their red is blue."""
    path = tmp_path_factory.mktemp("wide") / NAME
    PillowImage.open(bare).save(path, icc_profile=wide_profile())
    return path


@pytest.fixture(scope="module")
def raw(wide: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("raw") / "out"
    extract(wide, out, size=64, format="png", mask=["components"], raw_colours=True)
    return out


@pytest.fixture(scope="module")
def plain(bare: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("plain") / "out"
    extract(bare, out, size=64, format="png", mask=["components"])
    return out


def chips(folder: Path) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    return [np.asarray(PillowImage.open(path)) for path in sorted((folder / "chips").rglob("0*.png"))]


def same_chips(one: Path, other: Path) -> bool:
    pairs = zip(chips(one), chips(other), strict=True)
    return bool(chips(one)) and all(np.array_equal(first, second) for first, second in pairs)


def test_chips_and_faces_are_those_of_the_values_that_are_stored(raw: Path, plain: Path) -> None:
    assert same_chips(raw, plain)
    for (face, _), (expected, _) in zip(read_faces(raw), read_faces(plain), strict=True):
        assert face.score == expected.score
        np.testing.assert_array_equal(face.box, expected.box)
        np.testing.assert_array_equal(face.landmarks, expected.landmarks)
    assert not read_summary(raw)["notes"]


def test_without_the_flag_the_profile_is_believed(wide: Path, plain: Path, tmp_path: Path) -> None:
    extract(wide, tmp_path / "out", size=64, format="png", mask=["components"])
    assert not same_chips(tmp_path / "out", plain)


def test_the_folder_is_held_to_it(raw: Path, wide: Path, tmp_path: Path) -> None:
    again = shutil.copytree(raw, tmp_path / "out")
    assert read_config(again)["raw_colours"] is True
    with pytest.raises(RequestError, match="raw_colours"):
        extract(wide, again, size=64, format="png", mask=["components"])
    extract(wide, again, size=64, format="png", mask=["components"], raw_colours=True)


def extended(folder: Path, tmp_path: Path, name: str) -> Path:
    copy = shutil.copytree(folder, tmp_path / name)
    extend(copy, mask=["unet"])
    return copy


def derived(folder: Path, tmp_path: Path, name: str) -> Path:
    derive(folder, tmp_path / name, size=96, format="png")
    return tmp_path / name


@pytest.mark.parametrize("again", [extended, derived])
def test_frames_that_are_read_again_are_read_alike(
    again: Callable[[Path, Path, str], Path], raw: Path, plain: Path, tmp_path: Path
) -> None:
    ours, expected = again(raw, tmp_path, "ours"), again(plain, tmp_path, "expected")
    assert same_chips(ours, expected)
    for (face, _), (other, _) in zip(read_faces(ours), read_faces(expected), strict=True):
        assert {name: mask.png for name, mask in face.masks.items()} == {
            name: mask.png for name, mask in other.masks.items()
        }


def test_a_lost_chip_is_made_again_alike(raw: Path, plain: Path, wide: Path, tmp_path: Path) -> None:
    again = shutil.copytree(raw, tmp_path / "out")
    for path in (again / "chips").rglob("0*.png"):
        path.unlink()
    extract(wide, again, size=64, format="png", mask=["components"], raw_colours=True)
    assert same_chips(again, plain)


def test_where_draws_upon_the_frame_as_it_was_read(raw: Path, plain: Path, tmp_path: Path) -> None:
    for folder, name in ((raw, "ours.png"), (plain, "expected.png")):
        (chip,) = (folder / "chips").rglob("0*.png")
        assert main(["where", str(chip), "--out", str(tmp_path / name)]) == 0
    ours, expected = (np.asarray(PillowImage.open(tmp_path / name)) for name in ("ours.png", "expected.png"))
    np.testing.assert_array_equal(ours, expected)


def test_a_stream_reads_them_too(wide: Path, bare: Path) -> None:
    (ours,) = stream(wide, mask=[], raw_colours=True)
    (expected,) = stream(bare, mask=[])
    np.testing.assert_array_equal(ours.image, expected.image)
