"""What an aligner is: square chips around a face in, 68 landmarks out, both in chip pixels."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.choices import REFEEDS, Lighting
from faceloom.faces import Images
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.five import FiveSquare
from faceloom.geometry.turning import is_lying
from faceloom.stage import Infer, NetworkPlugin, Tensors, require, require_finite


@dataclass(frozen=True, slots=True, kw_only=True)
class Square:
    """How the square that a network looks at is laid around what is known of a face."""

    scale: float
    """Side of the square over the longer side of the box."""
    turned: bool
    """Whether its upper edge follows the line of the eyes."""
    raised: float = 0.0
    """How far its middle lies above the box's, over the box's height."""

    def around(self, boxes: Boxes, turns: NDArray[np.float64]) -> Boxes:
        """Boxes (N, 4) of the same size, in whose middles the squares' are to be.

        Turns (N,) are the radians by which the faces lie turned clockwise: where up is, and which side is the height.
        """
        sides = boxes[:, 2:] - boxes[:, :2]
        up = self.raised * np.where(is_lying(turns), sides[:, 0], sides[:, 1])
        down = np.stack([-np.sin(turns), np.cos(turns)] * 2, axis=1)
        return np.asarray(boxes - up[:, None] * down, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """What an aligner answers for N chips, in chip pixels."""

    landmarks: Points
    """(N, 68, 2) in the iBUG order."""
    confidence: NDArray[np.float32]
    """(N,) in [0, 1]: the network's own belief that the chip shows a face; 1 where it has none."""
    extent: Boxes
    """(N, 4) box around every point the network found, also those outside the 68."""
    irises: Points | None = None
    """(N, 10, 2): of each iris its middle and right, upper, left and lower edge; None where nobody looks for them."""
    blendshapes: NDArray[np.float32] | None = None
    """(N, 52) in [0, 1]; None where nobody looks for them."""


Limit: TypeAlias = tuple[str, float | None]
"""A filter's name, and its threshold if it has one."""


@dataclass(frozen=True, kw_only=True)
class Aligner(NetworkPlugin):
    """Finds the landmarks of one face.

    The fields are the same for all aligners, and for the step that calls them: a plugin has nothing to do with them.
    """

    normalize: str = Lighting.NONE.value
    """How the lighting of chips is made even before the network sees them."""
    refeed: int = 1
    """Over how many squares, all but the first of them a little beside it, what the network finds is averaged."""
    realign: bool = False
    """Whether the network looks once more, at a square laid by the landmarks it found."""
    two_looks: bool = False
    """Whether a first look finds the square even where keypoints tell it."""
    filters: tuple[Limit, ...] = ()
    """Which faces are marked as rejected when their landmarks are known (`pipeline.filters`)."""

    kind = "align"
    reads = frozenset({"boxes"})
    writes = frozenset({"landmarks"})
    input_size: ClassVar[int]
    """Side of the square chips."""
    first_square: ClassVar[Square]
    """Laid around the detector's box."""
    second_square: ClassVar[Square | None] = None
    """Laid around the extent of an answer, for networks that gain from a second look."""
    five_square: ClassVar[FiveSquare | None] = None
    """That extent, told by five keypoints: then a second look is spared where these are plausible."""

    sees: ClassVar[frozenset[str]] = frozenset()
    """What else it can tell of a face, `irises` and `blendshapes`, if it is asked by an option of that name."""
    joins_answers: ClassVar[bool] = False
    """Whether answers to several calls, laid one after another, can be decoded as one; it is faster."""

    def __post_init__(self) -> None:
        if self.normalize not in set(Lighting):
            raise ValueError(f"there is no normalize {self.normalize!r}; there are: {', '.join(Lighting)}")
        if self.refeed not in REFEEDS:
            raise ValueError(f"refeed is {self.refeed}, but has to be {REFEEDS.start} to {REFEEDS.stop - 1}")

    @property
    def configuration(self) -> dict[str, Any]:
        """Without those of all aligners that were not asked for: folders made before there were any go on."""
        usual = {field.name: field.default for field in fields(Aligner)}
        told = super().configuration.items()
        return {name: value for name, value in told if name not in usual or value != usual[name]}

    @property
    def looks(self) -> int:
        """How often the network looks at a face whose keypoints are plausible."""
        return self.refeed + (self.second_square is not None and not self.by_keypoints) + self.realign

    @property
    def by_keypoints(self) -> bool:
        """Whether five keypoints tell the square, where they are plausible."""
        return self.five_square is not None and not self.two_looks

    @abstractmethod
    def decode(self, outputs: Tensors) -> Alignment:
        """Landmarks for each chip of the batch."""

    def align(self, infer: Infer, images: Images) -> Alignment:
        """The landmarks in each of the chips (N, S, S, 3), held to the contract."""
        return self.align_each(infer, [images])

    def align_each(self, infer: Infer, batches: Iterable[Images]) -> Alignment:
        """The landmarks in each of the chips of several batches, which the network is given one after another."""
        answers: list[Tensors] = []
        count = 0
        for images in batches:
            count += len(images)
            answers += self.calls(infer, images)
        if self.joins_answers and len(answers) > 1:
            answers = [{name: np.concatenate([one[name] for one in answers]) for name in answers[0]}]
        found = _together([self.decode(answer) for answer in answers])
        require(found.landmarks.shape == (count, 68, 2), self, "landmarks (N, 68, 2)")
        require(found.landmarks.dtype == np.float32, self, "landmarks float32")
        require_finite(found.landmarks, self)
        require(found.confidence.shape == (count,), self, "confidence (N,)")
        require(found.extent.shape == (count, 4), self, "extent (N, 4)")
        require(found.irises is None or found.irises.shape == (count, 10, 2), self, "irises (N, 10, 2)")
        require(found.blendshapes is None or found.blendshapes.shape == (count, 52), self, "blendshapes (N, 52)")
        return found


def together(parts: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    """What several answers tell besides, one after another, if it was looked for."""
    seen = [part for part in parts if part is not None]
    return np.concatenate(seen) if seen else None


def _together(parts: Sequence[Alignment]) -> Alignment:
    """What an aligner answered in several calls, as if it had been one."""
    if len(parts) == 1:
        return parts[0]
    return Alignment(
        landmarks=np.concatenate([part.landmarks for part in parts]),
        confidence=np.concatenate([part.confidence for part in parts]),
        extent=np.concatenate([part.extent for part in parts]),
        irises=together([part.irises for part in parts]),
        blendshapes=together([part.blendshapes for part in parts]),
    )
