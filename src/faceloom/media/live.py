"""Live sources: cameras, addresses, standard input and numbered pictures, as frames that come one after another.

Of what never ends the newest frames are taken: what comes while nobody asks is dropped, so that no frame is late, and
the next one tells how many. When such a source breaks off it is opened again, with longer and longer waits. Whatever
ends by itself waits for whoever reads it, and nothing of it is dropped.
"""

import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import av
import numpy as np
from av.container import InputContainer

from faceloom.errors import MediaError, RequestError
from faceloom.faces import FrameId, Image
from faceloom.frame import Frame
from faceloom.media.chunks import Unreadable
from faceloom.media.decoding import Decoded, as_pieces, decode, packets_of, video_stream
from faceloom.media.deinterlacing import deinterlaced
from faceloom.media.numbered import is_pattern, numbered_files, rate_of
from faceloom.media.reading import read_still
from faceloom.media.sources import Source, SourceKind
from faceloom.media.video_pixels import look_at, to_upright
from faceloom.units import MAX_PIXELS

STDIN = "-"
_CAMERA = re.compile(r"camera:(\d{1,3})", re.ASCII)
_DEVICE = re.compile(r"/dev/video\d{1,3}", re.ASCII)
_ADDRESS = re.compile(r"(rtsps?|https?|rtmps?|rtp|udp|tcp|srt)://.+", re.ASCII)
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})", re.ASCII)
_OPENING_S, _READING_S = 10.0, 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 8.0
_ASKED_EVERY_S = 0.2
"""How often somebody who waits is asked whether it is still wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """What is told of live sources."""

    size: tuple[int, int] | None = None
    """Height and width of raw RGB frames on standard input, where None says that it is a file of some kind; of a camera
    what it is asked for."""
    rate: float | None = None
    """Frames a second of raw frames, of numbered pictures, and what a camera is asked for."""
    reconnect_s: float = 30.0
    """How long a source that has broken off is tried to be opened again."""
    held: int = 2
    """Frames of a source that never ends that wait for whoever reads: the one that comes next, and the newest."""


def size_of(told: str | None) -> tuple[int, int] | None:
    """Height and width of a size like 1280x720.

    Raises:
        RequestError: it is none.
    """
    if told is None:
        return None
    found = _SIZE.fullmatch(told)
    if found is None or not 0 < int(found[1]) * int(found[2]) <= MAX_PIXELS:
        raise RequestError(f"a frame's size is {told!r}, but has to be WIDTHxHEIGHT, as in 1280x720")
    return int(found[2]), int(found[1])


def is_live(item: str) -> bool:
    """Whether an input names a live source, and no file: `-`, `camera:0`, an address, or a pattern of numbers."""
    if item == STDIN or _CAMERA.fullmatch(item) or _DEVICE.fullmatch(item) or _ADDRESS.fullmatch(item):
        return True
    return is_pattern(Path(item))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LiveFrame:
    """A frame of a live source, and what it was made of."""

    frame: Frame
    decoded: Decoded | None = None
    """As the decoder gave it; None where there is none, or no picture."""
    dropped: int = 0
    """Frames before it that were dropped, not to be late."""


def _never() -> bool:
    return False


class LiveSource:
    """A source that is opened when its frames are asked for."""

    def __init__(self, item: str, settings: LiveSettings) -> None:
        """Of what `is_live` says that it is one."""
        self._item = item
        self._settings = settings
        self.name = re.sub(r"(?<=://)[^/@\s]*@", "", item)
        """Without the password that an address may have."""
        self._base = Fraction(1)

    def frames(self) -> Iterator[Frame]:
        """The frames, with the times that the source gives them; the last has an empty image if it broke off.

        Raises:
            MediaError: it cannot be opened.
        """
        return (taken.frame for taken in self.taken())

    def taken(self, should_stop: Callable[[], bool] = _never) -> Iterator[LiveFrame]:
        """The same frames, each with what it was made of, until it is said that no more are wanted.

        Raises:
            MediaError: it cannot be opened.
        """
        for taken in self._taken(should_stop):
            yield taken
            if should_stop():
                return

    def _taken(self, should_stop: Callable[[], bool]) -> Iterator[LiveFrame]:
        if self._item == STDIN and self._settings.size is not None:
            yield from map(_made, self._raw(sys.stdin.buffer, *self._settings.size))
            return
        if self._is_numbered:
            yield from map(_made, self._pictures())
            return
        container = self._opened()
        if not self._is_endless(container):
            with closing(container):
                for index, decoded in enumerate(self._decoded(container)):
                    yield self._frame(index, decoded, dropped=0)
            return
        receiver = _Receiver(self, container, self._settings, should_stop)
        with receiver:
            for index, (decoded, dropped) in enumerate(receiver):
                yield self._frame(index, decoded, dropped=dropped)
        if not should_stop():
            empty = np.zeros((0, 0, 3), np.uint8)
            problem = f"the source has broken off and did not come back within {self._settings.reconnect_s:g} s"
            yield _made(Frame(id=FrameId(self.name, receiver.count), time=None, image=empty, problem=problem))

    def _is_endless(self, container: InputContainer) -> bool:
        return self._item != STDIN and not container.duration

    @property
    def _is_numbered(self) -> bool:
        return _ADDRESS.fullmatch(self._item) is None and is_pattern(Path(self._item))

    def _pictures(self) -> Iterator[Frame]:
        """Numbered pictures, read like others: FFmpeg would know less of their colours."""
        step = 1 / rate_of(self._settings.rate)
        files = numbered_files(Path(self._item))
        if not files:
            raise MediaError(f"there is no picture {self.name} with a number in it")
        for index, one in enumerate(files):
            answer = read_still(Source(name=self.name, path=one.path, kind=SourceKind.PICTURE))
            identity, time = FrameId(self.name, index), (one.number - files[0].number) * step
            if isinstance(answer, Unreadable):
                empty = np.zeros((0, 0, 3), np.uint8)
                yield Frame(id=identity, time=time, image=empty, problem=f"{one.path.name}: {answer.reason}")
            else:
                yield replace(answer, id=identity, time=time)

    def opened(self) -> InputContainer | None:
        """The source, opened again; None: it cannot be now."""
        try:
            return self._opened()
        except MediaError:
            return None

    def _opened(self) -> InputContainer:
        place, told = self._place()
        try:
            opened = av.open(place, timeout=(_OPENING_S, _READING_S), **told)
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise MediaError(f"{self.name} cannot be opened: {reason}") from error
        assert isinstance(opened, InputContainer)
        return opened

    def _place(self) -> tuple[Any, dict[str, Any]]:
        """What FFmpeg is to open, and how."""
        if self._item == STDIN:
            return sys.stdin.buffer, {}
        camera = _CAMERA.fullmatch(self._item)
        if camera or _DEVICE.fullmatch(self._item):
            return self._camera(camera[1] if camera else self._item.removeprefix("/dev/video"))
        is_rtsp = self._item.startswith("rtsp")
        return self._item, {"options": {"rtsp_transport": "tcp"} if is_rtsp else {}}

    def _camera(self, number: str) -> tuple[str, dict[str, Any]]:
        size, rate = self._settings.size, self._settings.rate
        options = {"video_size": f"{size[1]}x{size[0]}"} if size else {}
        options |= {"framerate": str(rate)} if rate else {}
        if sys.platform == "darwin":
            return number, {"format": "avfoundation", "options": options}
        return f"/dev/video{number}", {"format": "v4l2", "options": options}

    def decoded(self, container: InputContainer) -> Iterator[Decoded]:
        """What comes until it ends or breaks off."""
        with suppress(MediaError, av.FFmpegError, OSError):
            yield from self._decoded(container)

    def _decoded(self, container: InputContainer) -> Iterator[Decoded]:
        stream = video_stream(container, Path(self.name))
        self._base = Fraction(stream.time_base or 1)
        return deinterlaced(decode(as_pieces(packets_of(container, stream)), stream))

    def _frame(self, index: int, decoded: Decoded, *, dropped: int) -> LiveFrame:
        given = decoded.frame
        time = None if given.pts is None else given.pts * self._base
        problem = f"not to be late, {dropped} frame{'s' * (dropped != 1)} before it dropped" if dropped else None
        notes = look_at(decoded).notes
        image = to_upright(decoded)
        frame = Frame(id=FrameId(self.name, index), time=time, image=image, problem=problem, notes=notes)
        return LiveFrame(frame=frame, decoded=decoded, dropped=dropped)

    def _raw(self, file: BinaryIO, height: int, width: int) -> Iterator[Frame]:
        """RGB, row by row, frame by frame; what is left of a frame at the end is none."""
        step = 1 / rate_of(self._settings.rate)
        index = 0
        while len(content := _read(file, 3 * height * width)) == 3 * height * width:
            image: Image = np.frombuffer(content, np.uint8).reshape(height, width, 3)
            yield Frame(id=FrameId(self.name, index), time=index * step, image=image)
            index += 1


def _made(frame: Frame) -> LiveFrame:
    return LiveFrame(frame=frame)


def _read(file: BinaryIO, count: int) -> bytes:
    """So many bytes, or what there is until the end."""
    parts = []
    while count and (part := file.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Newest:
    """Holds the newest of what comes, for one who puts and one who takes."""

    def __init__(self, held: int = 2) -> None:
        """Holds at most so many."""
        self._items: deque[Decoded] = deque()
        self._held = held
        self._dropped = 0
        self._has_ended = False
        self._changed = threading.Condition()

    def put(self, item: Decoded) -> None:
        """Puts one; the oldest is dropped where there are too many."""
        with self._changed:
            self._items.append(item)
            if len(self._items) > self._held:
                self._items.popleft()
                self._dropped += 1
            self._changed.notify()

    def end(self) -> None:
        """Says that nothing more will come."""
        with self._changed:
            self._has_ended = True
            self._changed.notify()

    def take(self, should_stop: Callable[[], bool] = _never) -> tuple[Decoded, int] | None:
        """The oldest that is held, and how many were dropped since the last; None: that was all, or none is wanted."""
        with self._changed:
            while not (self._items or self._has_ended or should_stop()):
                self._changed.wait(_ASKED_EVERY_S)
            if not self._items:
                return None
            dropped, self._dropped = self._dropped, 0
            return self._items.popleft(), dropped


class _Receiver:
    """Reads a source in a thread of its own, and opens it again where it breaks off."""

    def __init__(
        self,
        source: LiveSource,
        container: InputContainer,
        settings: LiveSettings,
        should_stop: Callable[[], bool],
    ) -> None:
        self._source = source
        self._container: InputContainer | None = container
        self._reconnect_s = settings.reconnect_s
        self._should_stop = should_stop
        self._newest = Newest(settings.held)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._receive, name="faceloom-receiver", daemon=True)
        self.count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[tuple[Decoded, int]]:
        while (taken := self._newest.take(self._should_stop)) is not None:
            self.count += 1
            yield taken

    def _receive(self) -> None:
        try:
            while self._container is not None and not self._stop.is_set():
                with closing(self._container):
                    for decoded in self._source.decoded(self._container):
                        self._newest.put(decoded)
                        if self._stop.is_set():
                            return
                self._container = self._again()
        finally:
            self._newest.end()

    def _again(self) -> InputContainer | None:
        return opened_again(self._source.opened, self._stop.wait, within_s=self._reconnect_s)


def opened_again(
    open_it: Callable[[], InputContainer | None], wait: Callable[[float], bool], *, within_s: float
) -> InputContainer | None:
    """What a source gives when it is opened again, with longer and longer waits; None: it did not, or nobody wants it.

    Args:
        open_it: opens the source; None where it cannot be opened now.
        wait: waits so many seconds; True if nobody wants it any more.
        within_s: how long is waited, all in all.
    """
    waited, pause = 0.0, _FIRST_WAIT_S
    while waited < within_s:
        pause = min(pause, within_s - waited)
        if wait(pause):
            return None
        waited += pause
        opened = open_it()
        if opened is not None:
            return opened
        pause = min(2 * pause, _LONGEST_WAIT_S)
    return None
