"""The ground truth of WIDER FACE: as the predictions, with whole pixels and six attributes instead of a score."""

from collections.abc import Iterator

from faceloom.attributes import Part
from faceloom.formats.record import FaceRecord, Format, Frames, Piece
from faceloom.formats.wider import NO_FACE, block, read


def _write(frames: Frames) -> Iterator[Piece]:
    for frame in frames:
        yield "", block(frame, [_line(face) for face in frame.faces] or [NO_FACE])


def _line(face: FaceRecord) -> str:
    x0, y0, x1, y1 = (round(value) for value in face.box.tolist())
    return f"{x0} {y0} {x1 - x0} {y1 - y0} " + "0 " * 6


FORMAT = Format(
    name="wider-truth",
    title="WIDER FACE ground truth",
    suffix=".txt",
    keeps=frozenset([Part.EMPTY]),
    changes="boxes become whole pixels; blur, occlusion and the rest are 0",
    write=_write,
    read=read,
)
