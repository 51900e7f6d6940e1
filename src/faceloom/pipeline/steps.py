"""Steps by the kind of their plugins."""

from faceloom.align import Aligner
from faceloom.detect import Detector
from faceloom.geometry.chips import COPIED_BYTES
from faceloom.identify import Identifier
from faceloom.job import Outputs
from faceloom.mask import NetworkMask
from faceloom.pipeline.aligning import AlignStep
from faceloom.pipeline.detecting import DetectStep
from faceloom.pipeline.faces import IdentifyStep, MaskStep
from faceloom.pipeline.following import Follower
from faceloom.pipeline.lanes import Step
from faceloom.selection import EVERY_FACE, Choice
from faceloom.stage import Infer, Stage

_USUAL = Outputs()


def network_step(
    stage: Stage,
    infer: Infer,
    *,
    batch: int,
    outputs: Outputs = _USUAL,
    choice: Choice = EVERY_FACE,
    aligners: frozenset[str] = frozenset(),
    follower: Follower | None = None,
    copied_bytes: int = COPIED_BYTES,
) -> Step:
    """Makes the step of a stage whose network is loaded.

    A detector's step keeps the faces of a choice, follows them if there is a follower, and copies patches of less than
    so many bytes a frame; an aligner's is told the stages of all aligners.
    """
    plugin = stage.plugin
    match plugin:
        case Detector():
            return DetectStep(
                stage.name, plugin, infer, batch, outputs.framing.patch_scale, choice, follower, copied_bytes
            )
        case Aligner():
            return AlignStep(stage.name, plugin, infer, batch, outputs, aligners)
        case NetworkMask():
            return MaskStep(stage.name, plugin, infer, batch)
        case Identifier():
            return IdentifyStep(stage.name, plugin, infer, batch)
    raise TypeError(f"{stage.name} is of no known kind")
