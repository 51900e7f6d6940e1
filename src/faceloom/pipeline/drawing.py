"""Drawing: what was found, on copies of frames and chips."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.choices import ChipFormat
from faceloom.errors import MediaError, RequestError
from faceloom.faces import Image
from faceloom.formats.record import MaskRecord
from faceloom.frame import Frame
from faceloom.geometry.affine import Affine, apply, compose, invert, scaling
from faceloom.job import Outputs
from faceloom.media.chip_files import encode_jpeg, encode_png
from faceloom.media.reading import FrameReader
from faceloom.pipeline.faces import Failure
from faceloom.store.folder import OVERLAYS, file_name, write_file
from faceloom.store.origins import Origin
from faceloom.store.places import place_below
from faceloom.store.privacy import opener
from faceloom.store.reading import read_chip_size, read_faces_of
from faceloom.store.rows import FaceRow

_COLOURS = ((255, 200, 0), (0, 200, 255), (255, 0, 160), (120, 255, 0))
_BOX_COLOUR = (0, 255, 0)
_POINT_COLOUR = (255, 255, 255)
_ENCODERS = {".png": encode_png, ".jpg": encode_jpeg, ".jpeg": encode_jpeg}


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayStep:
    """Turns frames into overlays: copies with boxes, points and mask outlines drawn on them."""

    faces: Mapping[Any, Sequence[FaceRow]]
    """The faces of each frame."""
    outputs: Outputs
    folder: Path
    batch: int = 1
    together: int = 1
    stage: str = "overlays"

    def group(self, item: Frame) -> Hashable:
        return None

    def failed(self, item: Frame, error: Exception) -> Failure:
        return Failure(frame=item.id, reason=f"overlay: {error}")

    def run(self, items: Sequence[Frame]) -> Sequence[None]:
        for frame in items:
            image = draw_overlay(frame.image, self.faces.get(frame.id, ()), chip_size=self.outputs.chip_size)
            path = f"{OVERLAYS}/{file_name(frame.id.source)}/{frame.id.index:06}.{ChipFormat.JPG}"
            write_file(place_below(self.folder, path), encode_jpeg(image))
        return []


def draw_overlay(image: Image, faces: Sequence[FaceRow], *, chip_size: int) -> Image:
    """Draws faces on a copy of a frame; lines grow with the frame."""
    canvas = image.copy()
    line = max(1, round(max(image.shape[:2]) / 700))
    for face in faces:
        corners = np.rint(face.box).astype(int)
        cv2.rectangle(canvas, corners[:2].tolist(), corners[2:].tolist(), _BOX_COLOUR, line)
        label = f"{face.index}  {face.score:.2f}"
        cv2.putText(
            canvas,
            label,
            (corners[:2] - [0, 3 * line]).tolist(),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.4 * line,
            _BOX_COLOUR,
            line,
        )
        for (_, mask), colour in zip(sorted(face.masks.items()), _COLOURS, strict=False):
            outlines = _outlines(mask, _mask_to_frame(face, mask, chip_size=chip_size))
            cv2.polylines(canvas, outlines, True, colour, line, cv2.LINE_AA)
        for x, y in [] if face.landmarks is None else np.rint(face.landmarks).astype(int).tolist():
            cv2.circle(canvas, (x, y), line, _POINT_COLOUR, -1, cv2.LINE_AA)
    return canvas


def draw_on_chip(chip: Image, face: FaceRow) -> Image:
    """Draws a face on a copy of its chip; the box is upright in the frame, so it may be turned here."""
    assert face.frame_to_chip is not None
    canvas = chip.copy()
    size = len(chip)
    line = max(1, round(size / 400))
    x0, y0, x1, y1 = face.box.tolist()
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    box = np.rint(apply(face.frame_to_chip, corners)).astype(np.int32)
    cv2.polylines(canvas, [box], True, _BOX_COLOUR, line, cv2.LINE_AA)
    for (_, mask), colour in zip(sorted(face.masks.items()), _COLOURS, strict=False):
        factor = size / mask.size
        cv2.polylines(canvas, _outlines(mask, scaling(factor, factor)), True, colour, line, cv2.LINE_AA)
    if face.landmarks is not None:
        for x, y in np.rint(apply(face.frame_to_chip, face.landmarks)).astype(int).tolist():
            cv2.circle(canvas, (x, y), line, _POINT_COLOUR, -1, cv2.LINE_AA)
    return canvas


def _mask_to_frame(face: FaceRow, mask: MaskRecord, *, chip_size: int) -> Affine:
    assert face.frame_to_chip is not None
    factor = mask.size / chip_size
    return invert(compose(scaling(factor, factor), face.frame_to_chip))


def _outlines(mask: MaskRecord, mask_to_canvas: Affine) -> list[NDArray[np.int32]]:
    """Edges of a stored mask, in pixels of what they are drawn on."""
    coverage = np.asarray(cv2.imdecode(np.frombuffer(mask.png, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
    contours, _ = cv2.findContours(coverage // 128, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.rint(apply(mask_to_canvas, contour.astype(np.float32))).astype(np.int32) for contour in contours]


def draw_origin(origin: Origin, target: Path) -> None:
    """Writes the frame that a chip comes from, with its face drawn on it, to a new PNG or JPEG file.

    Raises:
        RequestError: the target is there already, cannot be written or has another suffix; or the chip lies in no
            result folder, so that its source's path is not known.
        MediaError: the frame cannot be read.
    """
    encode = _ENCODERS.get(target.suffix.lower())
    if encode is None:
        raise RequestError(f"{target} is to be a picture, but its suffix is none of {', '.join(_ENCODERS)}")
    if origin.folder is None:
        raise RequestError(
            f"{origin.chip} lies in no result folder that knows it: only the name of its source is known"
        )
    frame = _read(origin)
    faces = [face for face in read_faces_of(origin.folder, frame.id) if face.index == origin.index]
    chip_size = read_chip_size(origin.folder)
    assert chip_size is not None  # the store has told of a chip
    content = encode(draw_overlay(frame.image, faces, chip_size=chip_size))
    try:
        with open(target, "xb", opener=opener()) as file:  # Path.open has no opener
            file.write(content)
    except FileExistsError as error:
        raise RequestError(f"{target} is there already; name another, or remove it") from error
    except OSError as error:
        raise RequestError(f"{target} cannot be written: {error.strerror}") from error


def _read(origin: Origin) -> Frame:
    assert origin.span is not None
    if origin.path is None or not origin.path.is_file():  # reading a pipe would wait for ever
        raise MediaError(f"{origin.path} is not there any more, or no file", path=origin.path)
    with FrameReader() as reader:
        (read,) = reader.reads([origin.span])
        answer = read()
    if not isinstance(answer, Frame):
        raise MediaError(f"frame {origin.frame} of {origin.path} cannot be read: {answer.reason}", path=origin.path)
    return answer
