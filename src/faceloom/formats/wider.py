"""WIDER FACE: text of a name, a number of faces, and a line each, as detectors write it.

Source: the readme of the set's annotations, and of its evaluation: http://shuoyang1213.me/WIDERFACE/.
"""

from collections.abc import Iterator
from pathlib import Path

from faceloom.attributes import Part
from faceloom.formats import checks
from faceloom.formats.names import frame_name, frame_named, one_line
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece

_TRUTH_COLUMNS = 10
"""x, y, w, h, blur, expression, illumination, invalid, occlusion, pose."""
NO_FACE = "0 " * _TRUTH_COLUMNS
"""The line of the ground truth in a frame without a face."""
_MAX_FACES = 100_000


def _write_predictions(frames: Frames) -> Iterator[Piece]:
    for frame in frames:
        yield "", block(frame, [_prediction(face) for face in frame.faces])


def _prediction(face: FaceRecord) -> str:
    x0, y0, x1, y1 = face.box.tolist()
    return f"{x0:.3f} {y0:.3f} {x1 - x0:.3f} {y1 - y0:.3f} {1 if face.score is None else face.score:.4f}"


def block(frame: FrameRecord, lines: list[str]) -> bytes:
    """The lines of one frame, of which those of its faces are given."""
    return "".join(f"{line}\n" for line in (one_line(frame_name(frame)), len(frame.faces), *lines)).encode()


def read(path: Path) -> Iterator[FrameRecord]:
    """The frames of predictions or of the ground truth, told apart by the number of columns."""
    with checks.reading(path, "WIDER FACE text"):
        lines = checks.read_lines(path)
        carried = next(lines, "")
        while carried.strip():
            name, count = carried.rstrip("\r\n"), int(next(lines, "none"))
            if not 0 <= count <= _MAX_FACES:
                raise ValueError(f"{name[:64]!r} has {count} faces, more than {_MAX_FACES:,}")
            faces = tuple(_face(i, next(lines, "").split()) for i in range(count))
            carried = next(lines, "")
            if not count and carried.split() == NO_FACE.split():
                carried = next(lines, "")
            yield FrameRecord(id=frame_named(checks.name(name, "a name")), faces=faces)
        if any(line.strip() for line in lines):
            raise ValueError("an empty line where a name belongs")


def _face(index: int, cells: list[str]) -> FaceRecord:
    if len(cells) not in (4, 5, _TRUTH_COLUMNS):
        raise ValueError(f"a face of {len(cells)} numbers, not 4, 5 or {_TRUTH_COLUMNS}")
    x, y, width, height = (float(cell) for cell in cells[:4])
    return FaceRecord(
        index=index,
        box=checks.box(x, y, x + width, y + height),
        score=checks.score(float(cells[4])) if len(cells) == 5 else None,
    )


FORMAT = Format(
    name="wider",
    title="WIDER FACE predictions",
    suffix=".txt",
    keeps=frozenset([Part.SCORES, Part.EMPTY]),
    changes="pixels are rounded to 3 decimals, scores to 4",
    write=_write_predictions,
    read=read,
)
