"""Prepares a file of the user's own: `python -m faceloom.models.trial`, which is told what `convert` is told.

Nobody has tried such a file before. So of the axes that are to be free those are freed that the network can do without,
found by running it on noise: pictures of another size, and two at once, which have to get the answers that each gets
alone. What it answered is told in the file, for `signature`.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from faceloom.errors import WeightsError
from faceloom.models.convert import convert, run
from faceloom.models.signature import TRIED

SIDES = ("height", "width")
_CANVASES = ((256, 320), (192, 256))
"""Of pictures for a network whose sides are free: multiples of the largest strides."""
_CHIPS = ((256, 256), (112, 112), (192, 192), (224, 224), (128, 128))
"""Of those for a network that takes squares."""
_MOST_APART = 1e-3
"""Of an answer to two pictures and to each alone, over the answer's largest value."""

Answers = dict[str, NDArray[Any]]


class _RefusedError(Exception):
    """The network does not do what was tried."""


def prepare(content: bytes, *, file: str, axes: Sequence[str]) -> onnx.ModelProto:
    """The network of a weight file as ONNX, with those of the named axes freed that can be.

    A network that cannot take more than one picture at once is fixed at one.

    Raises:
        WeightsError: the content is not what its suffix says, or the network cannot be run whatever is freed.
    """
    reasons = []
    for some in _choices(axes):
        model = convert(content, file=file, axes=some)
        if "batch" not in some:
            _fix_batch(model)
        try:
            return _with_told(model, _tried(model, is_chip=not set(axes) & {*SIDES}, sides_freed=SIDES[0] in some))
        except _RefusedError as error:
            reasons.append(str(error))
    raise WeightsError(f"{file} cannot be run: {reasons[-1]}", name=file)


def _choices(axes: Sequence[str]) -> Iterator[list[str]]:
    """Which axes to free, the most first: all, without the number of pictures, without their sides, none."""
    if not axes:  # a format whose conversion frees the batch by itself
        yield ["batch"]
    seen: list[list[str]] = []
    for left_out in ((), ("batch",), SIDES, ("batch", *SIDES)):
        some = [axis for axis in axes if axis not in left_out]
        if some not in seen:
            seen.append(some)
            yield some


def _fix_batch(model: onnx.ModelProto) -> None:
    weights = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        if value.name not in weights and value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_value = 1


def _tried(model: onnx.ModelProto, *, is_chip: bool, sides_freed: bool) -> tuple[tuple[int, int], Answers]:
    """A picture's height and width, and what the network answers to it, once everything has been tried."""
    network = _Session(model)
    shapes = [network.sides] if network.sides else list(_CHIPS if is_chip else _CANVASES)
    error: _RefusedError | None = None
    for shape in shapes if is_chip else shapes[:1]:
        try:
            answers = network.run(_noise(1, shape))
            break
        except _RefusedError as refused:
            error = error or refused
    else:
        assert error
        raise error
    if sides_freed:
        network.run(_noise(1, _CANVASES[1]))
    if network.takes_many:
        _hold_together(network, shape, answers)
    return shape, answers


def _hold_together(network: "_Session", shape: tuple[int, int], first: Answers) -> None:
    """Two pictures in one call have to get what each gets alone."""
    pictures = _noise(2, shape)
    second = network.run(pictures[1:])
    for name, both in network.run(pictures).items():
        alone = (first[name], second[name])
        if not all(one.ndim and len(one) == 1 for one in alone) or both.shape != (2, *alone[0].shape[1:]):
            raise _RefusedError(f"for two pictures {name!r} is {both.shape}, for one {alone[0].shape}")
        apart = np.abs(both - np.concatenate(alone)).max(initial=0)
        if not apart <= _MOST_APART * max(1e-6, float(np.abs(both).max(initial=0))):
            raise _RefusedError(f"{name!r} is another for two pictures than for each alone")


class _Session:
    """A network as ONNX Runtime runs it, with one input, pictures (N, 3, H, W)."""

    def __init__(self, model: onnx.ModelProto) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.enable_mem_pattern = False
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's own classes share no base but this
            raise _RefusedError(_line(error)) from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != 4 or inputs[0].shape[1] in {1, 2}:
            told = ", ".join(f"{one.name} {one.shape}" for one in inputs)
            raise _RefusedError(f"it takes {told}, not (images, 3, height, width)")
        self._name, shape = inputs[0].name, inputs[0].shape
        self.takes_many = not isinstance(shape[0], int)
        height, width = shape[2:]
        self.sides = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        """Height and width where they are fixed."""

    def run(self, pictures: NDArray[np.float32]) -> Answers:
        names = [output.name for output in self._session.get_outputs()]
        try:
            answers = self._session.run(names, {self._name: pictures})
        except Exception as error:  # as above
            raise _RefusedError(_line(error)) from error
        if not all(isinstance(answer, np.ndarray) for answer in answers):
            raise _RefusedError("it answers something else than tensors")
        return dict(zip(names, answers, strict=True))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _noise(count: int, shape: tuple[int, int]) -> NDArray[np.float32]:
    """(count, 3, H, W) that begin with the same picture whatever the count; a second one is much darker."""
    bright = np.random.default_rng(0).uniform(0, 255, (count, 3, *shape))
    return (bright / np.linspace(1, 4, count)[:, None, None, None]).astype(np.float32)


def _with_told(model: onnx.ModelProto, told: tuple[tuple[int, int], Mapping[str, NDArray[Any]]]) -> onnx.ModelProto:
    shape, answers = told
    entry = model.metadata_props.add()
    entry.key = TRIED
    entry.value = json.dumps([shape, {name: answer.shape for name, answer in answers.items()}])
    return model


if __name__ == "__main__":
    sys.exit(run(prepare))
