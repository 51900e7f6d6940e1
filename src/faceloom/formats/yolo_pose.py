"""YOLO-pose: as YOLO, with the five keypoints of each face."""

from collections.abc import Iterator

from faceloom.attributes import Part
from faceloom.formats.record import Format, Frames, Piece
from faceloom.formats.yolo import write_labels


def _write(frames: Frames) -> Iterator[Piece]:
    return write_labels(frames, keypoints=True)


FORMAT = Format(
    name="yolo-pose",
    title="YOLO-pose",
    suffix="",
    keeps=frozenset([Part.EMPTY, Part.KEYPOINTS]),
    changes="boxes and keypoints are clipped to the frame and told as shares of it, to 6 decimals",
    write=_write,
    is_folder=True,
)
