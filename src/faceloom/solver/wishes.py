"""Wishes: what a user lays down of a plan. Each is a problem with less to choose from, solved as any other.

Which batches a stage may have, and which stages are in memory together. What was not asked for is as fast as it can be.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from faceloom.errors import BudgetError
from faceloom.solver.phases import Phases
from faceloom.solver.places import place
from faceloom.solver.plan import HOST, Phase, Plan
from faceloom.solver.problem import HostCost, Problem, StageCost
from faceloom.solver.solve import solve
from faceloom.units import MIB, format_bytes

_NEVER_S = 1e15
"""Seconds for a switch between phases that forbid any switch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchWish:
    """How many items one stage may take at once."""

    batch: int
    is_forced: bool = False
    """Whether it is to take just so many, not at most."""

    def __str__(self) -> str:
        return f"{self.batch}{'!' if self.is_forced else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a plan is held to, besides a budget."""

    batches: Mapping[str, BatchWish] = field(default_factory=dict)
    """By stage."""
    phases: tuple[frozenset[str], ...] = ()
    """The stages of each phase, in order; nothing if the solver is free to lay them."""
    laid: str = ""
    """How the phases were asked for, as on the command line."""
    tries_anyway: bool = False
    """Whether a stage that is too large even alone is run nevertheless, within the budget."""

    def __bool__(self) -> bool:
        """Whether anything is wished that could cost time."""
        return bool(self.batches or self.phases)

    def __str__(self) -> str:
        return " ".join(text for text, _ in self.each())

    def each(self) -> Iterator[tuple[str, "Wishes"]]:
        """Yields every wish alone, with the flags that ask for it."""
        for stage, wish in self.batches.items():
            yield f"--batch {stage}={wish}", replace(self, batches={stage: wish}, phases=(), laid="")
        if self.phases:
            yield self.laid, replace(self, batches={})

    def phases_of(self, stages: Sequence[StageCost]) -> tuple[frozenset[str], ...]:
        """The phases as far as these stages are in them: a job may run only some of what the wish was made for."""
        names = {stage.stage for stage in stages}
        return tuple(chosen for phase in self.phases if (chosen := phase & names))


FREE = Wishes()
"""No wishes."""


def with_batches(stages: Sequence[StageCost], wishes: Wishes) -> tuple[StageCost, ...]:
    """Returns the stages with the batches that they may still have."""
    return tuple(
        _held_to(stage, wishes.batches[stage.stage]) if stage.stage in wishes.batches else stage for stage in stages
    )


def solve_wished(problem: Problem, wishes: Wishes, *, device: str = "cpu") -> Plan:
    """Finds the best plan that has the wished phases; batches have been seen to by `with_batches`.

    Raises:
        BudgetError: no plan fits: a stage alone does not, or those of a wished phase do not together.
    """
    wanted = wishes.phases_of(problem.stages)
    if not wanted:
        return solve(problem, device=device)
    parts = [_whole(problem, wanted, i, device) for i in range(len(wanted))]
    return replace(
        parts[0],
        phases=tuple(_later(part.phases[0], problem.switch_s if i else 0.0) for i, part in enumerate(parts)),
        chunk_frames=problem.frames,
        peak_bytes=max(part.peak_bytes for part in parts),
        host_peak_bytes=max(part.host_peak_bytes for part in parts),
        seconds=sum(part.seconds for part in parts) + problem.switch_s * (len(parts) - 1),
    )


def smallest_wished_budget(problem: Problem, wishes: Wishes) -> int:
    """The smallest budget in bytes that has a plan with the wished phases, all on the device."""
    alone = [frozenset({stage.stage}) for stage in problem.stages]
    return max(_least(problem, chosen) for chosen in wishes.phases_of(problem.stages) or alone)


def largest_phase(problem: Problem, wishes: Wishes) -> tuple[str, ...]:
    """The stages of the wished phase that needs most memory, in the order of the problem."""
    chosen = max(wishes.phases_of(problem.stages), key=lambda phase: _least(problem, phase))
    return tuple(stage.stage for stage in problem.stages if stage.stage in chosen)


def squeezed(problem: Problem) -> tuple[Problem, dict[str, int]]:
    """Returns the problem in which what is too large alone is believed to fit just so, in calls of one item.

    Such a stage is believed to take all the room that there is, and so to run alone.

    Returns:
        The problem, and what each such stage needs of the device alone, by its name.
    """
    too_large: dict[str, int] = {}
    for stage in problem.stages:
        try:
            solve(_only(problem, {stage.stage}))
        except BudgetError as error:
            too_large[stage.stage] = error.needed_bytes or 0
    stages = tuple(_squeezed(stage, problem) if stage.stage in too_large else stage for stage in problem.stages)
    return replace(problem, stages=stages), too_large


