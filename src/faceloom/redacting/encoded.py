"""A video that is being written: frames are brought into the format of the encoder, covered, and encoded, in order."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from av.container import OutputContainer
from av.sidedata.sidedata import SideDataContainer, Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from faceloom.faces import Image
from faceloom.media.decoding import Decoded
from faceloom.redacting.encoders import add_video, can_encode_deep, encoding_of
from faceloom.redacting.painting import Plane
from faceloom.redacting.planes import PlaneMaker, format_for, has_luma, shown, to_encode
from faceloom.redacting.written import THUMBNAIL_PX

_BT709, _LIMITED = 1, 1


def nothing_more() -> None:
    """For whoever has nothing to add beside the pictures."""


class EncodedFilm:
    """The pictures of a video in an open container."""

    def __init__(
        self,
        target: OutputContainer,
        *,
        base: Fraction,
        rate: Fraction | None,
        quality: int,
        stamp: Image | None,
        on_begin: Callable[[], None] = nothing_more,
    ) -> None:
        """Of frames whose times are told in ticks of `base` seconds; `on_begin` may add streams after the first."""
        self._target = target
        self._base = base
        self._rate = rate
        self._quality = quality
        self._on_begin = on_begin
        self._maker = PlaneMaker(stamp)
        self._stream: VideoStream | None = None
        self._format = ""
        self.notes: set[str] = set()
        """What is changed besides faces."""

    @property
    def has_begun(self) -> bool:
        """Whether there has been a frame."""
        return self._stream is not None

    @property
    def codec(self) -> str:
        """What frames are encoded with; nothing before the first."""
        return encoding_of(self._format, quality=self._quality).codec if self.has_begun else ""

    def add(self, decoded: Decoded, ticks: int, paint: Callable[[list[Plane]], bool]) -> Image | None:
        """One frame more, covered by `paint`; a thumbnail of it if that says so."""
        frame = self._to_encode(decoded)
        if self._stream is None:
            self._stream = self._add_stream(frame, decoded)
            self._on_begin()
        planes = self._maker.planes(frame, decoded)
        thumbnail = shown(planes, longest=THUMBNAIL_PX) if paint(planes) else None
        frame.pts, frame.time_base = ticks, self._base
        self._target.mux(self._stream.encode(frame))
        return thumbnail

    def end(self) -> None:
        """What the encoder still holds goes to the file."""
        if self._stream is not None:
            self._target.mux(self._stream.encode(None))

    def _to_encode(self, decoded: Decoded) -> VideoFrame:
        given = decoded.frame
        if not self._format:
            self._format = format_for(given, can_be_deep=can_encode_deep())
        if self._stream is None:
            height, width = given.height + given.height % 2, given.width + given.width % 2
        else:
            height, width = self._stream.codec_context.height, self._stream.codec_context.width
        self._note(given, height, width)
        return to_encode(given, self._format, height=height, width=width)

    def _note(self, given: VideoFrame, height: int, width: int) -> None:
        """Notes what is changed besides faces."""
        even = (given.height + given.height % 2, given.width + given.width % 2)
        if given.height % 2 or given.width % 2:
            self.notes.add("an odd side has its last pixels twice: encoders take even ones")
        if even != (height, width):
            self.notes.add("frames of another size are scaled to that of the first")
        if any(one.is_alpha for one in given.format.components):
            self.notes.add("transparency is left out")
        if given.format.name not in {self._format, "yuv420p", "yuvj420p", "nv12"}:
            self.notes.add(f"{given.format.name} is converted to {self._format}")

    def _add_stream(self, frame: VideoFrame, decoded: Decoded) -> VideoStream:
        given = decoded.frame
        tags = (decoded.primaries, decoded.transfer, int(given.colorspace), int(given.color_range))
        if not has_luma(given):
            tags = (decoded.primaries, decoded.transfer, _BT709, _LIMITED)
        stream = add_video(
            self._target,
            frame,
            rate=self._rate,
            encoding=encoding_of(self._format, quality=self._quality),
            time_base=self._base,
            aspect=decoded.aspect,
            tags=tags,
        )
        matrix = _display_matrix(given)
        if matrix is not None:
            stream.set_display_matrix(matrix)
        return stream


def _display_matrix(frame: VideoFrame) -> list[int] | None:
    """As the container states it, so that the copy is turned like the original."""
    told: Any = SideDataContainer(frame)  # type: ignore[call-arg]
    for i in range(len(told)):
        if told[i].type == Type.DISPLAYMATRIX:
            return [int(value) for value in np.frombuffer(bytes(told[i]), np.int32)]
    return None
