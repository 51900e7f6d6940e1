import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import faceloom.geometry.quality
from faceloom.geometry.pose import Pose
from faceloom.geometry.quality import Signs, faults, quality
from faceloom.geometry.sharpness import Appearance

GOOD = Signs(
    eyes_px=90.0,
    look=Appearance(sharpness=100.0, light=128.0, contrast=50.0),
    pose=Pose(0.0, 0.0, 0.0),
    confidence=1.0,
    score=0.95,
    outside=0.0,
    spread=None,
)
WORSE: Mapping[str, Callable[[float], dict[str, Any]]] = {
    "size": lambda by: {"eyes_px": 40 * (1 - by)},
    "sharpness": lambda by: {"look": replace(GOOD.look, sharpness=30 * (1 - by))},
    "contrast": lambda by: {"look": replace(GOOD.look, contrast=35 * (1 - by))},
    "light": lambda by: {"look": replace(GOOD.look, light=128 * (1 - by))},
    "yaw": lambda by: {"pose": Pose(0.0, -90 * by, 0.0)},
    "pitch": lambda by: {"pose": Pose(60 * by, 0.0, 0.0)},
    "confidence": lambda by: {"confidence": 1 - by},
    "score": lambda by: {"score": 0.93 * (1 - by)},
    "border": lambda by: {"outside": by},
    "spread": lambda by: {"spread": 0.05 + by},
}
"""What makes a face worse, sign by sign; by how much, 0 to 1."""
shares = st.floats(0.0, 1.0)


def test_a_face_without_a_fault_is_as_good_as_can_be() -> None:
    assert quality(GOOD) == 1
    assert quality(replace(GOOD, spread=0.04)) == 1


def test_a_head_that_is_tilted_in_the_picture_is_no_worse() -> None:
    assert quality(replace(GOOD, pose=Pose(0.0, 0.0, 80.0))) == 1


@pytest.mark.parametrize("name", WORSE)
@given(one=shares, other=shares)
def test_more_of_a_fault_is_never_better_and_touches_no_other(name: str, one: float, other: float) -> None:
    less, more = (replace(GOOD, **WORSE[name](by)) for by in sorted((one, other)))
    assert 0 <= quality(more) <= quality(less) <= 1
    assert {what for what, fault in faults(more).items() if fault} <= {name}


@given(shares, shares, shares)
def test_what_is_left_is_the_product_of_what_each_fault_leaves(confidence: float, score: float, outside: float) -> None:
    alone = (replace(GOOD, confidence=confidence), replace(GOOD, score=score), replace(GOOD, outside=outside))
    expected = math.prod([quality(one) for one in alone])
    assert quality(replace(GOOD, confidence=confidence, score=score, outside=outside)) == pytest.approx(expected)


def test_every_weight_belongs_to_a_sign_and_none_is_negative() -> None:
    tables = tomllib.loads(Path(faceloom.geometry.quality.__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    assert set(tables) == {"alone", "several"}
    for weights in tables.values():
        assert set(weights) <= set(faults(GOOD))
        assert all(weight > 0 for weight in weights.values())
