"""The clock of a stream, which starts again wherever files were joined end to end.

Program and transport streams have no beginning: discs, camcorders and `cat` put one behind another, and the times of
the second one begin anew. Everything here happens to packets, before the decoder sees them, so that whoever counts and
whoever reads sees the same times.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from av.packet import Packet
from av.video.stream import VideoStream

_TOLERATED_S = 1
"""By which times may go back in a container whose clock does not start again: some writers are careless."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A packet, its times made to go on."""

    packet: "Packet[VideoStream]"
    stretch: int = 0
    """How often the clock has started again before it."""


Pieces: TypeAlias = Iterator[Piece]


def on_one_clock(packets: "Iterable[Packet[VideoStream]]", *, time_base: Fraction, may_restart: bool) -> Pieces:
    """The packets of a stream from its beginning, with times that go on where its clock starts again.

    Args:
        packets: in the order of the file; their times are changed.
        time_base: seconds a tick.
        may_restart: whether containers of this kind have clocks that start again; otherwise a second is tolerated.
    """
    clock = _Clock(tolerated=0 if may_restart else int(_TOLERATED_S / time_base))
    for packet in packets:
        yield Piece(packet, clock.advance(packet))


class _Clock:
    def __init__(self, *, tolerated: int) -> None:
        self._tolerated = tolerated
        self._offset = 0
        self._stretch = 0
        self._last: int | None = None
        """The last packet's decoding time, as the file has it."""
        self._step = 1
        self._latest: int | None = None
        """The latest presentation time so far, as it is told."""

    def advance(self, packet: "Packet[VideoStream]") -> int:
        """Sets the packet's times; which stretch it belongs to."""
        time = packet.pts if packet.dts is None else packet.dts
        if time is not None and self._last is not None:
            if time + self._tolerated < self._last:
                self._start_again(time, packet.pts)
            elif time > self._last:
                self._step = time - self._last
        self._last = self._last if time is None else time
        if self._offset:
            packet.dts = None if packet.dts is None else packet.dts + self._offset
            packet.pts = None if packet.pts is None else packet.pts + self._offset
        if packet.pts is not None:
            self._latest = packet.pts if self._latest is None else max(self._latest, packet.pts)
        return self._stretch

    def _start_again(self, time: int, shown: int | None) -> None:
        assert self._last is not None
        self._stretch += 1
        offset = self._offset + self._last + self._step - time
        if shown is not None and self._latest is not None:  # the other part reordered its frames over a longer time
            offset = max(offset, self._latest + self._step - shown)
        self._offset = offset
