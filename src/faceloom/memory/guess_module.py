"""A first guess at what a network costs that comes as a PyTorch module, for as long as nothing has been measured.

Imports PyTorch inside: hundreds of MiB that stay with the process that asks.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.memory.footprints import Footprint
from faceloom.memory.guess import (
    ACTIVATIONS_FACTOR,
    LOAD_BYTES_S,
    LOAD_SPIKE,
    OPERATIONS_S,
    START_S,
    SWITCH_S,
)
from faceloom.memory.usage import held_bytes

if TYPE_CHECKING:
    import torch

_FLOAT_BYTES = 4


def guess_module(weights: Path, network: str, input_shapes: Mapping[str, tuple[int, ...]]) -> Footprint:
    """Guesses what a network needs for the one item that the shapes stand for; `network` is as in `Plugin.network`.

    The module runs without values. What must live at once is taken to be what the layer with the largest input and
    output has, twice, as branches wait for each other.

    Raises:
        StageError: there is no such module.
    """
    import torch

    from faceloom.engines.checkpoints import empty_network

    module = empty_network(network).eval()
    seen = _Seen()
    for layer in module.modules():
        if not list(layer.children()):
            layer.register_forward_hook(seen.look)
    with torch.inference_mode():
        module(**{name: torch.empty(shape, device="meta") for name, shape in input_shapes.items()})
    weights_bytes = sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))
    return Footprint(
        weights_bytes=weights_bytes,
        load_spike=LOAD_SPIKE,
        load_s=weights.stat().st_size / LOAD_BYTES_S,
        fixed_bytes=0,
        arena_fixed_bytes=0,
        arena_item_bytes=0,
        transient_bytes=0,
        item_bytes=ACTIVATIONS_FACTOR * 2 * _FLOAT_BYTES * seen.largest,
        batch_s={1: seen.operations / OPERATIONS_S},
        process_bytes=held_bytes(),
        start_s=START_S,
        switch_s=SWITCH_S,
        is_measured=False,
    )


class _Seen:
    """What goes through the layers of a module."""

    def __init__(self) -> None:
        self.largest = 0
        """The most elements that the input and output of one layer have together."""
        self.operations = 0

    def look(self, layer: "torch.nn.Module", given: "tuple[torch.Tensor, ...]", answer: Any) -> None:
        elements = math.prod(answer.shape)
        self.largest = max(self.largest, elements + sum(math.prod(tensor.shape) for tensor in given))
        weight = getattr(layer, "weight", None)
        self.operations += elements * (math.prod(weight.shape[1:]) if weight is not None else 1)
