"""Guesses what a stage costs, in a process of its own, since the library that reads graphs is large."""

from dataclasses import replace

import numpy as np

from faceloom.align import Aligner
from faceloom.detect import Detector
from faceloom.memory.footprints import Footprint
from faceloom.memory.guess import guess_footprint
from faceloom.memory.guess_module import guess_module
from faceloom.memory.usage import held_bytes
from faceloom.run.messages import Guess
from faceloom.stage import NetworkPlugin


def guess(request: Guess) -> Footprint:
    """What the stage may cost, by its network's graph or module."""
    process_bytes = held_bytes()
    plugin = request.stage.plugin
    assert isinstance(plugin, NetworkPlugin)
    shape = request.frame_shape if isinstance(plugin, Detector) else (plugin.input_size, plugin.input_size)  # type: ignore[attr-defined]  # every contract but a detector's has one
    inputs = plugin.prepare(np.zeros((1, *shape, 3), np.uint8))
    shapes = {name: tuple(values.shape) for name, values in inputs.items()}
    footprint = (
        guess_module(request.weights, plugin.network, shapes)
        if plugin.network
        else guess_footprint(request.weights, shapes)
    )
    if isinstance(plugin, Aligner):
        footprint = replace(footprint, batch_s={n: plugin.looks * seconds for n, seconds in footprint.batch_s.items()})
    canvases = sum(values.nbytes for values in inputs.values())
    return replace(
        footprint, process_bytes=max(process_bytes, footprint.process_bytes), item_bytes=footprint.item_bytes + canvases
    )
