"""The devices of a run: which of them take part, what share of the RAM and what plan each has, and its workers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from faceloom.engines.runtime import CPU
from faceloom.errors import BudgetError, FaceloomError, StageError
from faceloom.events import DEVICE_LOST, TRIED_ANYWAY, Notice, OnEvent
from faceloom.job import EngineJob, Job, Order
from faceloom.memory.budget import Budget
from faceloom.memory.footprints import Footprint
from faceloom.memory.usage import held_bytes
from faceloom.messages import Begin
from faceloom.solver.plan import HOST, Plan
from faceloom.solver.wishes import FREE
from faceloom.store.frames import STARVED
from faceloom.store.store import Store
from faceloom.supervisor.costs import in_flight_bytes
from faceloom.supervisor.planning import Planned
from faceloom.supervisor.refusals import rounded_up
from faceloom.supervisor.replanning import Holding, Planner
from faceloom.supervisor.survey import Survey, plan_what_fits
from faceloom.supervisor.workers import PooledWorker, WorkerPool
from faceloom.targets import Target
from faceloom.units import MIB, format_bytes

_LEAST_ARENA_BYTES = 16 * MIB
_REPORT_EVERY_S = 0.2
_REPORT_FROM_AFAR_S = 2.0
"""Each report over a network costs the supervisor half a millisecond (measured)."""


class DeviceRun:
    """The workers of a run on one device, all under one plan."""

    def __init__(self, pool: WorkerPool, found: "PlannedDevice") -> None:
        self._order = found.order
        self.target = found.target
        self._pool = pool
        self.planner = found.planner
        self._has_videos = found.survey.has_videos
        planned = found.planned
        self.planned = planned
        """The plan that is followed."""
        self.wanted: Planned | None = planned
        """The one to be followed as soon as no worker is busy; None while the present one is good."""
        self.is_frugal = False
        """Whether it is doing a chunk that has found too little memory, one stage and one item at a time."""
        self.deaths_in_a_row = 0
        """How many of its workers have died in a row."""
        self.losses_in_a_row = 0
        """How many times in a row a worker said that the device failed."""
        self.frames = 0
        """Frames that it has done."""
        self.peak_bytes = 0
        """The most that was held of the device's own memory, as measured."""
        self.host_peak_bytes = 0
        """The most that its workers were seen to hold together of the memory of their machine, if that is not this."""
        self._spans: dict[PooledWorker, tuple[float, float]] = {}
        """By worker, the seconds in which the device worked for it, and those since its first frame."""
        self.predicted_peak_bytes = 0
        """The largest peak of the plans followed: of the device's memory, or the host's if it has none of its own."""
        self._job: Job | None = None

    @property
    def name(self) -> str:
        """The device's name among all of a run."""
        return self.target.place

    @property
    def workers(self) -> tuple[PooledWorker, ...]:
        """The workers of this device."""
        return self._pool.on(self.target)

    @property
    def is_busy(self) -> bool:
        """Whether any of its workers has something to do."""
        return any(worker.is_busy for worker in self.workers)

    @property
    def host_bytes(self) -> int:
        """What its workers hold of the host's memory under the present plan or the wanted one, whichever is more."""
        return max(self.planned.host_bytes, self.wanted.host_bytes if self.wanted else 0)

    def best_plan(self) -> Planned:
        """The best plan for what is known now; the wishes go where they no longer fit."""
        for wishes in (self._order.wishes, FREE):
            try:
                return self.planner.plan_with(wishes)
            except BudgetError:
                continue
        return self.planner.frugal_plan()  # what is left of the memory is too little for any: try, item by item

    def follow(self, planned: Planned) -> Plan:
        """Starts workers under a plan; those of another one have been stopped."""
        self.planned, self.wanted = planned, None
        plan = planned.plan
        arena = max(_LEAST_ARENA_BYTES, planned.worker_bytes - planned.host_base_bytes)
        device = planned.device_bytes
        base = self.planner.base_bytes
        own_arena = arena if device is None else max(_LEAST_ARENA_BYTES, device - base)
        self._job = Job(
            flow=self._order.flow,
            weights=self._order.weights,
            plan=plan,
            outputs=self._order.outputs,
            in_flight_bytes=in_flight_bytes(plan, self._order.flow, self.planner.frame_bytes),
            read_bytes=self.planner.frame_bytes if plan.lanes > 1 else 0,
            engine=EngineJob(
                runtime=self.target.inside,
                arena_bytes=own_arena,
                reserve_bytes=_within(self.planner.reserves(plan, self.target.name), own_arena),
                weights_bytes=self.planner.weights_bytes(plan, self.target.name),
                base_bytes=base,
            ),
            host_engine=self._host_engine(plan, arena),
            # The runtime of a card reserves address space at will: what a worker there holds is watched instead.
            worker_bytes=planned.worker_bytes if self.target.name == CPU else 0,
            choice=self._order.choice,
            raw_colours=self._order.raw_colours,
            people=self._order.people,
            derivation=self._order.derivation,
            aligned=self._order.aligned,
            chips_of=self._order.chips_of,
            trim_above_bytes=planned.trim_above_bytes,
            has_videos=self._has_videos,
            report_every_s=_REPORT_EVERY_S if self.target.node is None else _REPORT_FROM_AFAR_S,
        )
        self.start()
        self.predicted_peak_bytes = max(self.predicted_peak_bytes, plan.peak_bytes)
        return plan

    def start(self) -> None:
        """Starts workers until there are as many as planned."""
        assert self._job
        planned = self.planned
        held = planned.host_bytes // planned.plan.workers + self.target.relay_bytes if self.target.node else 0
        self._pool.start(planned.plan.workers, Begin(self._job), on=self.target, worker_bytes=held)

    def note_held(self) -> None:
        """Notes what its workers hold together, if nobody else on this machine can see that."""
        if self.target.node is not None:
            self.host_peak_bytes = max(self.host_peak_bytes, sum(worker.peak_bytes for worker in self.workers))

    def note_work(self, worker: PooledWorker) -> None:
        """Notes how long the device has worked for a worker, which has just told."""
        self._spans[worker] = (worker.held.device_busy_s, worker.held.device_span_s)

    @property
    def busy_share(self) -> float:
        """The share of its workers' time, from their first frame on, in which the device has worked."""
        span_s = sum(span for _, span in self._spans.values())
        return sum(busy for busy, _ in self._spans.values()) / span_s if span_s else 0.0

    def holding(self, worker: PooledWorker, *, others_bytes: int) -> Holding:
        """What the run holds and what is free, as a worker has just told; other devices' workers hold the rest."""
        free, held = worker.held.device_free_bytes, worker.held.device_bytes
        return Holding(
            run_bytes=held_bytes() + self._pool.held_bytes if self.target.node is None else 0,
            others_bytes=others_bytes,
            device_free_bytes=None if free is None else free + held,
        )

    def _host_engine(self, plan: Plan, arena_bytes: int) -> EngineJob | None:
        """What an engine is told for stages that the plan places on the host of another device, if there are any."""
        on_host = self.target.on_host
        if on_host is None or all(p.device != HOST for phase in plan.phases for p in phase.placements):
            return None
        reserves = _within(self.planner.reserves(plan, HOST), arena_bytes)
        return EngineJob(runtime=on_host, arena_bytes=arena_bytes, reserve_bytes=reserves)


