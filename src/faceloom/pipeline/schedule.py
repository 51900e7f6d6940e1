"""The schedule: what a free lane does next, as a pure function of the pipeline's state.

Lanes are threads that all do everything: they read, or take a batch of any step. Whoever is free takes
the batch furthest down the pipeline, so that what is begun is finished first and little is in flight. Only a
device beside the host comes before that, where it has little to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step of a pipeline."""

    batch: int
    """How many items it takes at once."""
    ready: int
    """How many waiting items could go together in one batch."""
    running: int
    """How many batches are under way."""
    feeds: bool = False
    """Whether it gives work to a device beside the host, which is not to wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """Where a pipeline's items come from."""

    exhausted: bool
    """Whether nothing is left to read."""
    running: int
    """How many reads are under way."""
    parallel: bool
    """Whether several reads may run side by side."""
    has_room: bool
    """Whether what is in flight leaves room for one more item."""


class Idle(Enum):
    """A lane that has nothing to do."""

    WAIT = "something is under way that will give work"
    FINISHED = "nothing is left"


FED = 2
"""How many batches for a device are to be under way: one that it works on, and one that is being prepared."""
READ = -1
"""The choice to read; other choices are the index of a step."""


def choose(source: SourceState, steps: Sequence[StepState]) -> int | Idle:
    """Chooses what to do: READ, the index of the step whose batch to run, or why there is nothing to do."""
    downstream_first = range(len(steps) - 1, -1, -1)
    full = [i for i in downstream_first if steps[i].ready >= steps[i].batch]
    may_read = not source.exhausted and (source.parallel or not source.running)
    is_hungry = any(step.feeds for step in steps) and sum(step.running for step in steps if step.feeds) < FED
    if is_hungry and (feeding := [i for i in full if steps[i].feeds]):
        return feeding[0]
    if full and not (is_hungry and may_read and source.has_room):
        return full[0]
    busy = source.running > 0 or any(step.running for step in steps)
    waiting = [i for i in downstream_first if steps[i].ready]
    if may_read and (source.has_room or not (busy or waiting)):
        return READ
    if source.exhausted and not source.running:
        # Nobody upstream of the first step that holds anything will ever fill its batch.
        first = min((i for i, step in enumerate(steps) if step.ready or step.running), default=None)
        if first is None:
            return Idle.FINISHED
        if steps[first].ready:
            return first
        return Idle.WAIT
    if waiting and not busy:
        return waiting[0]  # no room to read more, and nothing under way: a partial batch makes room
    return Idle.WAIT
