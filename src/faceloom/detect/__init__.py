"""What a detector is: letterboxed canvases in, candidate boxes out, both in canvas pixels."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from faceloom.faces import Candidates, Images
from faceloom.stage import Infer, NetworkPlugin, Signature, Tensors, require, require_finite

MOST_ENLARGED = 4.0
_LOOKS = frozenset({"turns", "turns_by_signs", "tile_px", "canvas", "enlarge", "detect_every"})


@dataclass(frozen=True, kw_only=True)
class Detector(NetworkPlugin):
    """Finds the faces of whole frames."""

    kind = "detect"
    reads = frozenset({"frames"})
    writes = frozenset({"boxes"})
    side_multiple: ClassVar[int] = 32
    """Both sides of a canvas are multiples of this."""

    min_score: float = 0.6
    """Candidates below it are never returned."""
    max_iou: float = 0.3
    """Of two boxes that overlap by more than this, the better one stays."""
    longest_side: int = 1024
    """A larger frame is scaled down until its longer side has this many pixels; a smaller one is left as it is."""
    turns: tuple[float, ...] = ()
    """Degrees by which faces may lie turned clockwise, each above 0 and below 360: a frame in which no face is found
    upright is looked at again turned back by each of these, until a face is found."""
    turns_by_signs: bool = False
    """Whether only what shows signs of being turned is looked at turned (`pipeline.signs`)."""
    tile_px: int = 0
    """Side of overlapping squares of a frame that are looked at as they are, beside the frame as a whole, where that
    is scaled down; 0 for none."""
    canvas: tuple[int, ...] = ()
    """Height and width of the only canvas that the network takes; empty where it takes any. Frames are scaled down
    until they lie within it, and the rest of it is black."""

    enlarge: float = 1.0
    """How many times as large as that frames and tiles are looked at; they are interpolated."""
    detect_every: int = 1
    """Of every so many frames of a video the first is looked at; faces are followed through the others, as far as they
    can be (`pipeline.following`)."""

    def __post_init__(self) -> None:
        if not 1 <= self.enlarge <= MOST_ENLARGED:
            raise ValueError(f"frames are enlarged by 1 to {MOST_ENLARGED:g}, not by {self.enlarge:g}")
        if self.detect_every < 1:
            raise ValueError(f"a detector looks at every frame, or every n-th, not at every {self.detect_every}th")
        if self.canvas and self.enlarge != 1:
            height, width = self.canvas
            raise ValueError(f"the only canvas that the network takes is {width} x {height}, and nothing is enlarged")
        if self.canvas and (len(self.canvas) != 2 or min(self.canvas) < 1):
            raise ValueError(f"a canvas has a height and a width, not {self.canvas}")
        if self.canvas and self.tile_px > min(self.canvas):
            height, width = self.canvas
            raise ValueError(
                f"tiles of {self.tile_px} pixels do not lie within the only canvas that the network takes, {width} x "
                f"{height}; ask for at most {min(self.canvas)}"
            )

    @property
    def configuration(self) -> dict[str, Any]:
        """Without the looks that were not asked for: folders made before there were any can still be gone on with."""
        usual = {field.name: field.default for field in fields(Detector) if field.name in _LOOKS}
        told = super().configuration.items()
        return {name: value for name, value in told if name not in usual or value != usual[name]}

    @classmethod
    def options_of_axes(cls, signature: Signature) -> Mapping[str, Any]:
        _, (_, _, height, width) = signature.images()
        if (height is None) != (width is None):
            raise ValueError("it fixes one side of its pictures and leaves the other free")
        return {**super().options_of_axes(signature), **({} if height is None else {"canvas": (height, width)})}

    @abstractmethod
    def decode(self, outputs: Tensors, *, height: int, width: int) -> tuple[Candidates, ...]:
        """One `Candidates` for each image of the batch, for canvases of this height and width.

        Only candidates with a score of at least `min_score`; overlapping ones are left to the caller.
        """

    def detect(self, infer: Infer, images: Images) -> tuple[Candidates, ...]:
        """The candidates in each of the canvases (B, H, W, 3), held to the contract."""
        _, height, width, _ = images.shape
        answers = self.calls(infer, images)
        found = tuple(chain.from_iterable(self.decode(answer, height=height, width=width) for answer in answers))
        require(
            len(found) == len(images),
            self,
            f"{len(images)} answers for {len(images)} images, not {len(found)}",
        )
        for candidates in found:
            self._check(candidates)
        return found

    def _check(self, candidates: Candidates) -> None:
        boxes, scores, keypoints = candidates.boxes, candidates.scores, candidates.keypoints
        count = len(scores)
        require(boxes.shape == (count, 4) and boxes.dtype == np.float32, self, "boxes (K, 4) float32")
        require(scores.shape == (count,) and scores.dtype == np.float32, self, "scores (K,) float32")
        require_finite(boxes, self)
        require(bool(((scores >= 0) & (scores <= 1)).all()), self, "scores in [0, 1]")
        if keypoints is not None:
            require(keypoints.shape == (count, 5, 2), self, "keypoints (K, 5, 2)")
