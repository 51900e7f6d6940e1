"""`faceloom plan` and `faceloom profile`: what would be done, and what stages cost on this machine."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.cli.extract import add_chip_flags, add_device_flags, add_machine_flags, add_stage_flags, flow_options
from faceloom.units import MIB, format_bytes, format_seconds, parse_bytes

if TYPE_CHECKING:
    from faceloom.errors import BudgetError
    from faceloom.memory.footprints import Footprint
    from faceloom.solver.plan import Plan
    from faceloom.solver.problem import Problem
    from faceloom.supervisor.forecast import Forecast
    from faceloom.supervisor.planning import Planned

_PLAN_EPILOG = """\
A stage that has never been measured on this machine is guessed from its network's graph, three times over;
faceloom profile measures it. docs/memory.md explains how to read a plan.

  faceloom plan film.mkv --memory 800MiB                       what would be done in 800 MiB
  faceloom plan film.mkv --what-if 256MiB,512MiB,1GiB,4GiB     what more memory would buy
  faceloom plan --problem numbers.json --json                  a problem given as numbers
"""
_PROFILE_EPILOG = """\
Runs do this by themselves for stages that have no footprint yet. Measuring takes a few seconds a stage.

  faceloom profile                             the default stages, for 1080p frames
  faceloom profile film.mkv --mask unet        for the frames of a film
