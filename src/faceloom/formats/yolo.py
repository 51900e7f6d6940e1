"""YOLO: a text file of boxes for each frame, as Ultralytics reads it beside the pictures.

Source: https://docs.ultralytics.com/datasets/detect/ and /datasets/pose/.
"""

from collections.abc import Iterator

import numpy as np

from faceloom.attributes import Part
from faceloom.formats.names import below, frame_name, unique_names, without_suffix
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece
from faceloom.formats.shares import box_shares, numbers_in_words, shares_of

_DATA = "path: .\ntrain: images\nval: images\nnames:\n  0: face\n"
_POSE = "kpt_shape: [5, 3]\nflip_idx: [1, 0, 2, 4, 3]\n"
_SEEN = 2
"""Of a keypoint: labelled and visible; 0: not labelled."""


def write_labels(frames: Frames, *, keypoints: bool) -> Iterator[Piece]:
    """The description of the set, and a file for each frame, one without faces included."""
    yield "data.yaml", (_DATA + _POSE * keypoints).encode()
    once = unique_names()
    for frame in frames:
        name = once(_label_name(below(frame_name(frame))), "name without suffix")
        yield name, "".join(f"{_row(face, frame, keypoints=keypoints)}\n" for face in frame.faces).encode()


def _label_name(picture: str) -> str:
    """Where Ultralytics looks for a picture's labels: the last folder named `images` above it is `labels` instead."""
    before, _, after = f"/images/{picture}".rpartition("/images/")
    return f"{before}/labels/{without_suffix(after)}.txt".removeprefix("/")


def _row(face: FaceRecord, frame: FrameRecord, *, keypoints: bool) -> str:
    x, y, width, height = box_shares(face, frame)
    row = f"0 {numbers_in_words([x + width / 2, y + height / 2, width, height])}"
    if not keypoints:
        return row
    points = np.zeros((5, 3))
    if face.keypoints is not None:
        points[:, :2], points[:, 2] = shares_of(face.keypoints, frame), _SEEN
    return f"{row} {numbers_in_words(points.ravel())}"


def _write(frames: Frames) -> Iterator[Piece]:
    return write_labels(frames, keypoints=False)


FORMAT = Format(
    name="yolo",
    title="YOLO",
    suffix="",
    keeps=frozenset([Part.EMPTY]),
    changes="boxes are clipped to the frame and told as shares of it, to 6 decimals",
    write=_write,
    is_folder=True,
)
