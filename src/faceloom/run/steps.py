"""The steps of a phase: how frames become faces, and faces learn more, through the contract of each kind of plugin."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.align import Aligner, Alignment
from faceloom.detect import Detector
from faceloom.faces import Candidates, Face, FrameId, Image, Patch
from faceloom.frame import Frame
from faceloom.geometry.affine import Affine, Points, apply, fit_similarity, invert, scale_of
from faceloom.geometry.boxes import Boxes, nms
from faceloom.geometry.chips import box_to_chip, cut, eye_angle, frame_to_chip, in_patch, patch_bounds
from faceloom.geometry.landmarks import five_keypoints
from faceloom.geometry.letterbox import canvas_shape, letterbox
from faceloom.identify import Identifier
from faceloom.mask import NetworkMask
from faceloom.run.pipeline import Final, Step
from faceloom.stage import Infer, NetworkPlugin, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A frame that has been through detection: what is left of it when its pixels are gone."""

    id: FrameId
    height: int
    width: int
    problem: str | None
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A frame or a face that a step could not do."""

    frame: FrameId
    reason: str


def size_of(item: Any) -> int:
    """Bytes of the pixels that a frame or a face holds."""
    if isinstance(item, Frame):
        return item.image.nbytes
    if isinstance(item, Face):
        return (item.patch.held_bytes if item.patch else 0) + sum(mask.nbytes for mask in item.masks.values())
    return 0


def network_step(stage: Stage, infer: Infer, *, batch: int) -> Step:
    """The step of a stage whose network is loaded."""
    plugin = stage.plugin
    match plugin:
        case Detector():
            return DetectStep(stage.name, plugin, infer, batch)
        case Aligner():
            return AlignStep(stage.name, plugin, infer, batch)
        case NetworkMask():
            return MaskStep(stage.name, plugin, infer, batch)
        case Identifier():
            return IdentifyStep(stage.name, plugin, infer, batch)
    raise TypeError(f"{stage.name} is of no known kind")


@dataclass(frozen=True)
class _NetworkStep:
    stage: str
    plugin: NetworkPlugin
    infer: Infer
    batch: int

    def group(self, item: Any) -> Hashable:
        return None

    def failed(self, item: Frame | Face, error: Exception) -> Failure:
        frame = item.id if isinstance(item, Frame) else item.frame
        what = "" if isinstance(item, Frame) else f"face {item.index}: "
        return Failure(frame=frame, reason=f"{what}{self.stage}: {error}")


@dataclass(frozen=True)
class DetectStep(_NetworkStep):
    """Frames become faces with patches, and what is left of each frame."""

    plugin: Detector

    def group(self, item: Frame) -> Hashable:
        height, width = item.image.shape[:2]
        plugin = self.plugin
        return canvas_shape(height, width, longest_side=plugin.longest_side, side_multiple=plugin.side_multiple)

    def run(self, items: Sequence[Frame]) -> Sequence[Face | Final]:
        plugin = self.plugin
        boxed = [
            letterbox(frame.image, longest_side=plugin.longest_side, side_multiple=plugin.side_multiple)
            for frame in items
        ]
        found = plugin.detect(self.infer, np.stack([canvas for canvas, _ in boxed]))
        results: list[Face | Final] = []
        for frame, candidates, (_, canvas_to_frame) in zip(items, found, boxed, strict=True):
            results += faces_of(frame, candidates, canvas_to_frame=canvas_to_frame, max_iou=plugin.max_iou)
            height, width = frame.image.shape[:2]
            seen = Seen(id=frame.id, height=height, width=width, problem=frame.problem, digest=frame.digest)
            results.append(Final(seen))
        return results


def faces_of(frame: Frame, candidates: Candidates, *, canvas_to_frame: Affine, max_iou: float) -> list[Face]:
    """The faces among a frame's candidates, best score first, each with its patch."""
    kept = nms(candidates.boxes, candidates.scores, max_iou=max_iou)
    boxes = apply(canvas_to_frame, candidates.boxes[kept].reshape(-1, 2, 2)).reshape(-1, 4)
    keypoints = None if candidates.keypoints is None else apply(canvas_to_frame, candidates.keypoints[kept])
    patches = _patches(frame.image, boxes)
    return [
        Face(
            frame=frame.id,
            index=i,
            box=boxes[i],
            score=float(candidates.scores[kept[i]]),
            time=frame.time,
            keypoints=None if keypoints is None else keypoints[i],
            patch=patches[i],
        )
        for i in range(len(kept))
    ]


