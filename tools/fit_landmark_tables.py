"""Makes src/faceloom/geometry/landmarks.toml from pictures: `python tools/fit_landmark_tables.py DATA_FOLDER`.

Two tables come out:

- `mesh`: which vertices of the FaceMesh each of the 68 points is, with weights. Eyes, nose and mouth are
  single vertices, chosen by their anatomy. Jaw and brows follow another convention in the mesh, so for
  those each point is the weighted mean of three vertices that lies nearest, over many faces, to where a
  network trained on that convention (PFLD) puts it.
- `mean_face`: the mean of all faces after Procrustes alignment (Gower 1975, Psychometrika 40(1)), made
  symmetric, in units of the distance between the eye centres, around the middle of the inner points.

Pictures with landmarks made by people are not read: they are what benchmarks/accuracy.py measures against.
"""

import itertools
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.align.facemesh import FaceMesh, mesh_points
from faceloom.align.pfld import Pfld
from faceloom.detect.yunet import YuNet
from faceloom.engines.onnx import OnnxEngine
from faceloom.geometry.affine import Points, apply, fit_similarity, invert
from faceloom.geometry.boxes import Boxes, nms
from faceloom.geometry.chips import box_to_chip, cut, eye_angle
from faceloom.geometry.landmarks import INNER, LEFT_EYE, RIGHT_EYE, extent, outer_eye_distance
from faceloom.geometry.letterbox import canvas_shape, lay
from faceloom.models.weights import WeightCache
from faceloom.stage import Infer, NetworkPlugin

FOLDERS = ("lfw_subset_krasserm", "dlib_examples/examples", "fasseg_v2/V2/Train_RGB", "fasseg_v2/V2/Test_RGB")
TARGET = Path(__file__).parents[1] / "src/faceloom/geometry/landmarks.toml"
# fmt: off
ANATOMY = [  # the usual vertices for points 27-67: nose, eyes, mouth
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
]
MIRROR = [
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
]
# fmt: on
FITTED = 27
MIN_SIDE_PX = 50
LONGEST_SIDE = 2048
NEAREST = 9


def load(plugin: NetworkPlugin) -> Infer:
    return OnnxEngine().load(WeightCache.of_user().prepare(plugin.weights))


def pictures(root: Path, folders: Sequence[str] = FOLDERS) -> Iterator[NDArray[np.uint8]]:
    """Every picture and its mirror image, so that the tables come out nearly symmetric."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".jpg", ".png"}:
                image = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)
                yield image
                yield np.ascontiguousarray(image[:, ::-1])


def meshes_of(
    images: Iterable[NDArray[np.uint8]],
) -> Iterator[tuple[NDArray[np.uint8], Boxes, Points, NDArray[np.float32]]]:
    """Every face large enough: picture, box (4,), mesh (468, 2) in frame pixels, and (468, 3) as the network has it."""
    detector, mesher = YuNet(min_score=0.8), FaceMesh()
    detect, mesh = load(detector), load(mesher)
    for image in images:
        shape = canvas_shape(*image.shape[:2], longest_side=LONGEST_SIDE, side_multiple=detector.side_multiple)
        canvas = np.zeros((*shape, 3), np.uint8)
        canvas_to_frame = lay(image, longest_side=LONGEST_SIDE, into=canvas)
        (found,) = detector.detect(detect, canvas[None])
        assert found.keypoints is not None
        for i in nms(found.boxes, found.scores, max_iou=0.3):
            found_box = box = apply(canvas_to_frame, found.boxes[i].reshape(2, 2)).reshape(4)
            if box[2] - box[0] < MIN_SIDE_PX:
                continue
            angle, size = eye_angle(found.keypoints[i]), mesher.input_size
            for crop in (mesher.first_square, mesher.second_square):
                frame_to_chip = box_to_chip(box, scale=crop.scale, angle=angle, size=size)
                outputs = mesh(mesher.prepare(cut(image, frame_to_chip, size=size)[None]))
                points = apply(invert(frame_to_chip), mesh_points(outputs))
                box, angle = extent(points)[0], float(np.arctan2(*(points[0, 263] - points[0, 33])[::-1]))
            yield image, found_box, points[0], outputs["conv2d_20"].reshape(468, 3)


def measure(root: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mesh (F, 468, 2) and PFLD landmarks (F, 68, 2) of the same faces, frame pixels."""
    aligner = Pfld()
    align = load(aligner)
    meshes, targets = [], []
    for image, box, mesh, _ in meshes_of(pictures(root)):
        frame_to_chip = box_to_chip(box, scale=aligner.first_square.scale, angle=0, size=aligner.input_size)
        answer = aligner.align(align, cut(image, frame_to_chip, size=aligner.input_size)[None])
        meshes.append(mesh)
        targets.append(apply(invert(frame_to_chip), answer.landmarks[0]))
    return np.stack(meshes), np.stack(targets)


