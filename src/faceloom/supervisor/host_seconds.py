"""What reading frames and writing chips takes beside the networks: typical seconds of one core.

They are the same for every plan, and are there so that a plan's seconds are near the clock's. Measured once, with
pictures of 2 megapixels and a video of h264; how fast a machine is, the networks' own seconds tell better.
"""

from collections.abc import Iterable, Mapping

from faceloom.choices import ChipFormat
from faceloom.job import Outputs
from faceloom.media.sources import SourceKind

_MEGAPIXEL = 1e6
_VIDEO_S = 0.003
"""A megapixel, decoded and made RGB."""
_PICTURE_S = 0.008
"""A megapixel of a picture in a format that is not named below."""
_PICTURES_S: Mapping[str, float] = {".jpg": 0.004, "jpeg": 0.004, ".png": 0.02, "webp": 0.016, ".bmp": 0.003}
"""The same by the last four letters of a file's name."""
_FACE_S = 0.003
"""A face that is cut out, warped to its chip and written as a row."""
_CHIPS_S: Mapping[ChipFormat, float] = {ChipFormat.JPG: 0.0045, ChipFormat.PNG: 0.035, ChipFormat.WEBP: 0.085}
"""A megapixel of a chip, encoded."""


def reading_s(pending: Iterable[tuple[SourceKind, str, int, int]]) -> float:
    """The seconds that reading a frame takes, on average over frames.

    Args:
        pending: of frames that are alike: their kind, the last four letters of their sources' names, how many they are,
            and the sum of their pixels.
    """
    seconds, frames = 0.0, 0
    for kind, ending, number, pixels in pending:
        a_megapixel = _VIDEO_S if kind is SourceKind.VIDEO else _PICTURES_S.get(ending.lower(), _PICTURE_S)
        seconds += a_megapixel * pixels / _MEGAPIXEL
        frames += number
    return seconds / frames if frames else 0.0


def face_s(outputs: Outputs) -> float:
    """The seconds that a face takes besides its networks."""
    chip = _CHIPS_S[outputs.chip_format] * outputs.chip_size**2 / _MEGAPIXEL if outputs.write_chips else 0.0
    return _FACE_S + chip
