"""Wishes for a problem given as numbers, as the command line shows them."""

import json
from pathlib import Path
from typing import Any

import pytest

from faceloom.cli.main import main
from faceloom.cli.plan_tables import wish_table, wishes_to_json
from faceloom.errors import BudgetError
from faceloom.solver.plan import Plan, one_phase
from faceloom.solver.problem import Problem
from faceloom.supervisor.forecast import WishCost
from faceloom.supervisor.planning import Planned
from solver.test_explain import job
from solver.written import problem_to_json


@pytest.fixture
def problem(tmp_path: Path) -> Path:
    path = tmp_path / "problem.json"
    path.write_text(json.dumps(problem_to_json(job(16 * 1024))))
    return path


def planned(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["plan", "--json", *arguments]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_a_problem_is_planned_as_wished(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = ["--problem", str(problem)]
    free = planned(capsys, *told)
    assert [len(phase["stages"]) for phase in free["phases"]] == [3]
    apart = planned(capsys, *told, "--pass", "detect", "--pass", "align,mask", "--batch", "align=2!")
    assert [[one["stage"] for one in phase["stages"]] for phase in apart["phases"]] == [
        ["detect/s3fd"],
        ["align/fan", "mask/hull"],
    ]
    assert apart["phases"][1]["stages"][0]["batch"] == 2
    assert apart["seconds"] > free["seconds"]
    assert main(["plan", *told, "--passes", "separate"]) == 0
    assert "apart as wished" in capsys.readouterr().out


def test_a_wish_that_does_not_fit_says_what_it_needs(problem: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = planned(capsys, "--problem", str(problem), "--passes", "together", "--what-if", str(5 * 1024**3))
    (refused,) = answer["plans"]
    assert refused["needed_bytes"] > 5 * 1024**3
    assert "together" in refused["error"]


def test_what_wishes_cost_stands_in_a_table_and_in_json() -> None:
    def cost(wish: str, seconds: float) -> WishCost:
        plan = Plan(phases=one_phase(["a"], chunk_frames=1, lanes=1).phases, chunk_frames=1, lanes=1, seconds=seconds)
        problem: Problem = job(1)
        return WishCost(wish=wish, planned=Planned(plan=plan, share=plan, problem=problem, worker_bytes=0))

    refused = WishCost(wish="--passes together", planned=BudgetError("too much", needed_bytes=7))
    costs = [cost("", 10.0), cost("--batch mask=4!", 12.5), refused]
    head, free, batch, together = wish_table(costs).splitlines()
    assert head.split() == ["wish", "passes", "workers", "peak", "MiB", "seconds", "more"]
    assert free.split() == ["none", "1", "1", "0", "10.0"]
    assert batch.split() == ["--batch", "mask=4!", "1", "1", "0", "12.5", "+2.5"]
    assert together.split() == ["--passes", "together", "too", "much"]
    assert [one.get("seconds", one.get("needed_bytes")) for one in wishes_to_json(costs)] == [10.0, 12.5, 7]
