from functools import partial

import numpy as np
import pytest
import tflite
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from lite_files import Operator, Tensor, lite_file, one_operator
from lite_runs import Floats, assert_as_original, converted, input_shape, noise

SAME, VALID = tflite.Padding.SAME, tflite.Padding.VALID


def windows(image: Floats, *, kernel: int, stride: int, dilation: int, empty: float) -> NDArray[np.float64]:
    """(H, W, kernel, kernel, C): what a SAME window sees at each output pixel, as TensorFlow's guide defines it."""
    height, width, channels = image.shape
    reach = (kernel - 1) * dilation + 1
    out = [-(-height // stride), -(-width // stride)]
    before = [max((n - 1) * stride + reach - size, 0) // 2 for n, size in zip(out, (height, width), strict=True)]
    seen = np.full((*out, kernel, kernel, channels), empty, np.float64)
    for y, x, i, j in np.ndindex(*out, kernel, kernel):
        row, column = y * stride - before[0] + i * dilation, x * stride - before[1] + j * dilation
        if 0 <= row < height and 0 <= column < width:
            seen[y, x, i, j] = image[row, column]
    return seen


sides = st.integers(1, 9)
kernels = st.integers(1, 5)
strides = st.integers(1, 3)


@given(sides, sides, kernels, strides, st.integers(1, 2))
def test_a_convolution_pads_as_tensorflow_does(
    height: int, width: int, kernel: int, stride: int, dilation: int
) -> None:
    image, weights = noise(height, width, 2), noise(3, kernel, kernel, 2, seed=1)
    expected = np.einsum(
        "yxijc,oijc->yxo", windows(image, kernel=kernel, stride=stride, dilation=dilation, empty=0), weights
    )
    options = {"StrideH": stride, "StrideW": stride, "DilationHFactor": dilation, "DilationWFactor": dilation}
    content = one_operator(
        "CONV_2D", [1, *image.shape], [1, *expected.shape], weights, np.zeros(3, np.float32),
        kind="Conv2DOptions", Padding=SAME, **options,
    )  # fmt: skip
    np.testing.assert_allclose(converted(content, image[None])[0][0], expected, atol=1e-4)


@given(sides, sides, kernels, strides)
def test_a_pool_pads_as_tensorflow_does(height: int, width: int, kernel: int, stride: int) -> None:
    image = noise(height, width, 2)
    seen = windows(image, kernel=kernel, stride=stride, dilation=1, empty=-np.inf)
    expected = seen.max(axis=(2, 3))
    options = {"StrideH": stride, "StrideW": stride, "FilterHeight": kernel, "FilterWidth": kernel}
    content = one_operator(
        "MAX_POOL_2D", [1, *image.shape], [1, *expected.shape], kind="Pool2DOptions", Padding=SAME, **options
    )
    np.testing.assert_allclose(converted(content, image[None])[0][0], expected, atol=1e-6)


convolution = partial(one_operator, kind="Conv2DOptions", StrideH=2, StrideW=1, DilationHFactor=1, DilationWFactor=1)
depthwise = partial(
    one_operator,
    "DEPTHWISE_CONV_2D",
    [1, 6, 7, 3],
    kind="DepthwiseConv2DOptions",
    StrideH=2,
    StrideW=2,
    DilationHFactor=1,
    DilationWFactor=1,
)
resize = partial(one_operator, "RESIZE_BILINEAR", [1, 5, 4, 2], kind="ResizeBilinearOptions")
sizes = np.array([10, 9], np.int32)


def concatenation(axis: int) -> bytes:
    """Of an image with itself."""
    shape = [1, 3, 4, 2]
    doubled = [side * (2 if i == axis % 4 else 1) for i, side in enumerate(shape)]
    operator = Operator(
        name="CONCATENATION", inputs=[0, 0], outputs=[1], kind="ConcatenationOptions", options={"Axis": axis}
    )
    return lite_file([Tensor(shape=shape), Tensor(shape=doubled)], [operator], inputs=[0], output=1)


SINGLE_OPERATORS = {
    "convolution without padding": convolution(
        "CONV_2D", [1, 9, 8, 3], [1, 4, 6, 4], noise(4, 3, 3, 3), noise(4), Padding=VALID
    ),
    "convolution with relu6": convolution(
        "CONV_2D", [1, 9, 8, 3], [1, 5, 8, 4], 9 * noise(4, 3, 3, 3), noise(4),
        Padding=SAME, FusedActivationFunction=tflite.ActivationFunctionType.RELU6,
    ),
    "depthwise": depthwise([1, 3, 4, 3], noise(1, 3, 3, 3), noise(3), Padding=SAME, DepthMultiplier=1),
    "depthwise that multiplies channels": depthwise(
        [1, 3, 4, 6], noise(1, 3, 3, 6), noise(6), Padding=SAME, DepthMultiplier=2
    ),
    "prelu": one_operator("PRELU", [1, 5, 4, 3], [1, 5, 4, 3], 2 * noise(1, 1, 3)),
    "logistic": one_operator("LOGISTIC", [1, 5, 4, 3], [1, 5, 4, 3]),
    "relu": one_operator("RELU", [1, 5, 4, 3], [1, 5, 4, 3]),
    "pad of every side": one_operator(
        "PAD", [1, 5, 4, 3], [1, 8, 5, 8], np.array([[0, 0], [1, 2], [0, 1], [2, 3]], np.int32), kind="PadOptions"
    ),
    "resize by edges": resize([1, 10, 9, 2], sizes),
    "resize by centres": resize([1, 10, 9, 2], sizes, HalfPixelCenters=1),
    "resize by corners": resize([1, 10, 9, 2], sizes, AlignCorners=1),
    "reshape": one_operator(
        "RESHAPE", [1, 3, 4, 2], [1, 6, 4], np.array([1, 6, 4], np.int32), kind="ReshapeOptions"
    ),
    "sum with itself": lite_file(
        [Tensor(shape=[1, 3, 4, 2])] * 2,
        [Operator(name="ADD", inputs=[0, 0], outputs=[1], kind="AddOptions")],
        inputs=[0],
        output=1,
    ),
    **{f"concatenation along axis {axis}": concatenation(axis) for axis in (1, 2, 3, -1)},
    "half-precision weights": lite_file(
        [
            Tensor(shape=[1, 6, 5, 2]),
            Tensor(shape=[3, 1, 1, 2], values=noise(3, 1, 1, 2).astype(np.float16)),
            Tensor(shape=[3, 1, 1, 2]),
            Tensor(shape=[3], values=noise(3)),
            Tensor(shape=[1, 6, 5, 3]),
        ],
        [
            Operator(name="DEQUANTIZE", inputs=[1], outputs=[2], kind="DequantizeOptions"),
            Operator(
                name="CONV_2D", inputs=[0, 2, 3], outputs=[4], kind="Conv2DOptions",
                options={"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1},
            ),
        ],
        inputs=[0],
        output=4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("content", SINGLE_OPERATORS.values(), ids=SINGLE_OPERATORS)
def test_an_operator_answers_as_the_original(content: bytes) -> None:
    assert_as_original(content, noise(2, *input_shape(content)))
