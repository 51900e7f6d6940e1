"""What the results of an order depend on: a result folder is held to it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from faceloom.choices import Border, ChipFormat, Crop, Precision, Subsampling
from faceloom.job import Derivation, Order, Outputs
from faceloom.media.excerpts import in_words
from faceloom.orders.outputs import border_of
from faceloom.store.configuration import INTERPOLATED, LOOKS, framing_of
from faceloom.version import VERSION, version_of

RESULTS = 5
"""Counts the changes to our own arithmetic that change what is found; part of every configuration."""
_PACKAGES = (
    "onnxruntime",
    "onnxruntime-gpu",
    "torch",
    "opencv-python-headless",
    "av",
    "numpy",
    "pi-heif",
    "pillow",
    "pillow-jxl-plugin",
    "simplejpeg",
)


def config_of(order: Order) -> dict[str, Any]:
    """What results depend on: a folder is held to it."""
    outputs, file = order.outputs, order.faces_file
    return {
        "results": RESULTS,
        "stages": order.flow.describe(),
        "chips": _chips(outputs) if outputs.write_chips else None,
        "mask_size": outputs.mask_size,
        "overlay": outputs.overlay,
        # Said where they are not as they were when there was nothing to choose: folders of then are gone on with.
        **({} if outputs.framing.crop is Crop.HEAD else {"crop": outputs.framing.crop}),
        **({} if outputs.framing.level else {"level": False}),
        **({"overlay_chips": True} if outputs.overlay_chips else {}),
        **_border(outputs),
        **({} if outputs.max_border is None else {"max_border": outputs.max_border}),
        # Either engine finds the same in float32, so that one may go on where the other ended.
        **({} if order.runtime.precision is Precision.FP32 else {"precision": order.runtime.precision}),
        **({"raw_colours": True} if order.raw_colours else {}),
        **({"aligned": True} if order.aligned else {}),
        **({"import": {"format": file.format, "sha256": file.sha256}} if file else {}),
        # Said where something is left out: folders made when there was nothing to choose are gone on with.
        **{name: str(value) for name, value in _left_out(order).items() if value is not None},
    }


def colours_of(config: Mapping[str, Any]) -> dict[str, bool]:
    """As an option, how the frames of a result folder are read again."""
    return {"raw_colours": bool(config.get("raw_colours", False))}


def settled(order: Order, config: Mapping[str, Any], here: Mapping[str, Any] | None) -> tuple[Order, Mapping[str, Any]]:
    """An order and its configuration with what they leave to the result folder, whose configuration this is.

    Where nobody says what chips show beyond the frame, that is what those there do, and in a new folder nothing.
    """
    outputs = order.outputs
    if here is None or outputs.border is not None:
        outputs = replace(outputs, border=outputs.edge)
    else:
        outputs = replace(outputs, border=border_of(here))
    return replace(order, outputs=outputs), {**config, **_border(outputs)}


def _chips(outputs: Outputs) -> dict[str, Any]:
    """How chips are written; of their colours where a JPEG has others than when there was nothing to choose."""
    is_usual = outputs.chip_format is not ChipFormat.JPG or outputs.subsampling is Subsampling.NONE
    colours = {} if is_usual else {"subsampling": outputs.subsampling}
    return {"size": outputs.chip_size, "format": outputs.chip_format, **colours}


def _border(outputs: Outputs) -> dict[str, Any]:
    """Said where pixels depend on it, and where it is known and not as it was when there was nothing to choose."""
    has_chips = outputs.write_chips or outputs.overlay_chips
    return {"border": outputs.border} if has_chips and outputs.border not in {None, Border.REPEAT} else {}


def _left_out(order: Order) -> dict[str, object]:
    """Of what keeps frames and faces out of a result, that which was asked for."""
    excerpt, choice = order.excerpt, order.choice
    return {
        "every": None if excerpt.every == 1 else excerpt.every,
        "start": None if excerpt.start is None else in_words(excerpt.start),
        "end": None if excerpt.end is None else in_words(excerpt.end),
        "min_size": choice.min_size,
        "max_size": choice.max_size,
        "max_faces": choice.max_faces,
    }


def versions() -> dict[str, str]:
    """Of the packages that a result may depend on, as far as they are installed."""
    found = {"faceloom": VERSION, **{name: version_of(name) for name in _PACKAGES}}
    return {name: version for name, version in found.items() if version is not None}


def models_of(config: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    """sha256 of the weights of each stage, of the flow and of that with the detector of each second look."""
    others = {stage: told for stage, told in config["stages"].items() if not stage.startswith("detect/")}
    flows = [config["stages"], *({**others, **look} for look in config.get(LOOKS, ()))]
    return tuple({stage: told["weights"] for stage, told in flow.items() if told.get("weights")} for flow in flows)


def derivation_of(folder: Path, config: Mapping[str, Any]) -> Derivation:
    """What it takes to cut the chips of a result folder again as they are to be there."""
    interpolated = bool(config.get(INTERPOLATED))
    return Derivation(folder=folder, framing=framing_of(config), models=models_of(config), interpolated=interpolated)
