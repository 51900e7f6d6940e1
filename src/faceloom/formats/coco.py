"""COCO keypoints: one JSON document of images and annotations, with the 68 landmarks as the category's keypoints.

Source: https://cocodataset.org/#format-data and #format-results.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.attributes import Part
from faceloom.formats import checks
from faceloom.formats.jsonl import rounded
from faceloom.formats.names import frame_name, frame_named
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece
from faceloom.formats.shares import clipped

_CATEGORY = {
    "id": 1,
    "name": "face",
    "supercategory": "person",
    "keypoints": [f"landmark_{i}" for i in range(68)],
    "skeleton": [],
}
_LABELLED = 2  # of a keypoint: labelled and visible; 0: not labelled


def _write(frames: Frames) -> Iterator[Piece]:
    yield "", b'{"images":['
    for number, frame in enumerate(frames, start=1):
        yield "", _item(number, _image(number, frame))
    yield "", b'],"annotations":['
    count = itertools.count(1)
    for image, frame in enumerate(frames, start=1):
        for face in frame.faces:
            number = next(count)
            yield "", _item(number, _annotation(number, image, face, frame))
    yield "", b'],"categories":' + _json([_CATEGORY]) + b"}\n"


def _item(number: int, content: dict[str, Any]) -> bytes:
    return (b",\n" if number > 1 else b"\n") + _json(content)


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


def _image(number: int, frame: FrameRecord) -> dict[str, Any]:
    size = {} if frame.width is None else {"width": frame.width, "height": frame.height}
    return {"id": number, "file_name": frame_name(frame), **size}


def _annotation(number: int, image: int, face: FaceRecord, frame: FrameRecord) -> dict[str, Any]:
    x0, y0, x1, y1 = clipped(face.box, frame).tolist()
    points = np.zeros((68, 3))
    if face.landmarks is not None:
        points[:, :2] = face.landmarks
        points[:, 2] = _LABELLED
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [round(value, 3) for value in (x0, y0, x1 - x0, y1 - y0)],
        "area": round((x1 - x0) * (y1 - y0), 3),
        "iscrowd": 0,
        "num_keypoints": int((points[:, 2] > 0).sum()),
        "keypoints": rounded(points.ravel()),
        **({} if face.score is None else {"score": round(face.score, 4)}),
    }


def _read(path: Path) -> Iterator[FrameRecord]:
    with checks.reading(path, FORMAT.title):
        content = json.loads(checks.read_whole(path, limit=checks.MAX_FILE_BYTES))
        faces: dict[int, list[FaceRecord]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            of_image = faces[annotation["image_id"]]
            of_image.append(_face(len(of_image), annotation))
        for image in content["images"]:
            yield FrameRecord(
                id=frame_named(checks.name(image["file_name"], "a file_name")),
                width=_side(image.get("width")),
                height=_side(image.get("height")),
                faces=tuple(faces[image["id"]]),
            )


def _side(value: Any) -> int | None:
    return None if value is None else checks.whole(value, "the side of an image")


def _face(index: int, annotation: dict[str, Any]) -> FaceRecord:
    x, y, width, height = checks.pixels(annotation["bbox"], (4,), "bbox").astype(np.float64).tolist()
    points = checks.numbers(annotation.get("keypoints") or [], (-1,), "keypoints").reshape(-1, 3)
    is_whole = len(points) == 68 and bool((points[:, 2] > 0).all())
    return FaceRecord(
        index=index,
        box=checks.box(x, y, x + width, y + height),
        score=checks.score(annotation.get("score")),
        landmarks=checks.pixels(points[:, :2], (68, 2), "keypoints") if is_whole else None,
    )


FORMAT = Format(
    name="coco",
    title="COCO keypoints",
    suffix=".json",
    keeps=frozenset([Part.SIZES, Part.EMPTY, Part.SCORES, Part.LANDMARKS]),
    changes="boxes are clipped to the frame; pixels are rounded to 3 decimals, scores to 4",
    write=_write,
    read=_read,
)
