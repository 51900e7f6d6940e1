"""Label Studio: a task for each frame, with its faces as predictions.

Source: https://labelstud.io/guide/predictions and /tags/rectanglelabels, /tags/keypointlabels.
"""

import json
from collections.abc import Iterator
from typing import Any

from faceloom.attributes import Part
from faceloom.formats.names import frame_name, known_size
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece
from faceloom.formats.shares import box_shares, shares_of

_POINTS = ("left eye", "right eye", "nose", "left corner of the mouth", "right corner of the mouth")
_POINT_WIDTH = 0.4
"""Per cent of the picture, as its own examples draw points."""


def _write(frames: Frames) -> Iterator[Piece]:
    yield "", b"["
    for number, frame in enumerate(frames):
        yield "", (b",\n" if number else b"\n") + json.dumps(_task(frame), separators=(",", ":")).encode()
    yield "", b"\n]\n"


def _task(frame: FrameRecord) -> dict[str, Any]:
    told = {"image": frame_name(frame), "source": frame.id.source, "frame": frame.id.index, "time_s": frame.time}
    result = [region for face in frame.faces for region in _regions(face, frame)]
    scores = [face.score for face in frame.faces if face.score is not None]
    prediction = {"model_version": "faceloom", "score": max(scores, default=0.0), "result": result}
    return {"data": told, "predictions": [prediction]}


def _regions(face: FaceRecord, frame: FrameRecord) -> Iterator[dict[str, Any]]:
    width, height = known_size(frame)
    shared = {"to_name": "image", "original_width": width, "original_height": height, "image_rotation": 0}
    key = f"face-{face.index}"
    x, y, across, down = (round(100 * share, 4) for share in box_shares(face, frame))
    box = {"x": x, "y": y, "width": across, "height": down, "rotation": 0, "rectanglelabels": ["face"]}
    region = {"id": key, "type": "rectanglelabels", "from_name": "face", **shared, "value": box}
    if face.score is not None:
        region["score"] = round(face.score, 4)
    if face.person:
        region["meta"] = {"text": [face.person]}
    yield region
    if face.keypoints is None:
        return
    for name, (x, y) in zip(_POINTS, (100 * shares_of(face.keypoints, frame)).round(4).tolist(), strict=True):
        point = {"x": x, "y": y, "width": _POINT_WIDTH, "keypointlabels": [name]}
        told = {
            "id": f"{key}-{name.replace(' ', '-')}",
            "parentID": key,
            "type": "keypointlabels",
            "from_name": "point",
        }
        yield {**told, **shared, "value": point}


FORMAT = Format(
    name="label-studio",
    title="Label Studio",
    suffix=".json",
    keeps=frozenset([Part.TIMES, Part.SIZES, Part.EMPTY, Part.SCORES, Part.KEYPOINTS, Part.PERSONS]),
    changes="boxes and keypoints are clipped to the frame and told in per cent of it, to 4 decimals",
    write=_write,
)
