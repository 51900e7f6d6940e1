"""Colour profiles: pictures whose colours are not sRGB become sRGB, by LittleCMS."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageCms

_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
"""What a profile is of (ICC.1, 7.2.6), and how Pillow calls that."""
_SAME = 3
"""Levels by which a profile may differ from sRGB and is sRGB: makers' rounding of its curves and colours."""
_GRID = np.linspace(0, 255, 9).astype(np.uint8)
_PROFILES_AT_HAND = 8


class ProfileError(Exception):
    """A profile that is damaged, or of other channels than the picture."""


class Conversion:
    """From the colours of one profile to sRGB."""

    def __init__(self, mode: str, transform: ImageCms.ImageCmsTransform) -> None:
        self._mode = mode
        self._transform = transform

    def apply(self, picture: PillowImage.Image) -> PillowImage.Image:
        """The picture in sRGB, mode RGB; transparency has to be dealt with by whoever calls."""
        same = picture if picture.mode == self._mode else picture.convert(self._mode)
        return self._transform.apply(same)


def conversion_from(profile: bytes, mode: str) -> Conversion | None:
    """How pictures of this mode become sRGB; None for a profile that is sRGB, and for modes that have no profiles.

    Raises:
        ProfileError: the profile cannot be used.
    """
    kind = {"RGBA": "RGB", "P": "RGB", "PA": "RGB", "LA": "L", "1": "L"}.get(mode, mode)
    return _conversion(profile, kind) if kind in _MODES.values() else None


@lru_cache(maxsize=_PROFILES_AT_HAND)
def _conversion(profile: bytes, kind: str) -> Conversion | None:
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _MODES.get(opened.profile.xcolor_space) != kind:
            raise ProfileError(f"the profile is of {opened.profile.xcolor_space.strip()}, the picture of {kind}")
        transform = ImageCms.buildTransform(
            opened,
            ImageCms.createProfile("sRGB"),
            kind,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        raise ProfileError(str(error)) from error
    conversion = Conversion(kind, transform)
    return None if _changes_nothing(conversion, kind) else conversion


def _changes_nothing(conversion: Conversion, kind: str) -> bool:
    """Whether sRGB comes out as it went in: pixels of such pictures stay as they are."""
    if kind == "CMYK":
        return False
    if kind == "L":
        grey = np.arange(256, dtype=np.uint8)[None]
        expected = np.repeat(grey[..., None], 3, axis=2)
        given = PillowImage.fromarray(grey)
    else:
        expected = np.stack(np.meshgrid(_GRID, _GRID, _GRID), axis=-1).reshape(1, -1, 3)
        given = PillowImage.fromarray(expected)
    made = np.asarray(conversion.apply(given))
    return bool(np.abs(made.astype(int) - expected).max() <= _SAME)
