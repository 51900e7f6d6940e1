"""Any records, for round trips: with values that each format's decimals state exactly."""

import functools
import string
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from hypothesis import find
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.attributes import ATTRIBUTES, Attribute, Kind, Part
from faceloom.faces import FrameId
from faceloom.formats.record import FaceRecord, Format, FrameRecord, MaskRecord
from faceloom.geometry.pose import Pose

ODD = [
    "a, b.jpg", 'q"uote\'.png', "tab\there.jpg", "línea ünï 漢字 🙂.jpg", "caf\\xe9.jpg", "new\\nline.jpg",
    "<x>&amp;.png", "#1.jpg", "clip.mp4#000001.png", "a/000001_0.jpg", "0", "-1", "nan", "{}", "version: 1",
    "12 3.jpg", "=cmd|'/C x'!A0.jpg", "@SUM(1).jpg", "+1.jpg", "'=x.jpg", "''-1.jpg", "'x.jpg",
]  # fmt: skip
"""Names as sources have them: of other bytes and characters that cannot be printed there are escapes."""
names = st.sampled_from(ODD) | st.text(string.ascii_letters + string.digits + "._-, '\"#&<é漢", min_size=1, max_size=12)
eighths = st.integers(-800, 80_000).map(lambda n: n / 8)
quarters = st.integers(-720, 720).map(lambda n: n / 4)


def _points(count: int) -> st.SearchStrategy[NDArray[np.float32]]:
    return st.tuples(eighths, eighths, st.integers(0, 99)).map(
        lambda t: (np.arange(2 * count).reshape(count, 2) * (t[2] / 8) + [t[0], t[1]]).astype(np.float32)
    )


@st.composite
def masks(draw: st.DrawFn) -> MaskRecord:
    size = draw(st.integers(1, 9))
    mask = np.full((size, size), draw(st.integers(0, 255)), np.uint8)
    return MaskRecord(
        size=size,
        content=cv2.imencode(".png", mask)[1].tobytes(),
        frame_to_mask=np.array([[1, 0, draw(eighths)], [0, 1, 0.5]]),
    )


TEXTS = ["chips/a/000000_0.jpg", "roll: 75 degrees, beyond 60; order: the mouth above the nose"]


def _values(attribute: Attribute) -> st.SearchStrategy[Any]:
    """Values of an attribute, but for the index and the box."""
    match attribute.kind:
        case Kind.WHOLE:
            return st.integers(1, 3)
        case Kind.NUMBER:
            return st.integers(0, 4).map(lambda n: n / 4)
        case Kind.TEXT:
            return st.sampled_from(TEXTS)
        case Kind.NAME:
            return st.sampled_from(["", "person 1"])
        case Kind.POINTS:
            return _points(attribute.shape[0])
        case Kind.POSE:
            return st.tuples(quarters, quarters, quarters).map(lambda t: Pose(*t))
        case Kind.NUMBERS:
            shape = tuple(3 if n < 0 else n for n in attribute.shape)
            return eighths.map(lambda n: (np.arange(np.prod(shape)).reshape(shape) / 4 - n).astype(attribute.dtype))
        case Kind.MASKS:
            return st.dictionaries(st.sampled_from(["components", "extended"]), masks(), max_size=2)
        case _:
            raise NotImplementedError(attribute.kind)


@st.composite
def faces(draw: st.DrawFn, index: int) -> FaceRecord:
    x, y, width, height = draw(eighths), draw(eighths), draw(st.integers(0, 999)), draw(st.integers(0, 999))
    values: dict[str, Any] = {"index": index, "box": np.array([x, y, x + width, y + height], np.float32)}
    for attribute in ATTRIBUTES:
        if attribute.name not in values:
            is_there = attribute.is_required or attribute.kind in {Kind.NAME, Kind.MASKS}
            values[attribute.name] = draw(_values(attribute) if is_there else st.none() | _values(attribute))
    return FaceRecord(**values)


