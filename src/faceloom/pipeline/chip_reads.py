"""Reads of chips: the frames of a source that is gone are the chips of their faces."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from faceloom.errors import FaceloomError
from faceloom.faces import Face, FrameId, Patch
from faceloom.frame import Frame
from faceloom.geometry.affine import apply
from faceloom.geometry.chips import box_in_chip
from faceloom.media.chunks import Span, Unreadable
from faceloom.media.reading import Read
from faceloom.results.pictures import read_chip


def chip_reads(span: Span, known: Mapping[FrameId, Sequence[Face]], *, folder: Path) -> Iterator[Read]:
    """One call for each frame of a span, which gives its faces with their chips as patches.

    Everything of such a face is in the pixels of its chip, and masks that lie over the square of the chip that is laid
    there lie over that of the chip itself.
    """
    for index in span.indexes:
        frame = FrameId(span.source.name, index)
        yield partial(_read, frame, known.get(frame, ()), folder)


def _read(frame: FrameId, known: Sequence[Face], folder: Path) -> Frame | Unreadable:
    try:
        faces = tuple(_in_chip(face, folder) for face in known)
    except FaceloomError as error:
        return Unreadable(id=frame, reason=f"the source is gone: {error}")
    if not all(face.patch for face in faces):
        return Unreadable(id=frame, reason="the source is gone, and not all of its faces have chips")
    return Frame(id=frame, time=None, image=np.zeros((0, 0, 3), np.uint8), faces=faces)


def _in_chip(face: Face, folder: Path) -> Face:
    """A face with its chip as its patch, in the pixels of that; as it is if it has none."""
    to_chip, landmarks = face.frame_to_chip, face.landmarks
    if face.chip is None or to_chip is None or landmarks is None:
        return face
    pixels = read_chip(folder, face.chip)
    height, width = pixels.shape[:2]
    return replace(
        face,
        box=box_in_chip(face.box, to_chip),
        keypoints=None if face.keypoints is None else apply(to_chip, face.keypoints),
        landmarks=apply(to_chip, landmarks),
        patch=Patch(pixels=pixels, x=0, y=0, held_bytes=pixels.nbytes, frame_shape=(height, width)),
    )
