"""The ONNX operators that our graphs use, in PyTorch: each becomes a function of its input tensors.

Source: the ONNX operator specification (onnx.ai/onnx/operators), for operator sets 9 to 13 as far as the graphs of the
catalog go. What they leave out is refused when the graph is loaded, not computed wrongly. Shapes, axes, pads and sizes
are integers on the host, as ONNX Runtime keeps them; floats live on the device.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.nn import functional

Tensor: TypeAlias = torch.Tensor
Run: TypeAlias = Callable[..., Tensor]
"""Turns the input tensors in their order, with None for an optional one that is left out, into the one output."""

_INT64 = 7  # onnx.TensorProto.DataType
_INT32 = 6
_FLOAT = 1
_ALL = 2**63 - 1


class UnsupportedError(Exception):
    """An operator, or a way of using it, that has no counterpart here; the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One operation of a graph."""

    operator: str
    inputs: tuple[str, ...]
    """Names of tensors; an empty one is an optional input that is left out."""
    output: str
    attributes: Mapping[str, Any]
    """The attributes as Python values; text is `str`."""
    opset: int

    def expect(self, **wanted: object) -> None:
        """Refuses attributes that are there with another value.

        Raises:
            UnsupportedError: one is.
        """
        for name, value in wanted.items():
            found = self.attributes.get(name, value)
            if found != value:
                raise UnsupportedError(f"{self.operator} with {name}={found!r}")


def build(node: Node) -> Run:
    """Makes the function of a node.

    Raises:
        UnsupportedError: there is none.
    """
    builder = _BUILDERS.get(node.operator)
    if builder is None:
        raise UnsupportedError(f"operator {node.operator}")
    return builder(node)


def reads_on_host(operator: str, position: int) -> bool:
    """Whether an input is read as numbers, though it may be floating point: the scales of Resize."""
    return operator == "Resize" and position > 0


def _ints(tensor: Tensor) -> list[int]:
    return [int(value) for value in tensor.tolist()]


def _pairs(node: Node, rank: int) -> tuple[list[int], bool]:
    """Padding of `rank` spatial axes in PyTorch's order, last axis first, and whether both ends get the same."""
    node.expect(auto_pad="NOTSET")
    pads = list(node.attributes.get("pads", [0] * (2 * rank)))
    begins, ends = pads[:rank], pads[rank:]
    reversed_pairs = [side for pair in reversed(list(zip(begins, ends, strict=True))) for side in pair]
    return reversed_pairs, begins == ends