"""


def add_parsers(commands: Any) -> None:
    """Adds this module's commands."""
    planned = commands.add_parser(
        "plan",
        help="what a run would do: passes, batches, memory, seconds; nothing is run",
        description="Shows the best plan for a budget. Inputs are counted; no frame is read and no network run.",
        epilog=_PLAN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    planned.set_defaults(run=plan)
    planned.add_argument("inputs", nargs="*", metavar="INPUT", help="a picture, a video, or a folder")
    planned.add_argument("--problem", metavar="FILE", help="plan a problem given as numbers (docs/memory.md) instead")
    planned.add_argument("--what-if", metavar="SIZE,...", help="plan for each of these budgets")
    add_stage_flags(planned)
    add_machine_flags(planned)
    add_chip_flags(planned.add_argument_group("what is written"))
    planned.add_argument("--json", action="store_true", help="print one JSON document")
    measured = commands.add_parser(
        "profile",
        help="measure what stages cost on this machine",
        description="Measures bytes and seconds of every stage in a scratch process, and keeps them for later runs.",
        epilog=_PROFILE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    measured.set_defaults(run=profile)
    measured.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="measure for the largest frame of these (default: 1080p)"
    )
    add_stage_flags(measured)
    add_device_flags(measured)
    measured.add_argument("--json", action="store_true", help="print one JSON document")


def plan(chosen: argparse.Namespace) -> int:
    """Prints the plan, or one for each budget."""
    from faceloom.errors import RequestError

    budgets = chosen.what_if.split(",") if chosen.what_if else []
    if chosen.problem and not chosen.inputs:
        return _plan_problem(Path(chosen.problem), budgets, as_json=chosen.json)
    if chosen.problem or not chosen.inputs:
        raise RequestError("name inputs, or a --problem FILE, and not both")
    return _plan_inputs(chosen, budgets)


def _plan_inputs(chosen: argparse.Namespace, budgets: list[str]) -> int:
    from faceloom.api import plan as plan_inputs
    from faceloom.cli.progress import watch
    from faceloom.errors import BudgetError

    with watch() as on_event:
        found = plan_inputs(
            chosen.inputs,
            memory=chosen.memory,
            ram=chosen.ram,
            what_if=budgets,
            size=chosen.size,
            format=chosen.format,
            crop=chosen.crop,
            level=chosen.level,
            on_event=on_event,
            **flow_options(chosen),
        )
    if len(found.devices) > 1:
        _print_devices(found, budgets, as_json=chosen.json)
    elif not budgets:
        (only,) = found.plans
        if isinstance(only, BudgetError):
            _note_guesses(found)
            raise only
        print(json.dumps(only.plan.to_json()) if chosen.json else _in_words(found, only))
    elif chosen.json:
        sizes = [parse_bytes(budget) for budget in budgets]
        print(json.dumps({"plans": [_or_error(one, size) for one, size in zip(found.plans, sizes, strict=True)]}))
    else:
        print(_compared([one if isinstance(one, BudgetError) else one.plan for one in found.plans], budgets))
    _note_guesses(found)
    return 0


def _print_devices(found: "Forecast", budgets: list[str], *, as_json: bool) -> None:
    """The plan of each of several devices."""
    from faceloom.errors import BudgetError, RequestError

    if budgets:
        raise RequestError("--what-if compares budgets on one device; name one with --device")
    plans = {
        name: one for name, one in zip(found.devices, found.plans, strict=True) if not isinstance(one, BudgetError)
    }
    if as_json:
        print(json.dumps({"devices": {name: planned.plan.to_json() for name, planned in plans.items()}}))
    else:
        print("\n\n".join(f"{name}: {_in_words(found, planned)}" for name, planned in plans.items()))


def _note_guesses(found: "Forecast") -> None:
    if found.guessed:
        text = f"{', '.join(found.guessed)} never measured on this machine: guessed; faceloom profile measures"
        print(f"faceloom: {text}", file=sys.stderr)


def _plan_problem(file: Path, budgets: list[str], *, as_json: bool) -> int:
    from dataclasses import replace

    from faceloom.errors import BudgetError, RequestError
    from faceloom.solver.problem import read_problem
    from faceloom.solver.solve import solve

    try:
        problem = read_problem(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise RequestError(f"{file} cannot be read: {error}") from error

    device = "device" if problem.host else "cpu"

    def attempt(size: int) -> "Plan | BudgetError":
        try:
            return solve(replace(problem, budget_bytes=size), device=device)
        except BudgetError as error:
            return error

    if not budgets:
        solved = solve(problem, device=device)
        print(json.dumps(solved.to_json()) if as_json else _table(solved, solved, problem))
        return 0
    sizes = [_size(budget) for budget in budgets]
    plans = [attempt(size) for size in sizes]
    if as_json:
        print(json.dumps({"plans": [_or_error(one, size) for one, size in zip(plans, sizes, strict=True)]}))
    else:
        print(_compared(plans, budgets))
    return 0


def _size(text: str) -> int:
    from faceloom.errors import RequestError

    try:
        return parse_bytes(text)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _or_error(found: Any, budget_bytes: int) -> dict[str, Any]:
    """A plan's JSON, or that of the reason why there is none."""
    from faceloom.errors import BudgetError

    if isinstance(found, BudgetError):
        return {"budget_bytes": budget_bytes, "error": str(found), "needed_bytes": found.needed_bytes}
    made: dict[str, Any] = getattr(found, "plan", found).to_json()
    return made


def _in_words(found: "Forecast", planned: "Planned") -> str:
    plan = planned.plan
    workers = f"{plan.workers} worker{'s' * (plan.workers != 1)}"
    head = f"{found.frames:,} frame{'s' * (found.frames != 1)}, {workers}, chunks of up to {plan.chunk_frames} frames"
    heap = format_bytes(planned.loose_heap_bytes)
    notes = [f"each worker keeps up to {heap} of what it frees, which is faster"] if planned.loose_heap_bytes else []
    return f"{head}\n\n{_table(plan, planned.share, planned.problem, notes)}"


def _table(plan: "Plan", share: "Plan", problem: "Problem", notes: Sequence[str] = ()) -> str:
    from faceloom.solver.explain import explain

    width = max((len(p.stage) for phase in plan.phases for p in phase.placements), default=len("no network"))
    lines = [f"pass  {'stage':<{width}}  device  batch      MiB   seconds"]
    for number, phase in enumerate(plan.phases, start=1):
        for i, placement in enumerate(phase.placements):
            start = str(number) if i == 0 else ""
            end = f"{phase.peak_bytes / MIB:>9,.0f} {phase.seconds:>9,.1f}" if i == 0 else ""
            row = f"{start:<4}  {placement.stage:<{width}}  {placement.device:<6}  {placement.batch:>5}{end}"
            lines.append(row.rstrip())
    if not problem.stages:
        lines.append(f"{'1':<4}  no network{plan.peak_bytes / MIB:>26,.0f} {plan.seconds:>9,.1f}")
    whose = f"each of {plan.workers} workers: " if plan.workers > 1 else ""
    lines += ["", *(f"{whose}{reason}" for reason in (explain(share, problem) if problem.stages else ())), *notes]
    if plan.host_budget_bytes:
        used, budget = format_bytes(plan.host_peak_bytes), format_bytes(plan.host_budget_bytes)
        lines.append(f"on the host {used} of {budget}")
    spare = format_bytes(plan.budget_bytes - plan.peak_bytes)
    lines.append(
        f"peak {format_bytes(plan.peak_bytes)} of {format_bytes(plan.budget_bytes)} ({spare} to spare),"
        f" about {format_seconds(plan.seconds)} without reading the frames"
    )
    return "\n".join(lines)


def _compared(plans: "list[Plan | BudgetError]", budgets: list[str]) -> str:
    from faceloom.errors import BudgetError

    lines = ["    budget  passes  workers   peak MiB   seconds"]
    for found, budget in zip(plans, budgets, strict=True):
        if isinstance(found, BudgetError):
            lines.append(f"{budget:>10}  {found}")
            continue
        peak = found.peak_bytes / MIB
        lines.append(f"{budget:>10}  {len(found.phases):>6}  {found.workers:>7}  {peak:>9,.0f} {found.seconds:>9,.1f}")
    return "\n".join(lines)


def profile(chosen: argparse.Namespace) -> int:
    """Measures, and prints what was found."""
    from faceloom.api import profile as measure
    from faceloom.cli.progress import watch

    with watch() as on_event:
        found = measure(chosen.inputs, on_event=on_event, **flow_options(chosen))
    if chosen.json:
        print(json.dumps({name: footprint.to_json() for name, footprint in found.items()}))
    else:
        print(_footprints(found))
    return 0


def _footprints(found: "dict[str, Footprint]") -> str:
    width = max(map(len, found))
    lines = [f"{'stage':<{width}}  weights MiB  fixed MiB  item MiB  load s  seconds by batch"]
    for name, footprint in found.items():
        weights, fixed, item = (
            size / MIB for size in (footprint.weights_bytes, footprint.fixed_bytes, footprint.item_bytes)
        )
        seconds = "  ".join(f"{batch}: {s:.4f}" for batch, s in footprint.batch_s.items())
        lines.append(
            f"{name:<{width}}  {weights:>11.1f}  {fixed:>9.1f}  {item:>8.1f}  {footprint.load_s:>6.2f}  {seconds}"
        )
    process = max(footprint.process_bytes for footprint in found.values())
    return "\n".join([*lines, "", f"a worker process holds {format_bytes(process)} before any network is loaded"])
