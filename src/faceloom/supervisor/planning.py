"""The plan of a run: what stages cost and what there is to do, over every number of workers and size of chunk.

`faceloom.solver` knows one worker and one pass over a number of frames. A run has several workers that share the
budget, and takes its frames through the phases chunk by chunk, which loads networks anew for each chunk unless all
fit together. All of these are tried; there are a few dozen, and each takes milliseconds.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from faceloom.errors import BudgetError
from faceloom.flow import Flow
from faceloom.geometry.chips import COPIED_BYTES
from faceloom.memory.footprints import Footprint, card_base_bytes
from faceloom.solver.plan import Phase, Plan, decode_threads
from faceloom.solver.problem import LARGEST, Arena, Host, Problem, StageCost
from faceloom.solver.solve import solve
from faceloom.solver.wishes import FREE, Wishes, squeezed, with_batches
from faceloom.supervisor.arenas import solve_reserved, with_smallest_batches
from faceloom.supervisor.costs import Work, at_work, stage_costs
from faceloom.supervisor.refusals import refusal
from faceloom.supervisor.rooms import Room, whole_peak_bytes, within, worker_bytes_of
from faceloom.units import MIB

CHUNK_FRAMES = 64
"""A second or two of work: little is lost by an end of any kind, and a transaction costs next to nothing."""
LONGEST_CHUNK_FRAMES = 512
"""The longest chunk, for plans that load networks for each chunk: there long chunks pay."""
CHUNKS_A_WORKER = 4
"""Each worker gets at least so many chunks, so that all end at about the same time."""
KEEP_BYTES = tuple(2**i * MIB for i in range(2, 10))
"""The bounds that are tried for patches between phases; the first one also bounds the rows of a chunk."""
_HEAP_BYTES = 5 * MIB
"""What a worker's heap keeps in holes between blocks, which come and go in sizes of their own (measured)."""
_HEAP_OF_ONE_BYTES = 2 * MIB
_ROWS_OF_ONE_BYTES = 1 * MIB
"""The same, and what is kept for the store, where all that there is to do is one frame."""
_LOOSE_HEAP_BYTES = 5 * MIB
_LOOSE_HEAP_OF_VIDEOS_BYTES = 10 * MIB
"""What a loose heap keeps beyond that between two steps, at most: whatever is more it gives back, and soon takes again,
which with 5 MiB beside a decoder costs 2 of a frame's 42 CPU-ms (measured).
"""
_LOOSE_HEAP_OF_LARGE_BYTES = 2 * MIB
"""The same where frames are larger than what a heap keeps: the blocks beside them fit into what a frame takes, which is
free between two (measured: no more is held, and four of five page faults of photos go).
"""
_PROCESS_BYTES = 112 * MIB
"""What a worker that runs no network holds with everything imported (measured: 107 to 110 MiB)."""
_NO_NETWORK_S = 0.016
"""Seconds to read a frame of 1080p and write its chip (measured); above 0, so that more workers are worth having."""
_ONE_PHASE = 1e15
"""Seconds for a switch between phases that forbid any switch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan of a run, and what it was made from."""

    plan: Plan
    share: Plan
    """The plan of one worker and one chunk; of all of the worker's frames where there is one phase."""
    problem: Problem
    """The problem that the share is the solution of."""
    worker_bytes: int
    """The most that each worker may hold of the host's memory."""
    loose_heap_bytes: int = 0
    """What each worker's heap keeps of what is freed, which is faster, at most; 0 where there is no room for that."""
    trim_above_bytes: int = 0
    """What a worker with such a heap may hold between two steps before its heap gives back what it keeps."""
    tried_anyway: Mapping[str, int] = field(default_factory=dict)
    """Stages that are too large even alone and are run nevertheless, with the budget that each is thought to need."""

    @property
    def device_bytes(self) -> int | None:
        """The most that a worker may take of a device's own memory; None if the device has none."""
        return self.problem.budget_bytes if self.problem.host else None

    @property
    def host_base_bytes(self) -> int:
        """What a worker holds of the host's memory whatever the plan is."""
        return self.problem.host.base_bytes if self.problem.host else self.problem.base_bytes

    @property
    def host_bytes(self) -> int:
        """What all workers together hold of the host's memory: as planned beside a device's, otherwise at most."""
        if self.problem.host:
            return self.share.host_peak_bytes + self.loose_heap_bytes
        return self.plan.workers * self.worker_bytes


