"""How long planning takes, and whether anything beats the plan: `python benchmarks/planner.py [--problems N]`.

Ten stages, 64 batches each, budgets from the smallest that has a plan to one in which everything fits: the slowest and
the mean of them, in seconds of the processor, so that other programs change little. Then 17 and 20 stages: a detector,
an aligner, and masks that are all alike or all different, of networks that larger batches make faster, or do not (as on
a CPU); what takes more than ten seconds is given up and counted. Then random problems of two to five stages, against
every partition at every batch. At last, with `--sweep`, six networks and two hulls at every budget from 1 to 24,576
MiB, which takes minutes on all cores.
"""

import argparse
import contextlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean

from faceloom.errors import BudgetError
from faceloom.solver.plan import Plan
from faceloom.solver.problem import Arena, Problem, StageCost
from faceloom.solver.solve import solve
from faceloom.units import MIB

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from solver.brute import best_by_trying, random_problem, smallest_budget
from solver.test_budgets import HULLS, MOST_MIB, SIX, job, wrong_plans

STAGES, BATCHES, BUDGETS = 10, 64, 12
SWEPT_MIB = 256
MANY = (17, 20)
LIMIT_S = 10
HEAD = "| arena | stages | mean ms | slowest ms | phases | given up |\n| --- | --- | ---: | ---: | ---: | ---: |"
DAGS: dict[str, Callable[[int], set[int]]] = {
    "chain": lambda i: {i - 1} if i else set(),
    "tree": lambda i: {(i - 1) // 2} if i else set(),
    "independent": lambda i: set(),
    "masks": lambda i: {min(i - 1, 1)} if i else set(),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", type=int, default=1000, help="random ones to try everything on")
    parser.add_argument("--sweep", action="store_true", help="every budget for six networks")
    chosen = parser.parse_args()
    print(f"{STAGES} stages, {BATCHES} batches each, {BUDGETS} budgets\n\n{HEAD}")
    print(HEAD)
    for arena, dag in product(Arena, list(DAGS)[:3]):
        report(arena, dag, (made_up(arena, dag, overlap=o, seed=seed) for o, seed in product((False, True), range(3))))
    print(f"\nA detector, an aligner and masks, {BUDGETS} budgets\n\n{HEAD}")
    for stages, alike, flat, arena in product(MANY, (True, False), (True, False), Arena):
        name = f"{stages}, masks {'alike' if alike else 'different'}, batches {'no faster' if flat else 'faster'}"
        report(arena, name, [made_up(arena, "masks", stages=stages, alike=alike, flat=flat)])
    outcomes = Counter(compare(seed) for seed in range(chosen.problems))
    print(f"\n{chosen.problems} problems against all plans: {outcomes['different']} differences")
    print(", ".join(f"{outcomes[name]} {name}" for name in ("refused", "in one phase", "split")))
    if chosen.sweep:
        for overlap in (False, True):
            sweep(overlap=overlap)


def report(arena: Arena, name: str, problems: Iterable[Problem]) -> None:
    """Prints the times over all budgets of some problems."""
    times_s, phases = [], []
    for problem in problems:
        held = [stage.held_bytes(max(stage.batch_s)) for stage in problem.stages]
        activations = max(held) if arena is Arena.SHARED else sum(held)
        least, most = smallest_budget(problem), sum(stage.weights_bytes for stage in problem.stages) + activations
        for i in range(BUDGETS):
            budget_bytes = least + (most - least) * i // (BUDGETS - 1)
            started = time.process_time()
            with contextlib.suppress(TooLongError):
                plan = within_limit(replace(problem, budget_bytes=budget_bytes))
                phases.append(len(plan.phases))
            times_s.append(time.process_time() - started)
    over = sum(seconds > LIMIT_S for seconds in times_s)
    times = f"{mean(times_s) * 1e3:.0f} | {max(times_s) * 1e3:.0f} | {min(phases)} to {max(phases)} | {over}"
    print(f"| {arena} | {name} | {times} |", flush=True)


class TooLongError(Exception):
    """A plan has taken longer than the limit."""


def within_limit(problem: Problem) -> Plan:
    """Plans, for no more than so many seconds of the processor.

    Raises:
        TooLongError: it takes longer.
    """

    def end(*_: object) -> None:
        raise TooLongError

    signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, LIMIT_S)
    try:
        return solve(problem)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def made_up(
    arena: Arena,
    dag: str,
    *,
    overlap: bool = False,
    seed: int = 0,
    stages: int = STAGES,
    alike: bool = False,
    flat: bool = False,
) -> Problem:
    """With as many useful batches as are offered, or with none that is faster; masks are alike if that is asked for."""
    rng = random.Random(seed)
    costs = []
    for i in range(stages):
        if alike and i > 1:
            rng = random.Random(seed)
        call_s, item_s = rng.uniform(0.002, 0.05), rng.uniform(0.0005, 0.02)
        costs.append(
            StageCost(
                stage=f"stage-{i}",
                needs=frozenset(f"stage-{j}" for j in DAGS[dag](i)),
                reads_frames=i == 0,
                weights_bytes=rng.randrange(50 * MIB, 500 * MIB),
                load_spike=rng.uniform(0, 1),
                load_s=rng.uniform(0.1, 3),
                fixed_bytes=rng.randrange(10 * MIB, 100 * MIB),
                item_bytes=rng.randrange(MIB, 60 * MIB),
                items_per_frame=rng.uniform(0.5, 3),
                batch_s={b: (0.0 if flat else call_s) + item_s * b for b in ((1,) if flat else range(1, BATCHES + 1))},
            )
        )
    return Problem(
        frames=20_000,
        budget_bytes=0,
        base_bytes=200 * MIB,
        arena=arena,
        overlap=overlap,
        decode_s=0.007,
        patch_read_s=0.0001,
        patch_write_s=0.0001,
        switch_s=0.1,
        stages=tuple(costs),
    )


def sweep(*, overlap: bool) -> None:
    """Prints what is wrong with the plans for every budget."""
    problem = job(*SIX, *HULLS, budget_mib=1, overlap=overlap)
    # Each part begins where the one before ends, so that all neighbours are compared.
    parts = [range(first, min(first + SWEPT_MIB, MOST_MIB) + 1) for first in range(1, MOST_MIB, SWEPT_MIB)]
    started = time.perf_counter()
    with ProcessPoolExecutor() as pool:
        wrong = [line for lines in pool.map(partial(wrong_plans, problem), parts) for line in lines]
    how = "with" if overlap else "without"
    print(f"\n{MOST_MIB:,} budgets {how} overlap: {len(wrong)} wrong plans, {time.perf_counter() - started:.0f} s")
    print("\n".join(wrong[:10]))


def compare(seed: int) -> str:
    """What became of a random problem, or `different`."""
    problem = random_problem(seed)
    best = best_by_trying(problem)
    try:
        plan = solve(problem)
    except BudgetError:
        return "different" if best else "refused"
    if best is None:
        return "different"
    if abs(plan.seconds - best.seconds) > 1e-9 * best.seconds:
        return "different"
    return "in one phase" if len(plan.phases) == 1 else "split"


if __name__ == "__main__":
    main()
