"""Plans without a run: the inputs are counted into a temporary store, and no network is run."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from faceloom.errors import BudgetError, MediaError
from faceloom.events import OnEvent
from faceloom.job import Order
from faceloom.memory.budget import Budget
from faceloom.memory.footprints import Footprint
from faceloom.solver.plan import HOST
from faceloom.store.store import Store
from faceloom.supervisor.devices import PlannedDevice, guessed, plan_devices
from faceloom.supervisor.inputs import ShouldStop, add_inputs
from faceloom.supervisor.planning import Planned
from faceloom.supervisor.survey import Survey, probe_bytes, refuse_starved
from faceloom.supervisor.workers import WorkerPool
from faceloom.targets import Target, read_budget


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


def forecast(
    order: Order,
    inputs: Sequence[Path],
    budgets: Sequence[int],
    *,
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
) -> Forecast:
    """Plans a run over the inputs, for each of these budgets, or for the order's own if none is given.

    Raises:
        MediaError: there is no picture and no video among the inputs.
        StageError: a network cannot be looked at.
    """
    own = read_budget(order.memory_bytes, order.targets)
    most_bytes = max([own.host_bytes, *budgets])
    with _with_inputs(order, inputs, most_bytes, on_event=on_event, should_stop=should_stop) as (store, pool):
        frames = store.frames.counts().pending
        if not frames:
            device = own.device_bytes.get(order.targets[0].name)
            refuse_starved(order, store, pool, budget_bytes=most_bytes, device_bytes=device, on_event=on_event)
            raise MediaError(f"no picture and no video that can be read among {', '.join(map(str, inputs))}")

        def candidates(asked_bytes: int | None) -> list[PlannedDevice]:
            budget = own if asked_bytes is None else _instead(own, order.targets[0], asked_bytes)
            return plan_devices(order, store, pool, budget=budget, footprints_of=guessed, on_event=on_event)

        if len(order.targets) > 1:
            found = candidates(None)
            devices = tuple(candidate.target.name for candidate in found)
            plans: tuple[Planned | BudgetError, ...] = tuple(candidate.planned for candidate in found)
        else:
            devices = (order.targets[0].name,)
            wanted: Sequence[int | None] = budgets or [None]
            plans = tuple(_plan(candidates, budget) for budget in wanted)
        surveys = [Survey(order, target, store, pool, on_event=on_event) for target in order.targets]
        costs = [cost for survey in surveys for cost in survey.guess().items()]
        unknown = dict.fromkeys(name for name, footprint in costs if not footprint.is_measured)
    return Forecast(frames=frames, plans=plans, devices=devices, guessed=tuple(unknown))


def measure_now(
    order: Order, inputs: Sequence[Path], *, on_event: OnEvent, should_stop: ShouldStop = lambda: False
) -> dict[str, Footprint]:
    """Measures every stage, for the largest frame of the inputs or a typical one; what was known is measured again."""
    budget = read_budget(order.memory_bytes, order.targets)
    with _with_inputs(order, inputs, budget.host_bytes, on_event=on_event, should_stop=should_stop) as (store, pool):
        found: dict[str, Footprint] = {}
        for target in order.targets:
            survey = Survey(order, target, store, pool, on_event=on_event)
            own = budget.device_bytes.get(target.name)
            costs = survey.measure(worker_bytes=budget.host_bytes, device_bytes=own, again=True)
            several = len(order.targets) > 1
            found |= {f"{name} on {target.name}" if several else name: cost for name, cost in costs.items()}
        return found


@contextmanager
def _with_inputs(
    order: Order, inputs: Sequence[Path], budget_bytes: int, *, on_event: OnEvent, should_stop: ShouldStop
) -> Iterator[tuple[Store, WorkerPool]]:
    """A temporary store that lists the inputs, which are counted within a budget."""
    with tempfile.TemporaryDirectory(prefix="faceloom-plan-") as folder, Store(Path(folder) / "plan") as store:
        store.begin_run(versions={})
        with WorkerPool() as pool:
            add_inputs(
                inputs,
                store,
                pool,
                excerpt=order.excerpt,
                worker_bytes=probe_bytes(budget_bytes),
                on_event=on_event,
                should_stop=should_stop,
            )
            pool.stop()
            yield store, pool


def _plan(candidates: Callable[[int | None], list[PlannedDevice]], budget_bytes: int | None) -> Planned | BudgetError:
    try:
        return candidates(budget_bytes)[0].planned
    except BudgetError as error:
        return error


def _instead(budget: Budget, target: Target, asked_bytes: int) -> Budget:
    """The budget with another size for the memory that `--memory` means: the device's own, or else the host's."""
    if target.has_memory:
        return replace(budget, device_bytes={target.name: asked_bytes})
    return replace(budget, host_bytes=asked_bytes)
