"""TensorFlow Lite files to ONNX, with a free batch axis.

Covers the operators of small face networks (`OPERATORS` below); anything else is refused by name.
Four-dimensional tensors become NCHW; the values agree with the original runtime to float32 rounding
(tests/models/test_tflite.py compares them).

Source: the TensorFlow Lite schema, version 3, read through the `tflite` package.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnx.shape_inference
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from faceloom.errors import WeightsError

OPSET = 13
_IR_VERSION = 8
_DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
    tflite.TensorType.INT64: np.int64,
}
_NAMES = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
_NHWC_TO_NCHW_AXIS = (0, 2, 3, 1)
"""By axis of NHWC, which it is in NCHW."""
_NHWC_OF_NCHW = (0, 3, 1, 2)
"""By axis of NCHW, which it is in NHWC."""


def to_onnx(content: bytes, *, name: str) -> onnx.ModelProto:
    """The network of a `.tflite` file as ONNX; `name` is for error messages.

    Raises:
        WeightsError: not a `.tflite` file, damaged, or with an operator that is not known here.
    """
    if content[4:8] != b"TFL3":
        raise WeightsError(f"{name} is not a TensorFlow Lite file (no TFL3 mark)", name=name)
    try:
        return _LiteConversion(content, name).model()
    except (
        struct.error,
        ArithmeticError,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as error:
        raise WeightsError(f"{name} is a damaged TensorFlow Lite file: {error}", name=name) from error


class _LiteConversion:
    """One file on its way: reads operators in order and appends ONNX nodes."""

    def __init__(self, content: bytes, name: str) -> None:
        self.file = name
        self.source = tflite.Model.GetRootAsModel(content, 0)
        self.graph = self.source.Subgraphs(0)
        self.tensors = [self.graph.Tensors(i) for i in range(self.graph.TensorsLength())]
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.constants: dict[int, NDArray[Any]] = {}
        self.of_items: set[int] = set()
        """Tensors whose shapes leave the batch out."""

    def model(self) -> onnx.ModelProto:
        for i in range(self.graph.OperatorsLength()):
            self._convert(self.graph.Operators(i))
        inputs = [self._value(i) for i in self.graph.InputsAsNumpy()]
        outputs = [self._value(i) for i in self.graph.OutputsAsNumpy()]
        graph = helper.make_graph(self.nodes, "tflite", inputs, outputs, self.initializers)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=_IR_VERSION,
            producer_name="faceloom",
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _convert(self, operator: Any) -> None:
        code = self.source.OperatorCodes(operator.OpcodeIndex())
        name = _NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
        if name not in OPERATORS:
            known = ", ".join(sorted(OPERATORS))
            message = f"{self.file} uses the operator {name}, which cannot be converted (known: {known})"
            raise WeightsError(message, name=self.file)
        OPERATORS[name](self, operator)

    def shape(self, index: int) -> list[int]:
        tensor = self.tensors[index]
        return [int(tensor.Shape(i)) for i in range(tensor.ShapeLength())]

    def label(self, index: int) -> str:
        return str(self.tensors[index].Name().decode())

    def constant(self, index: int) -> NDArray[Any]:
        """A tensor whose values are in the file, or were folded from one that is."""
        if index not in self.constants:
            tensor = self.tensors[index]
            content = self.source.Buffers(tensor.Buffer()).DataAsNumpy()
            if isinstance(content, int):
                raise WeightsError(f"{self.file}: tensor {self.label(index)} should be constant", name=self.file)
            values = np.frombuffer(content.tobytes(), _DTYPES[tensor.Type()])
            self.constants[index] = values.reshape(self.shape(index))
        return self.constants[index]

    def is_constant(self, index: int) -> bool:
        """Whether a tensor's values are in the file, or were folded from one that is."""
        return index in self.constants or bool(self.source.Buffers(self.tensors[index].Buffer()).DataLength())

    def operand(self, index: int, *, rank: int, of: str) -> str:
        """A tensor of an operator element by element; a constant is laid out as the tensors of this rank are."""
        if not self.is_constant(index):
            return self.label(index)
        values = self.constant(index)
        values = values.reshape((1,) * (rank - values.ndim) + values.shape)
        values = values.transpose(_NHWC_OF_NCHW) if rank == 4 else values
        return self.store(values, f"{of}:{self.label(index)}")

    def add(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"{kind}:{output}", **attributes))
        return output

    def store(self, values: NDArray[Any], name: str) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def activate(self, name: str, activation: int, output: int) -> None:
        """Ends an operator: its fused activation, written under the tensor's own name."""
        final = self.label(output)
        if activation == tflite.ActivationFunctionType.RELU:
            self.add("Relu", [name], final)
        elif activation == tflite.ActivationFunctionType.RELU6:
            low, high = (self.store(np.array(v, np.float32), f"{final}:{v}") for v in (0, 6))
            self.add("Clip", [name, low, high], final)
        elif activation == tflite.ActivationFunctionType.NONE:
            self.nodes[-1].output[0] = final
        else:
            raise WeightsError(f"{self.file}: fused activation {activation} cannot be converted", name=self.file)

    def _value(self, index: int) -> onnx.ValueInfoProto:
        shape: list[int | str] = ["batch", *self.shape(index)[0 if index in self.of_items else 1 :]]
        if len(shape) == 4:
            shape = [shape[0], shape[3], shape[1], shape[2]]
        return helper.make_tensor_value_info(self.label(index), TensorProto.FLOAT, shape)


