"""dlib's face recognition network, as dlib serializes it, to ONNX with a free batch axis.

Read here are the layers that this network has: convolutions, each followed by an affine layer that is folded into it,
pools, residual sums and one matrix at the end. Images are RGB, 0 to 255: the input layer's means are folded in too.
Values agree with dlib's own to float32 rounding (tests/models/test_dlib.py).

Source: dlib 20, `dlib/serialize.h`, `dlib/dnn/layers.h` and `dlib/dnn/core.h`: what their functions `serialize` write;
the order of layers is `anet_type` of `examples/dnn_face_recognition_ex.cpp`. Boost Software License 1.0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from faceloom.errors import WeightsError

OPSET = 13
_IR_VERSION = 8
_PIXEL_SCALE = 1 / 256  # what dlib multiplies pixels by once their mean is taken off
_FIRST_LAYER = 3  # the version that dlib writes for the layer on top of the input alone
_STATE_FLAGS = 3
_STATE_TENSORS = 3


def to_onnx(content: bytes, *, name: str) -> onnx.ModelProto:
    """The network of a `.dat` file as ONNX; `name` is for error messages.

    Raises:
        WeightsError: not a network of dlib's, or one of other layers.
    """
    try:
        return _DlibConversion(_Stream(content)).model()
    except (ArithmeticError, LookupError, MemoryError, TypeError, ValueError, onnx.checker.ValidationError) as error:
        raise WeightsError(f"{name} is no face recognition network of dlib's: {error}", name=name) from error


class _Stream:
    """What dlib's `serialize` wrote, in order."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def take(self, count: int) -> bytes:
        taken = self._content[self._at : self._at + count]
        if len(taken) < count:
            raise ValueError("the file ends too early")
        self._at += count
        return taken

    def integer(self) -> int:
        """A byte of sign and length, then that many, the lowest first."""
        (control,) = self.take(1)
        value = int.from_bytes(self.take(control & 0x0F), "little")
        return -value if control & 0x80 else value

    def integers(self, count: int) -> list[int]:
        return [self.integer() for _ in range(count)]

    def real(self) -> float:
        mantissa, exponent = self.integers(2)
        return math.ldexp(mantissa, exponent)

    def text(self) -> str:
        return self.take(self.integer()).decode("ascii")

    def tensor(self) -> NDArray[np.float32]:
        """Version, four sides, then float32."""
        version, *sides = self.integers(5)
        if version != 2:
            raise ValueError(f"a tensor of version {version}")
        return np.frombuffer(self.take(4 * math.prod(sides)), "<f4").reshape(sides)

    def skip_state(self) -> None:
        """What a layer keeps from one step of training to the next."""
        self.take(_STATE_FLAGS)
        for _ in range(_STATE_TENSORS):
            self.tensor()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Image:
    """A tensor of images on its way through the network."""

    name: str
    channels: int
    side: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Of a convolution or a pool; all are square."""

    kernel: int
    stride: int
    padding: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> "_Window":
        (kernel, stride, padding) = numbers[::2]
        if list(numbers) != [kernel, kernel, stride, stride, padding, padding]:
            raise ValueError(f"a window that is not square: {numbers}")
        return cls(kernel=kernel, stride=stride, padding=padding)

    def over(self, side: int) -> int:
        return (side + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def attributes(self) -> dict[str, list[int]]:
        return {
            "kernel_shape": [self.kernel] * 2,
            "strides": [self.stride] * 2,
            "pads": [self.padding] * 4,
        }


class _DlibConversion:
    """Layers are read from the input to the output, and appended as ONNX nodes."""

    def __init__(self, stream: _Stream) -> None:
        self._stream = stream
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def model(self) -> onnx.ModelProto:
        means, size = self._header()
        image = self._convolution(_Image(name="image", channels=3, side=size), means=means)
        image = self._pool("MaxPool", self._relu(image))
        while (kind := self._stream.text()) == "con_4":
            image = self._residual(image)
        self._expect(kind, "avg_pool_2")
        self._stream.integers(6)  # a window of 0: everything
        self._stream.skip_state()
        matrix = self._matrix()
        features = self._add("Flatten", [self._add("GlobalAveragePool", [image.name], "mean")], "features")
        self._add("Gemm", [features, self._store(matrix, "matrix")], "embedding")
        inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, size, size])]
        outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["batch", matrix.shape[1]])]
        graph = helper.make_graph(self._nodes, "dlib", inputs, outputs, self._constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="faceloom")
        onnx.checker.check_model(model, full_check=True)
        return model

    def _header(self) -> tuple[NDArray[np.float32], int]:
        """Means of red, green and blue, and the side of the images."""
        stream = self._stream
        stream.integer()  # version
        self._expect(stream.text(), "loss_metric_2")
        stream.real(), stream.real()  # margin and distance, of use for training alone
        while stream.integer() != _FIRST_LAYER:  # versions of the layers above it
            pass
        self._expect(stream.text(), "input_rgb_image_sized")
        means = [stream.real() for _ in range(3)]
        height, width = stream.integers(2)
        if height != width:
            raise ValueError(f"images of {height} x {width}")
        self._expect(stream.text(), "con_4")
        return np.array(means, np.float32), height

    def _convolution(self, image: _Image, *, means: NDArray[np.float32] | None = None) -> _Image:
        """A convolution, its name read before, and the affine layer after it; of the first one the input's means."""
        stream = self._stream
        values = stream.tensor().reshape(-1)
        filters, *sides = stream.integers(7)
        window = _Window.of(sides)
        stream.integers(10)  # where filters and biases lie in `values`
        for _ in range(4):  # rates of learning
            stream.real()
        stream.skip_state()
        if means is not None:
            stream.integer()  # images a sample, of the first layer alone
        weights = values[:-filters].reshape(filters, image.channels, window.kernel, window.kernel).astype(np.float64)
        biases = values[-filters:].astype(np.float64)
        if means is not None:
            weights = weights * _PIXEL_SCALE
            biases = biases - (weights * means[:, None, None]).sum(axis=(1, 2, 3))
        scale, shift = self._affine().astype(np.float64)
        name = f"{len(self._nodes)}:conv"
        inputs = [
            image.name,
            self._store(weights * scale[:, None, None, None], f"{name}:weights"),
            self._store(biases * scale + shift, f"{name}:biases"),
        ]
        return _Image(
            name=self._add("Conv", inputs, name, **window.attributes), channels=filters, side=window.over(image.side)
        )

    def _affine(self) -> NDArray[np.float32]:
        """(2, C) scale and shift."""
        self._expect(self._stream.text(), "affine_")
        values = self._stream.tensor().reshape(2, -1)
        self._stream.integers(11)
        self._stream.skip_state()
        return values

    def _relu(self, image: _Image) -> _Image:
        self._expect(self._stream.text(), "relu_")
        self._stream.skip_state()
        return replace(image, name=self._add("Relu", [image.name], f"{len(self._nodes)}:relu"))

    def _pool(self, kind: str, image: _Image) -> _Image:
        if kind == "MaxPool":
            self._expect(self._stream.text(), "max_pool_2")
        window = _Window.of(self._stream.integers(6))
        self._stream.skip_state()
        name = self._add(kind, [image.name], f"{len(self._nodes)}:pool", **window.attributes)
        return replace(image, name=name, side=window.over(image.side))

    def _residual(self, image: _Image) -> _Image:
        """Two convolutions, the name of the first read before, and the sum with what they began with."""
        changed = self._relu(self._convolution(image))
        self._expect(self._stream.text(), "con_4")
        changed = self._convolution(changed)
        kind = self._stream.text()
        if kind == "avg_pool_2":
            image = self._pool("AveragePool", image)
            kind = self._stream.text()
        self._expect(kind, "add_prev_")
        self._stream.skip_state()
        return self._relu(self._sum(image, changed))

    def _sum(self, one: _Image, other: _Image) -> _Image:
        """Where one has fewer channels, rows or columns than the other, it has zeros there."""
        channels, side = max(one.channels, other.channels), max(one.side, other.side)
        names = []
        for image in (one, other):
            more = [0, channels - image.channels, side - image.side, side - image.side]
            pads = self._store(np.array([0] * 4 + more), f"{image.name}:pads") if any(more) else ""
            names.append(self._add("Pad", [image.name, pads], f"{image.name}:padded") if pads else image.name)
        return _Image(name=self._add("Add", names, f"{len(self._nodes)}:sum"), channels=channels, side=side)

    def _matrix(self) -> NDArray[np.float32]:
        """(C, D) of the last layer."""
        self._expect(self._stream.text(), "fc_2")
        answers, features = self._stream.integers(2)
        return self._stream.tensor().reshape(features, answers)

    def _expect(self, found: str, wanted: str) -> None:
        if found != wanted:
            raise ValueError(f"it has the layer {found!r} where {wanted!r} is known")

    def _add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def _store(self, values: NDArray[Any], name: str) -> str:
        dtype = np.int64 if values.dtype.kind == "i" else np.float32
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype), name))
        return name
