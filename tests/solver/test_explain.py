from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.solver.explain import explain
from faceloom.solver.problem import Arena, Problem, StageCost
from faceloom.solver.solve import solve
from faceloom.units import MIB
from solver.brute import random_problem, smallest_budget


def stage(name: str, *needs: str, weights_bytes: int, item_bytes: int) -> StageCost:
    return StageCost(
        stage=name,
        needs=frozenset(needs),
        reads_frames=not needs,
        weights_bytes=weights_bytes,
        load_spike=0.0,
        load_s=1.0,
        fixed_bytes=0,
        item_bytes=item_bytes,
        items_per_frame=1.0,
        batch_s={1: 1.0, 2: 1.5, 4: 2.0},
    )


DETECT = stage("detect/s3fd", weights_bytes=4096 * MIB, item_bytes=64 * MIB)
ALIGN = stage("align/fan", "detect/s3fd", weights_bytes=2048 * MIB, item_bytes=128 * MIB)
HULL = replace(stage("mask/hull", "align/fan", weights_bytes=0, item_bytes=0), batch_s={1: 0.0}, load_s=0.0)


def job(budget_mib: int) -> Problem:
    return Problem(
        frames=100,
        budget_bytes=budget_mib * MIB,
        base_bytes=0,
        arena=Arena.PRIVATE,
        overlap=False,
        decode_s=0.0,
        patch_read_s=0.0,
        patch_write_s=0.0,
        switch_s=1.0,
        stages=(DETECT, ALIGN, HULL),
    )


@pytest.mark.parametrize(
    ("budget_mib", "line"),
    [
        (
            5 * 1024,
            "align/fan does not fit beside detect/s3fd: together they need 6,336 MiB at batch 1, 1,216 MiB too much",
        ),
        (
            6400,
            "align/fan would fit beside detect/s3fd, but with align/fan at batch 1 instead of 4: 74.0 s slower",
        ),
        (16 * 1024, "everything fits together: 6,912 MiB of 16.0 GiB"),
    ],
)
def test_a_line_says_why(budget_mib: int, line: str) -> None:
    assert explain(solve(job(budget_mib)), job(budget_mib)) == (line,)


def test_what_is_written_between_phases_counts_for_the_split() -> None:
    """Patches of 100 frames, which nobody reads if there is one phase."""
    written = replace(job(6400), patch_write_s=0.05)
    (line,) = explain(solve(written), written)
    assert line.endswith("with align/fan at batch 1 instead of 4: 69.0 s slower")


@given(st.builds(random_problem, st.integers(0, 2**32)))
def test_there_is_a_line_for_every_boundary(problem: Problem) -> None:
    enough = replace(problem, budget_bytes=max(problem.budget_bytes, smallest_budget(problem)))
    plan = solve(enough)
    lines = explain(plan, enough)
    assert len(lines) == max(1, len(plan.phases) - 1)
    assert not any("-" in line.replace("stage-", "") for line in lines), "no merger gains anything"
