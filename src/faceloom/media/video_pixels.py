"""Decoded frames as upright RGB in square pixels, with the colours that players show."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from faceloom.faces import Image
from faceloom.media.decoding import UNSPECIFIED, Decoded
from faceloom.media.notes import Note
from faceloom.media.tone_mapping import STRIP_BYTES, WORKING_BYTES_A_PIXEL, Coded, Transfer, to_srgb
from faceloom.units import MAX_PIXELS

# ITU-T H.273, tables 2 to 4.
_BT2020 = 9
_TRANSFERS = {16: Transfer.PQ, 18: Transfer.HLG}
_SPACES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M"}
_FULL_RANGE = 2
_SD_HEIGHT, _HD_WIDTH = 576, 1280
"""Players read what is higher, or at least as wide, as HD (mpv, video/csputils.c; VLC likewise by the height)."""
_SQUARE = 0.01  # an encoder's rounding, and no aspect ratio of its own
_MOST_ASPECT = 8
_DEEP = "yuv444p16le"


@dataclass(frozen=True, slots=True)
class _Orientation:
    """How a picture has to be laid to stand upright: transposed first, then mirrored."""

    is_transposed: bool = False
    is_mirrored_across: bool = False
    is_mirrored_down: bool = False

    @property
    def notes(self) -> tuple[Note, ...]:
        """A mirror, or a turn, or nothing."""
        flips = self.is_transposed + self.is_mirrored_across + self.is_mirrored_down
        if flips % 2:
            return (Note.MIRRORED,)
        return (Note.TURNED,) if flips else ()

    def lay(self, image: NDArray[Any]) -> NDArray[Any]:
        """The picture, or one plane of it, upright: a view."""
        if self.is_transposed:
            image = image.swapaxes(0, 1)
        if self.is_mirrored_across:
            image = image[:, ::-1]
        return image[::-1] if self.is_mirrored_down else image


@dataclass(frozen=True, slots=True)
class Look:
    """What has to be done to a frame."""

    height: int
    """Upright, in square pixels, like the width."""
    width: int
    working_bytes: int
    """That making it takes, on top of itself and the decoder's."""
    notes: tuple[Note, ...]


def look_at(decoded: Decoded) -> Look:
    """What has to be done to a frame to be shown."""
    frame = decoded.frame
    width, orientation = _square_width(decoded), _orientation(frame)
    height = frame.height
    pixels = height * width
    is_copied = _needs_full_planes(frame, width) or _transfer(decoded) is not None
    working = WORKING_BYTES_A_PIXEL * pixels if is_copied else 0
    working += STRIP_BYTES if _transfer(decoded) else 0
    upright = (width, height) if orientation.is_transposed else (height, width)
    return Look(*upright, working, _notes(decoded, orientation, width))


def upright_view(decoded: Decoded, plane: NDArray[Any]) -> NDArray[Any]:
    """A plane of a frame, or of one that was made of it, as it stands upright: a view."""
    return _orientation(decoded.frame).lay(plane)


def look_ahead(pixels: VideoFormat | None, height: int, width: int, aspect: Fraction | None) -> Look:
    """What presumably has to be done to frames of which none can be had: by what the stream states."""
    stretched = _stretched(height, width, aspect or Fraction(1))
    is_deep = pixels is not None and pixels.components[0].bits > 8
    working = WORKING_BYTES_A_PIXEL * height * stretched if is_deep or stretched != width else 0
    return Look(height, stretched, working, ())


def to_upright(decoded: Decoded) -> Image:
    """A frame as it is shown."""
    frame, width = decoded.frame, _square_width(decoded)
    transfer = _transfer(decoded)
    image = _to_rgb(frame, width) if transfer is None else to_srgb(_coded(frame, width, transfer))
    return np.ascontiguousarray(_orientation(frame).lay(image))


def _notes(decoded: Decoded, orientation: _Orientation, width: int) -> tuple[Note, ...]:
    frame, transfer = decoded.frame, _transfer(decoded)
    done = {
        Note.SQUARED: width != frame.width,
        Note.DEINTERLACED: decoded.is_deinterlaced,
        Note.TONE_MAPPED: transfer in {Transfer.PQ, Transfer.HLG},
        Note.COLOURS: transfer is Transfer.SDR,
        Note.ASSUMED_BT709: transfer is None and _is_untagged_hd(frame),
    }
    return (*orientation.notes, *(note for note, is_done in done.items() if is_done))


