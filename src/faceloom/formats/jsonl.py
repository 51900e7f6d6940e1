"""JSON lines: a line a face (docs/store.md)."""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import FrameId
from faceloom.formats import checks
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, MaskRecord, Part, Piece

KEEPS = frozenset(Part) - {Part.SIZES, Part.EMPTY, Part.CONFIDENCE}
CHANGES = "pixels are rounded to 3 decimals, scores to 4, affine maps and embeddings to 6, poses and sharpness to 2"


def rounded(values: NDArray[Any] | None, *, digits: int = 3) -> list[Any] | None:
    """Nested lists of numbers of this many decimals."""
    return None if values is None else np.round(values.astype(np.float64), digits).tolist()


def face_lines(frames: Frames) -> Iterator[dict[str, Any]]:
    """Every face as a line."""
    for frame in frames:
        for face in frame.faces:
            yield _face_to_json(frame, face)


def numbers_to_json(frame: FrameId, time: float | None, face: FaceRecord) -> dict[str, Any]:
    """What is numbers of a face, as lines and chip files state it."""
    return {
        "source": frame.source,
        "frame": frame.index,
        "time_s": time,
        "index": face.index,
        "box": rounded(face.box),
        "score": None if face.score is None else round(face.score, 4),
        "keypoints": rounded(face.keypoints),
        "landmarks": rounded(face.landmarks),
        "affine": rounded(face.frame_to_chip, digits=6),
        "pose": None if face.pose is None else [round(angle, 2) for angle in face.pose],
        "sharpness": None if face.sharpness is None else round(face.sharpness, 2),
    }


def _face_to_json(frame: FrameRecord, face: FaceRecord) -> dict[str, Any]:
    masks = {
        name: {"size": mask.size, "png_base64": base64.b64encode(mask.png).decode()}
        for name, mask in face.masks.items()
    }
    embedding = {} if face.embedding is None else {"embedding": rounded(face.embedding, digits=6)}
    rejected = {} if face.rejected is None else {"rejected": face.rejected}
    person = {} if face.person is None else {"person": face.person or None}
    numbers = numbers_to_json(frame.id, frame.time, face)
    return {**numbers, **rejected, "masks": masks, **embedding, **person, "chip": face.chip}


def face_from_json(line: Any) -> tuple[FrameId, float | None, FaceRecord]:
    """A line's frame, its time, and the face.

    Raises:
        ValueError, KeyError: the line is not of this form.
    """
    embedding = line.get("embedding")
    face = FaceRecord(
        index=checks.whole(line["index"], "an index"),
        box=checks.box(*line["box"]),
        score=checks.score(line["score"]),
        keypoints=checks.optional_pixels(line.get("keypoints"), (5, 2), "keypoints"),
        landmarks=checks.optional_pixels(line.get("landmarks"), (68, 2), "landmarks"),
        frame_to_chip=checks.optional_affine(line.get("affine")),
        pose=checks.optional_pose(line.get("pose")),
        sharpness=checks.score(line.get("sharpness")),
        rejected=checks.optional_name(line.get("rejected"), "a reason"),
        masks={checks.name(name, "a mask"): _mask(mask) for name, mask in line.get("masks", {}).items()},
        embedding=None if embedding is None else checks.numbers(embedding, (-1,), "an embedding").astype(np.float32),
        chip=checks.optional_name(line.get("chip"), "a chip's path"),
        person=_person(line["person"]) if "person" in line else None,
    )
    frame = FrameId(checks.name(line["source"], "a source"), checks.whole(line["frame"], "a frame"))
    return frame, checks.score(line.get("time_s")), face


def _person(told: Any) -> str:
    return checks.name(told, "a person") if told else ""


def _mask(told: Any) -> MaskRecord:
    try:
        png = base64.b64decode(told["png_base64"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"a mask is no base64: {error}") from error
    return MaskRecord(size=checks.whole(told["size"], "a mask's size", at_least=1), png=png)


def write_lines(lines: Iterable[dict[str, Any]]) -> Iterator[Piece]:
    """A line for each."""
    for line in lines:
        yield "", json.dumps(line, separators=(",", ":")).encode() + b"\n"


def _write(frames: Frames) -> Iterator[Piece]:
    return write_lines(face_lines(frames))


def _read(path: Path) -> Iterator[FrameRecord]:
    with checks.reading(path, FORMAT.title):
        yield from checks.grouped(face_from_json(json.loads(line)) for line in checks.read_lines(path))


FORMAT = Format(
    name="jsonl", title="JSON lines", suffix=".jsonl", keeps=KEEPS, changes=CHANGES, write=_write, read=_read
)