def _conv(node: Node) -> Run:
    rank = len(node.attributes["kernel_shape"])
    convolve = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[rank]
    pads, symmetric = _pairs(node, rank)
    settings = {
        "stride": tuple(node.attributes.get("strides", [1] * rank)),
        "dilation": tuple(node.attributes.get("dilations", [1] * rank)),
        "groups": node.attributes.get("group", 1),
    }

    def run(x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
        if symmetric:
            return convolve(x, weights, bias, padding=tuple(pads[::-2]), **settings)
        return convolve(functional.pad(x, pads), weights, bias, **settings)

    return run


def _conv_transpose(node: Node) -> Run:
    node.expect(output_shape=None)
    rank = len(node.attributes["kernel_shape"])
    pads, symmetric = _pairs(node, rank)
    if rank != 2 or not symmetric:
        raise UnsupportedError("ConvTranspose that is not of two dimensions, padded alike at both ends")

    def run(x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
        return functional.conv_transpose2d(
            x,
            weights,
            bias,
            stride=tuple(node.attributes.get("strides", [1, 1])),
            padding=tuple(pads[::-2]),
            output_padding=tuple(node.attributes.get("output_padding", [0, 0])),
            groups=node.attributes.get("group", 1),
            dilation=tuple(node.attributes.get("dilations", [1, 1])),
        )

    return run


def _max_pool(node: Node) -> Run:
    node.expect(storage_order=0, ceil_mode=0)
    kernel, strides = _window(node)
    pads, _ = _pairs(node, 2)
    dilations = tuple(node.attributes.get("dilations", [1, 1]))

    def run(x: Tensor) -> Tensor:
        padded = functional.pad(x, pads, value=-torch.inf) if any(pads) else x
        return functional.max_pool2d(padded, kernel, strides, dilation=dilations)

    return run


def _average_pool(node: Node) -> Run:
    kernel, strides = _window(node)
    pads, symmetric = _pairs(node, 2)
    node.expect(dilations=[1, 1])
    counts_pads = bool(node.attributes.get("count_include_pad", 0))
    if not symmetric:
        raise UnsupportedError("AveragePool that is padded differently at both ends")
    return lambda x: functional.avg_pool2d(
        x,
        kernel,
        strides,
        padding=tuple(pads[::-2]),
        ceil_mode=bool(node.attributes.get("ceil_mode", 0)),
        count_include_pad=counts_pads,
    )


def _window(node: Node) -> tuple[tuple[int, ...], tuple[int, ...]]:
    kernel = tuple(node.attributes["kernel_shape"])
    if len(kernel) != 2:
        raise UnsupportedError(f"{node.operator} over {len(kernel)} dimensions")
    return kernel, tuple(node.attributes.get("strides", [1, 1]))


def _batch_normalization(node: Node) -> Run:
    node.expect(training_mode=0)
    epsilon = node.attributes.get("epsilon", 1e-5)
    return lambda x, scale, bias, mean, variance: functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def _gemm(node: Node) -> Run:
    alpha, beta = node.attributes.get("alpha", 1.0), node.attributes.get("beta", 1.0)

    def run(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        a = a.T if node.attributes.get("transA") else a
        b = b.T if node.attributes.get("transB") else b
        return alpha * (a @ b) if c is None else torch.addmm(c, a, b, beta=beta, alpha=alpha)

    return run


def _prelu(node: Node) -> Run:
    def run(x: Tensor, slope: Tensor) -> Tensor:
        if slope.ndim == x.ndim - 1 and slope.numel() == x.shape[1] == slope.shape[0]:  # one for each channel
            return functional.prelu(x, slope.flatten())
        return torch.where(x < 0, slope * x, x)

    return run


def _softmax(node: Node) -> Run:
    if node.opset >= 13:
        return lambda x: x.softmax(node.attributes.get("axis", -1))
    axis = node.attributes.get("axis", 1)
    # Before operator set 13 the axes from this one on are one.
    return lambda x: x.flatten(axis).softmax(-1).reshape(x.shape)


def _div(node: Node) -> Run:
    return lambda a, b: a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _resize(node: Node) -> Run:
    mode, where = node.attributes.get("mode", "nearest"), node.attributes.get("coordinate_transformation_mode")
    known = {("nearest", "asymmetric"), ("linear", "half_pixel"), ("linear", "align_corners")}
    if (mode, where) not in known:
        raise UnsupportedError(f"Resize with mode={mode!r} and coordinate_transformation_mode={where!r}")
    if mode == "nearest":
        node.expect(nearest_mode="floor")
    settings = (
        {"mode": "nearest"} if mode == "nearest" else {"mode": "bilinear", "align_corners": where != "half_pixel"}
    )

    def run(x: Tensor, _roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None) -> Tensor:
        if sizes is not None:
            wanted = _ints(sizes)
        else:
            assert scales is not None
            wanted = [int(side * scale) for side, scale in zip(x.shape, scales.tolist(), strict=True)]
        return functional.interpolate(x, size=wanted[2:], **settings)

    return run


def _pad(node: Node) -> Run:
    node.expect(mode="constant")

    def run(x: Tensor, pads: Tensor | None = None, value: Tensor | None = None) -> Tensor:
        sides = node.attributes["pads"] if pads is None else _ints(pads)
        begins, ends = sides[: x.ndim], sides[x.ndim :]
        pairs = [side for pair in reversed(list(zip(begins, ends, strict=True))) for side in pair]
        return functional.pad(x, pairs, value=node.attributes.get("value", 0.0) if value is None else float(value))

    return run


def _concat(node: Node) -> Run:
    return lambda *parts: torch.cat(parts, dim=node.attributes["axis"])


def _slice(node: Node) -> Run:
    attributes = node.attributes

    def run(x: Tensor, *given: Tensor | None) -> Tensor:
        if given:
            starts, ends, axes, steps = (
                [] if one is None else _ints(one) for one in (*given, *[None] * (4 - len(given)))
            )
        else:
            starts, ends, axes, steps = attributes["starts"], attributes["ends"], attributes.get("axes", []), []
        cuts = [slice(None)] * x.ndim
        for i, axis in enumerate(axes or range(len(starts))):
            step = steps[i] if steps else 1
            if step < 1:
                raise UnsupportedError(f"Slice with a step of {step}")
            cuts[axis] = slice(starts[i], min(ends[i], _ALL), step)
        return x[tuple(cuts)]

    return run


def _reshape(node: Node) -> Run:
    node.expect(allowzero=0)

    def run(x: Tensor, shape: Tensor) -> Tensor:
        return x.reshape([x.shape[i] if side == 0 else side for i, side in enumerate(_ints(shape))])

    return run


def _flatten(node: Node) -> Run:
    axis = int(node.attributes.get("axis", 1))
    return lambda x: x.reshape(math.prod(x.shape[:axis]), -1)


def _unsqueeze(node: Node) -> Run:
    def run(x: Tensor, axes: Tensor | None = None) -> Tensor:
        wanted: Sequence[int] = node.attributes["axes"] if axes is None else _ints(axes)
        for axis in sorted(axis % (x.ndim + len(wanted)) for axis in wanted):
            x = x.unsqueeze(axis)
        return x

    return run


def _gather(node: Node) -> Run:
    axis = node.attributes.get("axis", 0)

    def run(x: Tensor, indices: Tensor) -> Tensor:
        side = x.shape[axis]
        picked = x.index_select(axis, (indices.flatten() % side).to(x.device))
        return picked.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis:][1:]))

    return run


def _cast(node: Node) -> Run:
    if node.attributes["to"] == _FLOAT:  # or what the network computes in
        return lambda x: x if x.is_floating_point() else x.float()
    kinds = {_INT64: torch.int64, _INT32: torch.int32}
    to = kinds.get(node.attributes["to"])
    if to is None:
        raise UnsupportedError(f"Cast to the type with number {node.attributes['to']}")
    return lambda x: x.to(to)


def _same(run: Run) -> Callable[[Node], Run]:
    """An operator without attributes."""
    return lambda _node: run


_BUILDERS: Mapping[str, Callable[[Node], Run]] = {
    "Add": _same(lambda a, b: a + b),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _div,
    "Exp": _same(torch.exp),
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": _same(lambda x: x.mean(dim=(2, 3), keepdim=True)),
    "LeakyRelu": lambda node: lambda x: functional.leaky_relu(x, node.attributes.get("alpha", 0.01)),
    "MaxPool": _max_pool,
    "Mul": _same(lambda a, b: a * b),
    "PRelu": _prelu,
    "Pad": _pad,
    "Relu": _same(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _same(lambda x: torch.tensor(x.shape, dtype=torch.int64)),
    "Sigmoid": _same(torch.sigmoid),
    "Slice": _slice,
    "Softmax": _softmax,
    "Sub": _same(lambda a, b: a - b),
    "Transpose": lambda node: lambda x: x.permute(*node.attributes.get("perm", range(x.ndim)[::-1])),
    "Unsqueeze": _unsqueeze,
}