def _orientation(frame: VideoFrame) -> _Orientation:
    """By the display matrix (ISO/IEC 14496-12, 6.2.2), or the nearest of the eight that leave pixels whole."""
    # frame.side_data would hold the frame that holds it, until a collection.
    told: Any = SideDataContainer(frame)  # type: ignore[call-arg]
    matrices = [bytes(told[i]) for i in range(len(told)) if told[i].type == Type.DISPLAYMATRIX]
    if not matrices:
        return _UPRIGHT
    a, b, _, c, d = np.frombuffer(matrices[0], np.int32)[:5].tolist()
    # It takes (x, y) to (a x + c y, b x + d y).
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return _Orientation(False, a < 0, d < 0)
    return _Orientation(True, c < 0, b < 0)


_UPRIGHT = _Orientation()


def _square_width(decoded: Decoded) -> int:
    """The width at which pixels are as wide as high; a ratio that cannot be meant is none."""
    return _stretched(decoded.frame.height, decoded.frame.width, decoded.aspect)


def _stretched(height: int, width: int, aspect: Fraction) -> int:
    if abs(aspect - 1) <= _SQUARE or not Fraction(1, _MOST_ASPECT) <= aspect <= _MOST_ASPECT:
        return width
    stretched = max(1, round(width * aspect))
    return stretched if stretched * height <= MAX_PIXELS else width


def _is_luma(frame: VideoFrame) -> bool:
    """Whether there are differences of colours to be read in one way or another."""
    return not frame.format.is_rgb and not frame.format.has_palette and len(frame.format.components) >= 3


def _needs_full_planes(frame: VideoFrame, width: int) -> bool:
    """Whether swscale's short way to RGB would be two levels too dark.

    It is where there are fewer colours than pixels, and more than 8 bits, or another width.
    """
    pixels = frame.format
    is_short = pixels.chroma_width(frame.width) < frame.width or pixels.chroma_height(frame.height) < frame.height
    return _is_luma(frame) and is_short and (pixels.components[0].bits > 8 or width != frame.width)


def _is_untagged_hd(frame: VideoFrame) -> bool:
    is_hd = frame.height > _SD_HEIGHT or frame.width >= _HD_WIDTH
    return is_hd and _is_luma(frame) and frame.colorspace == UNSPECIFIED


def _transfer(decoded: Decoded) -> Transfer | None:
    """How a frame in the colours of BT.2020 stands for light; None for one that is shown as it is."""
    if not _is_luma(decoded.frame):
        return None
    if transfer := _TRANSFERS.get(decoded.transfer):
        return transfer
    return Transfer.SDR if decoded.primaries == _BT2020 else None


def _to_rgb(frame: VideoFrame, width: int) -> Image:
    options: dict[str, Any] = {"threads": 1, **({"width": width} if width != frame.width else {})}
    if name := "ITU709" if _is_untagged_hd(frame) else _SPACES.get(frame.colorspace):
        options["src_colorspace"] = name
    if frame.color_range == _FULL_RANGE and _is_luma(frame):
        options["src_color_range"] = "JPEG"
    if _needs_full_planes(frame, width):
        frame = _on_full_planes(frame, width, _planes_for(frame))
        options.pop("width", None)
    return np.asarray(frame.to_ndarray(format="rgb24", **options), np.uint8)


def _on_full_planes(frame: VideoFrame, width: int, pixels: str) -> VideoFrame:
    """As many colours as pixels; black and white stay where they are."""
    return frame.reformat(width=width, height=frame.height, format=pixels, threads=1)


def _planes_for(frame: VideoFrame) -> str:
    if frame.format.components[0].bits > 8:
        return _DEEP
    return "yuvj444p" if frame.format.name.startswith("yuvj") else "yuv444p"


def _coded(frame: VideoFrame, width: int, transfer: Transfer) -> Coded:
    bits = frame.format.components[0].bits
    is_full_range = frame.color_range == _FULL_RANGE and not frame.format.name.startswith("yuvj")
    full = _on_full_planes(frame, width, _DEEP)
    luma, blue, red = (_plane(full, i) for i in range(3))
    return Coded(planes=(luma, blue, red), bits=bits, is_full_range=is_full_range, transfer=transfer)


def _plane(frame: VideoFrame, number: int) -> NDArray[np.uint16]:
    plane = frame.planes[number]
    rows = np.frombuffer(memoryview(plane), np.uint16).reshape(plane.height, plane.line_size // 2)
    return rows[:, : plane.width]
