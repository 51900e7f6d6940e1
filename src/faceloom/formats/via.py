"""VGG Image Annotator 2: one project, which its page opens, of rectangles and their attributes.

Source: https://www.robots.ox.ac.uk/~vgg/software/via/docs/user_guide.html; the keys are those that the page exports.
"""

import json
from collections.abc import Iterator
from typing import Any

from faceloom.attributes import Part
from faceloom.formats.names import frame_name
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece
from faceloom.formats.shares import clipped

_UNKNOWN_SIZE = -1
"""Of the file, in bytes, which stands in the key of a picture too."""
_SETTINGS = {
    "ui": {"image": {"region_label": "person", "region_color": "__via_default_region_color__"}},
    "core": {"buffer_size": 18, "filepath": {}, "default_filepath": ""},
    "project": {"name": "faces"},
}
_ATTRIBUTES = {
    "region": {name: {"type": "text", "description": "", "default_value": ""} for name in ("kind", "score", "person")},
    "file": {},
}


def _write(frames: Frames) -> Iterator[Piece]:
    yield "", b'{"_via_settings":' + _json(_SETTINGS) + b',"_via_img_metadata":{'
    for number, frame in enumerate(frames):
        key = f"{frame_name(frame)}{_UNKNOWN_SIZE}"
        yield "", (b",\n" if number else b"\n") + _json(key) + b":" + _json(_picture(frame))
    yield "", b'},"_via_attributes":' + _json(_ATTRIBUTES) + b',"_via_data_format_version":"2.0.10"}\n'


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _picture(frame: FrameRecord) -> dict[str, Any]:
    regions = [_region(face, frame) for face in frame.faces]
    return {"filename": frame_name(frame), "size": _UNKNOWN_SIZE, "regions": regions, "file_attributes": {}}


def _region(face: FaceRecord, frame: FrameRecord) -> dict[str, Any]:
    x0, y0, x1, y1 = clipped(face.box, frame).tolist()
    shape = {"x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}
    told = {"kind": "face", "score": "" if face.score is None else f"{face.score:.4f}", "person": face.person or ""}
    return {
        "shape_attributes": {"name": "rect", **{key: round(value, 3) for key, value in shape.items()}},
        "region_attributes": told,
    }


FORMAT = Format(
    name="via",
    title="VGG Image Annotator 2",
    suffix=".json",
    keeps=frozenset([Part.EMPTY, Part.SCORES, Part.PERSONS]),
    changes="boxes are clipped to the frame and rounded to 3 decimals, scores to 4",
    write=_write,
)
