"""Known faces: the steps of a flow without a detector, whose faces come from a store or a file."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

import numpy as np

from faceloom.faces import Face, FrameId
from faceloom.flow import Flow
from faceloom.frame import Frame
from faceloom.mask import LandmarkMask
from faceloom.pipeline.aligning import AlignStep
from faceloom.pipeline.faces import Failure, Seen, with_patches
from faceloom.pipeline.lanes import Final, Step
from faceloom.selection import EVERY_FACE, Choice


class _OfFrame(Protocol):
    @property
    def frame(self) -> FrameId: ...


_T = TypeVar("_T", bound=_OfFrame)


def by_frame(faces: Iterable[_T]) -> dict[FrameId, list[_T]]:
    """Groups faces by their frames, in the order given."""
    frames: dict[FrameId, list[_T]] = defaultdict(list)
    for face in faces:
        frames[face.frame].append(face)
    return dict(frames)


def needs_landmarks(flow: Flow) -> bool:
    """Whether every face has to come with landmarks, because a stage needs them and none finds them."""
    readers = (stage.plugin for stage in flow.stages if not isinstance(stage.plugin, LandmarkMask))
    return not flow.of("align") and any("landmarks" in plugin.reads for plugin in readers)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStep:
    """Takes the place of a detector: the faces that frames come with get their patches."""

    needs_landmarks: bool
    patch_scale: float
    """The side of a patch, as a multiple of the longer side of the face's box."""
    choice: Choice = EVERY_FACE
    batch: int = 1
    together: int = 1
    stage: str = "patches"

    def group(self, item: Frame) -> Hashable:
        return None

    def failed(self, item: Frame, error: Exception) -> Failure:
        return Failure(frame=item.id, reason=f"{self.stage}: {error}")

    def run(self, items: Sequence[Frame]) -> Sequence[Face | Final]:
        return [found for frame in items for found in self._found(frame)]

    def _found(self, frame: Frame) -> list[Face | Final]:
        if any(face.patch for face in frame.faces):  # chips, since the frame itself is gone
            return [*frame.faces, Final(Seen.of(frame))]
        height, width = frame.image.shape[:2]
        best_first = sorted(frame.faces, key=lambda face: -face.score)
        boxes = np.array([face.box for face in best_first], np.float32).reshape(-1, 4)
        chosen = [best_first[i] for i in self.choice.kept(boxes, height=height, width=width)]
        lost = [face for face in chosen if self.needs_landmarks and face.landmarks is None]
        faces = [face for face in chosen if not (self.needs_landmarks and face.landmarks is None)]
        return [
            *with_patches([replace(face, time=frame.time) for face in faces], frame.image, scale=self.patch_scale),
            *(
                Final(Failure(frame=frame.id, reason=f"face {face.index}: its landmarks are not known; add an aligner"))
                for face in lost
            ),
            Final(Seen.of(frame)),
        ]


@dataclass(frozen=True, slots=True)
class _UnlessKnown:
    """An aligner's step that leaves the landmarks alone with which a face came."""

    step: AlignStep

    @property
    def stage(self) -> str:
        return self.step.stage

    @property
    def batch(self) -> int:
        return self.step.batch

    @property
    def together(self) -> int:
        return self.step.together

    def group(self, item: Face) -> Hashable:
        return self.step.group(item)

    def failed(self, item: Face, error: Exception) -> Failure:
        return self.step.failed(item, error)

    def run(self, items: Sequence[Face]) -> Sequence[Face]:
        unknown = [face for face in items if face.landmarks is None]
        known = [
            self.step.describe(face) if face.pose is None else face for face in items if face.landmarks is not None
        ]
        return [*known, *(self.step.run(unknown) if unknown else ())]


def unless_known(step: Step) -> Step:
    """Returns the step, or one that leaves alone what faces know already."""
    return _UnlessKnown(step) if isinstance(step, AlignStep) else step
