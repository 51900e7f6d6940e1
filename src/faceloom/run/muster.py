"""The muster of a run's devices before the first frame: what each costs, its plan, and its share of the RAM."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from faceloom.errors import BudgetError, FaceloomError, StageError
from faceloom.memory.devices import free_bytes_of
from faceloom.memory.footprints import Footprint
from faceloom.memory.usage import held_bytes
from faceloom.run.crew import Crew
from faceloom.run.device_run import DeviceRun
from faceloom.run.events import DEVICE_LOST, Notice, OnEvent
from faceloom.run.job import Order, Target
from faceloom.run.planner import Planner, device_budget
from faceloom.run.planning import Planned
from faceloom.run.survey import Survey, plan_what_fits
from faceloom.store.store import STARVED, Store
from faceloom.units import format_bytes


def muster(order: Order, store: Store, crew: Crew, *, budget_bytes: int, on_event: OnEvent) -> list[DeviceRun]:
    """The devices of an order, each with the best plan for what it is given of the RAM; at least one.

    Frames that are too large for every one of them are given up. Of several devices those that cannot take part are
    left out, with a notice.

    Raises:
        BudgetError: no plan fits.
        StageError: a stage cannot be loaded or breaks its contract.
    """
    entrants = find_entrants(order, store, crew, budget_bytes=budget_bytes, footprints_of=measured, on_event=on_event)
    most = min(len(entrant.survey.too_large) for entrant in entrants)
    runs: list[DeviceRun] = []
    for entrant in entrants:
        if len(entrant.survey.too_large) > most:
            _leave_out(entrant.target, "its frames are too large", on_event)
        else:
            if len(order.targets) > 1:  # what one has been given and does not need has gone to the next
                entrant.planner.give(entrant.planned.host_bytes)
            runs.append(DeviceRun(order, entrant.target, crew, entrant.planner, entrant.planned))
    for kind, shape in next(e.survey.too_large for e in entrants if len(e.survey.too_large) == most):
        reason = f"a frame of {shape.width} x {shape.height} does not fit into {format_bytes(budget_bytes)}"
        store.give_up(kind, shape, STARVED + reason)
    names = {run.name for run in runs}
    for member in tuple(crew.members):
        if member.target.name not in names:
            crew.dismiss(member)
    return runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrant:
    """A device for which there is a plan."""

    target: Target
    survey: Survey
    planner: Planner
    planned: Planned


class FootprintsOf(Protocol):
    """Says what stages cost with the frames of a survey, within budgets of the host's memory and a device's own."""

    def __call__(self, survey: Survey, /, *, budget_bytes: int, device_bytes: int | None) -> Mapping[str, Footprint]:
        """The footprint of each stage, by its name."""


def measured(survey: Survey, /, *, budget_bytes: int, device_bytes: int | None) -> Mapping[str, Footprint]:
    """Measured before, or now."""
    return survey.measure(limit_bytes=budget_bytes - held_bytes(), device_limit_bytes=device_bytes)


def guessed(survey: Survey, /, *, budget_bytes: int, device_bytes: int | None) -> Mapping[str, Footprint]:
    """Measured before, or guessed."""
    return survey.guess()


def find_entrants(
    order: Order,
    store: Store,
    crew: Crew,
    *,
    budget_bytes: int,
    footprints_of: FootprintsOf,
    on_event: OnEvent,
    device_bytes: int | None = None,
) -> list[Entrant]:
    """The devices of an order for which there is a plan; each is given the RAM that those before it do not use, and
    those after it need at least.

    Args:
        budget_bytes: of the host's memory, for all processes.
        footprints_of: how it is known what stages cost.
        device_bytes: of a memory of its own, what the run may take in place of what the order says.

    Raises:
        FaceloomError: what the first has come to grief over, if all have.
    """
    surveys = {target.name: Survey(order, target, store, crew, on_event=on_event) for target in order.targets}

    def enter(target: Target, host_bytes: int) -> Entrant:
        own = device_budget(target, free_bytes_of(target.name)) if device_bytes is None else device_bytes
        own = own if target.has_memory else None
        survey, planner, planned = plan_what_fits(
            surveys[target.name],
            lambda some: footprints_of(some, budget_bytes=host_bytes, device_bytes=own),
            budget_bytes=host_bytes,
            device_bytes=own,
        )
        return Entrant(target=target, survey=survey, planner=planner, planned=planned)

    if len(order.targets) == 1:
        return [enter(order.targets[0], budget_bytes)]
    found: list[Entrant] = []
    refusals: list[FaceloomError] = []
    least: dict[str, int] = {}
    for target in order.targets:
        try:
            share = enter(target, budget_bytes).planner.frugal_plan().share
            least[target.name] = share.host_peak_bytes or share.peak_bytes
        except (BudgetError, StageError) as error:
            refusals.append(error)
            _leave_out(target, str(error), on_event)
    for target in [target for target in order.targets if target.name in least]:
        del least[target.name]
        used = sum(entrant.planned.host_bytes for entrant in found)
        try:
            found.append(enter(target, budget_bytes - used - sum(least.values())))
        except BudgetError as error:
            refusals.append(error)
            _leave_out(target, str(error), on_event)
    if not found:
        raise refusals[0]
    return found


def _leave_out(target: Target, reason: str, on_event: OnEvent) -> None:
    on_event(Notice(kind=DEVICE_LOST, text=f"{target.name} is left out: {reason}"))
