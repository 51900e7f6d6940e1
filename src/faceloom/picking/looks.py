"""What chips look like, some dozens of bytes a face: light, colour, histogram, and a hash that copies share."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import FaceloomError
from faceloom.faces import Image
from faceloom.results.pictures import read_small_chip

LOOK_PX = 64
"""Side of the picture that is looked at: the chip, averaged down."""
HASH_WORDS = 4
_HASH_SIDE = 16
_HASH_PX = 32
_BINS = 64
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, section 2.5.1."""
_MIDDLE = slice(LOOK_PX // 4, LOOK_PX - LOOK_PX // 4)
"""The rows and columns in which the face lies, whatever the crop: half of the chip's side."""
MEASURES = ("brightness", "luma", "hue", "green", "orange")
"""Mean luma of the middle of a chip and of the whole, 0 to 255; mean hue in degrees; and the two differences of colour
of YCgCo, -128 to 127.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """What N chips look like; NaN, and a hash of nothing, where there is no chip that can be read."""

    measures: NDArray[np.float32]
    """(N, 5), as `MEASURES` names them."""
    light: NDArray[np.float32]
    """(N, 3): brightness, by how much the right half is brighter than the left, and the lower than the upper."""
    histograms: NDArray[np.float32]
    """(N, 64) square roots of the shares of levels of luma: their distance is that of Hellinger times the root of 2."""
    hashes: NDArray[np.uint64]
    """(N, 4) words, of 256 bits."""

    @property
    def are_known(self) -> NDArray[np.bool_]:
        """Which chips could be read."""
        return np.isfinite(self.measures[:, 0])


def look_at(folder: Path, chips: Iterable[str | None], *, count: int) -> Looks:
    """Looks at chips, one after the other.

    Args:
        folder: the result folder.
        chips: paths below it, `count` of them; None where a face has none.
    """
    looks = Looks(
        measures=np.full((count, len(MEASURES)), np.nan, np.float32),
        light=np.full((count, 3), np.nan, np.float32),
        histograms=np.full((count, _BINS), np.nan, np.float32),
        hashes=np.zeros((count, HASH_WORDS), np.uint64),
    )
    for row, chip in enumerate(chips):
        picture = None if chip is None else _read(folder, chip)
        if picture is not None:
            looks.measures[row], looks.light[row] = _measured(picture)
            looks.histograms[row] = _histogram(picture)
            looks.hashes[row] = hash_of(picture)
    return looks


def _read(folder: Path, chip: str) -> Image | None:
    import cv2

    try:
        small = read_small_chip(folder, chip, longest=LOOK_PX)
    except FaceloomError:  # the file is gone, and the face is not
        return None
    return np.asarray(cv2.resize(small, (LOOK_PX, LOOK_PX), interpolation=cv2.INTER_AREA), np.uint8)


def _measured(picture: Image) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    colours = picture.astype(np.float32)
    luma = colours @ _LUMA
    middle = luma[_MIDDLE, _MIDDLE]
    red, green, blue = colours.reshape(-1, 3).mean(axis=0).tolist()
    greenness, orangeness = green / 2 - (red + blue) / 4, (red - blue) / 2
    half = len(middle) // 2
    brightness = float(middle.mean())
    sideways = float(middle[:, half:].mean() - middle[:, :half].mean())
    upright = float(middle[half:].mean() - middle[:half].mean())
    measures = [brightness, float(luma.mean()), _hue(picture), greenness, orangeness]
    return np.array(measures, np.float32), np.array([brightness, sideways, upright], np.float32)


def _hue(picture: Image) -> float:
    """The mean hue, 0 to 360 degrees: of the sum of the pixels' hues as vectors, each as long as it is colourful."""
    red, green, blue = np.moveaxis(picture.astype(np.float64), -1, 0)
    across, up = (red - (green + blue) / 2).sum(), (np.sqrt(3) / 2 * (green - blue)).sum()
    return float(np.degrees(np.arctan2(up, across)) % 360)


def _histogram(picture: Image) -> NDArray[np.float32]:
    luma = picture.astype(np.float32) @ _LUMA
    counts, _ = np.histogram(luma, _BINS, (0, 256))
    return np.sqrt(counts / luma.size).astype(np.float32)


def hash_of(picture: Image) -> NDArray[np.uint64]:
    """A hash (4) of 256 bits of a picture (64, 64, 3), of which few differ where a picture was scaled or compressed.

    Each bit says whether one of the 256 lowest frequencies is above their median.

    Source:
        Zauner 2010, "Implementation and benchmarking of perceptual image hash functions", 3.2.1, with 16 x 16
        frequencies where it has 8 x 8: aligned faces are more alike than other pictures are.
    """
    import cv2

    grey = cv2.resize(picture.astype(np.float32) @ _LUMA, (_HASH_PX, _HASH_PX), interpolation=cv2.INTER_AREA)
    frequencies = cv2.dct(grey)[:_HASH_SIDE, :_HASH_SIDE].ravel()
    bits = frequencies > np.median(frequencies)
    return np.packbits(bits).view(np.uint64)


def differing_bits(hashes: NDArray[np.uint64], one: NDArray[np.uint64]) -> NDArray[np.int64]:
    """In how many of 256 bits each of many hashes (N, 4) differs from one (4)."""
    return np.asarray(np.bitwise_count(hashes ^ one).sum(axis=1), np.int64)
