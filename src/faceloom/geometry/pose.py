"""How a head is turned, from the landmarks of its face alone."""

import math
import tomllib
from importlib import resources
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import DegeneratePointsError
from faceloom.geometry.affine import Points
from faceloom.geometry.landmarks import INNER

# Made by tools/fit_head.py, which says how.
_TABLES = tomllib.loads(resources.files("faceloom.geometry").joinpath("head.toml").read_text(encoding="utf-8"))
MEAN_HEAD = np.array(_TABLES["mean_head"], np.float64)
"""(68, 3) in units of the distance between the eye centres, around the middle of the inner points; x to the right, y
down, z into the picture."""
_INNER = MEAN_HEAD[INNER]
_SPREAD = tuple(map(tuple, (_INNER.T @ _INNER).tolist()))
_MOST_ROUNDS = 100
_CLOSE_RAD = 1e-5
_LONGEST_STEP = 0.5
"""Radians, and a logarithm of scale: where points are far from any face, a full step may lead further away."""

_Row: TypeAlias = tuple[float, float, float]
_Turn: TypeAlias = tuple[_Row, _Row, _Row]
"""A rotation. Python's own floats, as in `affine`: NumPy takes twice the time for so few of them."""


class Pose(NamedTuple):
    """How a head is turned, in degrees; all 0 is straight at the camera, as in a frontal portrait."""

    pitch: float
    """-180 to 180: up if positive; beyond 90 only where the points are no face."""
    yaw: float
    """-90 to 90: to the right of the picture if positive."""
    roll: float
    """-180 to 180: clockwise in the picture if positive. Turning a picture turns this alone."""


def fit_pose(landmarks: Points) -> Pose:
    """The pose under which the mean head, seen from afar, comes nearest to the landmarks (68, 2) of a face.

    Scaled orthographic projection, least squares over turn, scale and place. The inner points decide: on a turned head
    the points of the jaw are another line of it. Perspective and the shape of the face at hand are left in the error.

    Raises:
        DegeneratePointsError: all landmarks coincide.

    Source:
        The camera of DeMenthon and Davis 1995, IJCV 15, "Model-based object pose in 25 lines of code", whose first
        step this is; solved by Gauss-Newton, from straight ahead, which is as far from either of the two poses that
        points of little depth allow. Angles: the head pitches first, then yaws, then rolls.
    """
    return _angles(_fit(_centred(landmarks))[0])


def backwards(landmarks: Points) -> NDArray[np.float32]:
    """Where (2,) a point of the head that lies behind another by the distance between the eyes is seen beside it.

    In pixels; nowhere else on a head that looks straight at the camera.

    Raises:
        DegeneratePointsError: all landmarks coincide.
    """
    (x, y, _), scale = _fit(_centred(landmarks))
    return np.array([scale * x[2], scale * y[2]], np.float32)


def distance_to_mean_head(landmarks: Points) -> float:
    """How far the inner landmarks of a face (68, 2) lie from those of the mean head in its pose, on the mean.

    In distances between the eyes; people are apart by 0.03 to 0.1.

    Raises:
        DegeneratePointsError: all landmarks coincide.
    """
    points = _centred(landmarks)
    turn, scale = _fit(points)
    return float(np.linalg.norm(points / scale - _INNER @ np.array(turn[:2]).T, axis=1).mean())


def _centred(landmarks: Points) -> NDArray[np.float64]:
    """The inner points (51, 2) around their middle."""
    points = landmarks[INNER].astype(np.float64)
    return np.asarray(points - points.mean(axis=0), np.float64)


def _fit(points: NDArray[np.float64]) -> tuple[_Turn, float]:
    across, down = (points.T @ _INNER).tolist()
    turn, scale = _straight_ahead(across, down)
    for _ in range(_MOST_ROUNDS):
        step, growth = _step(turn, across, down, scale)
        turn, scale = _turned(turn, step), scale * math.exp(growth)
        if max(abs(growth), *map(abs, step)) < _CLOSE_RAD:
            break
    return turn, scale


def _dot(one: _Row, other: _Row) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _straight_ahead(across: _Row, down: _Row) -> tuple[_Turn, float]:
    """The turn and scale of the best similarity in the plane; given are the products of both axes with the head."""
    cos, sin = across[0] + down[1], down[0] - across[1]
    length = math.hypot(cos, sin)
    if not length > 1e-9:
        raise DegeneratePointsError("landmarks that lie in one place have no pose")
    cos, sin = cos / length, sin / length
    return ((cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0)), length / (_SPREAD[0][0] + _SPREAD[1][1])


def _step(turn: _Turn, across: _Row, down: _Row, scale: float) -> tuple[_Row, float]:
    """The Gauss-Newton step: a rotation vector in the camera's axes, and the growth of the scale's logarithm.

    The points themselves are not needed, only their products; and the four normal equations fall apart, since growth
    and roll move each point at right angles, and pitch and yaw do.
    """
    x, y, z = turn
    deep: _Row = (_dot(_SPREAD[0], z), _dot(_SPREAD[1], z), _dot(_SPREAD[2], z))
    xz, yz, zz = _dot(x, deep), _dot(y, deep), _dot(z, deep)
    flat = _SPREAD[0][0] + _SPREAD[1][1] + _SPREAD[2][2] - zz
    grow = (_dot(across, x) + _dot(down, y)) / scale - flat
    roll = (_dot(down, x) - _dot(across, y)) / scale
    yaw, pitch = _dot(across, z) / scale - xz, yz - _dot(down, z) / scale
    share = flat - (xz * xz + yz * yz) / zz
    growth = (grow - (xz * yaw - yz * pitch) / zz) / share
    about_z = (roll + (yz * yaw + xz * pitch) / zz) / share
    about_y = (yaw - xz * growth + yz * about_z) / zz
    about_x = (pitch + yz * growth + xz * about_z) / zz
    longest = max(abs(growth), abs(about_x), abs(about_y), abs(about_z))
    part = _LONGEST_STEP / longest if longest > _LONGEST_STEP else 1.0
    return (part * about_x, part * about_y, part * about_z), part * growth


def _turned(turn: _Turn, step: _Row) -> _Turn:
    """The turn, followed by a rotation about a vector by its length (Rodrigues)."""
    angle = math.sqrt(_dot(step, step))
    if not angle:
        return turn
    x, y, z = step[0] / angle, step[1] / angle, step[2] / angle
    cos, sin = math.cos(angle), math.sin(angle)
    rest = 1 - cos
    rows = (
        (cos + rest * x * x, rest * x * y - sin * z, rest * x * z + sin * y),
        (rest * x * y + sin * z, cos + rest * y * y, rest * y * z - sin * x),
        (rest * x * z - sin * y, rest * y * z + sin * x, cos + rest * z * z),
    )
    (a, b, c), (d, e, f), (g, h, i) = turn
    first, second, third = ((p * a + q * d + r * g, p * b + q * e + r * h, p * c + q * f + r * i) for p, q, r in rows)
    return first, second, third


def _angles(turn: _Turn) -> Pose:
    """Of a rotation that pitches, then yaws, then rolls; y is down, so that up and right are negative turns."""
    (a, _, _), (d, _, _), (g, h, i) = turn
    yaw = math.asin(max(-1.0, min(1.0, g)))
    return Pose(*map(math.degrees, (-math.atan2(h, i), yaw, math.atan2(d, a))))
