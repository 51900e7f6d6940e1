"""`faceloom plan`: what would be done."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import JsonFlags
from faceloom.cli.plan_tables import compared, in_words, more_to_json, nodes_table, or_error, table
from faceloom.cli.starting import starting
from faceloom.cli.terminal import say, say_json
from faceloom.options.calls import PlanOptions
from faceloom.options.machine import WishOptions
from faceloom.options.option import Option
from faceloom.options.stages import PathLike
from faceloom.options.written_values import with_commas
from faceloom.units import parse_bytes

if TYPE_CHECKING:
    from faceloom.errors import BudgetError
    from faceloom.solver.plan import Plan
    from faceloom.solver.problem import Problem
    from faceloom.supervisor.forecast import Forecast

_EXAMPLES = """\
A stage that has never been measured on this machine is guessed from its network's graph, three times over;
faceloom profile measures it. docs/memory.md explains how to read a plan.

  faceloom plan film.mkv --memory 800MiB                       what would be done in 800 MiB
  faceloom plan film.mkv --what-if 256MiB,512MiB,1GiB,4GiB     what more memory would buy
  faceloom plan film.mkv --nodes nodes.toml                    how long several machines take, and their shards
  faceloom plan --problem numbers.json --json                  a problem given as numbers
"""


class PlanFlags(PlanOptions, JsonFlags, total=False):
    """What `faceloom plan` takes."""

    problem: Annotated[
        PathLike | None,
        Option(
            help="plan a problem given as numbers (docs/memory.md) instead, whose budgets are bytes as they stand",
            unit="FILE",
            example="problem.json",
        ),
    ]
    plot: Annotated[
        PathLike | None,
        Option(
            help="also draw it to a new .svg: seconds by memory with --what-if, else memory and seconds of each pass",
            unit="FILE",
            example="plan.svg",
        ),
    ]


def run(chosen: argparse.Namespace) -> int:
    """Prints the plan, or one for each budget."""
    from faceloom.errors import RequestError

    budgets = with_commas(chosen.what_if) if chosen.what_if else ()
    is_given = bool(chosen.inputs or chosen.from_list)
    if chosen.problem and not is_given:
        return _plan_problem(chosen, budgets)
    if chosen.problem or not is_given:
        raise RequestError("name inputs, or a --problem FILE, and not both")
    return _plan_inputs(chosen, budgets)


def _plan_inputs(chosen: argparse.Namespace, budgets: Sequence[str]) -> int:
    with starting(with_worker=True):
        from faceloom.api import plan as plan_inputs
    from faceloom.cli.watching import watching
    from faceloom.errors import BudgetError, RequestError

    with watching(chosen) as on_event:
        found = plan_inputs(chosen.inputs, on_event=on_event, **keywords(chosen, PlanOptions))
    if len(found.devices) > 1:
        if chosen.plot:
            raise RequestError("--plot draws the plan of one device; name one with --device")
        _print_devices(found, budgets, as_json=chosen.json)
    elif found.nodes:
        say_json(found.nodes.to_json()) if chosen.json else say(nodes_table(found.nodes))
    elif not budgets:
        (only,) = found.plans
        if isinstance(only, BudgetError):
            _note_guesses(found)
            raise only
        _plot(chosen, [only.plan], budgets)
        if chosen.json:
            say_json(only.plan.to_json() | more_to_json(found))
        else:
            say(in_words(found, only))
    else:
        plans = [one if isinstance(one, BudgetError) else one.plan for one in found.plans]
        _plot(chosen, plans, budgets)
        if chosen.json:
            sizes = [parse_bytes(budget) for budget in budgets]
            say_json({"plans": [or_error(one, size) for one, size in zip(found.plans, sizes, strict=True)]})
        else:
            say(compared(plans, budgets))
    _note_guesses(found)
    return 0


def _plot(chosen: argparse.Namespace, plans: "Sequence[Plan | BudgetError]", budgets: Sequence[str]) -> None:
    """Draws plans, if that is asked for: of each budget one, or the only one."""
    from faceloom.cli.plan_plots import budget_plot, pass_plot, write_plot
    from faceloom.errors import BudgetError

    if chosen.plot is None:
        return
    if budgets:
        write_plot(Path(chosen.plot), budget_plot(plans, [_size(budget) for budget in budgets]))
    elif not isinstance(plans[0], BudgetError):
        write_plot(Path(chosen.plot), pass_plot(plans[0]))


def _print_devices(found: "Forecast", budgets: Sequence[str], *, as_json: bool) -> None:
    """The plan of each of several devices."""
    from faceloom.errors import BudgetError, RequestError

    if budgets:
        raise RequestError("--what-if compares budgets on one device; name one with --device")
    plans = {
        name: one for name, one in zip(found.devices, found.plans, strict=True) if not isinstance(one, BudgetError)
    }
    if as_json:
        say_json({"devices": {name: planned.plan.to_json() for name, planned in plans.items()}})
    else:
        say("\n\n".join(f"{name}: {in_words(found, planned)}" for name, planned in plans.items()))


def _note_guesses(found: "Forecast") -> None:
    if found.guessed:
        text = f"{', '.join(found.guessed)} never measured on this machine: guessed; faceloom profile measures"
        say(f"faceloom: {text}", to=sys.stderr)


def _plan_problem(chosen: argparse.Namespace, budgets: Sequence[str]) -> int:
    from dataclasses import replace

    from faceloom.errors import BudgetError
    from faceloom.options.declared import filled
    from faceloom.orders.wishes import wishes_for_problem
    from faceloom.solver.wishes import solve_wished, with_batches

    problem, as_json = _read(Path(chosen.problem)), chosen.json
    wishes = wishes_for_problem(filled(WishOptions, keywords(chosen, WishOptions)), problem.stages)
    problem = replace(problem, stages=with_batches(problem.stages, wishes))
    device = "device" if problem.host else "cpu"

    def attempt(size: int) -> "Plan | BudgetError":
        try:
            return solve_wished(replace(problem, budget_bytes=size), wishes, device=device)
        except BudgetError as error:
            return error

    if not budgets:
        solved = solve_wished(problem, wishes, device=device)
        _plot(chosen, [solved], budgets)
        if as_json:
            say_json(solved.to_json())
        else:
            say(table(solved, solved, problem))
        return 0
    sizes = [_size(budget) for budget in budgets]
    plans = [attempt(size) for size in sizes]
    _plot(chosen, plans, budgets)
    if as_json:
        say_json({"plans": [or_error(one, size) for one, size in zip(plans, sizes, strict=True)]})
    else:
        say(compared(plans, budgets))
    return 0


def _read(file: Path) -> "Problem":
    from faceloom.errors import RequestError
    from faceloom.solver.reading import read_problem

    try:
        return read_problem(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file} cannot be read: {error}") from error


def _size(text: str) -> int:
    from faceloom.errors import RequestError

    try:
        return parse_bytes(text)
    except ValueError as error:
        raise RequestError(str(error)) from error


PLAN = Command(
    name="plan",
    description="Shows the best plan for a budget. Inputs are counted, and a few frames looked at.",
    examples=_EXAMPLES,
    arguments=(Argument(name="inputs", metavar="INPUT", help="a picture, a video, or a folder", nargs="*"),),
    options=PlanFlags,
    run=run,
)