def _options(operator: Any, kind: type[Any]) -> Any:
    options = kind()
    table = operator.BuiltinOptions()
    options.Init(table.Bytes, table.Pos)
    return options


def _same_padding(size: int, kernel: int, *, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's SAME: the extra pixel of an odd total goes to the end, so stride 2 gives (0, 1)."""
    wanted = (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1
    total = max(wanted - size, 0)
    return total // 2, total - total // 2


def _window(options: Any, *, image: Sequence[int], kernel: Sequence[int], dilation: Sequence[int]) -> dict[str, Any]:
    """Attributes that convolution and pooling share."""
    strides = [options.StrideH(), options.StrideW()]
    window: dict[str, Any] = {"kernel_shape": list(kernel), "strides": strides}
    if options.Padding() == tflite.Padding.SAME:
        sides = zip(image, kernel, strides, dilation, strict=True)
        pairs = [_same_padding(size, k, stride=s, dilation=d) for size, k, s, d in sides]
        window["pads"] = [pairs[0][0], pairs[1][0], pairs[0][1], pairs[1][1]]
    return window


def _convolve(to: _LiteConversion, operator: Any, *, options: Any, weights: NDArray[Any], group: int) -> None:
    image, _, *bias = (int(i) for i in operator.InputsAsNumpy())
    output = int(operator.Outputs(0))
    name = to.label(output)
    inputs = [to.label(image), to.store(weights, f"{name}:weights")]
    inputs += [to.store(to.constant(i), f"{name}:bias") for i in bias if i >= 0]
    dilation = [options.DilationHFactor(), options.DilationWFactor()]
    window = _window(options, image=to.shape(image)[1:3], kernel=weights.shape[2:], dilation=dilation)
    to.add("Conv", inputs, f"{name}:linear", group=group, dilations=dilation, **window)
    to.activate(f"{name}:linear", options.FusedActivationFunction(), output)


def _conv(to: _LiteConversion, operator: Any) -> None:
    weights = to.constant(int(operator.Inputs(1))).transpose(0, 3, 1, 2)  # OHWI -> OIHW
    _convolve(to, operator, options=_options(operator, tflite.Conv2DOptions), weights=weights, group=1)


def _depthwise_conv(to: _LiteConversion, operator: Any) -> None:
    weights = to.constant(int(operator.Inputs(1))).transpose(3, 0, 1, 2)  # 1HWC -> C1HW
    channels = to.shape(int(operator.Inputs(0)))[3]
    options = _options(operator, tflite.DepthwiseConv2DOptions)
    _convolve(to, operator, options=options, weights=weights, group=channels)


def _max_pool(to: _LiteConversion, operator: Any) -> None:
    image, output = int(operator.Inputs(0)), int(operator.Outputs(0))
    options = _options(operator, tflite.Pool2DOptions)
    kernel = [options.FilterHeight(), options.FilterWidth()]
    window = _window(options, image=to.shape(image)[1:3], kernel=kernel, dilation=(1, 1))
    linear = to.add("MaxPool", [to.label(image)], f"{to.label(output)}:linear", **window)
    to.activate(linear, options.FusedActivationFunction(), output)


def _by_elements(kind: str, options: type[Any]) -> Callable[[_LiteConversion, Any], None]:
    """What converts an operator of two tensors that is applied element by element."""

    def convert(to: _LiteConversion, operator: Any) -> None:
        output = int(operator.Outputs(0))
        name, rank = to.label(output), len(to.shape(output))
        inputs = [to.operand(int(i), rank=rank, of=name) for i in operator.InputsAsNumpy()]
        linear = to.add(kind, inputs, f"{name}:linear")
        to.activate(linear, _options(operator, options).FusedActivationFunction(), output)

    return convert


def _of_one(kind: str) -> Callable[[_LiteConversion, Any], None]:
    """What converts an operator of one tensor that is applied element by element."""

    def convert(to: _LiteConversion, operator: Any) -> None:
        to.add(kind, [to.label(int(operator.Inputs(0)))], to.label(int(operator.Outputs(0))))

    return convert


def _rsqrt(to: _LiteConversion, operator: Any) -> None:
    name = to.label(int(operator.Outputs(0)))
    root = to.add("Sqrt", [to.label(int(operator.Inputs(0)))], f"{name}:root")
    to.add("Reciprocal", [root], name)


def _squared_difference(to: _LiteConversion, operator: Any) -> None:
    output = int(operator.Outputs(0))
    name, rank = to.label(output), len(to.shape(output))
    inputs = [to.operand(int(i), rank=rank, of=name) for i in operator.InputsAsNumpy()]
    difference = to.add("Sub", inputs, f"{name}:difference")
    to.add("Mul", [difference, difference], name)


def _reduced_axes(to: _LiteConversion, operator: Any) -> list[int]:
    """The axes over which an operator reduces, in the layout of ONNX; the batch is none of them."""
    rank = len(to.shape(int(operator.Inputs(0))))
    axes = [int(axis) % rank for axis in to.constant(int(operator.Inputs(1))).reshape(-1)]
    if 0 in axes or not _options(operator, tflite.ReducerOptions).KeepDims():
        raise WeightsError(f"{to.file}: a reduction that drops axes cannot be converted", name=to.file)
    return [_NHWC_TO_NCHW_AXIS[axis] for axis in axes] if rank == 4 else axes


def _mean(to: _LiteConversion, operator: Any) -> None:
    axes = _reduced_axes(to, operator)
    to.add("ReduceMean", [to.label(int(operator.Inputs(0)))], to.label(int(operator.Outputs(0))), axes=axes)


def _sum(to: _LiteConversion, operator: Any) -> None:
    name = to.label(int(operator.Outputs(0)))
    axes = to.store(np.array(_reduced_axes(to, operator), np.int64), f"{name}:axes")
    to.add("ReduceSum", [to.label(int(operator.Inputs(0))), axes], name)


def _transpose(to: _LiteConversion, operator: Any) -> None:
    turned = [int(axis) for axis in to.constant(int(operator.Inputs(1)))]
    if len(turned) == 4:
        turned = [_NHWC_TO_NCHW_AXIS[turned[axis]] for axis in _NHWC_OF_NCHW]
    to.add("Transpose", [to.label(int(operator.Inputs(0)))], to.label(int(operator.Outputs(0))), perm=turned)


def _strided_slice(to: _LiteConversion, operator: Any) -> None:
    image, name = int(operator.Inputs(0)), to.label(int(operator.Outputs(0)))
    options = _options(operator, tflite.StridedSliceOptions)
    begin, end, strides = (to.constant(int(operator.Inputs(i))).tolist() for i in (1, 2, 3))
    shape, rank = to.shape(image), len(begin)
    if options.ShrinkAxisMask() == 1:  # the only item of a batch of one: of a batch of any size that is all
        to.of_items.add(int(operator.Outputs(0)))
    elif options.ShrinkAxisMask() or options.EllipsisMask() or options.NewAxisMask() or rank != len(shape):
        raise WeightsError(f"{to.file}: a STRIDED_SLICE that changes axes cannot be converted", name=to.file)
    begin = [0 if options.BeginMask() >> axis & 1 else begin[axis] for axis in range(rank)]
    end = [shape[axis] if options.EndMask() >> axis & 1 else end[axis] for axis in range(rank)]
    axes = [axis for axis in range(1, rank) if (begin[axis], end[axis], strides[axis]) != (0, shape[axis], 1)]
    told = {
        "starts": [begin[axis] for axis in axes],
        "ends": [end[axis] for axis in axes],
        "axes": [_NHWC_TO_NCHW_AXIS[axis] if rank == 4 else axis for axis in axes],
        "steps": [strides[axis] for axis in axes],
    }
    if not axes:
        to.add("Identity", [to.label(image)], name)
        return
    parameters = [to.store(np.array(values, np.int64), f"{name}:{what}") for what, values in told.items()]
    to.add("Slice", [to.label(image), *parameters], name)


def _prelu(to: _LiteConversion, operator: Any) -> None:
    x, name = to.label(int(operator.Inputs(0))), to.label(int(operator.Outputs(0)))
    slope = to.store(to.constant(int(operator.Inputs(1))).reshape(-1, 1, 1), f"{name}:slope")  # (C, 1, 1)
    to.add("PRelu", [x, slope], name)


def _pad(to: _LiteConversion, operator: Any) -> None:
    image, name = to.label(int(operator.Inputs(0))), to.label(int(operator.Outputs(0)))
    pairs = to.constant(int(operator.Inputs(1)))[[0, 3, 1, 2]]  # NHWC -> NCHW
    pads = to.store(pairs.T.reshape(-1).astype(np.int64), f"{name}:pads")
    to.add("Pad", [image, pads], name, mode="constant")


def _reshape(to: _LiteConversion, operator: Any) -> None:
    image, output = int(operator.Inputs(0)), int(operator.Outputs(0))
    name, source = to.label(output), to.label(image)
    if len(to.shape(image)) == 4:
        source = to.add("Transpose", [source], f"{name}:nhwc", perm=_NHWC_TO_NCHW_AXIS)
    shape = to.store(np.array([0, *to.shape(output)[1:]], np.int64), f"{name}:shape")
    if len(to.shape(output)) < 4:
        to.add("Reshape", [source, shape], name)
        return
    to.add("Transpose", [to.add("Reshape", [source, shape], f"{name}:nhwc")], name, perm=_NHWC_OF_NCHW)


def _concatenate(to: _LiteConversion, operator: Any) -> None:
    output = int(operator.Outputs(0))
    rank = len(to.shape(output))
    axis = _options(operator, tflite.ConcatenationOptions).Axis() % rank
    name, parts = to.label(output), [int(i) for i in operator.InputsAsNumpy()]
    like = next(to.label(i) for i in parts if not to.is_constant(i))
    inputs = [_for_each(to, i, rank=rank, like=like, of=name) if to.is_constant(i) else to.label(i) for i in parts]
    to.add("Concat", inputs, name, axis=_NHWC_TO_NCHW_AXIS[axis] if rank == 4 else axis)


def _for_each(to: _LiteConversion, index: int, *, rank: int, like: str, of: str) -> str:
    """A constant as often as there are items in the batch of a tensor."""
    one = to.operand(index, rank=rank, of=of)
    shape = to.add("Shape", [like], f"{one}:shape")
    zero, rest = (
        to.store(np.array(values, np.int64), f"{one}:{what}")
        for what, values in (("zero", [0]), ("rest", [1] * (rank - 1)))
    )
    items = to.add("Gather", [shape, zero], f"{one}:items", axis=0)
    return to.add("Expand", [one, to.add("Concat", [items, rest], f"{one}:wanted", axis=0)], f"{one}:each")


def _resize_bilinear(to: _LiteConversion, operator: Any) -> None:
    image, output = int(operator.Inputs(0)), int(operator.Outputs(0))
    options = _options(operator, tflite.ResizeBilinearOptions)
    mode = "half_pixel" if options.HalfPixelCenters() else "asymmetric"
    if options.AlignCorners():
        mode = "align_corners"
    name = to.label(output)
    old, new = to.shape(image), to.shape(output)
    scales = np.array([1, 1, new[1] / old[1], new[2] / old[2]], np.float32)
    inputs = [to.label(image), "", to.store(scales, f"{name}:scales")]
    to.add("Resize", inputs, name, mode="linear", coordinate_transformation_mode=mode)


def _dequantize(to: _LiteConversion, operator: Any) -> None:
    """Half-precision weights are folded; the schema's integer quantisation does not occur in these files."""
    to.constants[int(operator.Outputs(0))] = to.constant(int(operator.Inputs(0))).astype(np.float32)


OPERATORS: dict[str, Callable[[_LiteConversion, Any], None]] = {
    "ADD": _by_elements("Add", tflite.AddOptions),
    "CONCATENATION": _concatenate,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise_conv,
    "DEQUANTIZE": _dequantize,
    "DIV": _by_elements("Div", tflite.DivOptions),
    "LOGISTIC": _of_one("Sigmoid"),
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "MUL": _by_elements("Mul", tflite.MulOptions),
    "NEG": _of_one("Neg"),
    "PAD": _pad,
    "PRELU": _prelu,
    "RELU": _of_one("Relu"),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize_bilinear,
    "RSQRT": _rsqrt,
    "SQRT": _of_one("Sqrt"),
    "SQUARED_DIFFERENCE": _squared_difference,
    "STRIDED_SLICE": _strided_slice,
    "SUB": _by_elements("Sub", tflite.SubOptions),
    "SUM": _sum,
    "TRANSPOSE": _transpose,
}
