"""Stamps: the picture that is laid over faces."""

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from faceloom.errors import RequestError
from faceloom.faces import Image
from faceloom.media.pillow import LIFTED_LIMIT, MissingDecoderError, know_format_of

_MOST_PX = 512
"""Longer side: faces are seldom larger, and it is stretched over them."""


def read_stamp(path: Path) -> Image:
    """The picture (H, W, 4) RGBA in a file, no larger than is of use.

    Raises:
        RequestError: there is none that can be read.
    """
    try:
        with path.open("rb") as file:
            know_format_of(file.read(32))
        with LIFTED_LIMIT, PillowImage.open(path) as picture:
            picture.thumbnail((_MOST_PX, _MOST_PX))
            return np.array(picture.convert("RGBA"))
    except (OSError, MissingDecoderError, ValueError) as error:
        raise RequestError(f"{path} is no picture that can be laid over faces: {error}") from error
