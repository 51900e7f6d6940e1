"""The contract of an engine: it loads a prepared network, runs it, and gives its memory back."""

from pathlib import Path
from typing import Protocol

from faceloom.stage import Tensors


class Network(Protocol):
    """A network held in memory; safe to call from several threads at once."""

    def __call__(self, inputs: Tensors) -> Tensors:
        """The outputs by name, for one batch.

        Raises:
            MemoryError: the engine could not get the memory it needed; the network can be called again.
        """


class Engine(Protocol):
    """Loads networks onto one device."""

    @property
    def version(self) -> str:
        """Name and version of the runtime, e.g. `onnxruntime 1.31.1`."""

    def load(self, path: Path) -> Network:
        """The network of a prepared file.

        Raises:
            StageError: the runtime refuses it, or would run it on another device than this engine's.
            MemoryError: there is not enough memory to load it.
        """

    def reserve(self, size_bytes: int) -> None:
        """Takes a block for the activations of calls to come, which then need no more unless they are larger.

        Raises:
            MemoryError: it is not to be had.
        """

    def shrink(self) -> None:
        """Gives back to the system what no loaded network holds at this moment."""
