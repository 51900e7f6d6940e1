"""FiftyOne: the labels of a `FiftyOneImageDetectionDataset`, one JSON document beside the pictures.

Source: https://docs.voxel51.com/user_guide/import_datasets.html#fiftyoneimagedetectiondataset.
"""

import json
from collections.abc import Iterator
from typing import Any

from faceloom.attributes import Part
from faceloom.formats.names import frame_name, unique_names, without_suffix
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece
from faceloom.formats.shares import box_shares


def _write(frames: Frames) -> Iterator[Piece]:
    once = unique_names()
    yield "", b'{"classes":["face"],"labels":{'
    for number, frame in enumerate(frames):
        key = once(without_suffix(frame_name(frame)), "name without suffix")
        faces = [_detection(face, frame) for face in frame.faces]
        yield "", (b",\n" if number else b"\n") + _json(key) + b":" + _json(faces)
    yield "", b"\n}}\n"


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _detection(face: FaceRecord, frame: FrameRecord) -> dict[str, Any]:
    told: dict[str, Any] = {"label": "face", "bounding_box": list(box_shares(face, frame))}
    if face.score is not None:
        told["confidence"] = round(face.score, 4)
    attributes: dict[str, Any] = {
        "person": face.person or None,
        "quality": face.quality,
        "yaw": None if face.pose is None else round(face.pose.yaw, 2),
        "pitch": None if face.pose is None else round(face.pose.pitch, 2),
        "roll": None if face.pose is None else round(face.pose.roll, 2),
    }
    known = {name: value for name, value in attributes.items() if value is not None}
    return told | ({"attributes": known} if known else {})


FORMAT = Format(
    name="fiftyone",
    title="FiftyOne image detections",
    suffix=".json",
    keeps=frozenset([Part.EMPTY, Part.SCORES, Part.QUALITIES, Part.POSES, Part.PERSONS]),
    changes="boxes are clipped to the frame and told as shares of it, to 6 decimals, scores to 4, poses to 2",
    write=_write,
)
