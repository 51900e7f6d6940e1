"""The canvases that a detector is given of a frame: whole, turned, and in tiles; numbers in, numbers out."""

from dataclasses import replace

from faceloom.detect import Detector
from faceloom.geometry.letterbox import canvas_shape
from faceloom.geometry.turning import turned_shape

TILES_OVERLAP = 4
"""Side of a tile over what it shares with its neighbour, at least."""
DOUBTFUL = 0.5
"""Share of the frames that are expected to be looked at turned."""


def tile_starts(plugin: Detector, height: int, width: int) -> tuple[list[int], list[int]]:
    """First rows and first columns of the tiles of a frame; none where the whole frame is not scaled down anyway.

    Tiles lie evenly, and overlap by at least `overlap_px`.
    """
    if not plugin.tile_px or max(height, width) <= plugin.longest_side:
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
    return canvas_shape(height, width, longest_side=plugin.longest_side, side_multiple=plugin.side_multiple)


def largest_canvas(plugin: Detector, height: int, width: int) -> tuple[int, int]:
    """Height and width of the largest canvas that a detector may be called with for a frame."""
    return max((canvas for canvas, _ in _looks(plugin, height, width)), key=_pixels)


def looks_a_frame(plugin: Detector, height: int, width: int) -> float:
    """Looks that a frame is expected to take, each as long as one at the largest of its canvases: pixels take time."""
    looks = _looks(plugin, height, width)
    return sum(_pixels(canvas) * times for canvas, times in looks) / max(_pixels(canvas) for canvas, _ in looks)


def scratch_bytes(plugin: Detector, frame_bytes: int) -> int:
    """What looking takes beside the canvases: one frame that has been scaled and is yet to be turned."""
    return min(frame_bytes, 3 * plugin.longest_side**2) if plugin.turns else 0


def plain(plugin: Detector, canvas: tuple[int, int]) -> Detector:
    """The same detector as it looks at a frame of the size of a canvas: once, and without scaling it."""
    return replace(plugin, turns=(), tile_px=0, longest_side=max(canvas))


def _looks(plugin: Detector, height: int, width: int) -> list[tuple[tuple[int, int], float]]:
    """The canvases of every look that a frame may get, each with how often that is expected."""
    rows, columns = tile_starts(plugin, height, width)
    tiles = [(tile_canvas(plugin, height, width), float(len(rows) * len(columns)))] if rows else []
    turned = [(canvas_of(plugin, height, width, turned_deg=turned_deg), DOUBTFUL) for turned_deg in plugin.turns]
    return [(upright_canvas(plugin, height, width), 1.0), *tiles, *turned]


def canvas_of(plugin: Detector, height: int, width: int, *, turned_deg: float) -> tuple[int, int]:
    """Height and width of the canvas for a frame that is turned back."""
    if not turned_deg:
        return upright_canvas(plugin, height, width)
    shape = turned_shape(height, width, degrees=turned_deg, longest_side=plugin.longest_side)
    return canvas_shape(*shape, longest_side=plugin.longest_side, side_multiple=plugin.side_multiple)


def tile_canvas(plugin: Detector, height: int, width: int) -> tuple[int, int]:
    """Height and width of the canvas for each tile of a frame."""
    side = plugin.tile_px
    return canvas_shape(min(height, side), min(width, side), longest_side=side, side_multiple=plugin.side_multiple)


def _pixels(shape: tuple[int, int]) -> int:
    return shape[0] * shape[1]
