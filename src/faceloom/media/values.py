"""Values of more than 8 bits, and of floating point, as 8 bits."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Image

_BYTE = 255.0
_WORD = 65535.0


@dataclass(frozen=True, slots=True)
class Scale:
    """What stands for black and for white."""

    black: float
    white: float
    is_guess: bool = False
    """Whether values go beyond what anybody means by black and white, and were fitted in between."""


def scale_of(parts: Iterable[NDArray[np.generic]]) -> Scale:
    """The scale of a picture that is given in parts: 0 to 1 or to 255 of floating point, 0 to 65535 of whole numbers.

    What goes beyond these is as dark and as light as the darkest and the lightest value say.
    """
    least, most, is_real = 0.0, 0.0, False
    for part in parts:
        is_real |= part.dtype.kind == "f"
        finite = part[np.isfinite(part)] if is_real else part
        if finite.size:
            least, most = min(least, float(finite.min())), max(most, float(finite.max()))
    whites = (1.0, _BYTE) if is_real else (_WORD,)
    nominal = next((white for white in whites if most <= white), None)
    # A little more than 1 is light beyond white, and not all but black of 255.
    is_beyond = nominal is None or least < 0 or (is_real and 1 < most <= 2)
    return Scale(least, most, is_guess=True) if is_beyond else Scale(0.0, nominal or 1.0)


def to_grey(values: NDArray[np.generic], scale: Scale) -> NDArray[np.uint8]:
    """8 bits of each value, in the same shape; what is no number is black."""
    unit = (np.nan_to_num(values.astype(np.float64)) - scale.black) / (scale.white - scale.black)
    return np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8)


def grey_to_rgb(grey: NDArray[np.uint8]) -> Image:
    """Three channels of one."""
    return np.repeat(grey[..., None], 3, axis=2)
