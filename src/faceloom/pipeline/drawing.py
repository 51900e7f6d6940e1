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
from faceloom.geometry.affine import Affine, apply, compose, invert, scale_of, scaling
from faceloom.job import Outputs
from faceloom.media.chip_files import encode_jpeg, encode_png
from faceloom.media.numbered import is_there
from faceloom.media.reading import FrameReader
from faceloom.pipeline.faces import Failure
from faceloom.pipeline.labels import place_labels
from faceloom.store.folder import OVERLAYS, file_name, write_file
from faceloom.store.origins import Origin
from faceloom.store.places import place_below
from faceloom.store.privacy import opener
from faceloom.store.reading import read_chip_size, read_config, read_faces_of
from faceloom.store.rows import FaceRow

_COLOURS = ((255, 200, 0), (0, 200, 255), (255, 0, 160), (120, 255, 0))
_BOX_COLOUR = (0, 255, 0)
_POINT_COLOUR = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SIDES_A_LINE, _FRAMES_A_LINE = 150, 400
"""How many times a line's width the longer side of the face is, and that of the frame at least."""
_SIDES_A_TEXT, _FRAMES_A_TEXT, _LEAST_TEXT_PX = 10, 60, 9
"""The same of a label's height, and what can be read still."""
_SMALL_PX = 60
"""Longer side of a box below which points are single pixels: there are 68 of them."""
_GAP_PX = 2
"""Between a face and its label."""
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


@dataclass(frozen=True, slots=True)
class _Marks:
    """How thick a face's marks are, and how high its label is, in pixels of what they are drawn on."""

    line: int
    radius: int
    """Of a point; 0 is a single pixel."""
    text: int


def _marks(side: float, shape: Sequence[int]) -> _Marks:
    """Marks for a box of this longer side; they leave a small face visible, and a large one no more than the frame."""
    longest = max(shape[:2])
    line = min(max(1.0, side / _SIDES_A_LINE), max(1.0, longest / _FRAMES_A_LINE))
    radius = 0 if side < _SMALL_PX else max(1, round(line))
    text = min(max(_LEAST_TEXT_PX, side / _SIDES_A_TEXT), max(_LEAST_TEXT_PX, longest / _FRAMES_A_TEXT))
    return _Marks(round(line), radius, round(text))


def draw_overlay(image: Image, faces: Sequence[FaceRow], *, chip_size: int) -> Image:
    """Draws faces on a copy of a frame; lines, points and labels grow with the face, and labels stand beside it."""
    canvas = image.copy()
    marks = [_marks(float(max(face.box[2:] - face.box[:2])), image.shape) for face in faces]
    bounds = [_draw_face(canvas, face, mark, chip_size=chip_size) for face, mark in zip(faces, marks, strict=True)]
    labels = [_Label(_told(face), mark) for face, mark in zip(faces, marks, strict=True)]
    if labels:  # over everything else
        height, width = image.shape[:2]
        sizes = np.array([label.size for label in labels])
        corners = place_labels(np.stack(bounds), sizes, height=height, width=width, gap=_GAP_PX)
        for label, corner in zip(labels, corners.tolist(), strict=True):
            label.draw(canvas, *corner)
    return canvas


def _told(face: FaceRow) -> str:
    return f"{face.index}  {face.score:.2f}" + (f"  track {face.track}" if face.track is not None else "")


def _draw_face(canvas: Image, face: FaceRow, marks: _Marks, *, chip_size: int) -> NDArray[np.float32]:
    """Draws all of a face but its label, and returns x0, y0, x1, y1 of what was drawn."""
    corners = np.rint(face.box).astype(int)
    cv2.rectangle(canvas, corners[:2].tolist(), corners[2:].tolist(), _BOX_COLOUR, marks.line)
    drawn = [corners.reshape(2, 2)]
    for (_, mask), colour in zip(sorted(face.masks.items()), _COLOURS, strict=False):
        outlines = _outlines(mask, _mask_to_frame(face, mask, chip_size=chip_size))
        cv2.polylines(canvas, outlines, True, colour, marks.line, cv2.LINE_AA)
        drawn += [outline.reshape(-1, 2) for outline in outlines]
    if face.landmarks is not None:
        drawn.append(np.rint(face.landmarks).astype(int))
        _draw_points(canvas, drawn[-1], marks)
    points, reach = np.concatenate(drawn), max(marks.radius, marks.line)
    return np.concatenate([points.min(axis=0) - reach, points.max(axis=0) + reach + 1]).astype(np.float32)


