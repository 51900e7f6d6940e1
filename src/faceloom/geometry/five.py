"""Five keypoints, and the square that an aligner wants around the face that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.landmarks import MEAN_FACE, five_keypoints

_MEAN_FIVE = five_keypoints(MEAN_FACE.astype(np.float32))
_MEAN = (_MEAN_FIVE[:, 0] + 1j * _MEAN_FIVE[:, 1]).astype(np.complex128)
_MEAN_MIDDLE = complex(_MEAN.mean())
_CENTRED = _MEAN - _MEAN_MIDDLE

_NO_FACE = 1e6
"""Departure that stands for no similarity at all: a number, so that arithmetic goes on."""
_MOST_MISFIT = 0.3  # of 540 faces that YuNet found 0.05 is the median and 0.21 the most
_MOST_APART = 0.35  # of a box's longer side; of those faces 0.09 is the most
_RATIOS = (0.5, 1.5)  # square to the box's longer side; of those faces 0.73 to 0.96


@dataclass(frozen=True, slots=True)
class OnMeanFace:
    """Faces, as the nearest similarity of the mean face to their five keypoints tells them.

    Source: Umeyama 1991, IEEE TPAMI 13(4), eqs. 38-43; in the plane a similarity is z -> a z + b of complex numbers.
    """

    scale: NDArray[np.complex128]
    """(N,) a: what a unit of the mean face becomes in the frame, and how it is turned; 0 where all points coincide."""
    middle: NDArray[np.complex128]
    """(N,) frame pixels of the middle of the keypoints."""
    departures: NDArray[np.complex128]
    """(N, 5) by how much each point lies beside the mean face's, in units of the mean face's eye distance."""

    @property
    def angles(self) -> NDArray[np.float64]:
        """(N,) radians by which the faces are turned clockwise."""
        return np.angle(self.scale)

    @property
    def misfit(self) -> NDArray[np.float64]:
        """(N,) root mean square of the departures; beyond all measure where there is no similarity."""
        return np.asarray(np.sqrt((np.abs(self.departures) ** 2).mean(axis=1)), np.float64)


def on_mean_face(keypoints: Points) -> OnMeanFace:
    """Lays the mean face on the five keypoints (N, 5, 2) of each of N faces."""
    points = keypoints[..., 0].astype(np.float64) + 1j * keypoints[..., 1]
    middle = points.mean(axis=1)
    scale = (points - middle[:, None]) @ _CENTRED.conj() / np.vdot(_CENTRED, _CENTRED).real
    found = np.abs(scale) > 1e-6
    upright = (points - middle[:, None]) / np.where(found, scale, 1)[:, None]
    departures = np.where(found[:, None], upright - _CENTRED, _NO_FACE)
    return OnMeanFace(np.where(found, scale, 0), middle, departures)


@dataclass(frozen=True, slots=True)
class FiveSquare:
    """A square that follows from five keypoints: how it lies about the mean face, and moves with their departures."""

    table: Sequence[tuple[float, float, float]]
    """(11, 3): middle (x, y) and side, in units of the mean face's eye distance from the middle of its five points;
    then what a unit of departure of each point to the right adds to these three, then of each point downwards."""

    def around(self, faces: OnMeanFace) -> Boxes:
        """(N, 4) square boxes in frame pixels, before they are turned by the faces' angles."""
        features = features_of(faces)
        x, y, sides = (features @ np.array(self.table)).T
        middles = faces.middle + faces.scale * (x + 1j * y)
        halves = np.abs(faces.scale) * sides / 2
        return np.stack(
            [middles.real - halves, middles.imag - halves, middles.real + halves, middles.imag + halves], axis=1
        ).astype(np.float32)


def features_of(faces: OnMeanFace) -> NDArray[np.float64]:
    """(N, 11) what a table's rows are multiplied by: 1, the departures to the right, and those downwards."""
    ones = np.ones((len(faces.scale), 1))
    return np.concatenate([ones, faces.departures.real, faces.departures.imag], axis=1)


def are_plausible(faces: OnMeanFace, squares: Boxes, boxes: Boxes) -> NDArray[np.bool_]:
    """(N,) whether five keypoints can be a face's, and the squares (N, 4) laid by them the place of its box (N, 4)."""
    sides, places = squares[:, 2] - squares[:, 0], boxes[:, 2:] - boxes[:, :2]
    ratio = sides / np.maximum(places.max(axis=1), 1e-6)
    apart = np.abs(squares[:, :2] + squares[:, 2:] - boxes[:, :2] - boxes[:, 2:]).max(axis=1) / 2
    near = apart < _MOST_APART * places.max(axis=1)
    return np.asarray((faces.misfit < _MOST_MISFIT) & near & (_RATIOS[0] < ratio) & (ratio < _RATIOS[1]))
