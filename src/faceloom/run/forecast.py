"""Plans without a run: the inputs are counted into a store that is thrown away, and no network is run."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from faceloom.errors import BudgetError, MediaError
from faceloom.memory.footprints import Footprint
from faceloom.memory.ram import read_ram
from faceloom.run.crew import Crew
from faceloom.run.events import OnEvent
from faceloom.run.job import Order
from faceloom.run.planner import budget_of
from faceloom.run.planning import Planned
from faceloom.run.survey import Survey, plan_what_fits
from faceloom.run.takeup import ShouldStop, take_up
from faceloom.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would be done under each of some budgets."""

    frames: int
    plans: tuple[Planned | BudgetError, ...]
    """For each budget the plan, or why there is none."""
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
    with _surveyed(order, inputs, on_event=on_event, should_stop=should_stop) as (survey, frames):
        if not frames:
            raise MediaError(f"no picture and no video that can be read among {', '.join(map(str, inputs))}")
        plans = tuple(_plan(survey, budget) for budget in budgets or [budget_of(order, read_ram())])
        guessed = tuple(name for name, footprint in survey.guess().items() if not footprint.is_measured)
    return Forecast(frames=frames, plans=plans, guessed=guessed)


def measure_now(
    order: Order, inputs: Sequence[Path], *, on_event: OnEvent, should_stop: ShouldStop = lambda: False
) -> dict[str, Footprint]:
    """Measures every stage, for the largest frame of the inputs or a typical one; what was known is measured again."""
    with _surveyed(order, inputs, on_event=on_event, should_stop=should_stop) as (survey, _):
        return survey.measure(limit_bytes=budget_of(order, read_ram()), again=True)


@contextmanager
def _surveyed(
    order: Order, inputs: Sequence[Path], *, on_event: OnEvent, should_stop: ShouldStop
) -> Iterator[tuple[Survey, int]]:
    """A survey of the inputs and the number of their frames, by a store that is thrown away."""
    with tempfile.TemporaryDirectory(prefix="faceloom-plan-") as folder, Store(Path(folder) / "plan") as store:
        store.begin_run(versions={})
        with Crew() as crew:
            take_up(
                inputs, store, crew, excerpt=order.excerpt, limit_bytes=0, on_event=on_event, should_stop=should_stop
            )
            crew.dismiss()
            yield Survey(order, store, crew, on_event=on_event), store.counts().pending


def _plan(survey: Survey, budget_bytes: int) -> Planned | BudgetError:
    try:
        return plan_what_fits(survey, Survey.guess, budget_bytes=budget_bytes)[2]
    except BudgetError as error:
        return error
