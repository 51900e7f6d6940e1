"""Plans without a run: the inputs are counted into a store that is thrown away, and no network is run."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faceloom.errors import BudgetError, MediaError
from faceloom.events import OnEvent
from faceloom.job import Order
from faceloom.memory.devices import free_bytes_of
from faceloom.memory.footprints import Footprint
from faceloom.memory.ram import read_ram
from faceloom.solver.plan import HOST
from faceloom.store.store import Store
from faceloom.supervisor.devices import PlannedDevice, guessed, plan_devices
from faceloom.supervisor.inputs import ShouldStop, add_inputs
from faceloom.supervisor.planning import Planned
from faceloom.supervisor.replanning import budget_of, device_budget
from faceloom.supervisor.survey import Survey
from faceloom.supervisor.workers import WorkerPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would be done under each of some budgets."""

    frames: int
    plans: tuple[Planned | BudgetError, ...]
    """For each budget the plan, or why there is none; of several devices the plan of each that takes part."""
    devices: tuple[str, ...] = (HOST,)
    """Those that take part."""
    guessed: tuple[str, ...]
    """Stages that have not been measured on this machine."""


def forecast(
    order: Order,
    inputs: Sequence[Path],
    budgets: Sequence[int],
    *,
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
) -> Forecast:
    """The plans that a run over the inputs would begin with, for these budgets; for the order's own if there are none.

    Raises:
        MediaError: there is no picture and no video among the inputs.
        StageError: a network cannot be looked at.
    """
    with _with_inputs(order, inputs, on_event=on_event, should_stop=should_stop) as (store, pool):
        frames = store.counts().pending
        if not frames:
            raise MediaError(f"no picture and no video that can be read among {', '.join(map(str, inputs))}")

        def candidates(budget: int | None) -> list[PlannedDevice]:
            on_card = budget if order.targets[0].has_memory else None
            ram = budget_of(order, read_ram()) if on_card or budget is None else budget
            return plan_devices(
                order, store, pool, budget_bytes=ram, footprints_of=guessed, on_event=on_event, device_bytes=on_card
            )

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
    with _with_inputs(order, inputs, on_event=on_event, should_stop=should_stop) as (store, pool):
        limit_bytes = budget_of(order, read_ram())
        found: dict[str, Footprint] = {}
        for target in order.targets:
            survey = Survey(order, target, store, pool, on_event=on_event)
            on_card = device_budget(target, free_bytes_of(target.name))
            costs = survey.measure(limit_bytes=limit_bytes, device_limit_bytes=on_card, again=True)
            several = len(order.targets) > 1
            found |= {f"{name} on {target.name}" if several else name: cost for name, cost in costs.items()}
        return found


@contextmanager
def _with_inputs(
    order: Order, inputs: Sequence[Path], *, on_event: OnEvent, should_stop: ShouldStop
) -> Iterator[tuple[Store, WorkerPool]]:
    """The inputs in a store that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="faceloom-plan-") as folder, Store(Path(folder) / "plan") as store:
        store.begin_run(versions={})
        with WorkerPool() as pool:
            add_inputs(
                inputs, store, pool, excerpt=order.excerpt, limit_bytes=0, on_event=on_event, should_stop=should_stop
            )
            pool.stop()
            yield store, pool


def _plan(candidates: Callable[[int | None], list[PlannedDevice]], budget_bytes: int | None) -> Planned | BudgetError:
    try:
        return candidates(budget_bytes)[0].planned
    except BudgetError as error:
        return error
