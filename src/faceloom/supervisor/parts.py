"""Parts: large remote videos are done window by window, of each of which the bytes are in the scratch."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path

from faceloom.errors import MediaError
from faceloom.media.extents import FIRST_PACKETS, Extents, Window, cut_windows
from faceloom.media.parts import NOT_HERE, ByteRange, joined_ranges, move_parts, remove_parts, total_bytes
from faceloom.media.remote import in_words
from faceloom.media.sources import Found, Source
from faceloom.store.store import Store
from faceloom.supervisor.fetching import Fetcher, InPart, Unfetched

_NEXT = ".next"


class _UnfetchedError(Exception):
    """Parts of a video cannot be fetched; the message is why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartsRun:
    """What it takes of a run to do videos in parts."""

    store: Store
    fetcher: Fetcher
    locate: Callable[[Source], Extents | str]
    """Where the packets are, or why nobody can tell."""
    add: Callable[[Found | Unfetched], None]
    """Lists a source and its frames in the store, or has it fail."""
    work: Callable[[], None]
    """Does what is listed, as far as it is here."""
    should_stop: Callable[[], bool]
    block: int
    """How many frames faces are followed through."""

    def do(self, video: InPart) -> None:
        """Does the wanted frames of a video.

        One of which parts do not do, since its frames cannot be found by its index, is fetched whole if it fits.
        """
        path = video.source.path
        assert video.source.address is not None
        try:
            why = self._do_windows(video)
            if why is None and not self.store.sources.again(video.source.address, NOT_HERE):
                return
        except _UnfetchedError as error:
            self.add(Unfetched(video.source, f"cannot be fetched: {error}"))
            return
        finally:
            self.store.frames.here = None
            remove_parts(path)
        found = self.fetcher.fetched(video.remote, why_whole=why or NOT_HERE)
        self.add(found)
        self.work()
        path.unlink(missing_ok=True)

    def _do_windows(self, video: InPart) -> str | None:
        """Does window after window; why that cannot be done, if it cannot."""
        extents = self.locate(video.source)
        if isinstance(extents, str):
            return extents
        path = video.source.path
        first = joined_ranges([*video.head, *extents.ranges(0, FIRST_PACKETS)])
        self._take(video, self._begin(video, first))
        self.add(video.source)
        room = self.fetcher.most_bytes // 2 - total_bytes(video.head)  # the next window comes while one is done
        pending = (frame for frame in self.store.frames.pending() if frame.source.path == path)
        try:
            windows = list(cut_windows(extents, pending, most_bytes=room, block=self.block))
        except MediaError as error:
            return str(error)
        for window in self._fetched(video, windows):
            self.store.frames.here = (path, window.frames)
            self.work()
            if self.should_stop():
                break
        return None

    def _fetched(self, video: InPart, windows: Sequence[Window]) -> Iterator[Window]:
        """The windows, each when its bytes are in the scratch; the next one is fetched meanwhile."""
        begun: Future[None] | None = None
        try:
            for number, window in enumerate(windows):
                self._take(video, begun or self._begin(video, window.ranges))
                begun = self._begin(video, windows[number + 1].ranges) if number + 1 < len(windows) else None
                yield window
        finally:
            if begun is not None:
                begun.cancel()
                wait([begun])
            remove_parts(self._ahead(video))

    def _begin(self, video: InPart, ranges: Sequence[ByteRange]) -> "Future[None]":
        """Begins to fetch parts of a video, and its index with them."""
        ahead, both = self._ahead(video), joined_ranges([*video.head, *ranges])
        return self.fetcher.begin_ranges(video.remote, ahead, both, known=video.source.path)

    def _take(self, video: InPart, begun: "Future[None]") -> None:
        """Waits for parts, and puts them in the place of those that are there."""
        try:
            begun.result()
        except Exception as error:  # whatever a file system raises
            raise _UnfetchedError(in_words(error)) from error
        move_parts(self._ahead(video), video.source.path)

    def _ahead(self, video: InPart) -> Path:
        """Where the parts lie that are needed next."""
        return video.source.path.with_name(video.source.path.name + _NEXT)
