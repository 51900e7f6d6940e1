"""Wide colours and high brightness as sRGB: what a player shows of HDR on a usual screen.

FFmpeg's own filters for this (zscale, libplacebo) are not in the builds that PyAV brings, so it is done here, by the
standards: ITU-R BT.2100-2 for both transfer functions, BT.2408-7 for where white lies, BT.2087-0 for the colours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Image

Floats = NDArray[np.float32]

WORKING_BYTES_A_PIXEL = 6
"""Of the planes that it is made from."""
STRIP_BYTES = 1 << 22
"""Of the strip that is under way: it is done some rows at a time."""

_WHITE_NITS = 203.0  # BT.2408-7, 2.2: reference white of HDR
_HLG_NITS = 1000.0  # BT.2100-2, table 5: the nominal peak of a display
_KNEE = 0.84
"""In light over white: what is darker stays as it is, and all above is fitted below white."""
_STEPS = 1 << 14
_LUMA_2020 = (0.2627, 0.6780, 0.0593)  # BT.2100-2, table 6
# BT.2087-0, annex 2: from the colours of BT.2020 to those of BT.709.
_TO_709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
_PIXELS_A_STRIP = STRIP_BYTES // (16 * 4)


class Transfer(Enum):
    """How the values of a picture in the colours of BT.2020 stand for light."""

    PQ = "pq"
    HLG = "hlg"
    SDR = "sdr"
    """As in SDR, BT.1886."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A picture in the colours of BT.2020, as luma and two differences, 16 bits each, the bits it had in front."""

    planes: tuple[NDArray[np.uint16], NDArray[np.uint16], NDArray[np.uint16]]
    """(H, W) each."""
    bits: int
    """How many of the 16 it had."""
    is_full_range: bool
    transfer: Transfer


def to_srgb(coded: Coded) -> Image:
    """The picture for a usual screen."""
    height, width = coded.planes[0].shape
    image = np.empty((height, width, 3), np.uint8)
    rows = max(1, _PIXELS_A_STRIP // width)
    for top in range(0, height, rows):
        strip = np.dstack([plane[top : top + rows] for plane in coded.planes])  # (h, W, 3)
        light = _LIGHT[coded.transfer](_decoded(strip, coded))
        light = np.asarray(cv2.transform(light, _TO_709), np.float32)
        if coded.transfer is not Transfer.SDR:
            light *= _gain(light.max(axis=2), peak=_PEAKS[coded.transfer])[..., None]
        image[top : top + rows] = _encoding(coded.transfer)[_steps(light)]
    return image


def _decoded(strip: NDArray[np.uint16], coded: Coded) -> Floats:
    """Red, green and blue, still bent by the transfer function (BT.2100-2, tables 6 and 9)."""
    if coded.is_full_range:
        most = float(((1 << coded.bits) - 1) << 16 - coded.bits)
        offsets, scales = (0.0, 32768.0, 32768.0), (1 / most, 1 / most, 1 / most)
    else:
        offsets, scales = (16.0 * 256, 32768.0, 32768.0), (1 / (219 * 256), 1 / (224 * 256), 1 / (224 * 256))
    red, green, blue = _LUMA_2020
    from_luma = np.array(
        [
            [1, 0, 2 * (1 - red)],
            [1, -2 * blue * (1 - blue) / green, -2 * red * (1 - red) / green],
            [1, 2 * (1 - blue), 0],
        ]
    )
    scaled = from_luma * np.array(scales)
    affine = np.column_stack([scaled, -scaled @ np.array(offsets)]).astype(np.float32)
    return np.asarray(cv2.transform(strip.astype(np.float32), affine), np.float32)


def _steps(values: Floats) -> NDArray[np.uint16]:
    return (np.clip(values, 0, 1) * (_STEPS - 1) + 0.5).astype(np.uint16)


def _pq_light(bent: Floats) -> Floats:
    return _table(Transfer.PQ)[_steps(bent)]


def _hlg_light(bent: Floats) -> Floats:
    """Of a display, BT.2100-2, table 5: the scene's light, times a power of its luminance."""
    scene = _table(Transfer.HLG)[_steps(bent)]
    luminance = cv2.transform(scene, np.array([_LUMA_2020], np.float32))
    return np.asarray(scene * np.power(luminance, 0.2).reshape(*scene.shape[:2], 1) * (_HLG_NITS / _WHITE_NITS))


def _sdr_light(bent: Floats) -> Floats:
    return _table(Transfer.SDR)[_steps(bent)]


_LIGHT: dict[Transfer, Callable[[Floats], Floats]] = {
    Transfer.PQ: _pq_light,
    Transfer.HLG: _hlg_light,
    Transfer.SDR: _sdr_light,
}
_PEAKS = {Transfer.PQ: 10_000 / _WHITE_NITS, Transfer.HLG: _HLG_NITS / _WHITE_NITS}


@cache
def _table(transfer: Transfer) -> Floats:
    """Light, in units of white, by value; of HLG the scene's, from 0 to 1."""
    values = np.linspace(0, 1, _STEPS)
    match transfer:
        case Transfer.PQ:  # BT.2100-2, table 4
            root = values ** (1 / 78.84375)
            light = (
                10_000
                / _WHITE_NITS
                * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
            )
        case Transfer.HLG:  # BT.2100-2, table 5
            light = np.where(
                values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12
            )
        case Transfer.SDR:
            light = values**2.4
    return light.astype(np.float32)


def _gain(brightest: Floats, *, peak: float) -> Floats:
    """By what to multiply so that the brightest channel is below white: FFmpeg's `mobius` (its vf_tonemap.c)."""
    a = -(_KNEE**2) * (peak - 1) / (_KNEE**2 - 2 * _KNEE + peak)
    b = (_KNEE**2 - 2 * _KNEE * peak + peak) / (peak - 1)
    scale = (b**2 + 2 * b * _KNEE + _KNEE**2) / (b - a)
    above = np.maximum(brightest, np.float32(_KNEE))
    return np.asarray(np.where(brightest > _KNEE, scale * (above + a) / (above + b) / above, 1), np.float32)


@cache
def _encoding(transfer: Transfer) -> NDArray[np.uint8]:
    """Values of 8 bits by light: sRGB (IEC 61966-2-1) of HDR; as it was coded of SDR."""
    light = np.linspace(0, 1, _STEPS)
    if transfer is Transfer.SDR:
        values = light ** (1 / 2.4)
    else:
        values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(values * 255).astype(np.uint8)
