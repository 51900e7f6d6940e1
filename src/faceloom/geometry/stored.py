"""Stored pictures: where what lies in an upright picture lies in one that is stored turned or mirrored, and back.

Coordinates are shares of width and height, 0 to 1, of (x, y). Orientations are EXIF's (2.32, table 6): what the stored
picture needs to stand upright.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Turning:
    """Which coordinate of the stored picture each upright one is, and whether it counts from the other end."""

    swaps: bool
    flips_x: bool
    """Of the upright picture."""
    flips_y: bool


_TURNS: Mapping[int, _Turning] = {
    1: _Turning(False, False, False),
    2: _Turning(False, True, False),
    3: _Turning(False, True, True),
    4: _Turning(False, False, True),
    5: _Turning(True, False, False),
    6: _Turning(True, True, False),
    7: _Turning(True, True, True),
    8: _Turning(True, False, True),
}


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle in a picture, in shares of its width and height."""

    x: float
    """Of its middle, as the next."""
    y: float
    width: float
    height: float


def as_stored(area: Area, orientation: int) -> Area:
    """The place in the stored picture of an area of the upright one; an unknown orientation turns nothing."""
    turn = _TURNS.get(orientation, _TURNS[1])
    x = 1 - area.x if turn.flips_x else area.x
    y = 1 - area.y if turn.flips_y else area.y
    return Area(y, x, area.height, area.width) if turn.swaps else Area(x, y, area.width, area.height)


def as_upright(area: Area, orientation: int) -> Area:
    """The place in the upright picture of an area of the stored one."""
    turn = _TURNS.get(orientation, _TURNS[1])
    told = Area(area.y, area.x, area.height, area.width) if turn.swaps else area
    x = 1 - told.x if turn.flips_x else told.x
    y = 1 - told.y if turn.flips_y else told.y
    return Area(x, y, told.width, told.height)
