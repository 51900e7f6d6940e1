"""Looking: what a detector sees of frames, whole, turned and in tiles, and how that becomes faces."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, product

import numpy as np
from numpy.typing import NDArray

from faceloom.canvases import canvas_of, fitting_side, overlap_px, tile_canvas, tile_starts
from faceloom.detect import Detector
from faceloom.faces import Candidates, Face, Image
from faceloom.frame import Frame
from faceloom.geometry.affine import Affine, Points, apply, compose, translation
from faceloom.geometry.boxes import Boxes, covered, nms
from faceloom.geometry.letterbox import lay
from faceloom.geometry.turning import boxes_turned_back, lay_turned
from faceloom.selection import EVERY_FACE, Choice
from faceloom.stage import Infer

EDGE_PX = 4
"""A face that comes so near to an edge of a tile inside the frame is cut off there."""
MOST_COVERED = 0.5
"""How much of a face in a tile may be covered by a large one in the whole frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a detector found in a frame, and where on the frame that is."""

    candidates: Candidates
    canvas_to_frame: Affine
    turned_deg: float = 0.0
    """By how many degrees the frame was turned back."""

    def in_frame(self, kept: NDArray[np.intp]) -> tuple[Boxes, Points | None]:
        """Boxes (K, 4) and keypoints (K, 5, 2) of some of the candidates, in frame pixels."""
        boxes, keypoints = self.candidates.boxes[kept], self.candidates.keypoints
        if self.turned_deg:
            boxes = boxes_turned_back(boxes, self.canvas_to_frame, degrees=self.turned_deg)
        else:
            boxes = apply(self.canvas_to_frame, boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        return boxes, None if keypoints is None else apply(self.canvas_to_frame, keypoints[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a tile lies in its frame."""

    x: int = 0
    """Column of the frame where it begins."""
    y: int = 0
    side: int = 0
    inner: tuple[bool, bool, bool, bool] = (False, False, False, False)
    """Whether the frame goes on beyond its left, upper, right and lower edge."""

    def holds(self, boxes: Boxes) -> NDArray[np.bool_]:
        """(N,) whether the tile sees what is in boxes (N, 4) of the frame whole, and does not cut it."""
        edges = np.array([self.x, self.y, self.x + self.side, self.y + self.side], np.float32)
        away = (boxes - edges) * np.array([1, 1, -1, -1], np.float32)  # (N, 4) inside an edge by so much
        return np.asarray(((away >= EDGE_PX) | ~np.array(self.inner)).all(axis=1))


WHOLE = Place()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looker:
    """A detector whose network is loaded, and which of the faces that it sees are kept."""

    plugin: Detector
    infer: Infer
    batch: int
    """How many canvases a call takes."""
    choice: Choice = EVERY_FACE

    def faces(self, frames: Sequence[Frame], *, turned_deg: float = 0.0) -> list[Sequence[Face]]:
        """The faces that a look at each of the frames finds, turned back by an angle, best score first."""
        sights = look(
            self.plugin, self.infer, [frame.image for frame in frames], turned_deg=turned_deg, batch=self.batch
        )
        return [
            faces_of(frame, sight, max_iou=self.plugin.max_iou, choice=self.choice)
            for frame, sight in zip(frames, sights, strict=True)
        ]


def faces_of(frame: Frame, sight: Sight, *, max_iou: float, choice: Choice = EVERY_FACE) -> list[Face]:
    """The faces that the choice keeps of what was seen in a frame, best score first."""
    height, width = frame.image.shape[:2]
    candidates = sight.candidates
    kept = nms(candidates.boxes, candidates.scores, max_iou=max_iou)
    boxes, keypoints = sight.in_frame(kept)
    chosen = choice.kept(boxes, height=height, width=width)
    kept, boxes, keypoints = kept[chosen], boxes[chosen], None if keypoints is None else keypoints[chosen]
    return [
        Face(
            frame=frame.id,
            index=i,
            box=boxes[i],
            score=float(candidates.scores[kept[i]]),
            time=frame.time,
            keypoints=None if keypoints is None else keypoints[i],
            turned_deg=sight.turned_deg,
        )
        for i in range(len(kept))
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A frame, or a tile of it, as it is to be laid on a canvas."""

    image: Image
    canvas: tuple[int, int]
    """The height and width of the canvas."""
    longest_side: int
    enlarge: float
    turned_deg: float = 0.0
    place: Place = WHOLE

    def lay(self, *, into: Image) -> Affine:
        if self.turned_deg:
            return lay_turned(
                self.image,
                degrees=self.turned_deg,
                longest_side=self.longest_side,
                enlarge=self.enlarge,
                into=into,
            )
        laid = lay(self.image, longest_side=self.longest_side, enlarge=self.enlarge, into=into)
        return compose(translation(self.place.x, self.place.y), laid)


def look(
    plugin: Detector, infer: Infer, images: Sequence[Image], *, turned_deg: float = 0.0, batch: int
) -> list[Sight]:
    """Finds candidates in frames that are turned back by an angle, in calls of at most `batch` canvases.

    Frames that are not turned are looked at in tiles too, if that was asked for.
    """
    wholes = [
        _View(
            image=image,
            canvas=canvas_of(plugin, *image.shape[:2], turned_deg=turned_deg),
            longest_side=fitting_side(plugin, *image.shape[:2], turned_deg=turned_deg),
            enlarge=plugin.enlarge,
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
        yield _View(
            image=tile,
            canvas=tile_canvas(plugin, height, width),
            longest_side=side,
            enlarge=plugin.enlarge,
            place=place,
        )


def merged(whole: Sight, tiles: Sequence[Sight], places: Sequence[Place], *, overlap_px: int) -> Sight:
    """Joins what was seen in a frame and in its tiles, in frame pixels.

    What a tile cuts is left out: a neighbour sees it whole or, if it is larger than tiles overlap, the look at the
    whole frame does. Such large faces are left to that look, so that no part of one counts as another face.
    """
    seen = [_in_frame(whole)]
    large = seen[0].boxes[(seen[0].boxes[:, 2:] - seen[0].boxes[:, :2]).max(axis=1, initial=0) > overlap_px]
    for sight, place in zip(tiles, places, strict=True):
        candidates = _in_frame(sight)
        is_own = place.holds(candidates.boxes) & (covered(candidates.boxes, large) < MOST_COVERED)
        seen.append(_some(candidates, is_own))
    return Sight(candidates=_together(seen), canvas_to_frame=translation(0, 0))


def _in_frame(sight: Sight) -> Candidates:
    boxes, keypoints = sight.in_frame(np.arange(len(sight.candidates.scores)))
    return Candidates(boxes=boxes, scores=sight.candidates.scores, keypoints=keypoints)


def _some(candidates: Candidates, which: NDArray[np.bool_]) -> Candidates:
    keypoints = None if candidates.keypoints is None else candidates.keypoints[which]
    return Candidates(boxes=candidates.boxes[which], scores=candidates.scores[which], keypoints=keypoints)


def _together(parts: Sequence[Candidates]) -> Candidates:
    keypoints = [part.keypoints for part in parts if part.keypoints is not None]
    return Candidates(
        boxes=np.concatenate([part.boxes for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        keypoints=np.concatenate(keypoints) if keypoints else None,
    )
