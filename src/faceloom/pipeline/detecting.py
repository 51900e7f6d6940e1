"""Detecting: frames become faces, by as many looks as it takes."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from faceloom.canvases import upright_canvas
from faceloom.detect import Detector
from faceloom.faces import Face
from faceloom.frame import Frame
from faceloom.geometry.chips import COPIED_BYTES, PATCH_SCALE
from faceloom.pipeline.faces import NetworkStep, Seen, with_patches
from faceloom.pipeline.following import Follower
from faceloom.pipeline.lanes import Final
from faceloom.pipeline.looking import Looker
from faceloom.pipeline.signs import by_signs
from faceloom.pipeline.uprightness import in_every_turn
from faceloom.selection import EVERY_FACE, Choice


@dataclass(frozen=True)
class DetectStep(NetworkStep):
    """Turns frames into faces with patches, and notes what is left of each frame."""

    plugin: Detector
    patch_scale: float = PATCH_SCALE
    choice: Choice = EVERY_FACE
    follower: Follower | None = None
    """Who follows faces through frames that are not looked at; None: all are."""
    copied_bytes: int = COPIED_BYTES
    """A frame's patches that take as much together look into it, and hold it."""

    def group(self, item: Frame) -> Hashable:
        if self.follower is not None:  # frames come in the order in which they were read
            return None
        return upright_canvas(self.plugin, *item.image.shape[:2])

    def run(self, items: Sequence[Frame]) -> Sequence[Face | Final]:
        found = self._look(items) if self.follower is None else self.follower.find(items, self._look)
        leads = self.follower.leads if self.follower is not None else frozenset()
        results: list[Face | Final] = []
        for frame, faces in zip(items, found, strict=True):
            if frame.id in leads:
                continue
            results += with_patches(faces, frame.image, scale=self.patch_scale, copied_bytes=self.copied_bytes)
            results.append(Final(Seen.of(frame)))
        return results

    def _look(self, frames: Sequence[Frame]) -> Sequence[Sequence[Face]]:
        looker = Looker(plugin=self.plugin, infer=self.infer, batch=self.batch, choice=self.choice)
        return by_signs(looker, frames) if self.plugin.turns_by_signs else in_every_turn(looker, frames)