@st.composite
def frames(draw: st.DrawFn) -> list[FrameRecord]:
    """Sorted by source and index, of stills and videos."""
    found = []
    for source in sorted(
        draw(st.sets(names.filter(lambda name: name == name.strip() and name.strip(".")), max_size=3))
    ):
        is_still = draw(st.booleans())
        for index in [0] if is_still else sorted(draw(st.sets(st.integers(0, 10**7), min_size=1, max_size=3))):
            found.append(
                FrameRecord(
                    id=FrameId(source, index),
                    time=None if is_still else index / 8,
                    width=1920,
                    height=1080,
                    faces=tuple(draw(faces(i)) for i in range(draw(st.integers(0, 3)))),
                )
            )
    return found


@functools.cache
def everything() -> FrameRecord:
    """A frame of a video in which a face has all that there is."""
    points = (np.arange(136).reshape(68, 2) * 1.5 + [200, 300]).astype(np.float32)
    values: dict[str, Any] = {
        "index": 0,
        "box": np.array([10, 20, 110, 140], np.float32),
        "keypoints": points[:5],
        "landmarks": points,
        "masks": {"components": find(masks(), lambda mask: mask.size == 4)},
        "person": "person 1",
    }
    for attribute in ATTRIBUTES:
        if attribute.name not in values:
            values[attribute.name] = find(_values(attribute), lambda _: True)
    face = FaceRecord(**values)
    return FrameRecord(id=FrameId("clip.mp4", 3), time=0.375, width=1920, height=1080, faces=(face,))


def without(part: Part, frame: FrameRecord) -> list[FrameRecord]:
    """The same, as if nobody had told that part; for frames without a face: with one beside it."""
    (face,) = frame.faces
    match part:
        case Part.EMPTY:
            return [frame, replace(frame, id=FrameId(frame.id.source, frame.id.index + 1), faces=())]
        case Part.TIMES:
            return [replace(frame, time=None)]
        case Part.SIZES:
            return [replace(frame, width=None, height=None)]
        case Part.MASKS:
            return [replace(frame, faces=(replace(face, masks={}),))]
    lost: dict[str, Any] = {_FACE_FIELDS[part]: None}
    return [replace(frame, faces=(replace(face, **lost),))]


def written(to: Format, found: list[FrameRecord], folder: Path) -> Path:
    """A file, or a folder, of these frames."""
    target = folder / f"out{to.suffix}"
    pieces = list(to.write(found))
    if to.is_folder:
        target.mkdir()
    else:
        target.write_bytes(b"")
    for name, content in pieces:
        path = target / name if to.is_folder else target
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(content)
    return target


_FACE_FIELDS = {one.part: one.name for one in ATTRIBUTES if one.part is not None and one.kind is not Kind.MASKS}


def kept(found: list[FrameRecord], by: Format) -> list[FrameRecord]:
    """The frames with what a format says it keeps."""
    lost: dict[str, Any] = {name: None for part, name in _FACE_FIELDS.items() if part not in by.keeps}
    if Part.MASKS not in by.keeps:
        lost["masks"] = {}
    of_frame: dict[str, Any] = {} if Part.TIMES in by.keeps else {"time": None}
    if Part.SIZES not in by.keeps:
        of_frame |= {"width": None, "height": None}
    return [
        replace(frame, **of_frame, faces=tuple(replace(face, **lost) for face in frame.faces))
        for frame in found
        if frame.faces or Part.EMPTY in by.keeps
    ]


def plain(value: Any) -> Any:
    """A record as lists and numbers, to compare."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, FrameRecord | FaceRecord | MaskRecord):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def without_places_of_masks(found: list[FrameRecord]) -> list[FrameRecord]:
    """For formats whose masks lie over the square of the chip."""
    return [
        replace(
            frame,
            faces=tuple(
                replace(face, masks={name: replace(m, frame_to_mask=None) for name, m in face.masks.items()})
                for face in frame.faces
            ),
        )
        for frame in found
    ]


def usable(found: Iterable[Format]) -> list[Format]:
    """The formats that can be written and read, with what is installed here."""
    return [one for one in found if one.is_written and one.is_read and all(map(find_spec, one.needs))]


def read_back(to: Format, found: list[FrameRecord], folder: Path) -> Iterator[FrameRecord]:
    """The way there and back."""
    return to.read(written(to, found, folder))
