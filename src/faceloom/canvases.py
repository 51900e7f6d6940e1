"""The canvases that a detector is given of a frame: whole, turned, and in tiles; numbers in, numbers out."""

import math
from dataclasses import replace

from faceloom.detect import Detector
from faceloom.geometry.letterbox import canvas_shape, scaled_shape
from faceloom.geometry.turning import turned_shape

TILES_OVERLAP = 4
"""Side of a tile over what it shares with its neighbour, at least."""
DOUBTFUL = 0.5
"""Share of the frames that are expected to be looked at turned."""
ALONE_SCALE = 2.0
"""Side of the square that a face is looked at in alone, over the longer side of its box."""
_ALONE_PX = 128
"""To which that square is scaled down."""
_FACES_ALONE, _FRAMES_TURNED = 1.0, 0.1
"""Faces of a frame that are expected to be looked at alone, and frames to be looked at turned for what that shows."""


def tile_starts(plugin: Detector, height: int, width: int) -> tuple[list[int], list[int]]:
    """First rows and first columns of the tiles of a frame; none where the whole frame is not scaled down anyway.

    Tiles lie evenly, and overlap by at least `overlap_px`.
    """
    if not plugin.tile_px or max(height, width) <= fitting_side(plugin, height, width):
        return [], []
    rows, columns = (_starts(length, plugin.tile_px, overlap_px(plugin)) for length in (height, width))
    return rows, columns


def overlap_px(plugin: Detector) -> int:
    """How far tiles overlap at least: smaller faces are within a tile wherever they are."""
    return plugin.tile_px // TILES_OVERLAP


def _starts(length: int, side: int, overlap: int) -> list[int]:
    if length <= side:
        return [0]
    gaps = -(-(length - side) // (side - overlap))
    return [round(i * (length - side) / gaps) for i in range(gaps + 1)]


def upright_canvas(plugin: Detector, height: int, width: int) -> tuple[int, int]:
    """Height and width of the canvas for a frame that is looked at as it is."""
    return _canvas(plugin, (height, width), longest_side=plugin.longest_side, enlarge=plugin.enlarge)


def fitting_side(plugin: Detector, height: int, width: int, *, turned_deg: float = 0.0) -> int:
    """The longer side to which a frame is scaled down, once it is turned back, if it is larger.

    That is the detector's own or, where the network takes one canvas, what lets all of the frame lie within that.
    """
    if not plugin.canvas:
        return plugin.longest_side
    shape = _turned(height, width, turned_deg, longest_side=2 * max(height, width))  # as large as it is
    least = min(most * max(shape) // side for most, side in zip(plugin.canvas, shape, strict=True))
    least = max(1, min(plugin.longest_side, least))
    while not _lies_within(_turned(height, width, turned_deg, longest_side=least), plugin.canvas) and least > 1:
        least -= 1  # what is turned by no quarter takes up whole pixels, a part of one more than its share
    return least


def _turned(height: int, width: int, degrees: float, *, longest_side: int) -> tuple[int, int]:
    if not degrees:
        return scaled_shape(height, width, longest_side)
    return turned_shape(height, width, degrees=degrees, longest_side=longest_side)


def _lies_within(shape: tuple[int, int], canvas: tuple[int, ...]) -> bool:
    return all(side <= most for side, most in zip(shape, canvas, strict=True))


def largest_canvas(plugin: Detector, height: int, width: int) -> tuple[int, int]:
    """Height and width of the largest canvas that a detector may be called with for a frame."""
    return max((canvas for canvas, _ in _looks(plugin, height, width)), key=_pixels)


def looks_a_frame(plugin: Detector, height: int, width: int) -> float:
    """Looks that a frame is expected to take, each as long as one at the largest of its canvases: pixels take time.

    Where faces are followed, most frames take none.
    """
    looks = _looks(plugin, height, width)
    each = sum(_pixels(canvas) * times for canvas, times in looks) / max(_pixels(canvas) for canvas, _ in looks)
    return each / plugin.detect_every


def scratch_bytes(plugin: Detector, frame_bytes: int) -> int:
    """What looking takes beside the canvases: one frame that has been scaled and is yet to be turned."""
    most = min(frame_bytes, 3 * plugin.longest_side**2)
    return math.ceil(most * plugin.enlarge**2) if plugin.turns else 0


def plain(plugin: Detector, canvas: tuple[int, int]) -> Detector:
    """The same detector as it looks at a frame of the size of a canvas: once, and without scaling it."""
    return replace(
        plugin,
        turns=(),
        turns_by_signs=False,
        tile_px=0,
        longest_side=max(canvas),
        enlarge=1.0,
        detect_every=1,
    )


def screening(plugin: Detector) -> Detector:
    """The same detector as it looks for frames that are turned: at half the size."""
    return replace(plugin, tile_px=0, longest_side=max(1, plugin.longest_side // 2))


def alone(plugin: Detector) -> Detector:
    """The same detector as it looks at one face that it has found, to see how it stands."""
    least = min(plugin.min_score, 0.3)
    return replace(plugin, tile_px=0, longest_side=min(_ALONE_PX, plugin.longest_side), min_score=least)


def _looks(plugin: Detector, height: int, width: int) -> list[tuple[tuple[int, int], float]]:
    """The canvases of every look that a frame may get, each with how often that is expected."""
    rows, columns = tile_starts(plugin, height, width)
    tiles = [(tile_canvas(plugin, height, width), float(len(rows) * len(columns)))] if rows else []
    share = _FRAMES_TURNED if plugin.turns_by_signs else DOUBTFUL
    turned = [(canvas_of(plugin, height, width, turned_deg=turned_deg), share) for turned_deg in plugin.turns]
    return [(upright_canvas(plugin, height, width), 1.0), *tiles, *turned, *_small_looks(plugin, height, width)]


def _small_looks(plugin: Detector, height: int, width: int) -> list[tuple[tuple[int, int], float]]:
    """The canvases of looks that tell whether another is worth while."""
    if not plugin.turns_by_signs:
        return []
    small, square = screening(plugin), min(_ALONE_PX, max(height, width))
    screens = [(canvas_of(small, height, width, turned_deg=turned_deg), DOUBTFUL) for turned_deg in plugin.turns]
    return [*screens, (upright_canvas(alone(plugin), square, square), _FACES_ALONE * (1 + len(plugin.turns)))]


def canvas_of(plugin: Detector, height: int, width: int, *, turned_deg: float) -> tuple[int, int]:
    """Height and width of the canvas for a frame that is turned back."""
    if not turned_deg:
        return upright_canvas(plugin, height, width)
    shape = turned_shape(height, width, degrees=turned_deg, longest_side=plugin.longest_side, enlarge=plugin.enlarge)
    return _canvas(plugin, shape, longest_side=max(shape), enlarge=1.0)


def tile_canvas(plugin: Detector, height: int, width: int) -> tuple[int, int]:
    """Height and width of the canvas for each tile of a frame."""
    side = plugin.tile_px
    return _canvas(plugin, (min(height, side), min(width, side)), longest_side=side, enlarge=plugin.enlarge)


def _canvas(plugin: Detector, shape: tuple[int, int], *, longest_side: int, enlarge: float) -> tuple[int, int]:
    """Height and width of the canvas for what has a shape."""
    if plugin.canvas:
        height, width = plugin.canvas
        return height, width
    return canvas_shape(*shape, longest_side=longest_side, side_multiple=plugin.side_multiple, enlarge=enlarge)


def _pixels(shape: tuple[int, int]) -> int:
    return shape[0] * shape[1]
