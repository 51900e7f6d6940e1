"""A detector that is content with less than YuNet."""

from dataclasses import dataclass

from faceloom.detect.yunet import YuNet


@dataclass(frozen=True, kw_only=True)
class Keen(YuNet):
    """Faces of half a belief."""

    min_score: float = 0.5