def make_plan(
    flow: Flow, footprints: Mapping[str, Footprint], work: Work, room: Room, *, wishes: Wishes = FREE
) -> Planned:
    """Finds the fastest of all plans that fit and are as wished; among equals, the one that needs least memory.

    Raises:
        BudgetError: none is. It names the stage, what the run would need for it, and the budget.
    """
    free = stage_costs(flow, footprints, work)
    stages = with_batches(free, wishes)
    fed = {
        lanes: with_batches(stage_costs(flow, footprints, work, lanes=lanes), wishes) for lanes in _lanes(room, flow)
    }
    divisions = [
        _Division(work=work, room=room, workers=workers, lanes=lanes)
        for workers in range(1, max(1, min(room.workers, work.frames)) + 1)
        for lanes in _lanes(room, flow)
    ]
    found = [
        planned
        for one in divisions
        for planned in (_candidates(one, fed[one.lanes], footprints, wishes) if stages else _without_networks(one))
    ]
    if not found:
        between = _loaded_first(stages, work, besides_bytes=0)
        together = _problem(_loaded_once(stages, work), footprints, work, room, keep_bytes=KEEP_BYTES[0], frames=1)
        problem = _with_patches(replace(together, stages=between), work)
        if stages and wishes.tries_anyway:
            found = _anyway(problem, footprints, work, room, wishes)
        if not found:
            unwished = replace(problem, stages=_loaded_first(free, work, besides_bytes=0))
            is_measured = all(one.is_measured for one in footprints.values())
            raise refusal(problem, unwished, together, room, wishes, is_measured=is_measured)
    # Where it makes no difference to the seconds, more lanes: they make up for what takes longer now and then.
    best = min(found, key=lambda one: (round(one.plan.seconds, 6), -one.plan.lanes, one.plan.peak_bytes))
    return _with_loose_heap(best, work)


def _lanes(room: Room, flow: Flow) -> range:
    """The numbers of lanes that a worker may have: several only beside a device, which they keep at work."""
    return range(1, 2) if room.device_bytes is None or flow.is_in_order else range(1, room.lanes + 1)


def _anyway(
    problem: Problem, footprints: Mapping[str, Footprint], work: Work, room: Room, wishes: Wishes
) -> list[Planned]:
    """The plans of one worker in which the stages that are too large even alone are believed to fit just so."""
    believed, needed = squeezed(within(problem, room, worker_bytes_of(room, 1)))
    found = _candidates(_Division(work=work, room=room), believed.stages, footprints, wishes)
    beside = 0 if problem.host else room.supervisor_bytes + room.relay_bytes
    tried = {stage: size + beside for stage, size in needed.items()}
    return [replace(planned, tried_anyway=tried) for planned in found]


def _with_loose_heap(planned: Planned, work: Work) -> Planned:
    """The same plan with heaps that keep what is freed, if frames are small enough and there is room for the holes."""
    # The next frame may not fit into the hole that the one before has left, since small blocks lie in it by then.
    loose = _LOOSE_HEAP_OF_VIDEOS_BYTES if work.has_videos else _LOOSE_HEAP_BYTES
    if not work.heap_frame_bytes:
        loose = _LOOSE_HEAP_OF_LARGE_BYTES
    holes = loose + work.heap_frame_bytes
    share, plan = planned.share, planned.plan
    held = share.host_peak_bytes or share.peak_bytes
    if held + holes > planned.worker_bytes:
        return planned
    planned = replace(planned, loose_heap_bytes=holes, trim_above_bytes=held + loose)
    more = plan.workers * holes
    if planned.problem.host:
        return replace(planned, plan=replace(plan, host_peak_bytes=plan.host_peak_bytes + more))
    phases = tuple(replace(phase, peak_bytes=phase.peak_bytes + more) for phase in plan.phases)
    return replace(planned, plan=replace(plan, phases=phases, peak_bytes=plan.peak_bytes + more))


