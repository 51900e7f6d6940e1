"""The events of a run in words."""

from faceloom.events import Counting, Event, Fetching, Measuring, Notice, Progress, Tracking, Writing
from faceloom.units import format_bytes, format_seconds


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
            return "   ".join([work_of(event), *counts_of(event), *memory_of(event), eta_of(event)])
        case Tracking():
            return f"tracking faces   {event.frames:,}/{event.total_frames:,} frames   {event.source}"
        case Writing():
            return f"writing {event.number + 1:,} of {event.total:,}   {event.source}   {event.frames:,} frames"
        case Notice():
            return event.text


def work_of(event: Progress) -> str:
    """What is under way."""
    if event.devices:
        return f"on {', '.join(event.devices)}"
    kinds = dict.fromkeys(stage.partition("/")[0] for stage in event.stages)
    return f"pass {event.phase} of {event.phases}: {', '.join(kinds)}"


def counts_of(event: Progress) -> list[str]:
    """How much is done."""
    frames = f"{event.frames:,}/{event.total_frames:,} frames"
    return [frames, f"{event.frames_per_second:.0f} frames/s", f"{event.faces:,} faces"]


def memory_of(event: Progress) -> list[str]:
    """What is held, of the host's memory and of each card's."""
    held = f"{format_bytes(event.held_bytes)} of {format_bytes(event.budget_bytes)}"
    cards = (f"{name} {format_bytes(held)} of {format_bytes(budget)}" for name, held, budget in event.cards)
    return [held, *cards]


def eta_of(event: Progress) -> str:
    """When it ends."""
    return f"ETA {'?' if event.eta_s is None else format_seconds(event.eta_s)}"


class Told:
    """A notice that says the same as the one before is in the store, and need not be read again."""

    def __init__(self) -> None:
        self._last = ""

    def is_new(self, notice: Notice) -> bool:
        """Whether a notice says something else than the one before."""
        before, self._last = self._last, notice.text
        return before != notice.text
