"""The planner of a run: makes the plan, watches what comes of it, and makes another when that is called for."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from faceloom.errors import BudgetError
from faceloom.memory.footprints import Footprint
from faceloom.memory.ram import Ram, default_budget_bytes, read_ram
from faceloom.plan.plan import Placement, Plan
from faceloom.run.job import Order
from faceloom.run.planning import Planned, Room, Work, frugal_plan, make_plan
from faceloom.store.rows import ChunkRows
from faceloom.units import GIB, MIB, format_bytes

RAISE = 1.25
"""What a stage that was given too little is believed to need, times what was believed before."""
_UNKNOWN_RAM_BYTES = 2 * GIB
_MUCH_MORE = 1.25
_MUCH_FASTER = 0.8
_DRIFT = 2.0
_SEEN_ENOUGH = 8
LOOK_UP_EVERY_S = 5.0
_SLACK_BYTES = 64 * MIB
"""Free memory may be short of the plan by so much before it is planned anew: other programs breathe."""


def budget_of(order: Order, ram: Ram | None, *, held_bytes: int = 0) -> int:
    """What the run may take: what was asked for, or what is free but for a reserve; never more than there is."""
    if ram is None:
        return order.budget_bytes or _UNKNOWN_RAM_BYTES
    free = replace(ram, available_bytes=ram.available_bytes + held_bytes)
    if order.budget_bytes is None:
        return default_budget_bytes(free)
    return min(order.budget_bytes, free.available_bytes)


class Planner:
    """Knows what stages cost, what there is to do and what there is to do it with."""

    def __init__(self, order: Order, footprints: Mapping[str, Footprint], work: Work, room: Room) -> None:
        self._order = order
        self._footprints = dict(footprints)
        self._work = work
        self._room = room
        self._seen = _Seen()
        self._looked = time.monotonic()

    @property
    def frame_bytes(self) -> int:
        """Of the largest frame."""
        return self._work.frame_bytes

    @property
    def budget_bytes(self) -> int:
        """What the run may take at this moment."""
        return self._room.budget_bytes

    def plan(self) -> Planned:
        """The best plan for what is known now.

        Raises:
            BudgetError: none fits.
        """
        return make_plan(self._order.flow, self._footprints, self._work, self._room)

    def frugal_plan(self) -> Planned:
        """The plan that needs least memory, whether it fits or not."""
        return frugal_plan(self._order.flow, self._footprints, self._work, self._room)

    def reserves(self, plan: Plan) -> tuple[int, ...]:
        """What the arena of a worker is to hold in each phase: its largest stage's activations."""
        return tuple(
            max(self._arena_bytes(placement) for placement in phase.placements) if phase.placements else 0
            for phase in plan.phases
        )

    def _arena_bytes(self, placement: Placement) -> int:
        footprint = self._footprints[placement.stage]
        return footprint.arena_fixed_bytes + footprint.arena_item_bytes * placement.batch

    def starved(self, stage: str, batch: int) -> str:
        """Notes that a batch of a stage did not get its memory, and says what is believed from now on."""
        known = self._footprints.get(stage)
        if known is None:  # reading, chips, or the process itself
            self._work = replace(self._work, decoder_bytes=round(self._work.decoder_bytes * RAISE) + 8 * MIB)
            return f"{format_bytes(self._work.decoder_bytes)} are set aside for {stage} from now on"
        raised = round((known.fixed_bytes + known.item_bytes * batch) * RAISE) + MIB
        smaller = {size: seconds for size, seconds in known.batch_s.items() if size < max(2, batch)}
        self._footprints[stage] = replace(
            known, fixed_bytes=0, item_bytes=raised // batch, batch_s=smaller or {1: known.batch_s[1]}
        )
        return f"{stage} is believed to need {format_bytes(raised)} for {batch} from now on"

    def observe(self, rows: ChunkRows, *, held_bytes: int, plan: Planned) -> str | None:
        """Learns from a chunk that is done, and says why another plan is called for, if one is."""
        self._work = replace(self._work, frames=max(1, self._work.frames - len(rows.frames)))
        self._seen.add(rows)
        return self._drift(plan) or self._memory_change(held_bytes, plan)

    def _drift(self, plan: Planned) -> str | None:
        """Faces are not as many, or not as large, as was expected; of no matter where all stages fit together."""
        seen = self._seen
        if len(plan.plan.phases) == 1 or seen.frames < _SEEN_ENOUGH:
            return None
        kept = max(seen.kept_bytes / seen.frames, 1.0)
        ratio = kept / self._work.kept_bytes_a_frame
        if 1 / _DRIFT < ratio < _DRIFT:
            return None
        faces = seen.faces / seen.frames
        self._work = replace(self._work, faces_a_frame=max(faces, 0.01), kept_bytes_a_frame=kept)
        return f"{faces:.1f} faces a frame, which keep {format_bytes(round(kept))}"

    def _memory_change(self, held_bytes: int, plan: Planned) -> str | None:
        """Other programs have taken what the plan counts on, or have given enough back for a much better one."""
        ram = read_ram()
        if ram is None:
            return None
        before, wanted = self._room, budget_of(self._order, ram, held_bytes=held_bytes)
        if wanted < before.budget_bytes and wanted + _SLACK_BYTES < plan.plan.peak_bytes:
            self._room = replace(before, budget_bytes=wanted)
            return f"other programs leave {format_bytes(wanted)} of RAM"
        now = time.monotonic()
        if wanted < _MUCH_MORE * before.budget_bytes + _SLACK_BYTES or now - self._looked < LOOK_UP_EVERY_S:
            return None
        self._looked = now
        self._room = replace(before, budget_bytes=wanted)
        try:
            seconds = self.plan().plan.seconds
        except BudgetError:  # more than before, and still too little
            seconds = math.inf
        if seconds < _MUCH_FASTER * plan.plan.seconds:
            return f"{format_bytes(wanted)} of RAM are to be had now"
        self._room = before
        return None


@dataclass(slots=True)
class _Seen:
    """What has come of the plan so far."""

    frames: int = 0
    faces: int = 0
    kept_bytes: int = 0

    def add(self, rows: ChunkRows) -> None:
        self.frames += len(rows.frames)
        self.faces += len(rows.faces)
        self.kept_bytes += rows.kept_bytes
