"""Small TensorFlow Lite files, built operator by operator."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import flatbuffers  # type: ignore[import-untyped]
import numpy as np
import tflite
from numpy.typing import NDArray

Options: TypeAlias = "dict[str, int]"
_TYPES = {
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
    np.dtype(np.float16): tflite.TensorType.FLOAT16,
    np.dtype(np.int32): tflite.TensorType.INT32,
}


@dataclass(frozen=True, kw_only=True)
class Operator:
    """One operator; tensors are named by their place in the file."""

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    kind: str = ""
    """Name of the options' table; none if empty."""
    options: Options = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor of this shape, or one whose values are in the file."""

    shape: Sequence[int] = ()
    values: NDArray[Any] | None = None


def lite_file(tensors: Sequence[Tensor], operators: Sequence[Operator], *, inputs: Sequence[int], output: int) -> bytes:
    """The bytes of a file with one graph."""
    builder = flatbuffers.Builder(1024)
    contents = [b"", *(tensor.values.tobytes() for tensor in tensors if tensor.values is not None)]
    buffers = _vector(builder, tflite.ModelStartBuffersVector, [_buffer(builder, content) for content in contents])
    numbers = iter(range(1, len(contents)))
    made = [_tensor(builder, i, tensor, numbers) for i, tensor in enumerate(tensors)]
    tables = [_operator(builder, i, operator) for i, operator in enumerate(operators)]
    graph = _subgraph(builder, made, tables, inputs=inputs, outputs=[output])
    graphs = _vector(builder, tflite.ModelStartSubgraphsVector, [graph])
    codes = _vector(builder, tflite.ModelStartOperatorCodesVector, [_code(builder, o.name) for o in operators])
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, codes)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddBuffers(builder, buffers)
    builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def one_operator(
    name: str, image: Sequence[int], result: Sequence[int], *constants: NDArray[Any], kind: str = "", **options: int
) -> bytes:
    """A file with one operator from an image of one shape to a result of another."""
    tensors = [Tensor(shape=image), *(Tensor(shape=c.shape, values=c) for c in constants), Tensor(shape=result)]
    last = len(tensors) - 1
    operator = Operator(name=name, inputs=range(last), outputs=[last], kind=kind, options=options)
    return lite_file(tensors, [operator], inputs=[0], output=last)


def _vector(builder: Any, start: Callable[..., Any], offsets: Sequence[int]) -> Any:
    start(builder, len(offsets))
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _buffer(builder: Any, content: bytes) -> Any:
    data = builder.CreateByteVector(content) if content else None
    tflite.BufferStart(builder)
    if data is not None:
        tflite.BufferAddData(builder, data)
    return tflite.BufferEnd(builder)


def _tensor(builder: Any, number: int, tensor: Tensor, buffers: Any) -> Any:
    name = builder.CreateString(f"tensor{number}")
    shape = builder.CreateNumpyVector(np.array(tensor.shape, np.int32))
    dtype = np.dtype(np.float32) if tensor.values is None else tensor.values.dtype
    tflite.TensorStart(builder)
    tflite.TensorAddName(builder, name)
    tflite.TensorAddShape(builder, shape)
    tflite.TensorAddType(builder, _TYPES[dtype])
    tflite.TensorAddBuffer(builder, 0 if tensor.values is None else next(buffers))
    return tflite.TensorEnd(builder)


def _operator(builder: Any, number: int, operator: Operator) -> Any:
    inputs = builder.CreateNumpyVector(np.array(operator.inputs, np.int32))
    outputs = builder.CreateNumpyVector(np.array(operator.outputs, np.int32))
    options = None
    if operator.kind:
        getattr(tflite, f"{operator.kind}Start")(builder)
        for name, value in operator.options.items():
            getattr(tflite, f"{operator.kind}Add{name}")(builder, value)
        options = getattr(tflite, f"{operator.kind}End")(builder)
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, number)
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(builder, getattr(tflite.BuiltinOptions, operator.kind))
        tflite.OperatorAddBuiltinOptions(builder, options)
    return tflite.OperatorEnd(builder)


def _subgraph(builder: Any, tensors: Any, operators: Any, *, inputs: Sequence[int], outputs: Sequence[int]) -> Any:
    made = _vector(builder, tflite.SubGraphStartTensorsVector, tensors)
    tables = _vector(builder, tflite.SubGraphStartOperatorsVector, operators)
    first = builder.CreateNumpyVector(np.array(inputs, np.int32))
    last = builder.CreateNumpyVector(np.array(outputs, np.int32))
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, made)
    tflite.SubGraphAddInputs(builder, first)
    tflite.SubGraphAddOutputs(builder, last)
    tflite.SubGraphAddOperators(builder, tables)
    return tflite.SubGraphEnd(builder)


def _code(builder: Any, name: str) -> Any:
    code = getattr(tflite.BuiltinOperator, name)
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, min(code, 127))
    tflite.OperatorCodeAddBuiltinCode(builder, code)
    tflite.OperatorCodeAddVersion(builder, 1)
    return tflite.OperatorCodeEnd(builder)
