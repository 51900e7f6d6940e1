"""The last steps: faces become rows with encoded masks and a chip file, and frames become overlays."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Face, FrameId, Image
from faceloom.flow import Flow
from faceloom.frame import Frame
from faceloom.geometry.affine import Affine, Points, apply, compose, invert, scaling
from faceloom.geometry.chips import STANDARD, Framing, frame_to_chip, lay_mask
from faceloom.mask import LandmarkMask
from faceloom.media.chip_files import ChipFormat, encode_chip, encode_jpeg
from faceloom.run.aligning import described
from faceloom.run.job import Outputs
from faceloom.run.people import People
from faceloom.run.steps import TOGETHER, Failure, cut_kept_chip, resize_mask
from faceloom.store.folder import CHIPS, OVERLAYS, file_name, write_file
from faceloom.store.rows import FaceRow, MaskRow
from faceloom.version import VERSION


def draw_masks(face: Face, flow: Flow, *, size: int, framing: Framing = STANDARD) -> dict[str, NDArray[np.uint8]]:
    """Every mask of a face over the square of its chip: those that networks made, and those drawn from its landmarks.

    A face without landmarks, or rejected, has none.
    """
    landmarks = face.landmarks
    if landmarks is None or face.rejected is not None:
        return {}
    in_chip = apply(frame_to_chip(landmarks, size=size, framing=framing), landmarks)
    masks: dict[str, NDArray[np.uint8]] = {}
    for stage in flow.of("mask"):
        if isinstance(stage.plugin, LandmarkMask):
            masks[stage.short_name] = stage.plugin.draw(in_chip, size=size)
        elif stage.short_name in face.masks:
            masks[stage.short_name] = _framed(face.masks[stage.short_name], landmarks, size=size, framing=framing)
    return masks


def _framed(mask: NDArray[np.uint8], landmarks: Points, *, size: int, framing: Framing) -> NDArray[np.uint8]:
    """What a network made of the standard square (S, S), over the square of the chip."""
    if framing == STANDARD:
        return resize_mask(mask, size=size)
    to_frame = invert(frame_to_chip(landmarks, size=len(mask)))
    return lay_mask(mask, compose(frame_to_chip(landmarks, size=size, framing=framing), to_frame), size=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishStep:
    """Faces become rows; chips are written below a folder, under the paths that they will have below the result."""

    flow: Flow
    models: Mapping[str, str]
    """What chips say of the networks: stage name to sha256."""
    outputs: Outputs
    folder: Path
    people: People | None = None
    batch: int = 1
    together: int = TOGETHER
    stage: str = "chips"

    def group(self, item: Face) -> Hashable:
        return None

    def failed(self, item: Face, error: Exception) -> Failure:
        return Failure(frame=item.frame, reason=f"face {item.index}: {error}")

    def run(self, items: Sequence[Face]) -> Sequence[FaceRow]:
        return [self._finish(face) for face in items]

    def _finish(self, face: Face) -> FaceRow:
        outputs = self.outputs
        if face.landmarks is not None and face.pose is None:  # it came with them, and no aligner was asked
            face = described(face, ())
        if self.people and face.embedding is not None and face.rejected is None:
            face = replace(face, rejected=self.people.objection(face.embedding))
        masks = draw_masks(face, self.flow, size=outputs.mask_size, framing=outputs.framing)
        affine = None
        if face.landmarks is not None:
            affine = frame_to_chip(face.landmarks, size=outputs.chip_size, framing=outputs.framing)
        path = None
        if affine is not None and outputs.write_chips and face.rejected is None:
            path = chip_path(face.frame, face.index, outputs.chip_format)
        row = FaceRow(
            frame=face.frame,
            index=face.index,
            box=face.box,
            score=face.score,
            keypoints=face.keypoints,
            landmarks=face.landmarks,
            confidence=face.confidence,
            pose=face.pose,
            sharpness=face.sharpness,
            rejected=face.rejected,
            frame_to_chip=affine,
            masks={name: MaskRow(size=outputs.mask_size, png=encode_mask(mask)) for name, mask in masks.items()},
            embedding=face.embedding,
            chip=path,
        )
        if affine is not None and face.rejected is None and (outputs.write_chips or outputs.overlay_chips):
            chip = cut_kept_chip(face, affine, size=outputs.chip_size)
            write_pictures(chip, row, face.time, outputs=outputs, models=self.models, folder=self.folder)
        return row


def chip_path(frame: FrameId, index: int, chip_format: ChipFormat) -> str:
    """Where a chip lies below the result folder."""
    return f"{CHIPS}/{file_name(frame.source)}/{frame.index:06}_{index}.{chip_format}"


def write_pictures(
    chip: Image, row: FaceRow, time: Fraction | None, *, outputs: Outputs, models: Mapping[str, str], folder: Path
) -> None:
    """Writes the chip of a face, if its row says where, and the chip with the face drawn on it, if that is wanted."""
    if row.chip is not None:
        metadata = {"faceloom": VERSION, **row.to_json(time), "models": dict(sorted(models.items()))}
        write_file(folder / row.chip, encode_chip(chip, outputs.chip_format, metadata))
    if outputs.overlay_chips:
        name = f"{row.frame.index:06}_{row.index}.{ChipFormat.JPG}"
        path = f"{OVERLAYS}/{file_name(row.frame.source)}/{name}"
        write_file(folder / path, encode_jpeg(draw_on_chip(chip, row)))


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayStep:
    """Frames become pictures to look at, with boxes, points and mask outlines drawn on them."""

    faces: Mapping[Any, Sequence[FaceRow]]
    """By frame."""
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
            write_file(self.folder / path, encode_jpeg(image))
        return []


_COLOURS = ((255, 200, 0), (0, 200, 255), (255, 0, 160), (120, 255, 0))
_BOX_COLOUR = (0, 255, 0)
_POINT_COLOUR = (255, 255, 255)


def draw_overlay(image: Image, faces: Sequence[FaceRow], *, chip_size: int) -> Image:
    """A copy of a frame with the faces drawn on it; lines grow with the frame."""
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
    """A copy of a chip with its face drawn on it; a box is a box of the frame, so it may be turned."""
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


def _mask_to_frame(face: FaceRow, mask: MaskRow, *, chip_size: int) -> Affine:
    assert face.frame_to_chip is not None
    factor = mask.size / chip_size
    return invert(compose(scaling(factor, factor), face.frame_to_chip))


def _outlines(mask: MaskRow, mask_to_canvas: Affine) -> list[NDArray[np.int32]]:
    """Edges of a stored mask, in pixels of what they are drawn on."""
    coverage = np.asarray(cv2.imdecode(np.frombuffer(mask.png, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
    contours, _ = cv2.findContours(coverage // 128, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.rint(apply(mask_to_canvas, contour.astype(np.float32))).astype(np.int32) for contour in contours]


def encode_mask(mask: NDArray[np.uint8]) -> bytes:
    """A mask as it is stored, PNG."""
    _, content = cv2.imencode(".png", mask)
    return bytes(content.tobytes())
