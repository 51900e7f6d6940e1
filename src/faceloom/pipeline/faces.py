"""The steps of faces: patches are cut, and networks add what they find, through the contract of each kind of plugin."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.choices import Border
from faceloom.faces import Face, FrameId, Image, Images, Patch
from faceloom.faults import Fault, fault_of
from faceloom.frame import Frame
from faceloom.geometry.affine import Affine, Points, apply, fit_similarity
from faceloom.geometry.borders import cut_bordered, extent
from faceloom.geometry.chips import COPIED_BYTES, PATCH_SCALE, cut, frame_to_chip, in_patch, patch_bounds
from faceloom.geometry.edges import with_soft_edge
from faceloom.geometry.landmarks import five_keypoints
from faceloom.identify import Identifier
from faceloom.mask import NetworkMask
from faceloom.stage import Infer, NetworkPlugin, require

TOGETHER = 8
"""How many faces take a step together, in calls of the planned batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A frame that has been through detection: what is left of it when its pixels are gone."""

    id: FrameId
    height: int
    width: int
    problem: str | None
    digest: str | None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, frame: Frame) -> Self:
        """What is left of a frame."""
        height, width = frame.image.shape[:2]
        return cls(
            id=frame.id,
            height=height,
            width=width,
            problem=frame.problem,
            digest=frame.digest,
            notes=tuple(map(str, frame.notes)),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A frame or a face that a step could not do."""

    frame: FrameId
    reason: str
    fault: Fault | None = None
    """Whose fault it is, if not the item's own."""


def size_of(item: Any) -> int:
    """Bytes of the pixels that a frame or a face holds."""
    if isinstance(item, Frame):
        return item.image.nbytes
    if isinstance(item, Face):
        patches = (patch for patch in (item.patch, item.wide_patch) if patch is not None)
        return sum(patch.held_bytes for patch in patches) + sum(mask.nbytes for mask in item.masks.values())
    return 0


@dataclass(frozen=True)
class NetworkStep:
    """A step that calls one loaded network, in batches of the planned size."""

    stage: str
    plugin: NetworkPlugin
    infer: Infer
    batch: int

    @property
    def together(self) -> int:
        return self.batch

    def group(self, item: Any) -> Hashable:
        return None

    def failed(self, item: Frame | Face, error: Exception) -> Failure:
        frame = item.id if isinstance(item, Frame) else item.frame
        what = "" if isinstance(item, Frame) else f"face {item.index}: "
        return Failure(frame=frame, reason=f"{what}{self.stage}: {error}", fault=fault_of(error))


def with_patches(faces: Sequence[Face], image: Image, *, scale: float, copied_bytes: int = COPIED_BYTES) -> list[Face]:
    """Cuts the patches of a frame's faces: what stages read and, if `scale` is larger than that, more around it.

    Where copies would take so many bytes, or as many as the frame, patches look into it instead. The last of them
    counts for the frame, since faces go on in their order: none of it is free before that one is done.
    """
    height, width = image.shape[:2]
    bounds = [patch_bounds(face.box, height=height, width=width, scale=scale) for face in faces]
    views = [image[y0:y1, x0:x1] for x0, y0, x1, y1 in bounds]
    sharing = sum(view.nbytes for view in views) >= min(copied_bytes, image.nbytes)
    held = [0] * (len(views) - 1) + [image.nbytes] if sharing else [view.nbytes for view in views]
    found = (
        Patch(
            pixels=view if sharing else view.copy(),
            x=x0,
            y=y0,
            held_bytes=held_bytes,
            frame_shape=(height, width),
        )
        for view, held_bytes, (x0, y0, _, _) in zip(views, held, bounds, strict=True)
    )
    if scale == PATCH_SCALE:
        return [replace(face, patch=patch) for face, patch in zip(faces, found, strict=True)]
    return [
        replace(face, patch=_inside(patch, patch_bounds(face.box, height=height, width=width)), wide_patch=patch)
        for face, patch in zip(faces, found, strict=True)
    ]


def _inside(wide: Patch, bounds: tuple[int, int, int, int]) -> Patch:
    """The part of a patch between these bounds of the frame."""
    x0, y0, x1, y1 = bounds
    pixels = wide.pixels[y0 - wide.y : y1 - wide.y, x0 - wide.x : x1 - wide.x]
    return replace(wide, pixels=pixels, x=x0, y=y0, held_bytes=0)


