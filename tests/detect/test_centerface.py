"""CenterFace against a decoder written cell by cell."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import faceloom
from faceloom.detect.centerface import CenterFace
from faceloom.engines.engine import Network
from faceloom.geometry.boxes import iou
from faceloom.stage import Tensors
from plugins import canvases

Row = tuple[float, list[float], list[list[float]]]
"""Score, box, keypoints."""


def decoded(outputs: Tensors, item: int, *, height: int, width: int) -> list[Row]:
    """The candidates of one image, as the paper lays them out and its authors' program holds them inside."""
    heatmap, scales, offsets, points = (outputs[name][item] for name in ("537", "538", "539", "540"))
    rows: list[Row] = []
    for y in range(height // 4):
        for x in range(width // 4):
            score = float(heatmap[0, y, x])
            if score < 0.5:
                continue
            box_height, box_width = 4 * math.exp(scales[0, y, x]), 4 * math.exp(scales[1, y, x])
            left = 4 * (x + float(offsets[1, y, x]) + 0.5) - box_width / 2
            top = 4 * (y + float(offsets[0, y, x]) + 0.5) - box_height / 2
            left, top = min(max(left, 0.0), width), min(max(top, 0.0), height)
            box = [left, top, min(left + box_width, width), min(top + box_height, height)]
            keypoints = [
                [left + float(points[2 * i + 1, y, x]) * box_width, top + float(points[2 * i, y, x]) * box_height]
                for i in range(5)
            ]
            rows.append((score, box, keypoints))
    return rows


def test_candidates_are_those_of_a_decoder_cell_by_cell(network: Callable[[str], Network], samples: Path) -> None:
    plugin, images = CenterFace(), canvases(samples)
    outputs = network("centerface")(plugin.prepare(images))
    for i, candidates in enumerate(plugin.decode(outputs, height=352, width=320)):
        expected = sorted(decoded(outputs, i, height=352, width=320))
        order = np.argsort(candidates.scores)
        assert candidates.keypoints is not None
        np.testing.assert_allclose(candidates.scores[order], [row[0] for row in expected])
        np.testing.assert_allclose(
            candidates.boxes[order], np.reshape([row[1] for row in expected], (-1, 4)), atol=0.01
        )
        points = np.reshape([row[2] for row in expected], (-1, 5, 2))
        np.testing.assert_allclose(candidates.keypoints[order], points, atol=0.01)


@pytest.mark.parametrize("corner", ["top left", "bottom right"])
def test_a_face_cut_by_the_edge_keeps_its_box_inside(corner: str) -> None:
    row, column = (0, 0) if corner == "top left" else (15, 23)
    heads = {
        name: np.zeros((1, channels, 16, 24), np.float32)
        for name, channels in (("537", 1), ("538", 2), ("539", 2), ("540", 10))
    }
    heads["537"][0, 0, row, column] = 0.9
    heads["538"][0, :, row, column] = math.log(5)  # 20 pixels high and wide
    (candidates,) = CenterFace().decode(heads, height=64, width=96)
    expected = [0, 0, 20, 20] if corner == "top left" else [84, 52, 96, 64]
    np.testing.assert_allclose(candidates.boxes, [expected], atol=0.01)


def test_the_faces_of_a_crowd_are_found(samples: Path, network: Callable[[str], Network]) -> None:
    network("centerface")  # skips where its weights cannot be had
    truth = np.array(json.loads((samples / "truth.json").read_text())["crowd.jpg"][0], np.float32)
    (frame,) = faceloom.stream(samples / "crowd.jpg", detect="centerface", align=None, detect_size=1600)
    overlaps = iou(truth, np.array([face.box for face in frame.faces], np.float32))
    assert (overlaps.max(axis=1) > 0.5).mean() >= 0.9
