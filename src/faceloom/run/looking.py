"""How a detector looks at frames: whole, turned, and in tiles."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice, product

import numpy as np

from faceloom.detect import Detector
from faceloom.faces import Image
from faceloom.geometry.affine import Affine, compose, translation
from faceloom.geometry.letterbox import canvas_shape, lay
from faceloom.geometry.turning import lay_turned, turned_shape
from faceloom.run.sights import WHOLE, Place, Sight, merged
from faceloom.stage import Infer

TILES_OVERLAP = 4
"""Side of a tile over what it shares with its neighbour, at least."""
DOUBTFUL = 0.5
"""Share of the frames that are expected to be looked at turned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A frame, or a tile of it, as it is to be laid on a canvas."""

    image: Image
    canvas: tuple[int, int]
    """Height and width."""
    longest_side: int
    turned_deg: float = 0.0
    place: Place = WHOLE

    def lay(self, *, into: Image) -> Affine:
        if self.turned_deg:
            return lay_turned(self.image, degrees=self.turned_deg, longest_side=self.longest_side, into=into)
        return compose(
            translation(self.place.x, self.place.y), lay(self.image, longest_side=self.longest_side, into=into)
        )


def look(
    plugin: Detector, infer: Infer, images: Sequence[Image], *, turned_deg: float = 0.0, batch: int
) -> list[Sight]:
    """What a detector finds in frames that are turned back by an angle, in calls of at most `batch` canvases.

    Frames that are not turned are looked at in tiles too, if that was asked for.
    """
    wholes = [
        _View(
            image=image,
            canvas=_canvas(plugin, *image.shape[:2], turned_deg=turned_deg),
            longest_side=plugin.longest_side,
            turned_deg=turned_deg,
        )
        for image in images
    ]
    tiles = [[] if turned_deg else list(_tiles(plugin, image)) for image in images]
    found = iter(_sights(plugin, infer, [*wholes, *chain.from_iterable(tiles)], batch=batch))
    sights = list(islice(found, len(images)))
    return [
        merged(whole, list(islice(found, len(views))), [view.place for view in views], overlap_px=overlap_px(plugin))
        if views
        else whole
        for whole, views in zip(sights, tiles, strict=True)
    ]


def _sights(plugin: Detector, infer: Infer, views: Sequence[_View], *, batch: int) -> list[Sight]:
    groups = defaultdict(list)
    for i, view in enumerate(views):
        groups[view.canvas].append(i)
    sights: dict[int, Sight] = {}
    for indexes in groups.values():
        for start in range(0, len(indexes), batch):
            some = indexes[start : start + batch]
            sights.update(zip(some, _call(plugin, infer, [views[i] for i in some]), strict=True))
    return [sights[i] for i in range(len(views))]


def _call(plugin: Detector, infer: Infer, views: Sequence[_View]) -> list[Sight]:
    """What is found in views whose canvases have one shape, in one call; the canvases go with it."""
    canvases = np.zeros((len(views), *views[0].canvas, 3), np.uint8)
    maps = [view.lay(into=canvas) for view, canvas in zip(views, canvases, strict=True)]
    return [
        Sight(candidates=candidates, canvas_to_frame=canvas_to_frame, turned_deg=view.turned_deg)
        for candidates, canvas_to_frame, view in zip(plugin.detect(infer, canvases), maps, views, strict=True)
    ]


def _tiles(plugin: Detector, image: Image) -> Iterator[_View]:
    """The tiles of a frame, row by row."""
    height, width = image.shape[:2]
    rows, columns = tile_starts(plugin, height, width)
    side = plugin.tile_px
    for y, x in product(rows, columns):
        tile = image[y : y + side, x : x + side]
        place = Place(x=x, y=y, inner=(x > 0, y > 0, x + side < width, y + side < height), side=side)
        yield _View(image=tile, canvas=_tile_canvas(plugin, height, width), longest_side=side, place=place)


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
    tiles = [(_tile_canvas(plugin, height, width), float(len(rows) * len(columns)))] if rows else []
    turned = [(_canvas(plugin, height, width, turned_deg=turned_deg), DOUBTFUL) for turned_deg in plugin.turns]
    return [(upright_canvas(plugin, height, width), 1.0), *tiles, *turned]


def _canvas(plugin: Detector, height: int, width: int, *, turned_deg: float) -> tuple[int, int]:
    """Height and width of the canvas for a frame that is turned back."""
    if not turned_deg:
        return upright_canvas(plugin, height, width)
    shape = turned_shape(height, width, degrees=turned_deg, longest_side=plugin.longest_side)
    return canvas_shape(*shape, longest_side=plugin.longest_side, side_multiple=plugin.side_multiple)


def _tile_canvas(plugin: Detector, height: int, width: int) -> tuple[int, int]:
    side = plugin.tile_px
    return canvas_shape(min(height, side), min(width, side), longest_side=side, side_multiple=plugin.side_multiple)


def _pixels(shape: tuple[int, int]) -> int:
    return shape[0] * shape[1]