def _patches(image: Image, boxes: Boxes) -> list[Patch]:
    """The patches of a frame; where copies would take more than the frame itself, they look into it instead."""
    height, width = image.shape[:2]
    bounds = [patch_bounds(box, height=height, width=width) for box in boxes]
    views = [image[y0:y1, x0:x1] for x0, y0, x1, y1 in bounds]
    sharing = sum(view.nbytes for view in views) >= image.nbytes
    share = -(-image.nbytes // max(1, len(views)))
    return [
        Patch(
            pixels=view if sharing else view.copy(),
            x=x0,
            y=y0,
            held_bytes=share if sharing else view.nbytes,
        )
        for view, (x0, y0, _, _) in zip(views, bounds, strict=True)
    ]


@dataclass(frozen=True)
class AlignStep(_NetworkStep):
    """Faces get landmarks, in one look or two."""

    plugin: Aligner

    def run(self, items: Sequence[Face]) -> Sequence[Face]:
        first = self.plugin.first_crop
        angles = [eye_angle(face.keypoints) if first.turned and face.keypoints is not None else 0.0 for face in items]
        boxes = np.stack([face.box for face in items])
        found = self._look(items, boxes, scale=first.scale, angles=angles)
        second = self.plugin.second_crop
        if second is not None:
            eyes = five_keypoints(found.landmarks)
            angles = [eye_angle(points) if second.turned else 0.0 for points in eyes]
            found = self._look(items, found.extent, scale=second.scale, angles=angles)
        return [
            replace(face, landmarks=landmarks, confidence=float(confidence))
            for face, landmarks, confidence in zip(items, found.landmarks, found.confidence, strict=True)
        ]

    def _look(self, faces: Sequence[Face], boxes: Points, *, scale: float, angles: Sequence[float]) -> Alignment:
        """What the network finds in squares laid around boxes (N, 4), in frame pixels."""
        size = self.plugin.input_size
        maps = [box_to_chip(box, scale=scale, angle=angle, size=size) for box, angle in zip(boxes, angles, strict=True)]
        found = self.plugin.align(self.infer, _chips(faces, maps, size=size))
        backs = [invert(chip) for chip in maps]
        landmarks = np.stack([apply(back, points) for back, points in zip(backs, found.landmarks, strict=True)])
        # A turned box is no box; its corners' mean and longer side are what the next crop needs.
        extents = np.stack([_turned_extent(back, box) for back, box in zip(backs, found.extent, strict=True)])
        return Alignment(landmarks=landmarks, confidence=found.confidence, extent=extents)


def _turned_extent(chip_to_frame: Affine, box: NDArray[np.float32]) -> NDArray[np.float32]:
    centre = apply(chip_to_frame, np.asarray((box[:2] + box[2:]) / 2, np.float32))
    half = (box[2:] - box[:2]) / 2 * np.float32(scale_of(chip_to_frame))
    return np.concatenate([centre - half, centre + half])


@dataclass(frozen=True)
class MaskStep(_NetworkStep):
    """Faces get a mask from a network."""

    plugin: NetworkMask

    def run(self, items: Sequence[Face]) -> Sequence[Face]:
        size = self.plugin.input_size
        maps = [frame_to_chip(_landmarks(face), size=size) for face in items]
        masks = self.plugin.segment(self.infer, _chips(items, maps, size=size))
        name = self.stage.partition("/")[2]
        return [replace(face, masks={**face.masks, name: mask}) for face, mask in zip(items, masks, strict=True)]


@dataclass(frozen=True)
class IdentifyStep(_NetworkStep):
    """Faces get an embedding."""

    plugin: Identifier

    def run(self, items: Sequence[Face]) -> Sequence[Face]:
        template = self.plugin.template
        maps = [fit_similarity(five_keypoints(_landmarks(face)), template) for face in items]
        embeddings = self.plugin.embed(self.infer, _chips(items, maps, size=self.plugin.input_size))
        return [replace(face, embedding=embedding) for face, embedding in zip(items, embeddings, strict=True)]


def cut_chip(face: Face, face_to_chip: Affine, *, size: int) -> Image:
    """The chip of a face, from its patch."""
    assert face.patch is not None
    patch = face.patch
    return cut(patch.pixels, in_patch(face_to_chip, x=patch.x, y=patch.y), size=size)


def resize_mask(mask: NDArray[np.uint8], *, size: int) -> NDArray[np.uint8]:
    """A mask (S, S) at another size."""
    if mask.shape == (size, size):
        return mask
    shrinking = size < mask.shape[0]
    interpolation = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(mask, (size, size), interpolation=interpolation), np.uint8)


def _chips(faces: Sequence[Face], maps: Sequence[Affine], *, size: int) -> NDArray[np.uint8]:
    return np.stack([cut_chip(face, chip, size=size) for face, chip in zip(faces, maps, strict=True)])


def _landmarks(face: Face) -> Points:
    assert face.landmarks is not None
    return face.landmarks
