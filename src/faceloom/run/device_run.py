"""One device's part of a run: its plan, what its workers are told, and what has become of them."""

from faceloom.engines.runtime import CPU
from faceloom.errors import BudgetError
from faceloom.memory.usage import held_bytes
from faceloom.plan.plan import HOST, Plan
from faceloom.run.crew import Crew, Member
from faceloom.run.job import EngineJob, Job, Order, Target
from faceloom.run.messages import Begin
from faceloom.run.planner import Holding, Planner
from faceloom.run.planning import Planned
from faceloom.units import MIB

_LEAST_ARENA_BYTES = 16 * MIB


class DeviceRun:
    """The workers of a run on one device, all under one plan."""

    def __init__(self, order: Order, target: Target, crew: Crew, planner: Planner, planned: Planned) -> None:
        self._order = order
        self.target = target
        self._crew = crew
        self.planner = planner
        self.planned = planned
        """The plan that is followed."""
        self.wanted: Planned | None = planned
        """The one to be followed as soon as no worker is busy; None while the present one is good."""
        self.is_frugal = False
        """Whether it does a chunk that has found too little memory, one stage and one item at a time."""
        self.deaths_in_a_row = 0
        """Of workers."""
        self.losses_in_a_row = 0
        """Of those deaths, how many the device was said to be at fault for."""
        self.frames = 0
        """Done."""
        self.peak_bytes = 0
        """Most that was held of a memory of its own, as measured."""
        self.predicted_peak_bytes = 0
        """By the plans that were followed; of the host's memory where it has none of its own."""
        self._job: Job | None = None

    @property
    def name(self) -> str:
        """As plans have it."""
        return self.target.name

    @property
    def members(self) -> tuple[Member, ...]:
        """Its workers."""
        return self._crew.on(self.target)

    @property
    def is_busy(self) -> bool:
        """Whether a worker has something to do."""
        return any(member.open for member in self.members)

    @property
    def host_bytes(self) -> int:
        """What its workers hold of the host's memory, by the present plan and by the one that is wanted."""
        return max(self.planned.host_bytes, self.wanted.host_bytes if self.wanted else 0)

    def best_plan(self) -> Planned:
        """The best plan for what is known now."""
        try:
            return self.planner.plan()
        except BudgetError:  # what is left of the memory is too little for any: try, item by item
            return self.planner.frugal_plan()

    def follow(self, planned: Planned) -> Plan:
        """Starts workers under a plan; those of another one have been dismissed."""
        self.planned, self.wanted = planned, None
        plan = planned.plan
        finds_faces = bool(self._order.flow.of("detect"))
        waiting = max((p.batch for p in plan.phases[0].placements if finds_faces), default=1)
        arena = max(_LEAST_ARENA_BYTES, planned.worker_bytes - planned.host_base_bytes)
        device = planned.device_bytes
        base = self.planner.base_bytes
        self._job = Job(
            flow=self._order.flow,
            weights=self._order.weights,
            plan=plan,
            outputs=self._order.outputs,
            room_bytes=waiting * self.planner.frame_bytes,
            arena_bytes=arena if device is None else max(_LEAST_ARENA_BYTES, device - base),
            reserve_bytes=self.planner.reserves(plan, self.name),
            # The runtime of a card reserves address space at will: what a worker there holds is watched instead.
            limit_bytes=planned.worker_bytes if self.name == CPU else 0,
            choice=self._order.choice,
            people=self._order.people,
            derivation=self._order.derivation,
            has_loose_heap=planned.loose_heap_bytes > 0,
            runtime=self.target.inside,
            host=self._host_job(plan, arena),
            base_bytes=base,
        )
        self.hire()
        self.predicted_peak_bytes = max(self.predicted_peak_bytes, plan.peak_bytes)
        return plan

    def hire(self) -> None:
        """Starts workers until there are as many as planned."""
        assert self._job
        self._crew.hire(self.planned.plan.workers, Begin(self._job), on=self.target)

    def holding(self, member: Member, *, others_bytes: int) -> Holding:
        """What there is, as one of its workers has just told, beside what other devices' workers are to hold."""
        free, held = member.held.device_free_bytes, member.held.device_bytes
        return Holding(
            run_bytes=held_bytes() + self._crew.held_bytes,
            others_bytes=others_bytes,
            device_free_bytes=None if free is None else free + held,
        )

    def _host_job(self, plan: Plan, limit_bytes: int) -> EngineJob | None:
        """For the stages that are placed on the host of another device, if there are any."""
        on_host = self.target.on_host
        if on_host is None or all(p.device != HOST for phase in plan.phases for p in phase.placements):
            return None
        return EngineJob(runtime=on_host, limit_bytes=limit_bytes, reserve_bytes=self.planner.reserves(plan, HOST))
