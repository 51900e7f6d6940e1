"""Sheets: chips side by side in one picture."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from faceloom.errors import FaceloomError
from faceloom.faces import Image
from faceloom.results.pictures import read_small_chip

_NOTHING = 128
"""The grey of a place without a chip."""


def tiled(folder: Path, chips: Sequence[str | None], *, across: int, size: int) -> Image:
    """Chips in rows of `across`, each scaled down to a square of `size` pixels; grey where one cannot be read."""
    tiles = np.full((-(-max(1, len(chips)) // across), across, size, size, 3), _NOTHING, np.uint8)
    for place, chip in enumerate(chips):
        if chip is None:
            continue
        try:
            small = read_small_chip(folder, chip, longest=size)
        except FaceloomError:  # of one that is shown alone the reason is told
            continue
        tiles[place // across, place % across, : small.shape[0], : small.shape[1]] = small
    rows = tiles.shape[0]
    return np.ascontiguousarray(tiles.transpose(0, 2, 1, 3, 4)).reshape(rows * size, across * size, 3)