def frugal_plan(flow: Flow, footprints: Mapping[str, Footprint], work: Work, room: Room) -> Planned:
    """Makes the plan for a chunk that no better plan could do: one worker, one stage and one item at a time."""
    stages = stage_costs(flow, footprints, work)
    problem = _with_patches(_problem(stages, footprints, work, room, keep_bytes=KEEP_BYTES[0], frames=1), work)
    alone = [
        replace(
            stage,
            needs=frozenset(),
            batch_s={1: min(stage.batch_s.values())},
            on_host=replace(stage.on_host, batch_s={1: min(stage.on_host.batch_s.values())}) if stage.on_host else None,
        )
        for stage in stages
    ]
    phases = tuple(_alone(replace(problem, stages=(stage,)), room) for stage in alone)
    phases = phases or _no_network(problem).phases
    plan = Plan(
        phases=phases,
        chunk_frames=1,
        lanes=1,
        peak_bytes=max(phase.peak_bytes for phase in phases),
        host_peak_bytes=max(phase.host_peak_bytes for phase in phases),
    )
    division = _Division(work=work, room=room)
    planned = division.planned(plan, problem, chunk_frames=1, keep_bytes=KEEP_BYTES[0], start_s=0.0)
    # Less cannot be done with. What was asked for is a ceiling; what others happen to leave free is not.
    needed = plan.host_peak_bytes if problem.host else plan.peak_bytes
    if room.memory_bytes is not None:
        needed = min(needed, room.memory_bytes - room.supervisor_bytes - room.relay_bytes)
    if problem.host:
        most = plan.peak_bytes if room.device_memory_bytes is None else min(plan.peak_bytes, room.device_memory_bytes)
        raised = replace(planned.problem, budget_bytes=max(planned.problem.budget_bytes, most))
        planned = replace(planned, problem=raised)
    return replace(planned, worker_bytes=max(planned.worker_bytes, needed))


