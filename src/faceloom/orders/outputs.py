"""What is made of each face, as options ask for it."""

from collections.abc import Mapping
from typing import Any

from faceloom.choices import ChipFormat, Crop
from faceloom.geometry.chips import Framing
from faceloom.job import Outputs
from faceloom.options.outputs import ChipOptions, SquareOptions


def outputs_for(options: ChipOptions) -> Outputs:
    """Chips of this look."""
    return Outputs(chip_size=options["size"], chip_format=ChipFormat(options["format"]), framing=framing_for(options))


def framing_for(options: SquareOptions) -> Framing:
    """The square that chips show."""
    return Framing(Crop(options["crop"]), level=options["level"])


def framing_of(config: Mapping[str, Any]) -> Framing:
    """The square that the chips of a result folder show."""
    return Framing(Crop(config.get("crop", Crop.HEAD)), level=config.get("level", True))


def outputs_of(config: Mapping[str, Any]) -> Outputs:
    """What a folder's masks lie over; no chips are written."""
    return Outputs(write_chips=False, mask_size=config["mask_size"], framing=framing_of(config))
