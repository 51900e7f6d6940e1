"""Draws the events of a run on stderr: one live line in a terminal, now and then a plain line elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from faceloom.events import Counting, Event, Fetching, Measuring, Notice, OnEvent, Progress
from faceloom.units import format_bytes, format_seconds

_PLAIN_EVERY_S = 5.0


@contextmanager
def silence() -> Iterator[OnEvent]:
    """Draws nothing but notices."""

    told = _Once()

    def on_event(event: Event) -> None:
        if isinstance(event, Notice) and told.is_new(event):
            print(f"faceloom: {event.text}", file=sys.stderr)

    yield on_event


class _Once:
    """A notice that says the same as the one before is in the store, and need not be read again."""

    def __init__(self) -> None:
        self._last = ""

    def is_new(self, notice: Notice) -> bool:
        before, self._last = self._last, notice.text
        return before != notice.text


@contextmanager
def watch() -> Iterator[OnEvent]:
    """Draws events as they come, in the way that stderr can show."""
    if sys.stderr.isatty():
        with _live() as on_event:
            yield on_event
    else:
        yield _Plain()


@contextmanager
def _live() -> Iterator[OnEvent]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    told = _Once()
    with Live(Text(), console=console, refresh_per_second=8, transient=True) as live:

        def on_event(event: Event) -> None:
            if not isinstance(event, Notice):
                live.update(Text(line(event), no_wrap=True, overflow="ellipsis"))
            elif told.is_new(event):
                console.print(f"faceloom: {event.text}", markup=False)

        yield on_event


class _Plain:
    """Lines for a log: notices at once, progress every few seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._fetched: str | None = None
        self._told = _Once()

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Notice):
            if self._told.is_new(event):
                print(f"faceloom: {event.text}", file=sys.stderr, flush=True)
        elif isinstance(event, Measuring):
            print(line(event), file=sys.stderr, flush=True)
        elif isinstance(event, Fetching) and event.name != self._fetched:
            self._fetched = event.name
            print(f"fetching {event.name}, {format_bytes(event.total_bytes)}", file=sys.stderr, flush=True)
        elif isinstance(event, Progress | Counting) and now - self._last >= _PLAIN_EVERY_S:
            self._last = now
            print(line(event), file=sys.stderr, flush=True)


def line(event: Event) -> str:
    """An event in one line."""
    match event:
        case Fetching():
            share = event.done_bytes / max(event.total_bytes, 1)
            return f"fetching {event.name}   {share:4.0%} of {format_bytes(event.total_bytes)}"
        case Measuring():
            return f"measuring what {event.stage} costs on this machine"
        case Counting():
            return f"looking at the inputs   {event.sources:,} files   {event.frames:,} frames to do"
        case Progress():
            passes = f"pass {event.phase} of {event.phases}: {', '.join(_kinds(event.stages))}"
            parts = [
                f"on {', '.join(event.devices)}" if event.devices else passes,
                f"{event.frames:,}/{event.total_frames:,} frames",
                f"{event.frames_per_second:.0f} frames/s",
                f"{event.faces:,} faces",
                f"{format_bytes(event.held_bytes)} of {format_bytes(event.budget_bytes)}",
                *(f"{name} {format_bytes(held)} of {format_bytes(budget)}" for name, held, budget in event.cards),
                f"ETA {'?' if event.eta_s is None else format_seconds(event.eta_s)}",
            ]
            return "   ".join(parts)
        case Notice():
            return event.text


def _kinds(stages: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(stage.partition("/")[0] for stage in stages))
