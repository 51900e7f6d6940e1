"""Prepares one weight file: `python -m faceloom.models.convert FILE SOURCE TARGET [AXIS...]`."""

import sys
from pathlib import Path

import onnx
import onnx.shape_inference
from google.protobuf.message import DecodeError

from faceloom.errors import WeightsError
from faceloom.models import bundles, dlib, tflite
from faceloom.models.dynamic import free_axes
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


def main() -> int:
    """Converts as the command line says; a reason on stderr and exit code 1 when it cannot."""
    file, source, target, *axes = sys.argv[1:]
    try:
        model = convert(Path(source).read_bytes(), file=file, axes=axes)
    except WeightsError as error:
        print(error, file=sys.stderr)
        return 1
    Path(target).write_bytes(model.SerializeToString(deterministic=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
