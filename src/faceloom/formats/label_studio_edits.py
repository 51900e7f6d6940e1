"""What people annotated in Label Studio: its JSON export, task by task, as the faces of each frame.

Source: https://labelstud.io/guide/export and /guide/task_format: a list of tasks, each with `data` and `annotations`,
whose `result` is a list of regions in per cent of the picture.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from faceloom.faces import FrameId
from faceloom.formats import checks
from faceloom.formats.record import FaceRecord, FrameRecord

TITLE = "annotations of Label Studio"
_BOX = "rectanglelabels"
_MIDDLE = 0.5
"""Our pixels are points at their middles, the first at 0: the edge of a frame is half a pixel before it."""
_FACE = "face"
_BEGINNING_BYTES = 256


def is_label_studio(path: Path) -> bool:
    """Whether a file begins as such one does, with a list, and not as lines of JSON."""
    try:
        with path.open("rb") as file:
            return file.read(_BEGINNING_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    except OSError:  # which whoever reads it will tell
        return False


def read_annotations(path: Path) -> Iterator[FrameRecord]:
    """The frames that somebody has annotated, each with all its faces; a task that nobody submitted is none of them.

    Raises:
        MediaError: the file is of something else.
    """
    with checks.reading(path, TITLE):
        tasks = json.loads(checks.read_whole(path, limit=checks.MAX_FILE_BYTES))
        if not isinstance(tasks, list):
            raise ValueError("it is no list of tasks; export it as JSON")
        for number, task in enumerate(tasks):
            try:
                frame = _frame(task)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                raise ValueError(f"task {number}: {error or type(error).__name__}") from error
            if frame is not None:
                yield frame


def _frame(task: Mapping[str, Any]) -> FrameRecord | None:
    annotations = [one for one in task.get("annotations") or () if not one.get("was_cancelled")]
    if not annotations:
        return None
    last = max(annotations, key=lambda one: str(one.get("updated_at") or one.get("created_at") or ""))
    regions = [one for one in last["result"] if one.get("type") == _BOX]
    faces = [_face(index, region) for index, region in enumerate(regions) if _is_face(region)]
    sides = [_sides(one) for one in last["result"] if "original_width" in one]
    width, height = sides[0] if sides else (None, None)
    return FrameRecord(id=_place(task["data"]), width=width, height=height, faces=tuple(faces))


def _is_face(region: Mapping[str, Any]) -> bool:
    labels = region["value"].get(_BOX, [_FACE])
    return not labels or _FACE in labels


def _place(data: Mapping[str, Any]) -> FrameId:
    """The frame of a task: as our own export says it; else the picture by its name."""
    if "source" in data:
        return FrameId(checks.name(data["source"], "a source"), checks.whole(data.get("frame", 0), "a frame"))
    picture = checks.name(data["image"], "a picture")
    return FrameId(PurePosixPath(picture.partition("?")[0]).name, 0)


def _sides(region: Mapping[str, Any]) -> tuple[int, int]:
    told = (region["original_width"], region["original_height"])
    width, height = (checks.whole(side, "the side of a frame", at_least=1) for side in told)
    return width, height


def _face(index: int, region: Mapping[str, Any]) -> FaceRecord:
    width, height = _sides(region)
    value = region["value"]
    x, y, across, down = checks.numbers([value[key] for key in ("x", "y", "width", "height")], (4,), "a box").tolist()
    turned = math.radians(float(value.get("rotation") or 0))
    corners = np.array([(0, 0), (across, 0), (across, down), (0, down)]) * (width / 100, height / 100)
    cos, sin = math.cos(turned), math.sin(turned)  # about the left upper corner, clockwise
    places = corners @ np.array([(cos, sin), (-sin, cos)]) + (x * width / 100, y * height / 100)
    (x0, y0), (x1, y1) = places.min(axis=0).tolist(), places.max(axis=0).tolist()
    box = checks.box(*(side - _MIDDLE for side in (x0, y0, x1, y1)))
    return FaceRecord(index=index, box=box, person=_person(region))


def _person(region: Mapping[str, Any]) -> str | None:
    """Whose face somebody wrote that it is: the text of the region's notes."""
    texts = (region.get("meta") or {}).get("text")
    if texts is None:
        return None
    text = " ".join(map(str, texts)).strip() if isinstance(texts, list) else str(texts).strip()
    return checks.name(text, "a person") if text else ""
