"""One number that says how good a face is: whether an embedding of it will agree with those of its person."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from faceloom.geometry.pose import Pose
from faceloom.geometry.sharpness import Appearance

_WEIGHTS: Mapping[str, Mapping[str, float]] = tomllib.loads(
    resources.files("faceloom.geometry").joinpath("quality.toml").read_text(encoding="utf-8")
)
# What a good face has, as the clean pictures of the fit do; beyond it nothing is gained.
_GOOD_EYES_PX, _GOOD_SHARPNESS, _GOOD_CONTRAST, _GOOD_SCORE, _GOOD_SPREAD = 40.0, 30.0, 35.0, 0.93, 0.05
_HALF_LIGHT = 128.0
_YAW_DEG, _PITCH_DEG = 45.0, 30.0
_LEAST = 1e-3
"""Stands for nothing where a logarithm is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What is known of a face that tells how good it is."""

    eyes_px: float
    """Between the outer corners of the eyes."""
    look: Appearance
    pose: Pose
    confidence: float
    """Of the aligner, 0 to 1."""
    score: float
    """Of the detector, 0 to 1."""
    outside: float
    """Share of the landmarks beyond the frame, 0 to 1."""
    spread: float | None
    """Between several aligners; None if there was one."""


def quality(signs: Signs) -> float:
    """How good a face is, 0 to 1: the product of what each sign leaves of 1, exp(-weight * fault).

    The weights, those of a single aligner and those of several, are fitted by benchmarks/quality.py, which says how.
    """
    weights = _WEIGHTS["alone" if signs.spread is None else "several"]
    found = faults(signs)
    return math.exp(-sum(weight * found[name] for name, weight in weights.items()))


def faults(signs: Signs) -> dict[str, float]:
    """What is wrong with a face, sign by sign, 0 where nothing is."""
    spread = _GOOD_SPREAD if signs.spread is None else signs.spread
    return {
        "size": _short_of(signs.eyes_px, _GOOD_EYES_PX),
        "sharpness": _short_of(signs.look.sharpness, _GOOD_SHARPNESS),
        "contrast": _short_of(signs.look.contrast, _GOOD_CONTRAST),
        "light": ((signs.look.light - _HALF_LIGHT) / _HALF_LIGHT) ** 2,
        "yaw": (signs.pose.yaw / _YAW_DEG) ** 2,
        "pitch": (signs.pose.pitch / _PITCH_DEG) ** 2,
        "confidence": 1 - signs.confidence,
        "score": max(0.0, _GOOD_SCORE - signs.score),
        "border": signs.outside,
        "spread": max(0.0, math.log(max(spread, _LEAST) / _GOOD_SPREAD)),
    }


def _short_of(value: float, good: float) -> float:
    """Logarithm of how many times a value is less than a good one."""
    return max(0.0, math.log(good / max(value, _LEAST)))