def _within(reserves: Sequence[int], arena_bytes: int) -> tuple[int, ...]:
    """What is reserved in each phase; nothing where the arena has not so much: then calls take what they find they
    need, which may be less.
    """
    return tuple(size if size <= arena_bytes else 0 for size in reserves)


def assemble_devices(
    order: Order, store: Store, pool: WorkerPool, *, budget: Budget, on_event: OnEvent
) -> list[DeviceRun]:
    """Chooses the devices that take part, each with the best plan for its share of the RAM; there is at least one.

    Frames that are too large for every one of them are given up. Of several devices those that cannot take part are
    left out, with a notice.

    Raises:
        BudgetError: no plan fits.
        StageError: a stage cannot be loaded or breaks its contract.
    """
    candidates = plan_devices(order, store, pool, budget=budget, footprints_of=measured, on_event=on_event)
    runs = take_part(candidates, store, pool, on_event=on_event)
    names = {run.name for run in runs}
    for worker in tuple(pool.workers):
        if worker.target.name not in names:
            pool.stop(worker)
    return runs


def take_part(
    candidates: Sequence["PlannedDevice"], store: Store, pool: WorkerPool, *, on_event: OnEvent
) -> list[DeviceRun]:
    """The runs of those devices that leave out fewest frames for their size; there is at least one.

    Frames that are too large for every one of them are given up.
    """
    most = min(len(candidate.survey.too_large) for candidate in candidates)
    runs: list[DeviceRun] = []
    for candidate in candidates:
        if len(candidate.survey.too_large) > most:
            leave_out(candidate.target.place, "its frames are too large", on_event)
        else:
            if len(candidate.order.targets) > 1:  # what one has been given and does not need has gone to the next
                candidate.planner.give(candidate.planned.host_bytes)
            runs.append(DeviceRun(pool, candidate))
            for stage, needed in candidate.planned.tried_anyway.items():
                text = f"{stage} is thought to need a budget of {format_bytes(needed)}; trying it in what there is"
                on_event(Notice(kind=TRIED_ANYWAY, text=text))
    largest = next(one for one in candidates if len(one.survey.too_large) == most)
    for kind, shape in largest.survey.too_large:
        reason = f"a frame of {shape.width} x {shape.height} does not fit into {format_bytes(largest.budget_bytes)}"
        store.frames.give_up(kind, shape, f"{STARVED}{reason}{_what_would_do(largest.survey)}")
    return runs