def _held_to(stage: StageCost, wish: BatchWish) -> StageCost:
    on_host = stage.on_host
    if on_host:
        on_host = replace(on_host, batch_s=_offered(on_host, wish))
    return replace(stage, batch_s=_offered(stage, wish), on_host=on_host)


def _offered(cost: StageCost | HostCost, wish: BatchWish) -> dict[int, float]:
    """The seconds of the batches that a wish leaves; one that was never timed is reckoned."""
    if not wish.is_forced and (smaller := {b: s for b, s in cost.batch_s.items() if b <= wish.batch}):
        return smaller
    return {wish.batch: _reckoned(cost.batch_s, wish.batch)}


def _reckoned(batch_s: Mapping[int, float], batch: int) -> float:
    """The seconds of a batch, in line between those that are known; beyond them an item takes what it does there."""
    if batch in batch_s:
        return batch_s[batch]
    above = min((known for known in batch_s if known > batch), default=None)
    below = max((known for known in batch_s if known < batch), default=None)
    if above is None or below is None:
        nearest = above or below
        assert nearest, "a batch is known"
        return batch_s[nearest] * batch / nearest
    share = (batch - below) / (above - below)
    return batch_s[below] + share * (batch_s[above] - batch_s[below])


def _whole(problem: Problem, wanted: Sequence[Collection[str]], i: int, device: str) -> Plan:
    """The plan of one wished phase as a problem of its own, which has to fit as a whole."""
    chosen, is_last = wanted[i], i == len(wanted) - 1
    alone = _only(problem, chosen)
    # Whether patches are written for the phases to come depends on what comes, which this problem has none of.
    written_s = 0.0 if is_last else problem.patch_write_s
    found = solve(replace(alone, decode_s=alone.decode_s + written_s), device=device)
    if len(found.phases) > 1:
        raise _does_not_fit(alone, device)
    return found


def _only(problem: Problem, chosen: Collection[str]) -> Problem:
    stages = tuple(
        replace(stage, needs=stage.needs & frozenset(chosen)) for stage in problem.stages if stage.stage in chosen
    )
    return replace(problem, stages=stages, switch_s=_NEVER_S)


def _later(phase: Phase, switch_s: float) -> Phase:
    return replace(phase, seconds=phase.seconds + switch_s)


def _least(problem: Problem, chosen: Collection[str]) -> int:
    """What these stages take together of the device, at their smallest batches."""
    phases = Phases(place(_only(problem, chosen), ()))
    return phases.least_bytes(phases.everything)


def _does_not_fit(alone: Problem, device: str) -> BudgetError:
    names = [stage.stage for stage in alone.stages]
    needed, budget, where = _least(alone, names), alone.budget_bytes, device
    if needed <= budget and alone.host:
        phases = Phases(place(alone, ()))
        needed, budget, where = phases.least_host_bytes(phases.everything), alone.host.budget_bytes, HOST
    message = (
        f"{in_words(names)} do not fit together: at their smallest batches they need {-(-needed // MIB):,} MiB of"
        f" {where}, and the budget there is {format_bytes(budget)}; lay them in several passes, or leave it to the plan"
    )
    return BudgetError(message, stage=names[-1], needed_bytes=needed, budget_bytes=budget)


def in_words(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _squeezed(stage: StageCost, problem: Problem) -> StageCost:
    """A stage that is believed to take what is left of each budget, and no more."""
    smallest = stage.smallest_batch
    batch_s = {1: stage.batch_s.get(1, stage.batch_s[smallest] / smallest)}
    room = max(0, problem.budget_bytes - problem.base_bytes)
    weights = min(stage.weights_bytes, room)
    share = stage.host
    if problem.host:
        host_room = max(0, problem.host.budget_bytes - problem.host.base_bytes)
        held = min(share.weights_bytes, host_room)
        share = replace(share, weights_bytes=held, spike_bytes=0, fixed_bytes=host_room - held, item_bytes=0)
    return replace(
        stage,
        weights_bytes=weights,
        load_spike=0.0,
        fixed_bytes=room - weights,
        item_bytes=0,
        batch_s=batch_s,
        host=share,
        on_host=None,
    )