def fit_point(mesh: NDArray[np.float64], target: NDArray[np.float64]) -> tuple[list[int], list[float]]:
    """The best weighted mean of three of the nearest vertices: least squares, weights >= 0 with sum 1."""
    near = np.argsort(np.linalg.norm(mesh - target[:, None], axis=2).mean(axis=0))[:NEAREST]
    best: tuple[float, list[int], list[float]] = (np.inf, [], [])
    for triple in itertools.combinations(near, 3):
        a, b, c = (mesh[:, i].reshape(-1) for i in triple)
        pair, *_ = np.linalg.lstsq(np.stack([a - c, b - c], axis=1), target.reshape(-1) - c, rcond=None)
        weights = np.clip([*pair, 1 - pair.sum()], 0, None)
        weights = np.round(weights / weights.sum(), 3)
        error = float(np.linalg.norm(weights @ np.stack([a, b, c]) - target.reshape(-1)))
        if error < best[0]:
            best = (error, [int(i) for i in triple], [float(w) for w in weights])
    return best[1], best[2]


def mean_face(faces: NDArray[np.float32]) -> NDArray[np.float64]:
    """(68, 2), upright and symmetric."""
    mean = faces[0].astype(np.float64)
    for _ in range(10):
        aligned = [apply(fit_similarity(face[INNER], mean[INNER].astype(np.float32)), face) for face in faces]
        mean = np.mean(aligned, axis=0, dtype=np.float64)
        eyes = mean[RIGHT_EYE].mean(axis=0) - mean[LEFT_EYE].mean(axis=0)
        turn = np.array([[eyes[0], eyes[1]], [-eyes[1], eyes[0]]]) / (eyes @ eyes)
        mean = (mean - mean[INNER].mean(axis=0)) @ turn.T
        mean = (mean + mean[MIRROR] * [-1, 1]) / 2
    return np.asarray(mean, np.float64)


def main() -> None:
    meshes, targets = measure(Path(sys.argv[1]))
    scale = outer_eye_distance(targets)[:, None, None]
    plain = np.abs(meshes[:, ANATOMY] - targets[:, FITTED:]).mean(axis=(1, 2)) / scale[:, 0, 0]
    meshes, targets, scale = (values[plain < 0.08] for values in (meshes, targets, scale))  # both found the same face
    fits = [fit_point(meshes / scale, targets[:, i : i + 1][:, 0] / scale[:, 0]) for i in range(FITTED)]
    fits += [([vertex, vertex, vertex], [1.0, 0.0, 0.0]) for vertex in ANATOMY]
    vertices, weights = (np.array(column) for column in zip(*fits, strict=True))
    faces = np.einsum("nkvc,kv->nkc", meshes[:, vertices], weights).astype(np.float32)
    lines = [
        f"# Made by tools/fit_landmark_tables.py from {len(meshes)} faces and their mirror images; see there.",
        "",
    ]
    lines += [
        "# (68, 2): units of the distance between the eye centres, around the middle of the inner points",
        "mean_face = [",
    ]
    lines += [f"    [{x:.4f}, {y:.4f}]," for x, y in mean_face(faces)]
    lines += [
        "]",
        "",
        "# (68, 3): each of the 68 points is this mean of three vertices of the FaceMesh",
        "mesh_vertices = [",
    ]
    lines += [f"    {row.tolist()}," for row in vertices]
    lines += ["]", "mesh_weights = ["]
    lines += [f"    {row.tolist()}," for row in weights]
    TARGET.write_text("\n".join([*lines, "]", ""]))
    print(f"{TARGET.name}: {len(meshes)} faces")


if __name__ == "__main__":
    main()
