"""The plan of a job that runs in the caller's own process: what that holds already is part of the budget."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from faceloom.events import OnEvent
from faceloom.job import EngineJob, Job, Order
from faceloom.media.sources import Shape, SourceKind
from faceloom.memory.budget import host_budget_bytes
from faceloom.memory.footprints import Footprint
from faceloom.memory.ram import read_ram
from faceloom.memory.usage import held_bytes
from faceloom.solver.plan import Phase, Plan
from faceloom.solver.problem import Problem
from faceloom.solver.subsets import planning_bytes
from faceloom.store.frames import Counts
from faceloom.supervisor.costs import Work, frames_together
from faceloom.supervisor.planning import Planned
from faceloom.supervisor.replanning import Planner
from faceloom.supervisor.rooms import Room
from faceloom.supervisor.survey import Listing, Survey
from faceloom.supervisor.workers import WorkerPool
from faceloom.targets import device_budget_bytes
from faceloom.units import MIB

MOST_LANES = 8
"""More threads than that only wait for each other."""
_MORE_BYTES = 24 * MIB
"""What this process comes to hold besides: pages of libraries that are touched when they are first used (measured: 13
MiB), and what is told of frames."""
UNKNOWN_FRAMES = 1_000_000
"""How many frames a job is planned for that may never end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alike:
    """A listing of so many frames of these shapes, where no store lists them."""

    known: Sequence[tuple[SourceKind, Shape]]
    number: int = UNKNOWN_FRAMES

    @property
    def frames(self) -> "Alike":
        """The frames."""
        return self

    def shapes(self) -> Iterator[tuple[SourceKind, Shape]]:
        """Every shape of them."""
        return iter(self.known)

    def counted(self) -> Iterator[tuple[SourceKind, Shape, int]]:
        """Every shape of them; any number of frames may have it."""
        return iter([(kind, shape, self.number) for kind, shape in self.known])

    def starved_shapes(self) -> Iterator[tuple[SourceKind, Shape]]:
        """None: what cannot be counted fails where it is read."""
        return iter(())

    def pixels(self) -> Iterator[tuple[SourceKind, str, int, int]]:
        """One of each shape, whatever its source is called."""
        return iter([(kind, "", 1, shape.height * shape.width) for kind, shape in self.known])

    def counts(self) -> Counts:
        """How many there are."""
        return Counts(pending=self.number, done=0, failed=0, faces=0)


def plan_here(order: Order, listing: Listing, *, keeps_frames: bool, on_event: OnEvent) -> Job:
    """What a worker in this process is told so that the process stays within the order's budget.

    Everything that it imports should be there already: what it holds when this is called counts as held.

    Args:
        order: what is asked for, on one device.
        listing: the frames that are to be done.
        keeps_frames: whether frames stay until their last phase is done, not only their patches.
        on_event: told which stages are measured.

    Raises:
        BudgetError: no plan fits.
        StageError: a stage cannot be loaded or breaks its contract.
    """
    target = order.targets[0]
    budget = host_budget_bytes(
        order.memory_bytes, read_ram(), held_bytes=held_bytes(), reserve_bytes=order.reserve_bytes
    )
    device_bytes = device_budget_bytes(target, None)
    with WorkerPool() as pool:
        survey = Survey(order, target, listing, pool, on_event=on_event)
        costs = survey.measure(worker_bytes=budget - held_bytes(), device_bytes=device_bytes)
    room = Room(
        budget_bytes=budget,
        supervisor_bytes=held_bytes() + _MORE_BYTES + planning_bytes(len(order.flow.stages)),
        workers=1,
        memory_bytes=order.memory_bytes,
        device=target.name,
        device_bytes=device_bytes,
        device_memory_bytes=target.memory_bytes,
    )
    work = _with_frames(survey.work, keeps_frames=keeps_frames)
    planner = Planner(order, target, _here(costs), work, room)
    return _job(order, planner, planner.plan())


def _with_frames(work: Work, *, keeps_frames: bool) -> Work:
    """The work where frames stay until they have been looked at, or until all is known of them."""
    kept = work.kept_bytes_a_frame + (work.frame_bytes if keeps_frames else 0)
    return replace(work, decoder_bytes=work.decoder_bytes + work.frame_bytes, kept_bytes_a_frame=kept)


def _here(costs: Mapping[str, Footprint]) -> dict[str, Footprint]:
    """What stages cost without a process of their own."""
    return {
        name: replace(cost, host=replace(cost.host, process_bytes=0), video_bytes=0, on_host=None)
        if cost.host
        else replace(cost, process_bytes=0, video_bytes=0, start_s=0.0)
        for name, cost in costs.items()
    }


def _job(order: Order, planner: Planner, planned: Planned) -> Job:
    arena = max(MIB, planned.worker_bytes - planned.host_base_bytes)
    device = planned.device_bytes
    own = arena if device is None else max(MIB, device - planner.base_bytes)
    lanes = _lanes(order, planned)
    reserves = [lanes * size for size in planner.reserves(planned.plan, order.targets[0].name)]
    return Job(
        flow=order.flow,
        weights=order.weights,
        plan=_with_lanes(planned.plan, planned.problem, lanes),
        outputs=order.outputs,
        in_flight_bytes=lanes * frames_together(planned.plan, order.flow) * planner.frame_bytes,
        choice=order.choice,
        raw_colours=order.raw_colours,
        engine=EngineJob(
            runtime=order.runtime,
            arena_bytes=own,
            reserve_bytes=tuple(size if size <= own else 0 for size in reserves),
        ),
    )


def _lanes(order: Order, planned: Planned) -> int:
    """As many as there are cores and room for: another lane takes no more than all that is planned for the first."""
    if order.flow.is_in_order:
        return 1
    share = planned.share.host_peak_bytes or planned.share.peak_bytes
    more = max(0, planned.worker_bytes - share) // max(1, share)
    return max(1, min(order.cores, MOST_LANES, 1 + more))


def _with_lanes(plan: Plan, problem: Problem, lanes: int) -> Plan:
    """The plan with what further lanes hold of the host's memory: each a call, and the frames that wait for it."""
    stages = {stage.stage: stage for stage in problem.stages}

    def whole(phase: Phase) -> Phase:
        placed = [(stages[one.stage], one.batch) for one in phase.placements]
        if problem.host:
            call = max((stage.host.held_bytes(batch) for stage, batch in placed), default=0)
            return replace(phase, host_peak_bytes=phase.host_peak_bytes + (lanes - 1) * call)
        call = max((stage.held_bytes(batch) for stage, batch in placed), default=0)
        return replace(phase, peak_bytes=phase.peak_bytes + (lanes - 1) * call)

    phases = tuple(map(whole, plan.phases))
    return replace(
        plan,
        lanes=lanes,
        phases=phases,
        peak_bytes=max(phase.peak_bytes for phase in phases),
        host_peak_bytes=max(phase.host_peak_bytes for phase in phases),
    )