def _what_would_do(survey: Survey) -> str:
    """Says which budget does all frames, where that is known: a card's is another matter."""
    needed = survey.refusal.needed_bytes if survey.refusal else None
    return f"; all frames are done in {rounded_up(needed)}" if needed and not survey.is_for_a_card else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedDevice:
    """A device that a plan was found for, and how it was found."""

    order: Order
    """What is asked of its machine."""
    target: Target
    budget_bytes: int
    """Of the host's memory, for all devices of its machine together."""
    survey: Survey
    planner: Planner
    planned: Planned


class FootprintsOf(Protocol):
    """A way to know what stages cost with the frames of a survey, within budgets of host and device."""

    def __call__(self, survey: Survey, /, *, budget_bytes: int, device_bytes: int | None) -> Mapping[str, Footprint]:
        """Returns the footprint of each stage by its name."""


def measured(survey: Survey, /, *, budget_bytes: int, device_bytes: int | None) -> Mapping[str, Footprint]:
    """Returns the footprints of all stages; those that are not known are measured now."""
    return survey.measure(worker_bytes=budget_bytes - held_bytes(), device_bytes=device_bytes)


def guessed(survey: Survey, /, *, budget_bytes: int, device_bytes: int | None) -> Mapping[str, Footprint]:
    """Returns the footprints of all stages; those that are not known are guessed."""
    return survey.guess()


def plan_devices(
    order: Order, store: Store, pool: WorkerPool, *, budget: Budget, footprints_of: FootprintsOf, on_event: OnEvent
) -> list[PlannedDevice]:
    """The devices of an order for which there is a plan; each is given the RAM that those before it do not use, and
    those after it need at least.

    Args:
        budget: of all processes together.
        footprints_of: how it is known what stages cost.

    Raises:
        FaceloomError: what the first has come to grief over, if all have.
    """
    surveys = {target.name: Survey(order, target, store, pool, on_event=on_event) for target in order.targets}

    def plan(target: Target, host_bytes: int) -> PlannedDevice:
        own = budget.device_bytes.get(target.name)
        survey, planner, planned = plan_what_fits(
            surveys[target.name],
            lambda some: footprints_of(some, budget_bytes=host_bytes, device_bytes=own),
            budget_bytes=host_bytes,
            device_bytes=own,
        )
        return PlannedDevice(
            order=order,
            target=target,
            budget_bytes=budget.host_bytes,
            survey=survey,
            planner=planner,
            planned=planned,
        )

    if len(order.targets) == 1:
        return [plan(order.targets[0], budget.host_bytes)]
    return _plan_side_by_side(order.targets, plan, host_bytes=budget.host_bytes, on_event=on_event)


def _plan_side_by_side(
    targets: Sequence[Target],
    plan: Callable[[Target, int], PlannedDevice],
    *,
    host_bytes: int,
    on_event: OnEvent,
) -> list[PlannedDevice]:
    """Plans for several devices that share the host's memory; devices that no plan fits are left out."""
    found: list[PlannedDevice] = []
    refusals: list[FaceloomError] = []
    least: dict[str, int] = {}
    for target in targets:
        try:
            share = plan(target, host_bytes).planner.frugal_plan().share
            least[target.name] = share.host_peak_bytes or share.peak_bytes
        except (BudgetError, StageError) as error:
            refusals.append(error)
            leave_out(target.place, str(error), on_event)
    for target in [target for target in targets if target.name in least]:
        del least[target.name]
        used = sum(candidate.planned.host_bytes for candidate in found)
        try:
            found.append(plan(target, host_bytes - used - sum(least.values())))
        except BudgetError as error:
            refusals.append(error)
            leave_out(target.place, str(error), on_event)
    if not found:
        raise refusals[0]
    return found


def leave_out(name: str, reason: str, on_event: OnEvent) -> None:
    """Tells that a device, or a node, takes no part."""
    on_event(Notice(kind=DEVICE_LOST, text=f"{name} is left out: {reason}"))