@dataclass(frozen=True)
class FaceStep(NetworkStep):
    """Adds to faces what a network makes of their chips; rejected faces are passed on as they are."""

    def run(self, items: Sequence[Face]) -> Sequence[Face]:
        going_on = [face for face in items if face.rejected is None]
        learned = self.learn(going_on) if going_on else []
        return [*learned, *(face for face in items if face.rejected is not None)]

    def learn(self, faces: Sequence[Face]) -> Sequence[Face]:
        """Returns the faces, each with what the network makes of it."""
        raise NotImplementedError

    @property
    def together(self) -> int:
        """Faces for several calls in a row: a network that ran just before is still in the processor's caches."""
        return self.batch * max(1, TOGETHER // self.batch)

    def calls(self, faces: Sequence[Face], maps: Sequence[Affine], *, size: int) -> Iterator[Images]:
        """The chips of each call (N, S, S, 3); no more of them are there at a time."""
        for i in range(0, len(faces), self.batch):
            yield _chips(faces[i : i + self.batch], maps[i : i + self.batch], size=size)


@dataclass(frozen=True)
class MaskStep(FaceStep):
    """Gives faces a mask from a network."""

    plugin: NetworkMask

    def learn(self, faces: Sequence[Face]) -> Sequence[Face]:
        size = self.plugin.input_size
        maps = [frame_to_chip(_landmarks(face), size=size) for face in faces]
        names = self.plugin.names(self.stage.partition("/")[2])
        masks = (
            masks
            for chips in self.calls(faces, maps, size=size)
            for masks in zip(*self.plugin.segment_each(self.infer, chips), strict=True)
        )
        return [
            replace(
                face,
                masks={
                    **face.masks,
                    **{
                        name: self._complete(mask, face, face_to_chip)
                        for name, mask in zip(names, of_face, strict=True)
                    },
                },
            )
            for face, of_face, face_to_chip in zip(faces, masks, maps, strict=True)
        ]

    def _complete(self, mask: NDArray[np.uint8], face: Face, face_to_chip: Affine) -> NDArray[np.uint8]:
        landmarks = apply(face_to_chip, _landmarks(face))
        mask = with_soft_edge(self.plugin.complete(mask, landmarks), landmarks, share=self.plugin.soft)
        require(
            mask.shape == 2 * (self.plugin.input_size,) and mask.dtype == np.uint8, self.plugin, "a mask (S, S) uint8"
        )
        return mask


@dataclass(frozen=True)
class IdentifyStep(FaceStep):
    """Gives faces an embedding."""

    plugin: Identifier

    def learn(self, faces: Sequence[Face]) -> Sequence[Face]:
        template, size = self.plugin.template, self.plugin.input_size
        maps = [fit_similarity(five_keypoints(_landmarks(face)), template) for face in faces]
        embeddings = (
            row for chips in self.calls(faces, maps, size=size) for row in self.plugin.embed(self.infer, chips)
        )
        return [replace(face, embedding=embedding) for face, embedding in zip(faces, embeddings, strict=True)]


def cut_chip(face: Face, face_to_chip: Affine, *, size: int, into: Image | None = None) -> Image:
    """Cuts the chip that a stage reads from the patch of a face."""
    patch = face.patch
    assert patch is not None
    return cut(patch.pixels, in_patch(face_to_chip, x=patch.x, y=patch.y), size=size, into=into)


def cut_kept_chip(face: Face, face_to_chip: Affine, *, size: int, border: Border) -> NDArray[np.uint8]:
    """Cuts the chip that the user keeps, (size, size, 3), or 4 if its border is transparent.

    From the wide patch of a face, if it has one, or else from its patch.
    """
    patch = face.wide_patch or face.patch
    assert patch is not None
    height, width = patch.frame_shape
    frame = extent(height, width, x=patch.x, y=patch.y)
    return cut_bordered(
        patch.pixels, in_patch(face_to_chip, x=patch.x, y=patch.y), size=size, frame=frame, border=border
    )


def resize_mask(mask: NDArray[np.uint8], *, size: int) -> NDArray[np.uint8]:
    """Resizes a mask (S, S)."""
    if mask.shape == (size, size):
        return mask
    shrinking = size < mask.shape[0]
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask, (size, size), interpolation=interpolation), np.uint8)


def _chips(faces: Sequence[Face], maps: Sequence[Affine], *, size: int) -> Images:
    chips = np.empty((len(faces), size, size, 3), np.uint8)
    for face, face_to_chip, chip in zip(faces, maps, chips, strict=True):
        cut_chip(face, face_to_chip, size=size, into=chip)
    return chips


def _landmarks(face: Face) -> Points:
    assert face.landmarks is not None
    return face.landmarks
