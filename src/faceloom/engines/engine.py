"""The contract of an engine: it loads prepared networks, runs them, and gives their memory back."""

from pathlib import Path
from typing import Protocol

from faceloom.stage import Tensors


class Network(Protocol):
    """A network held in memory; safe to call from several threads at once."""

    def __call__(self, inputs: Tensors) -> Tensors:
        """Runs the network on one batch, and returns its outputs by name.

        Raises:
            MemoryError: the engine could not get the memory it needed; the network can be called again.
        """


class HeldMemory(Protocol):
    """What this process holds, of the host's memory or a device's."""

    @property
    def held_bytes(self) -> int:
        """What is held at this moment: all that is reserved, whether or not it is in use.

        Of a device it is what this engine has taken for weights and activations. The driver's context and the libraries
        are not in it: by so much more does `free_bytes` fall when the first network runs.
        """

    @property
    def peak_bytes(self) -> int:
        """The most that `held_bytes` has been since the beginning, or since `reset_peak`."""

    def reset_peak(self) -> None:
        """Makes `peak_bytes` begin again at what is held now."""


class DeviceMemory(HeldMemory, Protocol):
    """The memory of a device that has its own."""

    @property
    def total_bytes(self) -> int:
        """All memory of the device."""

    @property
    def pinned_bytes(self) -> int:
        """What the engine holds of the host's memory for the device to read by itself; the system may not count it."""

    @property
    def free_bytes(self) -> int:
        """What is free of the device's memory now, by its own account; what any process holds is not free."""


class Engine(Protocol):
    """Loads networks onto one device."""

    @property
    def version(self) -> str:
        """The name and version of the runtime, e.g. `onnxruntime 1.31.1`."""

    @property
    def busy_s(self) -> float:
        """Seconds in which the device has worked on calls so far; 0 on the host, where nothing else would be told."""

    @property
    def memory(self) -> DeviceMemory | None:
        """The device's memory; None on the host, where what the process holds counts."""

    def load(self, path: Path, network: str = "") -> Network:
        """Loads the network of a prepared file, which is the checkpoint of the module `network` if that is not empty.

        Raises:
            StageError: the runtime refuses it, or would run it on another device than this engine's.
            MemoryError: there is not enough memory to load it.
        """

    def reserve(self, size_bytes: int) -> None:
        """Reserves a block for the activations of later calls, which then need no more unless they are larger.

        Does nothing where the runtime has no place to keep it.

        Raises:
            MemoryError: it is not to be had.
        """

    def shrink(self) -> None:
        """Gives back to the system what no loaded network holds at this moment."""
