"""Prepares one weight file: `python -m faceloom.models.convert FILE SOURCE TARGET BANDED PIXELS [AXIS...]`.

What is written to `BANDED` is the same network in bands, or nothing where there is nothing to be cut; `PIXELS` is what
the network is to take in place of planes, if it is not empty.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import onnx.shape_inference
from google.protobuf.message import DecodeError

from faceloom.errors import WeightsError
from faceloom.models import bundles, dlib, tflite
from faceloom.models.bands import in_bands
from faceloom.models.dynamic import free_axes
from faceloom.models.pixels import take_pixels
from faceloom.models.rewrites import rewrite


def convert(content: bytes, *, file: str, axes: list[str]) -> onnx.ModelProto:
    """The network of a weight file as ONNX, with the named axes freed; `file` is its name in the catalog.

    Raises:
        WeightsError: the content is not what its suffix says, or cannot be converted.
    """
    if file.endswith(".tflite"):
        return rewrite(tflite.to_onnx(content, name=file))
    if file.endswith(".task"):
        return rewrite(bundles.to_onnx(content, name=file))
    if file.endswith(".dat"):
        return rewrite(dlib.to_onnx(content, name=file))
    try:
        model = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise WeightsError(f"{file} is not an ONNX file: {error}", name=file) from error
    try:
        return rewrite(free_axes(model, axes, name=file))
    except (LookupError, TypeError, ValueError, onnx.shape_inference.InferenceError) as error:
        raise WeightsError(f"{file} is a damaged ONNX file: {error}", name=file) from error


def run(convert: Callable[..., onnx.ModelProto]) -> int:
    """Converts as the command line says; a reason on stderr and exit code 1 when it cannot."""
    file, source, target, banded, pixels, *axes = sys.argv[1:]
    try:
        model = convert(Path(source).read_bytes(), file=file, axes=axes)
        model = take_pixels(model, pixels) if pixels else model
    except WeightsError as error:
        print(error, file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"{file}: {error}", file=sys.stderr)
        return 1
    Path(target).write_bytes(model.SerializeToString(deterministic=True))
    cut = in_bands(model)
    if cut is not None:
        Path(banded).write_bytes(cut.SerializeToString(deterministic=True))
    return 0


if __name__ == "__main__":
    sys.exit(run(convert))
