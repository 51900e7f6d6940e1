"""Deinterlacing by FFmpeg's own filter: one frame out for each that goes in, with the times it had.

The filter looks at the frames before and after. What is flagged as interlaced without a break is filtered together, and
nothing else is an input to it: so a frame is the same wherever reading began, if only the frame before it was read too.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import av
from av.filter import Graph
from av.video.frame import VideoFrame

from faceloom.media.decoding import Decoded

HELD_PICTURES = 5
"""What the filter holds besides the frame that is given away: the one before, the one after, and its own."""

_FILTER = ("bwdif", "mode=send_frame:deint=all:threads=1")
_ANY_BASE = Fraction(1, 1000)


def deinterlaced(frames: Iterable[Decoded]) -> Iterator[Decoded]:
    """The same frames, those that are flagged as interlaced deinterlaced."""
    run: _Interlaced | None = None
    for decoded in frames:
        if run is not None and not run.goes_on_with(decoded.frame):
            yield from run.end()
            run = None
        if not decoded.frame.interlaced_frame:
            yield decoded
            continue
        run = run or _Interlaced(decoded.frame)
        yield from run.push(decoded)
    if run is not None:
        yield from run.end()


class _Interlaced:
    """Interlaced frames of one size, one after another."""

    def __init__(self, first: VideoFrame) -> None:
        self._looks = _looks(first)
        self._graph = Graph()
        source = self._graph.add_buffer(
            width=first.width, height=first.height, format=first.format, time_base=_ANY_BASE
        )
        weaver = self._graph.add(*_FILTER)
        sink = self._graph.add("buffersink")
        source.link_to(weaver)
        weaver.link_to(sink)
        self._graph.configure()
        self._waiting: deque[tuple[Decoded, int | None]] = deque()
        self._count = 0

    def goes_on_with(self, frame: VideoFrame) -> bool:
        return bool(frame.interlaced_frame) and _looks(frame) == self._looks

    def push(self, decoded: Decoded) -> Iterator[Decoded]:
        frame = decoded.frame
        self._waiting.append((decoded, frame.pts))
        frame.pts = self._count  # some have none, and the filter wants them to rise
        self._count += 1
        self._graph.push(frame)
        yield from self._pull()

    def end(self) -> Iterator[Decoded]:
        self._graph.push(None)
        yield from self._pull()

    def _pull(self) -> Iterator[Decoded]:
        while self._waiting:
            try:
                made = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            assert isinstance(made, VideoFrame)
            given, ticks = self._waiting.popleft()
            made.pts = given.frame.pts = ticks
            made.colorspace, made.color_range = given.frame.colorspace, given.frame.color_range
            yield replace(given, frame=made, is_deinterlaced=True)


def _looks(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
