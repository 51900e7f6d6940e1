"""Metadata of a picture that shows nobody: how it lies, its colours, when and with what it was taken.

All else is left out: thumbnails and previews of what the picture showed, notes of makers, which may hold such, places,
texts, and whatever stands behind the picture in its file, as the video of a Motion Photo.
"""

from typing import Any

from PIL import Image as PillowImage
from PIL.ExifTags import IFD, Base

_OF_PICTURE = frozenset(
    [
        Base.Orientation,
        Base.XResolution,
        Base.YResolution,
        Base.ResolutionUnit,
        Base.DateTime,
        Base.Make,
        Base.Model,
        Base.YCbCrPositioning,
    ]
)
_OF_EXIF = frozenset(
    [
        Base.DateTimeOriginal,
        Base.DateTimeDigitized,
        Base.OffsetTime,
        Base.OffsetTimeOriginal,
        Base.OffsetTimeDigitized,
        Base.SubsecTime,
        Base.SubsecTimeOriginal,
        Base.SubsecTimeDigitized,
        Base.ExposureTime,
        Base.FNumber,
        Base.ISOSpeedRatings,
        Base.ExposureBiasValue,
        Base.FocalLength,
        Base.FocalLengthIn35mmFilm,
        Base.Flash,
        Base.WhiteBalance,
        Base.MeteringMode,
        Base.ExposureProgram,
        Base.ColorSpace,
    ]
)
_LONGEST_TEXT = 200


def kept_exif(picture: PillowImage.Image) -> bytes | None:
    """What is kept of a picture's EXIF; None if nothing is, or it is damaged."""
    kept = PillowImage.Exif()
    try:
        told = picture.getexif()
        kept.update({tag: value for tag, value in told.items() if tag in _OF_PICTURE and _is_short(value)})
        of_exif = {tag: value for tag, value in told.get_ifd(IFD.Exif).items() if tag in _OF_EXIF and _is_short(value)}
        if of_exif:
            kept.get_ifd(IFD.Exif).update(of_exif)
            kept[IFD.Exif] = of_exif
        return kept.tobytes() if len(kept) else None
    except MemoryError:
        raise
    except Exception:  # Pillow raises what damaged metadata happens to raise, and none of it is needed
        return None


def _is_short(value: Any) -> bool:
    return not isinstance(value, str | bytes) or len(value) <= _LONGEST_TEXT