def _alone(problem: Problem, room: Room) -> Phase:
    """The phase of a problem's one stage, on the device if it fits there."""
    without_end = within(problem, room, LARGEST)
    try:
        return solve(without_end, device=room.device).phases[0]
    except BudgetError:
        return solve(replace(without_end, budget_bytes=LARGEST), device=room.device).phases[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Division:
    """The work, divided among workers with so many lanes each."""

    work: Work
    room: Room
    workers: int = 1
    lanes: int = 1

    @property
    def frames(self) -> int:
        """How many one worker does."""
        return -(-self.work.frames // self.workers)

    @property
    def chunk_frames(self) -> int:
        """How many a chunk has where nothing is loaded for each."""
        return max(1, min(CHUNK_FRAMES, -(-self.frames // CHUNKS_A_WORKER)))

    @property
    def worker_bytes(self) -> int:
        """The most that each worker may hold of the host's memory."""
        return worker_bytes_of(self.room, self.workers)

    def planned(self, plan: Plan, problem: Problem, *, chunk_frames: int, keep_bytes: int, start_s: float) -> Planned:
        """A plan of one worker and one chunk, or of all of its frames, as that of the whole run."""
        room, workers = self.room, self.workers
        chunks = -(-self.work.frames // (problem.frames * workers))
        phases = tuple(self._of_all(phase, problem, chunks) for phase in plan.phases)
        whole = replace(
            plan,
            phases=phases,
            chunk_frames=chunk_frames,
            workers=workers,
            keep_bytes=keep_bytes,
            budget_bytes=room.budget_bytes if room.device_bytes is None else room.device_bytes,
            peak_bytes=max(phase.peak_bytes for phase in phases),
            seconds=sum(phase.seconds for phase in phases) + start_s * workers,
            host_budget_bytes=room.budget_bytes if problem.host else 0,
            host_peak_bytes=max(phase.host_peak_bytes for phase in phases),
        )
        worker_bytes = self.worker_bytes
        return Planned(plan=whole, share=plan, problem=within(problem, room, worker_bytes), worker_bytes=worker_bytes)

    def _of_all(self, phase: Phase, problem: Problem, chunks: int) -> Phase:
        """One worker's phase in one chunk, as that of all workers in so many."""
        seconds = phase.seconds * chunks
        if problem.host:
            host_bytes = whole_peak_bytes(phase.host_peak_bytes, self.room, self.workers)
            return replace(phase, seconds=seconds, host_peak_bytes=host_bytes)
        # Workers hold less than one with the largest frame, since they have others.
        most = max(0, phase.peak_bytes - _without_frames(problem, phase, self.work))
        less = sum(min(most, one) for one in self.work.less_bytes[: self.workers])
        peak_bytes = whole_peak_bytes(phase.peak_bytes, self.room, self.workers) - less
        return replace(phase, seconds=seconds, peak_bytes=peak_bytes, host_peak_bytes=0)


def _candidates(
    division: _Division, stages: tuple[StageCost, ...], footprints: Mapping[str, Footprint], wishes: Wishes
) -> Iterator[Planned]:
    """The plan in which everything fits together, or those with more phases, one for each size of chunk."""
    work, room, lanes = division.work, division.room, division.lanes
    start_s = max(footprint.start_s for footprint in footprints.values())
    once = _loaded_once(stages, work)
    keep_bytes, chunk_frames = KEEP_BYTES[0], division.chunk_frames
    whole = _problem(once, footprints, work, room, keep_bytes=keep_bytes, frames=division.frames, lanes=lanes)
    one = _in_one_phase(replace(within(whole, room, division.worker_bytes), switch_s=_ONE_PHASE), wishes, room)
    if one is None:
        return
    if len(one.phases) == 1:
        one = replace(one, lanes=lanes)
        yield division.planned(one, whole, chunk_frames=chunk_frames, keep_bytes=keep_bytes, start_s=start_s)
    if len(stages) > 1 and len(wishes.phases_of(stages)) != 1:
        yield from _in_several_phases(division, stages, footprints, wishes, start_s=start_s)


def _in_several_phases(
    division: _Division,
    stages: tuple[StageCost, ...],
    footprints: Mapping[str, Footprint],
    wishes: Wishes,
    *,
    start_s: float,
) -> Iterator[Planned]:
    """The plans with more than one phase, from the smallest chunk to the largest that fits."""
    work, room, lanes = division.work, division.room, division.lanes
    for keep_bytes in KEEP_BYTES:
        longest = min(LONGEST_CHUNK_FRAMES, division.frames)
        chunk_frames = int(max(1, min(longest, keep_bytes / max(1.0, work.kept_bytes_a_frame))))
        # No more than is expected, with something for chunks that hold more: the plan is to be near the truth.
        kept = min(keep_bytes, max(KEEP_BYTES[0], math.ceil(1.2 * chunk_frames * work.kept_bytes_a_frame)))
        between = _loaded_first(stages, work, besides_bytes=0)
        alone = _problem(between, footprints, work, room, keep_bytes=kept, frames=chunk_frames, lanes=lanes)
        problem = _with_patches(alone, work)
        several = solve_reserved(within(problem, room, division.worker_bytes), wishes, device=room.device)
        if several is None:
            return
        if len(several.phases) > 1:
            several = replace(several, lanes=lanes)
            yield division.planned(several, problem, chunk_frames=chunk_frames, keep_bytes=kept, start_s=start_s)
        if chunk_frames == division.frames:
            return


def _in_one_phase(problem: Problem, wishes: Wishes, room: Room) -> Plan | None:
    """The plan of one phase, if there is one, with smaller batches if need be; or else one of more; or none."""
    one = solve_reserved(problem, wishes, device=room.device)
    if one is None or len(one.phases) == 1:
        return one
    smaller = solve_reserved(with_smallest_batches(problem), wishes, device=room.device)
    return smaller if smaller and len(smaller.phases) == 1 else one


def _loaded_once(stages: tuple[StageCost, ...], work: Work) -> tuple[StageCost, ...]:
    """The same stages, loaded at the start of a run: there is nothing yet of what a worker holds besides networks."""
    return _loaded_first(stages, work, besides_bytes=work.decoder_bytes + _left_over_bytes(work, KEEP_BYTES[0]))


def _loaded_first(stages: tuple[StageCost, ...], work: Work, *, besides_bytes: int) -> tuple[StageCost, ...]:
    """The same stages, whose networks are loaded while there is no frame, and nothing of `besides_bytes` either."""
    free = besides_bytes + work.frame_bytes
    return tuple(
        stage
        if stage.host.weights_bytes or not stage.weights_bytes
        else replace(
            stage,
            load_spike=max(0.0, stage.load_spike * stage.weights_bytes - free) / stage.weights_bytes,
        )
        for stage in stages
    )


def _with_patches(problem: Problem, work: Work) -> Problem:
    """The problem with what comes beyond the bound on patches between phases: it is looked at after each frame."""
    more = min(COPIED_BYTES, work.frame_bytes)
    if problem.host:
        return replace(problem, host=replace(problem.host, base_bytes=problem.host.base_bytes + more))
    return replace(problem, base_bytes=problem.base_bytes + more)


def _left_over_bytes(work: Work, keep_bytes: int) -> int:
    """Holes in the heap, and what is kept, at most so much."""
    if work.is_one_frame:
        return _HEAP_OF_ONE_BYTES + min(keep_bytes, _ROWS_OF_ONE_BYTES)
    return _HEAP_BYTES + keep_bytes


def _without_networks(division: _Division) -> Iterator[Planned]:
    """The only plan of so many workers where no stage runs a network, if it fits."""
    problem = _problem((), {}, division.work, division.room, keep_bytes=KEEP_BYTES[0], frames=division.frames)
    if problem.base_bytes <= division.worker_bytes:
        plan, chunk_frames = _no_network(problem), division.chunk_frames
        yield division.planned(plan, problem, chunk_frames=chunk_frames, keep_bytes=KEEP_BYTES[0], start_s=0.0)


def _no_network(problem: Problem) -> Plan:
    """One phase without a stage: reading and writing."""
    phase = Phase(placements=(), peak_bytes=problem.base_bytes, seconds=problem.frames * _NO_NETWORK_S)
    return Plan(phases=(phase,), chunk_frames=problem.frames, lanes=1, peak_bytes=problem.base_bytes)


def _problem(
    stages: tuple[StageCost, ...],
    footprints: Mapping[str, Footprint],
    work: Work,
    room: Room,
    *,
    keep_bytes: int,
    frames: int,
    lanes: int = 1,
) -> Problem:
    """One worker and what it does between two transactions, or in the whole run; without a budget."""
    process_bytes = max((footprint.process_bytes for footprint in footprints.values()), default=_PROCESS_BYTES)
    spared = 0 if work.has_videos else min((footprint.video_bytes for footprint in footprints.values()), default=0)
    # While a frame is read, or its patches are copied, no network runs, and what its calls hold besides is free.
    transient = max((footprint.transient_bytes for footprint in footprints.values()), default=0)
    # A detector counts the frames that wait for it as its own; where there is none, one is in hand.
    waiting = 0 if any(stage.reads_frames for stage in stages) else work.frame_bytes
    moment = max(0, max(work.reading_bytes, min(COPIED_BYTES, work.frame_bytes)) - transient)
    # A thread of a decoder has a frame in hand, and while one chunk is finished another is begun.
    decoder = work.decoder_bytes + (decode_threads(lanes) - 1) * work.frame_bytes
    besides = decoder + lanes * (moment + waiting) + _left_over_bytes(work, min(2, lanes) * keep_bytes)
    host_process = max((one.host.process_bytes for one in footprints.values() if one.host), default=0)
    has_host = room.device_bytes is not None
    return Problem(
        frames=frames,
        budget_bytes=0,
        base_bytes=card_base_bytes(footprints.values()) if has_host else process_bytes - spared + besides,
        arena=Arena.SHARED,
        overlap=lanes > 1,
        decode_s=work.host_s / at_work(lanes),
        patch_read_s=0.0,
        patch_write_s=0.0,
        switch_s=max((footprint.switch_s for footprint in footprints.values()), default=0.0),
        stages=stages,
        host=Host(budget_bytes=0, base_bytes=host_process - spared + besides) if has_host else None,
    )


def _without_frames(problem: Problem, phase: Phase, work: Work) -> int:
    """What a worker holds in a phase while it has no frame, at least."""
    stages = {stage.stage: stage for stage in problem.stages}
    held = [(stages[placement.stage], placement.batch) for placement in phase.placements]
    most = max((s.fixed_bytes + s.item_bytes * batch for s, batch in held if not s.reads_frames), default=0)
    weights = sum(stage.weights_bytes for stage, _ in held)
    return max(0, problem.base_bytes - work.decoder_bytes - work.reading_bytes) + weights + most
