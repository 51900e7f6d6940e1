from typing import Any

import numpy as np
import pytest

from faceloom.geometry.affine import apply, square_to_image
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.picking.features import BLOCKS, expressions, features_of, on_mean_face


def root_mean_square(points: "np.ndarray[Any, Any]") -> float:
    """Of the distances of all pairs, pairs of one face included."""
    return float(np.sqrt((((points[:, None] - points[None]) ** 2).sum(axis=2)).mean()))


def test_each_block_counts_with_its_weight_whatever_its_unit() -> None:
    rng = np.random.default_rng(2)
    blocks = {"pose": rng.normal(size=(40, 3)) * 50, "identity": rng.normal(size=(40, 16)), "time": rng.random((40, 1))}
    blocks["time"] *= 1e4
    features = features_of(blocks)
    for name, columns in features.blocks.items():
        assert root_mean_square(features.points[:, columns]) == pytest.approx(BLOCKS[name].weight, rel=1e-3)


def test_noise_counts_less() -> None:
    poses = np.random.default_rng(3).normal(size=(40, 3)) * 0.1
    assert root_mean_square(features_of({"pose": poses}).points) < 0.1 * BLOCKS["pose"].weight


def test_what_is_not_known_is_in_the_middle() -> None:
    poses = np.array([[0.0, -30, 0], [0, 30, 0], [np.nan, np.nan, np.nan]])
    features = features_of({"pose": poses, "light": np.full((3, 3), np.nan)})
    assert list(features.blocks) == ["pose"]
    apart = np.linalg.norm(features.points - features.points[2], axis=1)
    assert apart[0] == pytest.approx(apart[1])
    assert features.part(0, 1) == "pose"


def test_expressions_do_not_depend_on_place_size_and_turn() -> None:
    smile = (MEAN_FACE * 80 + 200).astype(np.float32)
    smile[[48, 54]] += [[-6, -9], [6, -9]]
    smile[65:68, 1] += 14
    turned = apply(square_to_image((31, 7), 900, angle=0.7, size=256), smile)
    plain, one, other, none = expressions([MEAN_FACE.astype(np.float32), smile, turned, None])
    assert np.allclose(one, other, atol=1e-3)
    assert one[0] > plain[0] + 0.1  # an open mouth
    assert one[2] > plain[2]  # a wider one
    assert np.isnan(none).all()
    assert on_mean_face(np.zeros((68, 2), np.float32)) is None
