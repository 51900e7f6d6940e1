"""Plans as people read them, and as programs do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from faceloom.units import MIB, format_bytes, format_seconds

if TYPE_CHECKING:
    from faceloom.errors import BudgetError
    from faceloom.solver.plan import Plan
    from faceloom.solver.problem import Problem
    from faceloom.supervisor.forecast import Forecast, WishCost
    from faceloom.supervisor.nodes import NodesForecast
    from faceloom.supervisor.planning import Planned


def in_words(found: "Forecast", planned: "Planned") -> str:
    """The plan of a run over counted frames."""
    plan = planned.plan
    workers = f"{plan.workers} worker{'s' * (plan.workers != 1)}"
    head = f"{found.frames:,} frame{'s' * (found.frames != 1)}, {workers}, chunks of up to {plan.chunk_frames} frames"
    heap = format_bytes(planned.loose_heap_bytes)
    notes = [f"each worker keeps up to {heap} of what it frees, which is faster"] if planned.loose_heap_bytes else []
    notes += [
        f"{stage} is thought to need a budget of {format_bytes(needed)}, and is tried in this one"
        for stage, needed in planned.tried_anyway.items()
    ]
    if found.seen:
        each = found.seen.faces / found.seen.frames
        notes += [f"{each:.1f} faces a frame, by a look at {found.seen.frames} of them"]
    whole = f"{head}\n\n{table(plan, planned.share, planned.problem, notes)}"
    return f"{whole}\n\n{wish_table(found.wishes)}" if found.wishes else whole


def nodes_table(found: "NodesForecast") -> str:
    """What machines of each kind do, and how long the job takes on all of them."""
    from faceloom.errors import BudgetError

    width = max(4, *(len(one.kind.name) for one in found.nodes))
    lines = [f"{'node':<{width}}  count  cores  workers  passes   peak MiB  frames/s  shards each"]
    for one in found.nodes:
        head = f"{one.kind.name:<{width}}  {one.kind.count:>5}  {one.kind.cores:>5}"
        if isinstance(one.planned, BudgetError):
            lines.append(f"{head}  takes no part: {one.planned}")
            continue
        plan, rate = one.planned.plan, found.frames / one.seconds if one.seconds else 0.0
        numbers = f"{plan.workers:>7}  {len(plan.phases):>6}  {plan.peak_bytes / MIB:>9,.0f}  {rate:>8,.1f}"
        lines.append(f"{head}  {numbers}  {one.shards:>11}")
    if not found.shards:
        return "\n".join([*lines, "", "no machine can do it"])
    cost = f", cost {found.cost:,.2f} ({found.cost / found.frames * 1e6:,.2f} a million frames)" if found.cost else ""
    whole = f"{found.frames:,} frames in {found.shards:,} shards (--shard 1/{found.shards} and so on)"
    return "\n".join([*lines, "", f"{whole}, about {format_seconds(found.seconds)}{cost}"])


def wish_table(wishes: "Sequence[WishCost]") -> str:
    """What each wish costs, against the plan without any, which is the first."""
    from faceloom.errors import BudgetError

    width = max(len(one.wish) for one in wishes)
    lines = [f"{'wish':<{width}}  passes  workers   peak MiB   seconds      more"]
    free = wishes[0].planned
    for one in wishes:
        if isinstance(one.planned, BudgetError):
            lines.append(f"{one.wish or 'none':<{width}}  {one.planned}")
            continue
        plan = one.planned.plan
        more = "" if isinstance(free, BudgetError) or not one.wish else f"{plan.seconds - free.plan.seconds:>+10,.1f}"
        peak = plan.peak_bytes / MIB
        numbers = f"{len(plan.phases):>6}  {plan.workers:>7}  {peak:>9,.0f} {plan.seconds:>9,.1f}"
        lines.append(f"{one.wish or 'none':<{width}}  {numbers}{more}")
    return "\n".join(lines)


def more_to_json(found: "Forecast") -> dict[str, Any]:
    """What is told besides the plan: what was seen, and what wishes cost."""
    told: dict[str, Any] = {}
    if found.seen:
        told["seen"] = {"frames": found.seen.frames, "faces": found.seen.faces}
    if found.wishes:
        told["wishes"] = wishes_to_json(found.wishes)
    return told


def wishes_to_json(wishes: "Sequence[WishCost]") -> list[dict[str, Any]]:
    """What each wish costs, and first what the plan without any does."""
    from faceloom.errors import BudgetError

    return [
        {"wish": one.wish, "error": str(one.planned), "needed_bytes": one.planned.needed_bytes}
        if isinstance(one.planned, BudgetError)
        else {
            "wish": one.wish,
            "seconds": round(one.planned.plan.seconds, 6),
            "peak_bytes": one.planned.plan.peak_bytes,
            "workers": one.planned.plan.workers,
            "phases": len(one.planned.plan.phases),
        }
        for one in wishes
    ]


def table(plan: "Plan", share: "Plan", problem: "Problem", notes: Sequence[str] = ()) -> str:
    """A plan pass by pass, and why it is this one."""
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
        f" about {format_seconds(plan.seconds)}"
    )
    return "\n".join(lines)


def compared(plans: "list[Plan | BudgetError]", budgets: Sequence[str]) -> str:
    """The plans for some budgets, a line each."""
    from faceloom.errors import BudgetError

    lines = ["    budget  passes  workers   peak MiB   seconds"]
    for found, budget in zip(plans, budgets, strict=True):
        if isinstance(found, BudgetError):
            lines.append(f"{budget:>10}  {found}")
            continue
        peak = found.peak_bytes / MIB
        lines.append(f"{budget:>10}  {len(found.phases):>6}  {found.workers:>7}  {peak:>9,.0f} {found.seconds:>9,.1f}")
    return "\n".join(lines)


def or_error(found: Any, budget_bytes: int) -> dict[str, Any]:
    """A plan's JSON, or that of the reason why there is none."""
    from faceloom.errors import BudgetError

    if isinstance(found, BudgetError):
        return {"budget_bytes": budget_bytes, "error": str(found), "needed_bytes": found.needed_bytes}
    made: dict[str, Any] = getattr(found, "plan", found).to_json()
    return made
