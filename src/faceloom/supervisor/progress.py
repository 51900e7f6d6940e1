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
        self,
        counts: Counts,
        on_event: OnEvent,
        *,
        drawn: Sequence[str],
        held_bytes: Callable[[], int],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """A meter; `drawn` are the stages without a network, which are done with the last phase."""
        self._on_event = on_event
        self._drawn = tuple(drawn)
        self._now = now
        self._started = now()
        self._before = counts.done + counts.failed
        self._total = self._before + counts.pending
        self._done = self._before
        self._told = self._before
        self._faces = counts.faces
        self._held_bytes = held_bytes
        self._reading: dict[Hashable, int] = {}
        self._shares: dict[Hashable, float] = {}
        """How much of what each worker has read is done, over all phases."""
        self._mark: tuple[float, float] | None = None
        """When the plan that is followed showed its first frame, and how many frames' worth was done by then."""
        self._eta_rate = 0.0
        self._plans: dict[str, Plan] = {}
        self._cards: dict[str, int] = {}
        self._budget_bytes = 0

    def follow(self, device: str, plan: Plan, *, budget_bytes: int) -> None:
        """Notes the plan that a device follows from now on, and the run's budget of the host's memory."""
        self._plans[device] = plan
        self._budget_bytes = budget_bytes
        self._mark = None
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
        self._shares[worker] = _share(self._plans[device], phase) if device in self._plans else 1.0
        self._tell(device, phase)

    def _tell(self, device: str, phase: int) -> None:
        plan = self._plans.get(device)
        if plan is None:
            return
        # Never backwards: what a worker had read is forgotten when its chunk has to be done again.
        self._told = max(self._told, min(self._done + sum(self._reading.values()), self._total))
        stages = tuple(placement.stage for placement in plan.phases[phase].placements)
        is_last = phase + 1 == len(plan.phases)
        elapsed = self._now() - self._started
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
                eta_s=self._eta_s(),
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

    def _eta_s(self) -> float | None:
        """The seconds that are left, at the speed since the plan that is followed showed its first frame.

        Until it has shown more, at the speed before; workers that start and load say nothing of the speed.
        """
        done = self._done + sum(frames * self._shares.get(worker, 1.0) for worker, frames in self._reading.items())
        now = self._now()
        if self._mark is None:
            self._mark = (now, done) if done > self._before else None
        elif now > self._mark[0] and done > self._mark[1]:
            self._eta_rate = (done - self._mark[1]) / (now - self._mark[0])
        if done >= self._total:
            return 0.0
        return (self._total - done) / self._eta_rate if self._eta_rate > 0 else None


def _share(plan: Plan, phase: int) -> float:
    """How much of the frames that a worker has read is done when it is in this phase: as planned, what comes before.

    In the first phase, reading a frame is doing it.
    """
    seconds = [one.seconds for one in plan.phases]
    return sum(seconds[: max(1, phase)]) / sum(seconds) if sum(seconds) else 1.0
