"""Values that the command line has as text: `STAGE=FILE`, `STAGE.OPTION=VALUE`, and lists with commas between."""

import json
from collections.abc import Sequence
from typing import Any

from faceloom.errors import RequestError


def weight_files(items: Sequence[str]) -> dict[str, str]:
    """Weight files by stage.

    Raises:
        RequestError: an item is not of the form STAGE=FILE.
    """
    return dict(_stage_and_file(item) for item in items)


def _stage_and_file(item: str) -> tuple[str, str]:
    stage, is_told, file = item.partition("=")
    if not (is_told and file):
        raise RequestError(f"--weights {item} is not of the form STAGE=FILE, as in identify/arcface=net.onnx")
    return stage, file


def settings_of(items: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Options of plugins by stage and name; a value that is no JSON is a text.

    Raises:
        RequestError: an item is not of the form STAGE.OPTION=VALUE.
    """
    settings: dict[str, dict[str, Any]] = {}
    for item in items:
        place, is_told, text = item.partition("=")
        stage, has_option, option = place.rpartition(".")
        if not (is_told and has_option and stage and option):
            raise RequestError(f"--set {item} is not of the form STAGE.OPTION=VALUE, as in detect/yunet.max_iou=0.4")
        settings.setdefault(stage, {})[option] = _value(text)
    return settings


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def batches_of(items: Sequence[str]) -> dict[str, str]:
    """Sizes of batches by stage, as they are written.

    Raises:
        RequestError: an item is not of the form STAGE=N or STAGE=N!.
    """
    batches = {}
    for item in items:
        stage, is_told, size = item.rpartition("=")
        if not (is_told and stage and size):
            raise RequestError(f"--batch {item} is not of the form STAGE=N, as in mask/unet=4, or STAGE=N!")
        batches[stage] = size
    return batches


def with_commas(text: str) -> tuple[str, ...]:
    """The items of a list with commas between."""
    return tuple(text.split(","))


def bins_of(items: Sequence[str]) -> dict[str, int]:
    """Numbers of bins by what they are of.

    Raises:
        RequestError: an item is not of the form KEY=N.
    """
    bins = {}
    for item in items:
        key, is_told, number = item.partition("=")
        if not (is_told and key and number.isascii() and number.isdecimal()):
            raise RequestError(f"--bins {item} is not of the form KEY=N, as in yaw=5")
        bins[key] = int(number)
    return bins
