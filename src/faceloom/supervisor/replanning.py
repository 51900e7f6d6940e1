"""The planner of a run: it makes the plan, watches what comes of it, and makes another one when there is reason to."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from faceloom.errors import BudgetError
from faceloom.job import Order
from faceloom.memory.budget import host_budget_bytes
from faceloom.memory.devices import free_bytes_of
from faceloom.memory.footprints import Footprint, card_base_bytes
from faceloom.memory.ram import read_ram
from faceloom.solver.plan import HOST, Placement, Plan
from faceloom.solver.wishes import FREE, Wishes
from faceloom.store.rows import ChunkRows
from faceloom.supervisor.costs import Work
from faceloom.supervisor.planning import Planned, frugal_plan, make_plan
from faceloom.supervisor.rooms import Room
from faceloom.targets import Target, device_budget_bytes
from faceloom.units import MIB, format_bytes

RAISE = 1.25
"""When a stage had too little memory, what it is expected to need is multiplied by this."""
_MUCH_MORE = 1.25
_MUCH_FASTER = 0.8
_DRIFT = 2.0
_SEEN_ENOUGH = 8
_FACES_ENOUGH = 64
"""So many frames, or so many faces in fewer, show how many faces a frame has."""
LOOK_UP_EVERY_S = 5.0
_SLACK_BYTES = 64 * MIB
"""By how much free memory may fall short of the plan before there is a new one: other programs breathe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What the workers of a device hold, and what is left for them."""

    run_bytes: int
    """What all processes of the run hold of the host's memory."""
    others_bytes: int = 0
    """What the workers of other devices are planned to hold of the host's memory."""
    device_free_bytes: int | None = None
    """What is free of the device's own memory, plus what its worker holds; None if that is not known."""


