"""Any network that answers points, from a file of the user's own: `--align onnx --weights align/onnx=FILE`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from faceloom.align import Aligner, Alignment, Square
from faceloom.faces import Images
from faceloom.geometry.affine import Points
from faceloom.geometry.landmarks import extent
from faceloom.geometry.schemes import SCHEMES, scheme_of
from faceloom.stage import PinnedFile, Signature, Tensors
from faceloom.tensors import OwnInput, one_of, sigmoid

_COUNTS = tuple(sorted({count for scheme in SCHEMES.values() for count in scheme.counts}))
_NUMBERS = (2, 3)
"""A point has x and y, and may have a third number, which is left out."""


@dataclass(frozen=True, kw_only=True)
class OnnxAligner(OwnInput, Aligner):
    """Takes chips with three planes of colour; the number of points tells which they are."""

    weights = PinnedFile(
        name="align-onnx",
        file="align.onnx",
        sha256="",
        size_bytes=0,
        licence="the file's",
        about="any ONNX network that answers landmarks, by --weights align/onnx=FILE (docs/plugins.md)",
        places=(),
        dynamic=("batch",),
    )
    input_size: int = 112  # type: ignore[misc]  # here the file decides, as it does the next three
    points: str = "output"
    """The output that holds the points."""
    count: int = 68
    numbers: int = 2
    """That each point has."""
    scale: float = 1 / 255
    scheme: str = "ibug"
    """Which points they are: `ibug`, `five`, `wflw`, `insightface`, `jd` or `mesh`; if not said, by their number."""
    unit: str = "share"
    """Of the points: `share` of the side of the chip, `px` of it, or `centred`, from -1 to 1."""
    presence: str = ""
    """The output that tells whether there is a face; empty for none."""
    presence_answers: str = "logits"
    """Or `probabilities`."""
    first_scale: float = 1.1
    """Side of the square that is looked at, over the longer side of the detector's box."""
    first_turned: bool = False
    """Whether its upper edge follows the line of the eyes."""
    second_scale: float = 0.0
    """Side of the square of a second look, over the longer side of all points of the first; 0 for no second look."""
    second_turned: bool = True

    _usual: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
        {
            "wflw": {"first_scale": 1.0},
            # `landmark.py` of InsightFace's package: squares of 1.5, answers from -1 to 1.
            "insightface": {"unit": "centred", "first_scale": 1.5},
            # MediaPipe's networks answer in pixels; squares as for align/facemesh.
            "mesh": {"unit": "px", "first_scale": 1.3, "first_turned": True, "second_scale": 1.5},
        }
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        Aligner.__post_init__(self)
        one_of(self.scheme, SCHEMES, "scheme")
        one_of(self.unit, ("share", "px", "centred"), "unit")
        one_of(self.presence_answers, ("logits", "probabilities"), "kind of answers")
        if self.count not in SCHEMES[self.scheme].counts:
            counts = " or ".join(map(str, SCHEMES[self.scheme].counts))
            raise ValueError(f"the scheme {self.scheme} has {counts} points, and there are {self.count}")

    @property
    def first_square(self) -> Square:  # type: ignore[override]
        """The square around the detector's box."""
        return Square(scale=self.first_scale, turned=self.first_turned)

    @property
    def second_square(self) -> Square | None:  # type: ignore[override]
        """The square around what the first look found."""
        return Square(scale=self.second_scale, turned=self.second_turned) if self.second_scale else None

    @classmethod
    def options_for(cls, signature: Signature) -> Mapping[str, Any]:
        name, size = signature.chips(usual_size=signature.tried[0])
        points, count, numbers = _points_among(signature.answered)
        scheme = scheme_of(count)
        assert scheme
        told = {"input_name": name, "input_size": size, "points": points, "count": count, "numbers": numbers}
        return {**told, "scheme": scheme.name, **cls._usual.get(scheme.name, {}), **_presence(signature, scheme.name)}

    def prepare(self, images: Images) -> Tensors:
        return self.tensors(images)

    def decode(self, outputs: Tensors) -> Alignment:
        answered = np.asarray(outputs[self.points], np.float32).reshape(-1, self.count, self.numbers)
        points = self._in_pixels(answered[..., :2])
        landmarks = np.asarray(SCHEMES[self.scheme].to_ibug(points), np.float32)
        around = landmarks if self.count < landmarks.shape[1] else points
        return Alignment(landmarks=landmarks, confidence=self._confidence(outputs, len(points)), extent=extent(around))

    def _in_pixels(self, points: Points) -> Points:
        if self.unit == "px":
            return points
        share = (points + 1) / 2 if self.unit == "centred" else points
        return np.asarray(share * np.float32(self.input_size), np.float32)

    def _confidence(self, outputs: Tensors, count: int) -> NDArray[np.float32]:
        if not self.presence:
            return np.ones(count, np.float32)
        answered = np.asarray(outputs[self.presence], np.float32).reshape(count)
        return sigmoid(answered) if self.presence_answers == "logits" else np.clip(answered, 0, 1)


def _points_among(answered: Mapping[str, tuple[int, ...]]) -> tuple[str, int, int]:
    """The output that holds points, how many, and how many numbers each has.

    Raises:
        ValueError: no output holds so many points as any scheme has, or several do.
    """
    sizes = {name: math.prod(shape) for name, shape in answered.items()}
    found = [
        (name, count, numbers)
        for name, size in sizes.items()
        for count in _COUNTS
        for numbers in _NUMBERS
        if size == count * numbers
    ]
    if len(found) == 1:
        return found[0]
    told = ", ".join(f"{name} {shape}" for name, shape in answered.items())
    known = ", ".join(map(str, _COUNTS))
    raise ValueError(f"it answers {told}: {len(found)} of these hold points, {known} of them with 2 or 3 numbers each")


def _presence(signature: Signature, scheme: str) -> Mapping[str, Any]:
    """FaceMesh answers besides, in one number, whether there is a face."""
    single = [name for name, shape in signature.answered.items() if math.prod(shape) == 1]
    return {"presence": single[0]} if scheme == "mesh" and len(single) == 1 else {}
