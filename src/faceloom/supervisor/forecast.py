"""Plans without a run: the inputs are counted into a temporary store, and a few frames are looked at."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from faceloom.errors import BudgetError, MediaError
from faceloom.events import OnEvent
from faceloom.job import Glimpse, Order
from faceloom.media.listing import Inputs
from faceloom.memory.budget import Budget
from faceloom.memory.footprints import Footprint
from faceloom.solver.plan import HOST
from faceloom.solver.wishes import FREE, Wishes
from faceloom.store.store import Store
from faceloom.supervisor.devices import PlannedDevice, guessed, plan_devices
from faceloom.supervisor.effects import without_effect
from faceloom.supervisor.glance import glance
from faceloom.supervisor.inputs import ShouldStop, add_inputs
from faceloom.supervisor.nodes import NodeKind, NodesForecast, plan_nodes
from faceloom.supervisor.planning import Planned
from faceloom.supervisor.survey import Survey, probe_bytes, refuse_starved
from faceloom.supervisor.workers import WorkerPool
from faceloom.targets import Target, read_budget
from faceloom.units import MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class WishCost:
    """The best plan that there would be with one wish, or with none."""

    wish: str
    """The flags that ask for it; empty for none."""
    planned: Planned | BudgetError


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a run would do under each of several budgets."""

    frames: int
    plans: tuple[Planned | BudgetError, ...]
    """For each budget its plan, or why there is none; with several devices, the plan of each that takes part."""
    devices: tuple[str, ...] = (HOST,)
    """The names of the devices that take part."""
    guessed: tuple[str, ...]
    """The stages whose cost is guessed, since they have not been measured on this machine."""
    wishes: tuple[WishCost, ...] = ()
    """What every wish costs alone, after the plan without any; nothing where nothing was wished, for several devices
    and for several budgets."""
    seen: Glimpse | None = None
    """What a look at a few of the frames has shown; None where none were looked at."""
    nodes: NodesForecast | None = None
    """What it takes on several machines, if they were named."""


def forecast(
    order: Order,
    inputs: Inputs,
    budgets: Sequence[int] = (),
    *,
    looks: bool = True,
    kinds: Sequence[NodeKind] = (),
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
) -> Forecast:
    """Plans a run over the inputs, for each of these budgets, or for the order's own if none is given.

    With `looks`, a few of the frames are looked at before, so that the seconds fit their faces and their decoder. With
    `kinds`, what it takes on nodes of these kinds is planned too.

    Raises:
        MediaError: there is no picture and no video among the inputs.
        StageError: a network cannot be looked at.
    """
    own = read_budget(order.memory_bytes, order.targets, reserve_bytes=order.reserve_bytes)
    most_bytes = max([own.host_bytes, *budgets])
    probe = probe_bytes(most_bytes)
    with with_inputs(order, inputs, worker_bytes=probe, on_event=on_event, should_stop=should_stop) as (store, pool):
        if not store.frames.counts().pending:
            device = own.device_bytes.get(order.targets[0].name)
            refuse_starved(order, store, pool, budget_bytes=most_bytes, device_bytes=device, on_event=on_event)
            raise MediaError(f"no picture and no video that can be read among {inputs}")
        for notice in without_effect(order.flow, store):
            on_event(notice)
        seen = glance(order, store, pool, budget=own, on_event=on_event) if looks else None
        planning = _Planning(replace(order, seen=seen), store, pool, own, on_event)
        return planning.forecast(budgets, kinds)