class Planner:
    """Knows what stages cost on a device, what there is to do, and how much memory there is for it."""

    def __init__(
        self, order: Order, target: Target, footprints: Mapping[str, Footprint], work: Work, room: Room
    ) -> None:
        self._order = order
        self._target = target
        self._footprints = dict(footprints)
        self._work = work
        self._room = room
        self._seen = _Observed()
        self._looked = time.monotonic()

    @property
    def frame_bytes(self) -> int:
        """The size of the largest frame as RGB."""
        return self._work.frame_bytes

    @property
    def budget_bytes(self) -> int:
        """What the device's workers and the supervisor may take of the host's memory at this moment."""
        return self._room.budget_bytes

    @property
    def supervisor_bytes(self) -> int:
        """The supervisor's part of that."""
        return self._room.supervisor_bytes

    @property
    def device_bytes(self) -> int | None:
        """What the workers may take of the device's own memory; None if it has none."""
        return self._room.device_bytes

    @property
    def base_bytes(self) -> int:
        """What a process holds of the device's own memory with no network loaded."""
        return card_base_bytes(self._footprints.values())

    def give(self, workers_bytes: int) -> None:
        """Sets what these workers may hold of the host's memory from now on."""
        self._room = replace(self._room, budget_bytes=self._room.supervisor_bytes + workers_bytes)

    def plan(self) -> Planned:
        """The best plan for what is known now.

        Raises:
            BudgetError: none fits.
        """
        return self.plan_with(self._order.wishes)

    def plan_with(self, wishes: Wishes, *, budget_bytes: int | None = None) -> Planned:
        """The best plan that is as wished, for another budget of the host's memory if one is given.

        Raises:
            BudgetError: none fits.
        """
        room = self._room if budget_bytes is None else replace(self._room, budget_bytes=budget_bytes)
        return make_plan(self._order.flow, self._footprints, self._work, room, wishes=wishes)

    @property
    def would_fit_without_wishes(self) -> bool:
        """Whether there are wishes, and a plan if there were none."""
        if not self._order.wishes:
            return False
        try:
            self.plan_with(FREE)
        except BudgetError:
            return False
        return True

    def frugal_plan(self) -> Planned:
        """The plan that needs least memory, whether it fits or not."""
        return frugal_plan(self._order.flow, self._footprints, self._work, self._room)

    def reserves(self, plan: Plan, device: str) -> tuple[int, ...]:
        """What a worker's arena reserves in each phase: the activations of the largest stage on that device."""
        return tuple(
            max((self._arena_bytes(p) for p in phase.placements if p.device == device), default=0)
            for phase in plan.phases
        )

    def weights_bytes(self, plan: Plan, device: str) -> int:
        """What the networks on that device take in the phase in which they take most."""
        return max(
            sum(self._at(p.stage, p.device).weights_bytes for p in phase.placements if p.device == device)
            for phase in plan.phases
        )

    def _arena_bytes(self, placement: Placement) -> int:
        footprint = self._at(placement.stage, placement.device)
        return footprint.arena_fixed_bytes + footprint.arena_item_bytes * placement.batch

    def _at(self, stage: str, device: str) -> Footprint:
        own = self._footprints[stage]
        return own.on_host if own.on_host and device == HOST else own

    def starved(self, stage: str, batch: int, plan: Plan) -> str:
        """Notes that a batch did not get its memory, and says what its stage is expected to need from now on."""
        if stage not in self._footprints and (belief := self._less_of_the_device()):
            return belief
        if stage not in self._footprints:  # reading, chips, or the process itself
            self._work = replace(self._work, decoder_bytes=round(self._work.decoder_bytes * RAISE) + 8 * MIB)
            return f"{format_bytes(self._work.decoder_bytes)} are set aside for {stage} from now on"
        device = next(p.device for phase in plan.phases for p in phase.placements if p.stage == stage)
        known, own = self._at(stage, device), self._footprints[stage]
        raised = round((known.fixed_bytes + known.item_bytes * batch) * RAISE) + MIB
        smaller = {size: seconds for size, seconds in known.batch_s.items() if size < max(2, batch)}
        believed = replace(known, fixed_bytes=0, item_bytes=raised // batch, batch_s=smaller or {1: known.batch_s[1]})
        self._footprints[stage] = believed if known is own else replace(own, on_host=believed)
        return f"{stage} is believed to need {format_bytes(raised)} for {batch} from now on"

    def _less_of_the_device(self) -> str | None:
        """What of a memory of its own is there now that its worker is gone, if that is less than was believed."""
        if self._target.node is not None:
            return None
        before, free = self._room.device_bytes, free_bytes_of(self._target.name)
        wanted = device_budget_bytes(self._target, free)
        if before is None or wanted is None or free is None or wanted >= before:
            return None
        self._room = replace(self._room, device_bytes=wanted)
        return self._others_leave(wanted)

    def _others_leave(self, size_bytes: int) -> str:
        return f"other programs leave {format_bytes(size_bytes)} of {self._target.name}"

    def outgrown(self, held_bytes: int, plan: Planned) -> str | None:
        """Says that a worker that no limit holds has taken more of the host's memory than planned, if it has."""
        more = held_bytes - (self._room.budget_bytes - self._room.supervisor_bytes)
        if not plan.problem.host or more <= 0:
            return None
        self._work = replace(self._work, decoder_bytes=self._work.decoder_bytes + more)
        return f"a worker on {self._target.name} has taken {format_bytes(more)} of RAM more than planned"

    def note_done(self, frames: int) -> None:
        """Notes that so many frames are done, on whichever device."""
        self._work = replace(self._work, frames=max(1, self._work.frames - frames))

    def observe(self, rows: ChunkRows, *, holding: Holding, plan: Planned) -> str | None:
        """Learns from a chunk that its workers have done, and says why another plan is called for, if one is."""
        self._seen.add(rows)
        return self._drift(plan) or self._memory_change(holding, plan)

    def _drift(self, plan: Planned) -> str | None:
        """Says that faces are not as many or as large as expected, if that calls for another plan.

        Where all stages fit together it does if more workers are worth their start now.
        """
        seen = self._seen
        if seen.frames < _SEEN_ENOUGH and seen.faces < _FACES_ENOUGH:
            return None
        together = len(plan.plan.phases) == 1
        faces, kept = max(seen.faces / seen.frames, 0.01), max(seen.kept_bytes / seen.frames, 1.0)
        ratio = faces / self._work.faces_a_frame if together else kept / self._work.kept_bytes_a_frame
        if 1 / _DRIFT < ratio < _DRIFT:
            return None
        if together:  # what is kept then are rows, not patches
            kept = self._work.kept_bytes_a_frame * ratio
        self._work = replace(self._work, faces_a_frame=faces, kept_bytes_a_frame=kept)
        if together and self._seconds_left() >= _MUCH_FASTER * self._seconds_left(workers=plan.plan.workers):
            return None
        return f"{faces:.1f} faces a frame, which keep {format_bytes(round(kept))}"

    def _memory_change(self, holding: Holding, plan: Planned) -> str | None:
        """Says that other programs have taken what the plan counts on, or given back enough for a better plan."""
        return self._device_change(holding, plan) or self._ram_change(holding, plan)

    def _ram_change(self, holding: Holding, plan: Planned) -> str | None:
        ram = read_ram()
        if ram is None or self._target.node is not None:
            return None
        before = self._room.budget_bytes
        own = host_budget_bytes(
            self._order.memory_bytes, ram, held_bytes=holding.run_bytes, reserve_bytes=self._order.reserve_bytes
        )
        wanted = own - holding.others_bytes
        planned = plan.plan.host_peak_bytes if plan.problem.host else plan.plan.peak_bytes
        if wanted < before and wanted + _SLACK_BYTES < planned:
            self._room = replace(self._room, budget_bytes=wanted)
            return f"other programs leave {format_bytes(wanted)} of RAM"
        if self._is_much_better(replace(self._room, budget_bytes=wanted), wanted, before):
            return f"{format_bytes(wanted)} of RAM are to be had now"
        return None

    def _device_change(self, holding: Holding, plan: Planned) -> str | None:
        before, wanted = self._room.device_bytes, device_budget_bytes(self._target, holding.device_free_bytes)
        if before is None or wanted is None or holding.device_free_bytes is None:
            return None
        if wanted < before and wanted + _SLACK_BYTES < plan.plan.peak_bytes:
            self._room = replace(self._room, device_bytes=wanted)
            return self._others_leave(wanted)
        if self._is_much_better(replace(self._room, device_bytes=wanted), wanted, before):
            return f"{format_bytes(wanted)} of {self._target.name} are to be had now"
        return None

    def _is_much_better(self, room: Room, wanted: int, before: int) -> bool:
        """Whether a plan for a room with much more in it is worth following; then it is the room from now on."""
        now = time.monotonic()
        if wanted < _MUCH_MORE * before + _SLACK_BYTES or now - self._looked < LOOK_UP_EVERY_S:
            return False
        self._looked = now
        was, before_s = self._room, self._seconds_left()
        self._room = room
        if self._seconds_left() < _MUCH_FASTER * before_s:
            return True
        self._room = was
        return False

    def _seconds_left(self, *, workers: int | None = None) -> float:
        """The seconds of the best plan for what is still to be done, with no more than so many workers."""
        room = self._room if workers is None else replace(self._room, workers=workers)
        try:
            return make_plan(self._order.flow, self._footprints, self._work, room).plan.seconds
        except BudgetError:
            return math.inf


@dataclass(slots=True)
class _Observed:
    """What was seen while the plan was followed."""

    frames: int = 0
    faces: int = 0
    kept_bytes: int = 0

    def add(self, rows: ChunkRows) -> None:
        self.frames += len(rows.frames)
        self.faces += len(rows.faces)
        self.kept_bytes += rows.kept_bytes
