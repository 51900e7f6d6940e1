"""Finishing: faces become rows with encoded masks and a chip file."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from faceloom.attributes import attributes_of
from faceloom.choices import ChipFormat
from faceloom.faces import Face, FrameId
from faceloom.flow import Flow
from faceloom.formats.record import MaskRecord, OnChip, encode_mask
from faceloom.geometry.affine import Affine, Points, apply, compose, invert
from faceloom.geometry.chips import STANDARD, Framing, frame_to_chip, lay_mask, square_to_chip
from faceloom.geometry.drawings import Drawing
from faceloom.job import Outputs
from faceloom.mask import DrawnMask, LandmarkMask, NetworkMask
from faceloom.media.chip_files import encode_chip, encode_jpeg
from faceloom.pipeline.aligning import described
from faceloom.pipeline.drawing import draw_on_chip
from faceloom.pipeline.faces import TOGETHER, Failure, cut_kept_chip, resize_mask
from faceloom.pipeline.filters import with_border
from faceloom.selection import People
from faceloom.store.folder import CHIPS, OVERLAYS, file_name, write_file
from faceloom.store.places import WorkPlaces
from faceloom.store.rows import FaceRow
from faceloom.version import VERSION


def draw_masks(face: Face, flow: Flow, *, size: int, framing: Framing = STANDARD) -> dict[str, NDArray[np.uint8]]:
    """Makes every mask of a face over the square of its chip: those of networks, and those drawn from its landmarks.

    A face without landmarks, or rejected, has none.
    """
    return {
        name: mask.over_chip(landmarks, size=size, framing=framing) if isinstance(mask, Drawing) else mask
        for name, mask, landmarks in _masks(face, flow, size=size, framing=framing)
    }


def mask_records(face: Face, flow: Flow, *, size: int, framing: Framing) -> dict[str, MaskRecord]:
    """Every mask of a face as it is stored: what is known by its drawing without pixels."""
    return {
        name: MaskRecord(
            size=size,
            content=OnChip(mask, landmarks, framing) if isinstance(mask, Drawing) else encode_mask(mask),
        )
        for name, mask, landmarks in _masks(face, flow, size=size, framing=framing)
    }


def _masks(
    face: Face, flow: Flow, *, size: int, framing: Framing
) -> Iterator[tuple[str, NDArray[np.uint8] | Drawing, Points]]:
    """Name and pixels of a face's masks, or what draws them, and the face's landmarks."""
    landmarks = face.landmarks
    if landmarks is None or face.rejected is not None:
        return
    for stage in flow.of("mask"):
        if isinstance(stage.plugin, DrawnMask) and not framing.is_frame:  # whose square landmarks tell
            yield stage.short_name, stage.plugin.drawing, landmarks
        elif isinstance(stage.plugin, LandmarkMask):
            in_chip = apply(laid(face, size=size, framing=framing), landmarks)
            yield stage.short_name, stage.plugin.cover(in_chip, size=size), landmarks
        elif isinstance(stage.plugin, NetworkMask):
            for name in stage.plugin.names(stage.short_name):
                if name in face.masks:
                    yield name, _framed(face.masks[name], face, size=size, framing=framing), landmarks


def laid(face: Face, *, size: int, framing: Framing) -> Affine:
    """Frame to chip for a face with landmarks."""
    assert face.landmarks is not None
    frame_shape = face.patch.frame_shape if face.patch else (0, 0)
    return square_to_chip(face.landmarks, size=size, framing=framing, frame_shape=frame_shape)


def _framed(mask: NDArray[np.uint8], face: Face, *, size: int, framing: Framing) -> NDArray[np.uint8]:
    """What a network made of the standard square (S, S), over the square of the chip."""
    if framing == STANDARD:
        return resize_mask(mask, size=size)
    assert face.landmarks is not None
    to_frame = invert(frame_to_chip(face.landmarks, size=len(mask)))
    return lay_mask(mask, compose(laid(face, size=size, framing=framing), to_frame), size=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishStep:
    """Turns faces into rows, and writes chips to places under the paths that they will have below the result."""

    flow: Flow
    models: Mapping[str, str]
    """What chips say of the networks: the sha256 of each stage's weights, by stage name."""
    outputs: Outputs
    places: WorkPlaces
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
        if face.landmarks is not None and face.made_up is None:
            face = with_border(face, outputs)
        if self.people and face.embedding is not None and face.rejected is None:
            face = replace(face, rejected=self.people.objection(face.embedding))
        masks = mask_records(face, self.flow, size=outputs.mask_size, framing=outputs.framing)
        affine = None
        if face.landmarks is not None:
            affine = laid(face, size=outputs.chip_size, framing=outputs.framing)
        path = None
        if affine is not None and outputs.write_chips and face.rejected is None:
            path = chip_path(face.frame, face.index, outputs.chip_format)
        kept = attributes_of(face) | {"frame_to_chip": affine, "masks": masks, "chip": path}
        row = FaceRow(frame=face.frame, **kept)
        if affine is not None and face.rejected is None and (outputs.write_chips or outputs.overlay_chips):
            chip = cut_kept_chip(face, affine, size=outputs.chip_size, border=outputs.edge)
            write_pictures(chip, row, face.time, outputs=outputs, models=self.models, places=self.places)
        return row


def chip_path(frame: FrameId, index: int, chip_format: ChipFormat) -> str:
    """The path of a chip below the result folder."""
    return f"{CHIPS}/{file_name(frame.source)}/{frame.index:06}_{index}.{chip_format}"


def write_pictures(
    chip: NDArray[np.uint8],
    row: FaceRow,
    time: Fraction | None,
    *,
    outputs: Outputs,
    models: Mapping[str, str],
    places: WorkPlaces,
) -> None:
    """Writes the chip (S, S, 3 or 4) of a face, if its row says where; if wanted, also with the face drawn on it."""
    if row.chip is not None:
        metadata = {"faceloom": VERSION, **row.to_json(time), "models": dict(sorted(models.items()))}
        content = encode_chip(chip, outputs.chip_format, metadata, subsampling=outputs.subsampling)
        write_file(places.place(row.chip), content)
    if outputs.overlay_chips:
        name = f"{row.frame.index:06}_{row.index}.{ChipFormat.JPG}"
        path = f"{OVERLAYS}/{file_name(row.frame.source)}/{name}"
        write_file(places.place(path), encode_jpeg(draw_on_chip(chip[..., :3], row)))
