"""300-W .pts: a text file a face with its 68 landmarks, counted from 1.

Source: Sagonas et al. 2013 and the annotations at https://ibug.doc.ic.ac.uk/resources/300-W/.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.attributes import Part
from faceloom.faces import FrameId
from faceloom.formats import checks
from faceloom.formats.names import below
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece
from faceloom.units import KIB

_MAX_BYTES = 64 * KIB
_OURS = re.compile(r"(\d{6,16})_(\d{1,9})", re.ASCII)
_TEXT = re.compile(r"\s*version:\s*1\s+n_points:\s*68\s*\{([^{}]*)\}\s*", re.ASCII)


def _write(frames: Frames) -> Iterator[Piece]:
    for frame in frames:
        for face in frame.faces:
            if face.landmarks is not None:
                folder = below(frame.id.source)
                yield f"{folder}/{frame.id.index:06}_{face.index}.pts", _text(face.landmarks)


def _text(landmarks: NDArray[np.float32]) -> bytes:
    points = "".join(f"{x:.3f} {y:.3f}\n" for x, y in (landmarks.astype(np.float64) + 1).tolist())
    return f"version: 1\nn_points: 68\n{{\n{points}}}\n".encode()


def _read(path: Path) -> Iterator[FrameRecord]:
    with checks.reading(path, FORMAT.title):
        files = (
            sorted((_place(path, file), file) for file in path.rglob("*.pts"))
            if path.is_dir()
            else [(_place(path.parent, path), path)]
        )
        for frame, same in groupby(files, key=lambda told: told[0][0]):
            yield FrameRecord(id=frame, faces=tuple(_face(index, file) for (_, index), file in same))


def _place(folder: Path, file: Path) -> tuple[FrameId, int]:
    """Frame and index that a file is named by: ours, or the picture beside it, by its stem."""
    name = file.relative_to(folder).with_suffix("")
    ours = _OURS.fullmatch(name.name)
    if ours and name.parent.name:
        return FrameId(checks.name(name.parent.as_posix(), "a folder"), int(ours[1])), int(ours[2])
    return FrameId(checks.name(name.as_posix(), "a file name"), 0), 0


def _face(index: int, path: Path) -> FaceRecord:
    text = _TEXT.fullmatch(checks.read_whole(path, limit=_MAX_BYTES).decode("utf-8-sig"))
    if text is None:
        raise ValueError(f"{path.name} is no list of 68 points")
    landmarks = checks.pixels([float(cell) - 1 for cell in text[1].split()], (136,), "landmarks").reshape(68, 2)
    (x0, y0), (x1, y1) = landmarks.min(axis=0).tolist(), landmarks.max(axis=0).tolist()
    return FaceRecord(index=index, box=checks.box(x0, y0, x1, y1), landmarks=landmarks)


FORMAT = Format(
    name="pts",
    title="300-W landmarks",
    suffix="",
    keeps=frozenset([Part.LANDMARKS]),
    changes="pixels are rounded to 3 decimals; the box becomes the one around the points; faces without landmarks are"
    " left out",
    write=_write,
    read=_read,
    is_folder=True,
)