class _Planning:
    """Plans for what one store lists."""

    def __init__(self, order: Order, store: Store, pool: WorkerPool, own: Budget, on_event: OnEvent) -> None:
        self._order = order
        self._own = own
        self._frames = store.frames.counts().pending
        self._plan = partial(plan_devices, store=store, pool=pool, footprints_of=guessed, on_event=on_event)
        self._survey = partial(Survey, order, store=store, pool=pool, on_event=on_event)

    def forecast(self, budgets: Sequence[int], kinds: Sequence[NodeKind]) -> Forecast:
        """What a run would do under these budgets, and on nodes of these kinds."""
        plans, devices, wishes = self._compare(budgets)
        return Forecast(
            frames=self._frames,
            plans=plans,
            devices=devices,
            guessed=self._guessed(),
            wishes=wishes,
            seen=self._order.seen,
            nodes=plan_nodes(kinds, self._frames, self._of_node) if kinds else None,
        )

    def _compare(
        self, budgets: Sequence[int]
    ) -> tuple[tuple[Planned | BudgetError, ...], tuple[str, ...], tuple[WishCost, ...]]:
        """The plan for each budget, or for each device; the names of devices; what wishes cost."""
        order = self._order
        if len(order.targets) > 1:
            found = self._candidates(None)
            return tuple(one.planned for one in found), tuple(one.target.name for one in found), ()
        wanted: Sequence[int | None] = budgets or [None]
        first, *others = [_found(self._candidates, budget) for budget in wanted]
        plans = tuple(one if isinstance(one, BudgetError) else one.planned for one in (first, *others))
        wishes = () if others or isinstance(first, BudgetError) else tuple(_wish_costs(order, first))
        return plans, (order.targets[0].name,), wishes

    def _of_node(self, kind: NodeKind) -> Planned | BudgetError:
        """The plan of a machine of another kind, on its processor, for all frames."""
        order = replace(self._order, cores=kind.cores, memory_bytes=kind.memory_bytes)
        budget = replace(self._own, host_bytes=kind.memory_bytes)
        try:
            return self._plan(order, budget=budget)[0].planned
        except BudgetError as error:
            return error

    def _guessed(self) -> tuple[str, ...]:
        """The stages whose costs are guessed."""
        costs = [cost for target in self._order.targets for cost in self._survey(target).guess().items()]
        return tuple(dict.fromkeys(name for name, footprint in costs if not footprint.is_measured))

    def _candidates(self, asked_bytes: int | None) -> list[PlannedDevice]:
        own = self._own
        budget = own if asked_bytes is None else _instead(own, self._order.targets[0], asked_bytes)
        return self._plan(self._order, budget=budget)


def measure_now(
    order: Order, inputs: Inputs, *, on_event: OnEvent, should_stop: ShouldStop = lambda: False
) -> dict[str, Footprint]:
    """Measures every stage, for the largest frame of the inputs or a typical one; what was known is measured again."""
    budget = read_budget(order.memory_bytes, order.targets, reserve_bytes=order.reserve_bytes)
    probe = probe_bytes(budget.host_bytes)
    with with_inputs(order, inputs, worker_bytes=probe, on_event=on_event, should_stop=should_stop) as (store, pool):
        found: dict[str, Footprint] = {}
        for target in order.targets:
            survey = Survey(order, target, store, pool, on_event=on_event)
            own = budget.device_bytes.get(target.name)
            costs = survey.measure(worker_bytes=budget.host_bytes, device_bytes=own, again=True)
            several = len(order.targets) > 1
            found |= {f"{name} on {target.name}" if several else name: cost for name, cost in costs.items()}
        return found


@contextmanager
def with_inputs(
    order: Order,
    inputs: Inputs,
    *,
    worker_bytes: int,
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
) -> Iterator[tuple[Store, WorkerPool]]:
    """A temporary store that lists the inputs; the process that has looked at them, within `worker_bytes`, is in the
    pool.
    """
    with tempfile.TemporaryDirectory(prefix="faceloom-plan-") as folder, Store(Path(folder) / "plan") as store:
        store.begin_run(versions={})
        with WorkerPool() as pool:
            add_inputs(
                inputs,
                store,
                pool,
                excerpt=order.excerpt,
                worker_bytes=worker_bytes,
                on_event=on_event,
                should_stop=should_stop,
            )
            yield store, pool


def _found(
    candidates: Callable[[int | None], list[PlannedDevice]], budget_bytes: int | None
) -> PlannedDevice | BudgetError:
    try:
        return candidates(budget_bytes)[0]
    except BudgetError as error:
        return error


def _wish_costs(order: Order, device: PlannedDevice) -> Iterator[WishCost]:
    """What each wish costs alone; the reserve is one where it makes the budget of the plan smaller."""
    budget = read_budget(order.memory_bytes, order.targets).host_bytes
    reserves = order.reserve_bytes is not None and not device.target.has_memory
    if not order.wishes and not reserves:
        return
    if not reserves:
        budget = device.planner.budget_bytes

    def cost(wish: str, wishes: Wishes, budget_bytes: int) -> WishCost:
        try:
            return WishCost(wish=wish, planned=device.planner.plan_with(wishes, budget_bytes=budget_bytes))
        except BudgetError as error:
            return WishCost(wish=wish, planned=error)

    yield cost("", FREE, budget)
    for text, alone in order.wishes.each():
        yield cost(text, alone, budget)
    if reserves:
        yield cost(f"--reserve {(order.reserve_bytes or 0) // MIB}MiB", FREE, device.planner.budget_bytes)


def _instead(budget: Budget, target: Target, asked_bytes: int) -> Budget:
    """The budget with another size for the memory that `--memory` means: the device's own, or else the host's."""
    if target.has_memory:
        return replace(budget, device_bytes={target.name: asked_bytes})
    return replace(budget, host_bytes=asked_bytes)
