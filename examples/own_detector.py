"""Own detector: a detector of one's own in one file, here YuNet on pictures that are made brighter first.

    python examples/own_detector.py NIGHT_PICTURE...

An installed package offers such a class by an entry point, `"detect/bright" = "own_detector:Bright"` in the group
`faceloom.stages` of its pyproject.toml; `--detect bright` is known everywhere then. docs/plugins.md has the contract.
"""

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import faceloom
from faceloom.detect.yunet import YuNet
from faceloom.faces import Images
from faceloom.stage import Tensors


@dataclass(frozen=True, kw_only=True)
class Bright(YuNet):
    """YuNet that sees in the dark."""

    gamma: float = 0.5
    """Fields are options: values from 0 to 1 are raised to this power, so that less than 1 is brighter."""

    def prepare(self, images: Images) -> Tensors:
        brighter = (np.linspace(0, 1, 256) ** self.gamma * 255).round().astype(np.uint8)
        return YuNet.prepare(self, brighter[images])


def main(*pictures: str) -> None:
    """Compares what is found with and without."""
    with tempfile.TemporaryDirectory() as folder:  # what `pip install` would write, for this process alone
        entry_points = Path(folder, "own_detector-1.dist-info", "entry_points.txt")
        entry_points.parent.mkdir()
        entry_points.write_text("[faceloom.stages]\ndetect/bright = own_detector:Bright\n")
        sys.path.append(folder)
        settings = {"detect/bright": {"gamma": 0.4}}
        ours = faceloom.stream(pictures, detect="bright", settings=settings, align=None)
        for frame, usual in zip(ours, faceloom.stream(pictures, align=None), strict=True):
            print(f"{frame.id}: {len(frame.faces)} faces, {len(usual.faces)} without")


if __name__ == "__main__":
    main(*sys.argv[1:])
