"""How a detector looks at frames: whole, and turned."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from faceloom.detect import Detector
from faceloom.errors import RequestError
from faceloom.faces import Candidates, Face, Image
from faceloom.geometry.affine import Affine, Points, apply
from faceloom.geometry.boxes import Boxes, iou
from faceloom.geometry.chips import eye_angle
from faceloom.geometry.letterbox import canvas_shape, lay
from faceloom.geometry.turning import boxes_turned_back, lay_turned, steps, turned_shape
from faceloom.stage import Infer

LEAST_STEP_DEG = 5.0
NO_DOUBT = 0.92
"""Score from which a face with level eyes stands upright: none that lay, or stood on its head, was seen upright with as
much (measured, docs/accuracy.md)."""
MOST_TILT_DEG = 45.0
"""Of a level line of eyes."""
SAME_FACE_IOU = 0.3
DOUBTFUL = 0.5
"""Share of the frames that are expected to be looked at turned."""


def parse_turns(text: str) -> tuple[float, ...]:
    """Degrees in (0, 360) by which frames are turned back: `90` for its multiples, `0,45,315` for these, in this order.

    Raises:
        RequestError: the text is neither.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise RequestError(f"{text!r} says no angles; write a step like 90, or angles like 0,45,315")
    if len(numbers) > 1:
        return tuple(dict.fromkeys(number % 360 for number in numbers if number % 360))
    (step,) = numbers
    if not LEAST_STEP_DEG <= step < 360:
        raise RequestError(f"frames cannot be turned by steps of {step:g} degrees; ask for {LEAST_STEP_DEG:g} to 359")
    return steps(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a detector found in a frame, and where on the frame that is."""

    candidates: Candidates
    canvas_to_frame: Affine
    turned_deg: float = 0.0
    """By how much the frame was turned back."""

    def in_frame(self, kept: NDArray[np.intp]) -> tuple[Boxes, Points | None]:
        """Boxes (K, 4) and keypoints (K, 5, 2) of some of the candidates, in frame pixels."""
        boxes, keypoints = self.candidates.boxes[kept], self.candidates.keypoints
        if self.turned_deg:
            boxes = boxes_turned_back(boxes, self.canvas_to_frame, degrees=self.turned_deg)
        else:
            boxes = apply(self.canvas_to_frame, boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        return boxes, None if keypoints is None else apply(self.canvas_to_frame, keypoints[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A frame as it is to be laid on a canvas."""

    image: Image
    turned_deg: float
    shape: tuple[int, int]
    """Height and width of the canvas."""

    def lay(self, longest_side: int, *, into: Image) -> Affine:
        if not self.turned_deg:
            return lay(self.image, longest_side=longest_side, into=into)
        return lay_turned(self.image, degrees=self.turned_deg, longest_side=longest_side, into=into)


def look(
    plugin: Detector, infer: Infer, images: Sequence[Image], *, turned_deg: float = 0.0, batch: int
) -> tuple[Sight, ...]:
    """What a detector finds in frames that are turned back by an angle, in calls of at most `batch` canvases."""
    views = [
        _View(image=image, turned_deg=turned_deg, shape=_canvas(plugin, *image.shape[:2], turned_deg=turned_deg))
        for image in images
    ]
    groups = defaultdict(list)
    for i, view in enumerate(views):
        groups[view.shape].append(i)
    sights: dict[int, Sight] = {}
    for indexes in groups.values():
        for start in range(0, len(indexes), batch):
            some = indexes[start : start + batch]
            sights.update(zip(some, _call(plugin, infer, [views[i] for i in some]), strict=True))
    return tuple(sights[i] for i in range(len(views)))


def _call(plugin: Detector, infer: Infer, views: Sequence[_View]) -> list[Sight]:
    """What is found in views whose canvases have one shape, in one call; the canvases go with it."""
    canvases = np.zeros((len(views), *views[0].shape, 3), np.uint8)
    maps = [view.lay(plugin.longest_side, into=canvas) for view, canvas in zip(views, canvases, strict=True)]
    return [
        Sight(candidates=candidates, canvas_to_frame=canvas_to_frame, turned_deg=view.turned_deg)
        for candidates, canvas_to_frame, view in zip(plugin.detect(infer, canvases), maps, views, strict=True)
    ]


def upright_canvas(plugin: Detector, height: int, width: int) -> tuple[int, int]:
    """Height and width of the canvas for a frame that is looked at as it is."""
    return canvas_shape(height, width, longest_side=plugin.longest_side, side_multiple=plugin.side_multiple)


def largest_canvas(plugin: Detector, height: int, width: int) -> tuple[int, int]:
    """Height and width of the largest canvas that a detector may be called with for a frame."""
    return max(_canvases(plugin, height, width), key=_pixels)


def looks_a_frame(plugin: Detector, height: int, width: int) -> float:
    """Looks that a frame is expected to take, each as long as one at the largest of its canvases: pixels take time."""
    upright, *turned = map(_pixels, _canvases(plugin, height, width))
    return (upright + DOUBTFUL * sum(turned)) / max(upright, *turned, 1)


def scratch_bytes(plugin: Detector, frame_bytes: int) -> int:
    """What looking takes beside the canvases: one frame that has been scaled and is yet to be turned."""
    return min(frame_bytes, 3 * plugin.longest_side**2) if plugin.turns else 0


def plain(plugin: Detector, canvas: tuple[int, int]) -> Detector:
    """The same detector as it looks at a frame of the size of a canvas: once, and without scaling it."""
    return replace(plugin, turns=(), longest_side=max(canvas))


def _canvases(plugin: Detector, height: int, width: int) -> list[tuple[int, int]]:
    """Of every look that a frame may get, the upright one's first."""
    turned = [_canvas(plugin, height, width, turned_deg=turned_deg) for turned_deg in plugin.turns]
    return [upright_canvas(plugin, height, width), *turned]


def _canvas(plugin: Detector, height: int, width: int, *, turned_deg: float) -> tuple[int, int]:
    """Height and width of the canvas for a frame that is turned back."""
    if not turned_deg:
        return upright_canvas(plugin, height, width)
    shape = turned_shape(height, width, degrees=turned_deg, longest_side=plugin.longest_side)
    return canvas_shape(*shape, longest_side=plugin.longest_side, side_multiple=plugin.side_multiple)


def _pixels(shape: tuple[int, int]) -> int:
    return shape[0] * shape[1]


def is_beyond_doubt(faces: Sequence[Face]) -> bool:
    """Whether one of the faces of a look stands upright in it for certain."""
    return _uprightness(faces) >= NO_DOUBT


def better(faces: Sequence[Face], turned: Sequence[Face]) -> Sequence[Face]:
    """Of the faces that two looks found in one frame, those of the one that saw them upright.

    The second look has to see a face of the first one better: it is not enough that it finds another.
    """
    if not faces:
        return turned
    if _uprightness(turned) <= _uprightness(faces):
        return faces
    best = max(turned, key=_upright_score)
    overlaps = iou(best.box[None], np.stack([face.box for face in faces]))
    return turned if overlaps.max() > SAME_FACE_IOU else faces


def _uprightness(faces: Sequence[Face]) -> float:
    return max(map(_upright_score, faces), default=0.0)


def _upright_score(face: Face) -> float:
    """The score of a face that stands upright on the canvas in which it was found, as far as keypoints tell; else 0."""
    if face.keypoints is None:
        return face.score
    tilt_deg = math.degrees(eye_angle(face.keypoints)) - face.turned_deg
    return face.score if abs((tilt_deg + 180) % 360 - 180) < MOST_TILT_DEG else 0.0
