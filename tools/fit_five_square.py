"""Prints the table of `FaceMesh.five_square`, made from pictures: `python tools/fit_five_square.py DATA_FOLDER`.

For every face that YuNet finds, and its mirror image, the extent of the mesh that the second of two looks found is told
by the five keypoints: least squares with a little ridge, since keypoints of one face are never free of noise, made
symmetric. Pictures with landmarks made by people are not read: they are what benchmarks/accuracy.py measures against.
"""

import sys
from pathlib import Path

import numpy as np
from fit_landmark_tables import LONGEST_SIDE, MIN_SIDE_PX, load, pictures
from numpy.typing import NDArray

import faceloom
from faceloom.align.facemesh import FaceMesh
from faceloom.geometry.five import features_of, on_mean_face
from faceloom.pipeline.aligning import AlignStep

RIDGE = 1.0


MIRRORED = (0, 2, 1, 3, 5, 4, 7, 6, 8, 10, 9)
"""Which row belongs to the mirror image's point."""


def symmetric(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """The table's mean with the one that mirrored faces would give: to the right becomes to the left."""
    signs = np.ones_like(table)
    signs[[0, *range(6, 11)], 0] = -1
    signs[1:6, 1:] = -1
    return (table + signs * table[list(MIRRORED)]) / 2


def main() -> None:
    frames = faceloom.stream(pictures(Path(sys.argv[1])), align=None, detect_size=LONGEST_SIDE, min_score=0.8)
    faces = [face for frame in frames for face in frame.faces if face.box[2] - face.box[0] >= MIN_SIDE_PX]
    step = AlignStep("align/facemesh", FaceMesh(two_looks=True), load(FaceMesh()), 1)
    boxes = step._laid(faces).boxes
    lain = on_mean_face(np.stack([face.keypoints for face in faces if face.keypoints is not None]))
    middles = (boxes[:, 0] + boxes[:, 2] + 1j * (boxes[:, 1] + boxes[:, 3])) / 2
    apart = (middles - lain.middle) / lain.scale
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / np.abs(lain.scale)
    told, features = np.column_stack([apart.real, apart.imag, sides]), features_of(lain)
    ridge = RIDGE * np.diag([0.0] + [1.0] * (features.shape[1] - 1))
    table = symmetric(np.linalg.solve(features.T @ features + ridge, features.T @ told))
    print(f"{len(faces)} faces; standard deviation of what is left: {(told - features @ table).std(axis=0).round(3)}")
    print("\n".join(f"({', '.join(f'{value:.3f}' for value in row)})," for row in table))


if __name__ == "__main__":
    main()