def _draw_points(canvas: Image, points: NDArray[np.int_], marks: _Marks) -> None:
    for x, y in points.tolist():
        cv2.circle(canvas, (x, y), marks.radius, _POINT_COLOUR, -1, cv2.LINE_AA if marks.radius else cv2.LINE_8)


class _Label:
    """A line of text on a dark ground, so that it can be read on anything."""

    def __init__(self, text: str, marks: _Marks) -> None:
        self._text = text
        self._line = max(1, round(marks.text / 12))
        self._scale = cv2.getFontScaleFromHeight(_FONT, marks.text, self._line)
        (width, height), below = cv2.getTextSize(text, _FONT, self._scale, self._line)
        self._rim = self._line + 1
        self.size = (width + 2 * self._rim, height + below + 2 * self._rim)
        """Width and height in pixels."""
        self._base = height + self._rim

    def draw(self, canvas: Image, x: int, y: int) -> None:
        """Draws it, its upper left corner at column x and row y."""
        width, height = self.size
        canvas[y : y + height, x : x + width] //= 4
        place = (x + self._rim, y + self._base)
        cv2.putText(canvas, self._text, place, _FONT, self._scale, _BOX_COLOUR, self._line, cv2.LINE_AA)


def draw_on_chip(chip: Image, face: FaceRow) -> Image:
    """Draws a face on a copy of its chip; the box is upright in the frame, so it may be turned here."""
    assert face.frame_to_chip is not None
    canvas = chip.copy()
    size = len(chip)
    x0, y0, x1, y1 = face.box.tolist()
    marks = _marks(max(x1 - x0, y1 - y0) * scale_of(face.frame_to_chip), chip.shape)
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], np.float32)
    box = np.rint(apply(face.frame_to_chip, corners)).astype(np.int32)
    cv2.polylines(canvas, [box], True, _BOX_COLOUR, marks.line, cv2.LINE_AA)
    for (_, mask), colour in zip(sorted(face.masks.items()), _COLOURS, strict=False):
        factor = size / mask.size
        cv2.polylines(canvas, _outlines(mask, scaling(factor, factor)), True, colour, marks.line, cv2.LINE_AA)
    if face.landmarks is not None:
        _draw_points(canvas, np.rint(apply(face.frame_to_chip, face.landmarks)).astype(int), marks)
    return canvas


def _mask_to_frame(face: FaceRow, mask: MaskRecord, *, chip_size: int) -> Affine:
    assert face.frame_to_chip is not None
    factor = mask.size / chip_size
    return invert(compose(scaling(factor, factor), face.frame_to_chip))


def _outlines(mask: MaskRecord, mask_to_canvas: Affine) -> list[NDArray[np.int32]]:
    """Edges of a stored mask, in pixels of what they are drawn on."""
    contours, _ = cv2.findContours(mask.pixels() // 128, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
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
    frame = _read(origin, raw_colours=bool(read_config(origin.folder).get("raw_colours")))
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


def _read(origin: Origin, *, raw_colours: bool) -> Frame:
    assert origin.span is not None
    if origin.path is None or not is_there(origin.path):  # reading a pipe would wait for ever
        raise MediaError(f"{origin.path} is not there any more, or no file", path=origin.path)
    with FrameReader(raw_colours=raw_colours) as reader:
        (read,) = reader.reads([origin.span])
        answer = read()
    if not isinstance(answer, Frame):
        raise MediaError(f"frame {origin.frame} of {origin.path} cannot be read: {answer.reason}", path=origin.path)
    return answer
