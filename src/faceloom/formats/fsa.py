"""The alignments file of the 2020 extractor, version 2.4: a zlib stream of a pickle (docs/formats.md).

Reading runs nothing and stays below two limits, whatever the file holds (`pickles`).
"""

import io
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from faceloom.attributes import Part
from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats import checks, pickles
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, MaskRecord, Piece, encode_mask
from faceloom.units import GIB, format_bytes

VERSION = 2.4
MAX_UNPACKED_BYTES = 2 * GIB
MAX_HELD_BYTES = GIB
_MAX_MASK = 4096
_READ_BYTES = 1 << 16
_GIVEN = {name: f"faceloom-{name}" for name in ("components", "extended")}
"""Names that masks are given: under their own, today's reader drops these two, which it makes itself."""
_FOUND = {given: name for name, given in _GIVEN.items()}
_LINEAR = 1  # cv2.INTER_LINEAR


def entry_name(frame: FrameRecord) -> str:
    """The key of a frame: a picture's name; for a frame of a video its name and number, counted from 1."""
    if frame.time is None and frame.id.index == 0:
        return frame.id.source
    return f"{PurePosixPath(frame.id.source).with_suffix('')}_{frame.id.index + 1:06}.png"


def _write(frames: Frames) -> Iterator[Piece]:
    squeezed = zlib.compressobj()
    meta = pickles.dump("__meta__") + pickles.dump({"version": VERSION})
    yield "", squeezed.compress(pickles.START + pickles.DICT + pickles.MARK + meta)
    yield "", squeezed.compress(pickles.dump("__data__") + pickles.DICT + pickles.MARK)
    sources: dict[str, str] = {}
    for frame in frames:
        name = entry_name(frame)
        stem = name.rpartition("_")[0] if name != frame.id.source else name
        if sources.setdefault(stem, frame.id.source) != frame.id.source:
            message = f"{frame.id.source} and {sources[stem]} have the same names in this format; export one at a time"
            raise RequestError(message)
        entry = {"faces": [_to_dict(face) for face in frame.faces if face.landmarks is not None], "video_meta": {}}
        yield "", squeezed.compress(pickles.dump(name) + pickles.dump(entry))
    yield "", squeezed.compress(pickles.FILL + pickles.FILL + pickles.STOP) + squeezed.flush()


def _to_dict(face: FaceRecord) -> dict[str, Any]:
    x0, y0, x1, y1 = (round(value) for value in face.box.tolist())
    masks = {
        _GIVEN.get(name, name): _to_mask(mask) for name, mask in face.masks.items() if mask.frame_to_mask is not None
    }
    return {
        "x": x0,
        "w": x1 - x0,
        "y": y0,
        "h": y1 - y0,
        "landmarks_xy": face.landmarks,
        "mask": masks,
        "identity": {},
        "thumb": None,
    }


def _to_mask(mask: MaskRecord) -> dict[str, Any]:
    return {
        "mask": zlib.compress(mask.pixels().tobytes()),
        "affine_matrix": mask.frame_to_mask,
        "interpolator": _LINEAR,
        "stored_size": mask.size,
        "stored_centering": "face",
    }


def _read(path: Path) -> Iterator[FrameRecord]:
    yield from read_within(path, held=MAX_HELD_BYTES, unpacked=MAX_UNPACKED_BYTES)


def read_within(path: Path, *, held: int, unpacked: int) -> Iterator[FrameRecord]:
    """The frames of a file, in so many bytes of memory, about, and from so many bytes of content.

    Raises:
        MediaError: it is no such file, or has more.
    """
    with checks.reading(path, FORMAT.title):
        with path.open("rb") as file:
            content = pickles.load(io.BufferedReader(_Unpacked(file, unpacked), _READ_BYTES), limit=held)
        version, data = content["__meta__"]["version"], content["__data__"]
        if version != VERSION:
            raise ValueError(f"it is of version {str(version)[:16]}, and only {VERSION} is read")
        for name in list(data):
            entry = data.pop(name)
            faces = tuple(_from_dict(i, face) for i, face in enumerate(entry["faces"]))
            yield FrameRecord(id=FrameId(checks.name(name, "a frame"), 0), faces=faces)


class _Unpacked(io.RawIOBase):
    """What a zlib stream holds, up to a limit."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self._limit = limit
        self._left = limit
        self._stream = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        content = b""
        while not content and not self._stream.eof:
            packed = self._stream.unconsumed_tail or self._file.read(_READ_BYTES)
            if not packed:
                break
            content = _inflated(self._stream, packed, len(into))
        self._left -= len(content)
        if self._left < 0:
            raise ValueError(f"it unpacks to more than {format_bytes(self._limit)}")
        into[: len(content)] = content
        return len(content)


def _inflated(stream: Any, packed: bytes, most: int) -> bytes:
    try:
        return bytes(stream.decompress(packed, most))
    except zlib.error as error:
        raise ValueError(f"it is no zlib stream: {error}") from error


def _from_dict(index: int, face: dict[str, Any]) -> FaceRecord:
    x, y, w, h = (float(checks.numbers(face[key], (), f"the box's {key}")) for key in ("x", "y", "w", "h"))
    points = checks.pixels(face["landmarks_xy"], (-1, 2), "landmarks_xy")
    if len(points) not in (4, 68):
        raise ValueError(f"landmarks_xy has {len(points)} points, neither 68 nor the 4 of a square")
    return FaceRecord(
        index=index,
        box=checks.box(x, y, x + w, y + h),
        landmarks=points if len(points) == 68 else None,
        masks={
            _FOUND.get(name, checks.name(name, "a mask")): _from_mask(mask)
            for name, mask in (face.get("mask") or {}).items()
        },
    )


def _from_mask(mask: dict[str, Any]) -> MaskRecord:
    size = checks.whole(mask["stored_size"], "stored_size", at_least=1)
    if size > _MAX_MASK:
        raise ValueError(f"a mask of {size} pixels a side, more than {_MAX_MASK}")
    content = _inflated(zlib.decompressobj(), mask["mask"], size * size + 1)
    pixels = np.frombuffer(content, np.uint8).reshape(size, size)
    affine = checks.optional_affine(mask["affine_matrix"])
    return MaskRecord(size=size, content=encode_mask(pixels), frame_to_mask=affine)


FORMAT = Format(
    name="fsa",
    title="the 2020 extractor's alignments, version 2.4",
    suffix=".fsa",
    keeps=frozenset([Part.LANDMARKS, Part.MASKS, Part.EMPTY]),
    changes="boxes become whole pixels; faces without landmarks are left out; frames of videos become pictures;"
    " the masks components and extended have faceloom- before their names",
    write=_write,
    read=_read,
    is_text=False,
)
