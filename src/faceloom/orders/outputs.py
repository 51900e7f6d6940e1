"""What is made of each face, as options ask for it."""

import math
from collections.abc import Mapping
from typing import Any

from faceloom.choices import Border, ChipFormat, Crop, Subsampling
from faceloom.errors import RequestError
from faceloom.geometry.chips import Framing
from faceloom.job import Outputs
from faceloom.options.outputs import BorderOptions, ChipOptions, SquareOptions
from faceloom.orders.flows import IMPORT
from faceloom.store.configuration import framing_of


def outputs_for(options: ChipOptions) -> Outputs:
    """Chips of this look.

    Raises:
        RequestError: their format cannot hold their border.
    """
    chip_format, border = ChipFormat(options["format"]), border_for(options)
    if border is Border.TRANSPARENT and chip_format is ChipFormat.JPG:
        raise RequestError("a JPEG cannot be transparent; ask for --format png or webp, or for another --border")
    return Outputs(
        chip_size=options["size"],
        chip_format=chip_format,
        subsampling=Subsampling(options["subsampling"]),
        framing=framing_for(options),
        border=border,
    )


def border_for(options: BorderOptions) -> Border | None:
    """What chips are to show beyond the frame, None if nobody says."""
    return None if options["border"] is None else Border(options["border"])


def border_of(config: Mapping[str, Any]) -> Border:
    """What the chips of a result folder show beyond the frame; folders do not say so that were made before it did."""
    return Border(config.get("border", Border.REPEAT))


def max_border_for(options: Mapping[str, Any]) -> float | None:
    """The largest share, 0 to 1, of a chip beyond the frame.

    Raises:
        RequestError: it is no share, or no landmarks will be known to lay a chip by.
    """
    asked = options["max_border"]
    if asked is None:
        return None
    if not options["align"] and options["detect"] != IMPORT and not options.get("aligned"):
        raise RequestError("max_border is for chips, which are laid by landmarks; name an aligner, or leave it out")
    text = str(asked).strip()
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise RequestError(f"max_border is {text!r}, but has to be a share from 0 to 1, as in 20% or 0.2")
    return share


def framing_for(options: SquareOptions) -> Framing:
    """The square that chips show."""
    return Framing(Crop(options["crop"]), level=options["level"])


def outputs_of(config: Mapping[str, Any]) -> Outputs:
    """What a folder's masks lie over; no chips are written."""
    return Outputs(write_chips=False, mask_size=config["mask_size"], framing=framing_of(config))
