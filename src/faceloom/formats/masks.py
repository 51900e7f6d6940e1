"""Masks as pictures: for each face over the square of its chip, or for each frame over all of it; PNG or EXR."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from faceloom.attributes import Part
from faceloom.formats.exr import encode_exr
from faceloom.formats.names import below, known_size
from faceloom.formats.record import ChipReader, Format, FrameRecord, Frames, MaskRecord, Piece, encode_mask

_Encode = Callable[[NDArray[np.uint8]], bytes]


def _of_faces(encode: _Encode, suffix: str) -> Callable[[Frames, ChipReader], Iterator[Piece]]:
    def write(frames: Frames, _: ChipReader) -> Iterator[Piece]:
        for frame in frames:
            for face in frame.faces:
                for name, mask in sorted(face.masks.items()):
                    place = f"{below(frame.id.source)}/{frame.id.index:06}_{face.index}.{_named(name)}{suffix}"
                    yield place, encode(mask.pixels())

    return write


def _of_frames(encode: _Encode, suffix: str) -> Callable[[Frames, ChipReader], Iterator[Piece]]:
    def write(frames: Frames, _: ChipReader) -> Iterator[Piece]:
        names = sorted({name for frame in frames for face in frame.faces for name in face.masks})
        for frame in frames:
            for name in names:
                place = f"{below(frame.id.source)}/{frame.id.index:06}.{_named(name)}{suffix}"
                yield place, encode(over_frame(frame, name))

    return write


def _named(mask: str) -> str:
    return mask.replace("/", "_").replace(":", "-")


def over_frame(frame: FrameRecord, name: str) -> NDArray[np.uint8]:
    """The masks of this name of all faces of a frame, laid on it (H, W): the greatest coverage counts.

    Raises:
        RequestError: the size of the frame is not known.
    """
    width, height = known_size(frame)
    laid = np.zeros((height, width), np.uint8)
    for face in frame.faces:
        if name in face.masks:
            _lay(face.masks[name], laid)
    return laid


def _lay(mask: MaskRecord, over: NDArray[np.uint8]) -> None:
    """Lays one mask on the part of a frame that its square covers."""
    import cv2

    if mask.frame_to_mask is None:
        return
    to_frame = cv2.invertAffineTransform(mask.frame_to_mask)
    corners = np.array([[x, y, 1] for x in (-0.5, mask.size - 0.5) for y in (-0.5, mask.size - 0.5)]) @ to_frame.T
    height, width = over.shape
    left, top = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, [width, height]).tolist()
    right, bottom = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, [width, height]).tolist()
    if right <= left or bottom <= top:
        return
    to_part = to_frame.copy()
    to_part[:, 2] -= (left, top)
    part = cv2.warpAffine(mask.pixels(), to_part, (right - left, bottom - top), flags=cv2.INTER_LINEAR)
    np.maximum(over[top:bottom, left:right], part, out=over[top:bottom, left:right])


_PNG = ".png"
_FACE = _of_faces(encode_mask, _PNG)
FORMAT = Format(
    name="masks",
    title="masks as pictures",
    suffix="",
    keeps=frozenset([Part.MASKS]),
    changes="faces without a mask are left out; by frame the masks of all faces are one picture for each name",
    write_with_chips=_FACE,
    layouts={
        "face": _FACE,
        "frame": _of_frames(encode_mask, _PNG),
        "face-exr": _of_faces(encode_exr, ".exr"),
        "frame-exr": _of_frames(encode_exr, ".exr"),
    },
    is_text=False,
    is_folder=True,
)
