from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.faces import Image
from faceloom.media.chip_files import encode_jpeg
from faceloom.picking.looks import LOOK_PX, MEASURES, differing_bits, hash_of, look_at
from faceloom.picking.pick import SAME_BITS


def seen(folder: Path, pixels: Image, name: str = "one.jpg") -> dict[str, float]:
    (folder / name).write_bytes(encode_jpeg(np.ascontiguousarray(pixels)))
    looks = look_at(folder, [name], count=1)
    return dict(zip(MEASURES, looks.measures[0].tolist(), strict=True)) | {"sideways": float(looks.light[0, 1])}


@pytest.mark.parametrize(("colour", "hue"), [((200, 20, 20), 0), ((20, 200, 20), 120), ((20, 20, 200), 240)])
def test_hues_are_those_of_the_colour_wheel(colour: tuple[int, int, int], hue: int, tmp_path: Path) -> None:
    found = seen(tmp_path, np.full((96, 96, 3), colour, np.uint8))["hue"]
    assert min(abs(found - hue), 360 - abs(found - hue)) < 2


def test_brightness_is_of_the_middle_and_luma_of_the_whole(tmp_path: Path) -> None:
    pixels = np.zeros((128, 128, 3), np.uint8)
    pixels[32:96, 32:96] = 200
    found = seen(tmp_path, pixels)
    assert found["brightness"] == pytest.approx(200, abs=8)
    assert found["luma"] == pytest.approx(50, abs=4)


def test_light_from_the_right_is_told_from_light_from_the_left(tmp_path: Path) -> None:
    ramp = np.repeat(np.linspace(40, 220, 128)[None, :, None], 128, axis=0).repeat(3, axis=2).astype(np.uint8)
    assert seen(tmp_path, ramp)["sideways"] > 20
    assert seen(tmp_path, ramp[:, ::-1])["sideways"] < -20


def test_a_chip_that_cannot_be_read_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    looks = look_at(tmp_path, ["bad.jpg", "none.jpg", None], count=3)
    assert not looks.are_known.any()


def test_copies_share_a_hash_and_other_pictures_do_not() -> None:
    rng = np.random.default_rng(5)
    coarse = [rng.integers(0, 256, (9, 9, 3), np.uint8) for _ in range(6)]
    tiles = [np.asarray(cv2.resize(one, (160, 160), interpolation=cv2.INTER_CUBIC), np.uint8) for one in coarse]
    hashes = np.stack([hash_of(small(tile)) for tile in tiles])
    for place, tile in enumerate(tiles):
        squeezed = cv2.imdecode(cv2.imencode(".jpg", tile, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_COLOR)
        shrunk = cv2.resize(tile, (100, 100), interpolation=cv2.INTER_AREA)
        for copy in (squeezed, shrunk):
            bits = differing_bits(hashes, hash_of(small(np.asarray(copy, np.uint8))))
            assert bits[place] <= SAME_BITS < np.delete(bits, place).min()


def small(pixels: Image) -> Image:
    return np.asarray(cv2.resize(pixels, (LOOK_PX, LOOK_PX), interpolation=cv2.INTER_AREA), np.uint8)
