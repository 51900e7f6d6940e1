"""Draws the events of a run on stderr: live in a terminal, now and then a plain line elsewhere."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from faceloom.cli.progress import Told, line
from faceloom.cli.terminal import say
from faceloom.events import Counting, Event, Fetching, Measuring, Notice, OnEvent, Progress, Tracking, Writing
from faceloom.units import format_bytes

_PLAIN_EVERY_S = 5.0


def watching(chosen: argparse.Namespace) -> AbstractContextManager[OnEvent]:
    """What draws the events of a command that was told how much it is to tell."""
    return silence() if getattr(chosen, "quiet", False) else watch(plainly=chosen.verbose)


@contextmanager
def silence() -> Iterator[OnEvent]:
    """Draws nothing but notices."""

    told = Told()

    def on_event(event: Event) -> None:
        if isinstance(event, Notice) and told.is_new(event):
            say(f"faceloom: {event.text}", to=sys.stderr)

    yield on_event


@contextmanager
def watch(*, plainly: bool = False) -> Iterator[OnEvent]:
    """Draws events as they come, in the way that stderr can show; plainly where other lines come between."""
    if sys.stderr.isatty() and not plainly:
        from faceloom.cli.live_progress import live

        with live() as on_event:
            yield on_event
    else:
        yield _Plain()


class _Plain:
    """Lines for a log: notices at once, progress every few seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._fetched: str | None = None
        self._told = Told()

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Notice):
            if self._told.is_new(event):
                say(f"faceloom: {event.text}", to=sys.stderr, flush=True)
        elif isinstance(event, Measuring):
            say(line(event), to=sys.stderr, flush=True)
        elif isinstance(event, Fetching) and event.name != self._fetched:
            self._fetched = event.name
            say(f"fetching {event.name}, {format_bytes(event.total_bytes)}", to=sys.stderr, flush=True)
        elif isinstance(event, Progress | Counting | Tracking | Writing) and now - self._last >= _PLAIN_EVERY_S:
            self._last = now
            say(line(event), to=sys.stderr, flush=True)
