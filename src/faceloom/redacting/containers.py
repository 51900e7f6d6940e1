"""Containers: what of a video's file is kept beside its pictures, and what it is written into.

Sound and subtitles are copied packet by packet. Left out are other moving pictures, covers and attachments, which may
show faces, and data that would mean nothing any more, each with a word of it.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

_MP4, _MATROSKA = "mov,mp4", "matroska"
_OWN_WRITERS = {".mov": "mov", ".qt": "mov"}
_LONGEST_TEXT = 2000
"""Of a tag: longer ones may hold pictures."""
_NOT_KEPT = frozenset(["encoder", "major_brand", "minor_version", "compatible_brands", "duration", "number_of_frames"])
_COPIED = frozenset(["audio", "subtitle"])
_RAW_CODECS = frozenset(["h264", "hevc", "m4v", "mpegvideo", "vvc", "av1", "obu", "ivf", "mjpeg"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """What a video is written into."""

    name: str
    """FFmpeg's name of the writer."""
    suffix: str
    """That is added to the file's name; nothing if that stays as it is."""


def wrapping_of(container: InputContainer, name: str) -> Wrapping:
    """The same container if it takes H.264 and exact times, else MP4 for bare streams, and Matroska."""
    suffix = PurePosixPath(name).suffix.lower()
    kind = container.format.name
    if kind.startswith(_MP4):
        return Wrapping(name=_OWN_WRITERS.get(suffix, "mp4"), suffix="")
    if kind.startswith(_MATROSKA):
        return Wrapping(name="matroska", suffix="" if suffix == ".mkv" else ".mkv")
    return Wrapping(name="mp4", suffix=".mp4") if kind in _RAW_CODECS else Wrapping(name="matroska", suffix=".mkv")


@dataclass(slots=True)
class Copies:
    """The streams of a file that are copied, and what is left out of it."""

    source: InputContainer
    target: OutputContainer
    streams: dict[int, Stream] = field(default_factory=dict)
    """By the index of the stream in the source."""
    left_out: list[str] = field(default_factory=list)
    counts: dict[int, int] = field(default_factory=dict)
    """Packets copied, likewise."""
    _packets: "Iterator[Packet[Any]] | None" = None
    _held: "Packet[Any] | None" = None

    def add(self, chosen: Stream) -> None:
        """Adds a stream for each that is copied beside the one whose pictures are made anew."""
        for stream in self.source.streams:
            if stream.index == chosen.index:
                continue
            if stream.type in _COPIED and self._add(stream):
                continue
            self.left_out.append(_in_words(stream))
        self.target.metadata.update(kept_tags(self.source.metadata))
        with suppress(NotImplementedError, ValueError, av.FFmpegError):
            self.target.set_chapters(self.source.chapters())

    def _add(self, stream: Stream) -> bool:
        try:
            made = self.target.add_stream_from_template(stream)
        except (ValueError, av.FFmpegError):
            return False
        made.metadata.update(kept_tags(stream.metadata))
        with suppress(AttributeError, ValueError):
            made.disposition = stream.disposition
        self.streams[stream.index] = made
        self.counts[stream.index] = 0
        return True

    def go_on_to(self, seconds: Fraction | None) -> None:
        """Copies the packets up to a time; all that are left without one."""
        while self.streams:
            packet = self._next()
            if packet is None or (seconds is not None and _time_of(packet) > seconds):
                self._held = packet
                return
            index = packet.stream.index
            packet.stream = self.streams[index]
            self.target.mux_one(packet)
            self.counts[index] += 1

    def _next(self) -> "Packet[Any] | None":
        if self._held is not None:
            held, self._held = self._held, None
            return held
        if self._packets is None:
            chosen = [stream for stream in self.source.streams if stream.index in self.streams]
            self._packets = iter(self.source.demux(chosen))
        while True:
            try:
                packet = next(self._packets)
            except (StopIteration, IndexError, av.FFmpegError):
                return None
            if packet.size and packet.dts is not None:
                return packet


def kept_tags(tags: dict[str, str]) -> dict[str, str]:
    """Tags of a file or stream that show nobody: without those that say how it was written, and long ones."""
    return {key: value for key, value in tags.items() if key.lower() not in _NOT_KEPT and len(value) <= _LONGEST_TEXT}


def _time_of(packet: "Packet[Any]") -> Fraction:
    assert packet.dts is not None
    return packet.dts * Fraction(packet.time_base)


def _in_words(stream: Stream) -> str:
    if stream.type == "video":
        is_cover = bool(stream.disposition & av.stream.Disposition.attached_pic)
        return "a cover picture" if is_cover else "another video stream"
    return f"{'an' if stream.type[:1] in 'aeiou' else 'a'} {stream.type} stream"
