"""Deriving: chips, masks and overlays of faces that another store knows are made again, without any network."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import FrameId
from faceloom.flow import Flow
from faceloom.formats.record import MaskRecord, OnChip, encode_mask
from faceloom.frame import Frame
from faceloom.geometry.affine import Affine, Points, apply, compose, invert
from faceloom.geometry.borders import cut_bordered, extent, made_up_share
from faceloom.geometry.chips import in_patch, lay_mask, patch_bounds, square_to_chip
from faceloom.job import Derivation, Outputs
from faceloom.mask import LandmarkMask
from faceloom.pipeline.faces import Failure, Seen
from faceloom.pipeline.finishing import chip_path, write_pictures
from faceloom.pipeline.lanes import Final
from faceloom.selection import People
from faceloom.store.places import WorkPlaces
from faceloom.store.rows import FaceRow
from faceloom.tracking.gaps import Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveStep:
    """Turns frames into the rows of their faces, with new chips."""

    found: Callable[[FrameId], tuple[int, Sequence[FaceRow]]]
    """Finds a frame's look and its faces."""
    flow: Flow
    """The stages of the masks that are drawn from landmarks."""
    derivation: Derivation
    outputs: Outputs
    places: WorkPlaces
    people: People | None = None
    """Whose faces are kept; everybody's if left out."""
    batch: int = 1
    together: int = 1
    stage: str = "chips"

    def group(self, item: Frame) -> Hashable:
        return None

    def failed(self, item: Frame, error: Exception) -> Failure:
        return Failure(frame=item.id, reason=f"{self.stage}: {error}")

    def run(self, items: Sequence[Frame]) -> Sequence[FaceRow | Final]:
        return [found for frame in items for found in self._derived(frame)]

    def _derived(self, frame: Frame) -> list[FaceRow | Final]:
        seen = Seen.of(frame)
        look, faces = self.found(frame.id)
        return [*(self._face(face, frame, models=self.derivation.models[look]) for face in faces), Final(seen)]

    def _face(self, face: FaceRow, frame: Frame, *, models: Mapping[str, str]) -> FaceRow:
        face = replace(face, person=None)  # which may have another name tomorrow
        if self.people is not None and face.embedding is not None:
            objection = self.people.objection(face.embedding)
            if objection is not None:
                return replace(face, rejected=objection, chip=None, masks={})
        if face.landmarks is None or (face.mark == Mark.INTERPOLATED and not self.derivation.interpolated):
            return replace(face, chip=None)
        outputs, size, (height, width) = self.outputs, self.outputs.chip_size, frame.image.shape[:2]
        affine = square_to_chip(face.landmarks, size=size, framing=outputs.framing, frame_shape=(height, width))
        path = chip_path(face.frame, face.index, outputs.chip_format)
        masks, share = (
            self._masks(face, face.landmarks, (height, width)),
            made_up_share(affine, size=size, height=height, width=width),
        )
        row = replace(face, frame_to_chip=affine, made_up=share, masks=masks, chip=path)
        # Of the pixels that a run cuts its chip from: averaging depends on where they begin.
        x0, y0, x1, y1 = patch_bounds(face.box, height=height, width=width, scale=outputs.framing.patch_scale)
        chip = cut_bordered(
            frame.image[y0:y1, x0:x1],
            in_patch(affine, x=x0, y=y0),
            size=size,
            frame=extent(height, width, x=x0, y=y0),
            border=outputs.edge,
        )
        write_pictures(chip, row, frame.time, outputs=outputs, models=models, places=self.places)
        return row

    def _masks(self, face: FaceRow, landmarks: Points, frame_shape: tuple[int, int]) -> Mapping[str, MaskRecord]:
        """The face's masks over the square of the new chip: as they are, drawn again, or laid over it."""
        before, now = self.derivation.framing, self.outputs.framing
        if before == now:
            return face.masks
        drawn = {stage.short_name: stage.plugin for stage in self.flow.of("mask")}
        masks: dict[str, MaskRecord] = {}
        for name, mask in face.masks.items():
            plugin = drawn.get(name)
            if isinstance(mask.content, OnChip):
                masks[name] = replace(mask, content=replace(mask.content, framing=now))
                continue
            if isinstance(plugin, LandmarkMask):
                to_chip = square_to_chip(landmarks, size=mask.size, framing=now, frame_shape=frame_shape)
                in_chip = apply(to_chip, landmarks)
                pixels = plugin.cover(in_chip, size=mask.size)
            else:
                sides = [
                    square_to_chip(landmarks, size=mask.size, framing=one, frame_shape=frame_shape)
                    for one in (before, now)
                ]
                pixels = _laid(mask, *sides)
            masks[name] = replace(mask, content=encode_mask(pixels))
        return masks


def _laid(mask: MaskRecord, before: Affine, now: Affine) -> NDArray[np.uint8]:
    """A mask over the square of one chip, laid over that of another."""
    return lay_mask(mask.pixels(), compose(now, invert(before)), size=mask.size)
