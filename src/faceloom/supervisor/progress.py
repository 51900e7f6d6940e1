"""The progress meter: turns what is read and committed into events of progress."""

import time
from collections.abc import Callable, Hashable, Sequence

from faceloom.events import OnEvent, Progress
from faceloom.solver.plan import Plan
from faceloom.store.frames import Counts
from faceloom.store.rows import ChunkRows


class ProgressMeter:
    """Counts from what earlier runs had done up to the total."""

    def __init__(
        self, counts: Counts, on_event: OnEvent, *, drawn: Sequence[str], held_bytes: Callable[[], int]
    ) -> None:
        """A meter; `drawn` are the stages without a network, which are done with the last phase."""
        self._on_event = on_event
        self._drawn = tuple(drawn)
        self._started = time.monotonic()
        self._before = counts.done + counts.failed
        self._total = self._before + counts.pending
        self._done = self._before
        self._told = self._before
        self._faces = counts.faces
        self._held_bytes = held_bytes
        self._reading: dict[Hashable, int] = {}
        self._plans: dict[str, Plan] = {}
        self._cards: dict[str, int] = {}
        self._budget_bytes = 0

    def follow(self, device: str, plan: Plan, *, budget_bytes: int) -> None:
        """Notes the plan that a device follows from now on, and the run's budget of the host's memory."""
        self._plans[device] = plan
        self._budget_bytes = budget_bytes
        self._tell(device, 0)

    def drop(self, worker: Hashable) -> None:
        """Notes that a worker is gone, so that what it had read is read again."""
        self._reading.pop(worker, None)

    def leave(self, device: str) -> None:
        """Notes that a device no longer takes part."""
        self._plans.pop(device, None)

    def note_card(self, device: str, peak_bytes: int) -> None:
        """Notes the most that has been held of a device's own memory."""
        self._cards[device] = peak_bytes

    def commit(self, device: str, worker: Hashable, rows: ChunkRows) -> None:
        """Notes that a worker's chunk is in the store."""
        self._done += len(rows.frames)
        self._faces += len(rows.faces)
        self._reading.pop(worker, None)
        self._tell(device, 0)

    def read(self, device: str, worker: Hashable, frames: int, phase: int) -> None:
        """Notes how many more frames of its chunk a worker has read, and its phase of the plan, 0-based."""
        self._reading[worker] = frames
        self._tell(device, phase)

    def _tell(self, device: str, phase: int) -> None:
        plan = self._plans.get(device)
        if plan is None:
            return
        # Never backwards: what a worker had read is forgotten when its chunk has to be done again.
        self._told = max(self._told, min(self._done + sum(self._reading.values()), self._total))
        stages = tuple(placement.stage for placement in plan.phases[phase].placements)
        is_last = phase + 1 == len(plan.phases)
        elapsed = time.monotonic() - self._started
        rate = (self._told - self._before) / elapsed if elapsed > 0 else 0.0
        self._on_event(
            Progress(
                stages=stages + (self._drawn if is_last else ()),
                phase=phase + 1,
                phases=len(plan.phases),
                frames=self._told,
                total_frames=self._total,
                faces=self._faces,
                frames_per_second=rate,
                eta_s=(self._total - self._told) / rate if rate > 0 else None,
                held_bytes=self._held_bytes(),
                budget_bytes=self._budget_bytes,
                devices=tuple(self._plans) if len(self._plans) > 1 else (),
                cards=tuple(
                    (name, self._cards.get(name, 0), one.budget_bytes)
                    for name, one in self._plans.items()
                    if one.host_budget_bytes
                ),
            )
        )
