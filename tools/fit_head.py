"""Makes src/faceloom/geometry/head.toml from pictures: `python tools/fit_head.py DATA_FOLDER`.

FaceMesh tells a depth with each of its 468 points. The head is the mean of the 68 points in space over all faces that
`fit_landmark_tables` finds, after Procrustes alignment (Gower 1975, Psychometrika 40(1)) by turning, moving and scaling
in space, made symmetric, in units of the distance between the eye centres, around the middle of the inner points.

Where it looks: straight ahead by its symmetry, and level in the sense that heads in the frontal portraits of FASSEG
are on the mean; what the mesh calls level is some eleven degrees off that.
"""

import sys
from pathlib import Path

import numpy as np
from fit_landmark_tables import MIRROR, meshes_of, pictures
from numpy.typing import NDArray

from faceloom.geometry.landmarks import INNER, LEFT_EYE, RIGHT_EYE, from_mesh

PORTRAITS = ("fasseg_v2/V2/Train_RGB", "fasseg_v2/V2/Test_RGB")
OTHERS = ("lfw_subset_krasserm", "dlib_examples/examples")
TARGET = Path(__file__).parents[1] / "src/faceloom/geometry/head.toml"
ROUNDS = 10

Solid = NDArray[np.float64]
"""(68, 3): x to the right, y down, z into the picture."""


def fit_turn(source: Solid, target: Solid) -> tuple[NDArray[np.float64], float]:
    """The rotation (3, 3) and scale that lay points around their middle on others around theirs.

    Source: Umeyama 1991, IEEE TPAMI 13(4), eqs. 38-43.
    """
    left, values, right = np.linalg.svd(target.T @ source)
    signs = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    return (left * signs) @ right, float((values * signs).sum() / (source**2).sum())


def centred(points: Solid) -> Solid:
    return np.asarray(points - points[..., INNER, :].mean(axis=-2, keepdims=True), np.float64)


def laid_on(points: Solid, target: Solid) -> Solid:
    turn, scale = fit_turn(points[INNER], target[INNER])
    return np.asarray(scale * points @ turn.T, np.float64)


def upright(head: Solid) -> Solid:
    """The eyes level and one apart, and looking as the mesh calls straight ahead."""
    across = head[RIGHT_EYE].mean(axis=0) - head[LEFT_EYE].mean(axis=0)
    side = across / np.linalg.norm(across)
    down = np.array([0, 1, 0]) - side * side[1]
    down /= np.linalg.norm(down)
    return np.asarray(head @ np.stack([side, down, np.cross(side, down)], axis=1) / np.linalg.norm(across), np.float64)


def mean_head(faces: Solid) -> Solid:
    mean = faces[0]
    for _ in range(ROUNDS):
        mean = centred(np.mean([laid_on(face, mean) for face in faces], axis=0))
        mean = upright((mean + laid_on(mean[MIRROR] * [-1, 1, 1], mean)) / 2)
    return centred((mean + mean[MIRROR] * [-1, 1, 1]) / 2)


def levelled(head: Solid, portraits: Solid) -> Solid:
    """The head, nodded so that the portraits are level on the mean."""
    turns = [fit_turn(head[INNER], face[INNER])[0] for face in portraits]
    nod = float(np.mean([np.arctan2(turn[2, 1], turn[2, 2]) for turn in turns]))
    cos, sin = np.cos(nod), np.sin(nod)
    return np.asarray(head @ np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]]).T, np.float64)


def main() -> None:
    root = Path(sys.argv[1])
    portraits, others = (
        centred(from_mesh(np.stack([mesh for *_, mesh in meshes_of(pictures(root, folders))])))
        for folders in (PORTRAITS, OTHERS)
    )
    faces = np.concatenate([portraits, others])
    head = levelled(mean_head(faces), portraits)
    lines = [
        f"# Made by tools/fit_head.py from {len(faces)} faces, mirror images included; see there.",
        "",
        "# (68, 3): units of the distance between the eye centres, around the middle of the inner points;",
        "# x to the right, y down, z into the picture",
        "mean_head = [",
    ]
    lines += [f"    [{x:.4f}, {y:.4f}, {z:.4f}]," for x, y, z in head + 0.0]
    TARGET.write_text("\n".join([*lines, "]", ""]))
    print(f"{TARGET.name}: {len(faces)} faces")


if __name__ == "__main__":
    main()
