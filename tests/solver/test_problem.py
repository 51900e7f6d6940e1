import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import BudgetError, RequestError
from faceloom.solver.problem import Problem
from faceloom.solver.reading import read_problem
from faceloom.solver.solve import solve
from solver.brute import random_problem
from solver.written import problem_to_json

problems = st.builds(random_problem, st.integers(0, 2**32))
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=5
)


def document() -> dict[str, Any]:
    """Of two stages; new each time."""
    stage = {
        "stage": "detect/yunet",
        "needs": [],
        "reads_frames": True,
        "weights_bytes": 1000,
        "load_spike": 1.0,
        "load_s": 0.5,
        "fixed_bytes": 100,
        "item_bytes": 10,
        "items_per_frame": 1.0,
        "batch_s": {"1": 0.02, "4": 0.06},
        "max_batch": 4,
    }
    return {
        "frames": 100,
        "budget_bytes": 5000,
        "base_bytes": 100,
        "arena": "shared",
        "overlap": False,
        "decode_s": 0.01,
        "patch_read_s": 0.001,
        "patch_write_s": 0.001,
        "switch_s": 1,
        "stages": [stage, {**stage, "stage": "align/facemesh", "needs": ["detect/yunet"]}],
    }


def places_in(value: object) -> list[tuple[str | int, ...]]:
    """The way to every value in a document, itself included."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    if isinstance(value, list):
        items = enumerate(value)
    return [(), *((key, *rest) for key, inner in items for rest in places_in(inner))]


PLACES = [place for place in places_in(document()) if place]


def changed(place: tuple[str | int, ...], value: object) -> dict[str, Any]:
    top = document()
    inner: Any = top
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return top


@given(problems)
def test_a_problem_is_read_as_it_was_written(problem: Problem) -> None:
    assert read_problem(json.dumps(problem_to_json(problem))) == problem


@given(st.sampled_from(PLACES), values)
def test_a_changed_problem_is_refused_or_planned(place: tuple[str | int, ...], value: object) -> None:
    """Nothing but the two errors is raised."""
    with contextlib.suppress(RequestError, BudgetError):
        solve(read_problem(json.dumps(changed(place, value))))


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_refused_unless_it_is_a_problem(text: str) -> None:
    with pytest.raises(RequestError):
        read_problem(text)


@pytest.mark.parametrize("field", [place for place in PLACES if place[-1] not in (0, 1, "1", "4")])
def test_a_missing_field_is_named(field: tuple[str | int, ...]) -> None:
    top = document()
    inner: Any = top
    for key in field[:-1]:
        inner = inner[key]
    del inner[field[-1]]
    with pytest.raises(RequestError, match=str(field[-1])):
        read_problem(json.dumps(top))


@pytest.mark.parametrize(
    ("place", "value", "name"),
    [
        (("frames",), -1, "frames"),
        (("frames",), 1.5, "frames"),
        (("frames",), True, "frames"),
        (("budget_bytes",), 2**63, "budget_bytes"),
        (("budget_bytes",), "2GiB", "budget_bytes"),
        (("base_bytes",), None, "base_bytes"),
        (("arena",), "both", "arena"),
        (("arena",), ["shared"], "arena"),
        (("overlap",), 1, "overlap"),
        (("decode_s",), -0.1, "decode_s"),
        (("patch_read_s",), float("nan"), "patch_read_s"),
        (("patch_write_s",), float("inf"), "patch_write_s"),
        (("switch_s",), "1", "switch_s"),
        (("stages",), [], "stages"),
        (("stages",), {}, "stages"),
        (("stages", 0), None, r"stages\[0\]"),
        (("stages", 1, "stage"), "detect/yunet", r"stages\[1\]\.stage"),
        (("stages", 1, "stage"), "", r"stages\[1\]\.stage"),
        (("stages", 1, "stage"), "a\nb", r"stages\[1\]\.stage"),
        (("stages", 1, "needs"), "detect/yunet", r"stages\[1\]\.needs"),
        (("stages", 1, "needs"), [3], r"stages\[1\]\.needs\[0\]"),
        (("stages", 1, "needs"), ["nobody"], r"stages\[1\]\.needs"),
        (("stages", 1, "needs"), ["align/facemesh"], "circle"),
        (("stages", 0, "needs"), ["align/facemesh"], "circle"),
        (("stages", 0, "reads_frames"), 0, r"stages\[0\]\.reads_frames"),
        (("stages", 0, "weights_bytes"), 0.5, r"stages\[0\]\.weights_bytes"),
        (("stages", 0, "load_spike"), -1, r"stages\[0\]\.load_spike"),
        (("stages", 0, "items_per_frame"), None, r"stages\[0\]\.items_per_frame"),
        (("stages", 0, "batch_s"), [], r"stages\[0\]\.batch_s"),
        (("stages", 0, "batch_s"), {}, r"stages\[0\]\.batch_s"),
        (("stages", 0, "batch_s"), {"0": 1}, r"stages\[0\]\.batch_s"),
        (("stages", 0, "batch_s"), {"01": 1}, r"stages\[0\]\.batch_s"),
        (("stages", 0, "batch_s"), {"one": 1}, r"stages\[0\]\.batch_s"),
        (("stages", 0, "batch_s"), {"1": -1}, r"stages\[0\]\.batch_s\.1"),
        (("stages", 0, "batch_s"), {"8": 1}, r"stages\[0\]\.batch_s"),
        (("stages", 0, "batch_s"), {"call_s": 1}, r"stages\[0\]\.batch_s"),
        (("stages", 0, "batch_s"), {"call_s": 1, "item_s": "x"}, r"stages\[0\]\.batch_s\.item_s"),
        (("stages", 0, "batch_s"), {"call_s": 1, "item_s": 1, "1": 1}, r"stages\[0\]\.batch_s"),
        (("stages", 0, "max_batch"), 0, r"stages\[0\]\.batch_s"),
        (("stages", 0, "max_batch"), "4", r"stages\[0\]\.max_batch"),
        (("more",), 1, "more"),
        (("stages", 0, "more"), 1, "more"),
    ],
)
def test_a_wrong_field_is_named(place: tuple[str | int, ...], value: object, name: str) -> None:
    with pytest.raises(RequestError, match=name) as raised:
        read_problem(json.dumps(changed(place, value)))
    assert raised.value.exit_code == 2


def test_a_field_that_stands_twice_is_named() -> None:
    text = json.dumps(document()).replace('"frames": 100', '"frames": 100, "frames": 200')
    with pytest.raises(RequestError, match="'frames' stands twice"):
        read_problem(text)


def test_a_formula_larger_than_can_be_written_out_is_refused() -> None:
    top = changed(("stages", 0, "batch_s"), {"call_s": 1, "item_s": 1})
    top["stages"][0]["max_batch"] = 2**63 - 1
    with pytest.raises(RequestError, match=r"stages\[0\]\.max_batch"):
        read_problem(json.dumps(top))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1e999", "[" * 100_000, "1" * 10_000])
def test_what_is_no_problem_is_refused(text: str) -> None:
    with pytest.raises(RequestError):
        read_problem(text)


def test_a_formula_is_a_table_up_to_the_largest_batch() -> None:
    problem = read_problem(json.dumps(changed(("stages", 0, "batch_s"), {"call_s": 0.5, "item_s": 0.25})))
    assert problem.stages[0].batch_s == {1: 0.75, 2: 1.0, 3: 1.25, 4: 1.5}


def test_batches_above_the_largest_are_not_offered() -> None:
    assert read_problem(json.dumps(changed(("stages", 0, "max_batch"), 3))).stages[0].batch_s == {1: 0.02}


def test_the_plan_as_json_names_everything() -> None:
    plan = solve(read_problem(json.dumps(document())), device="cpu").to_json()
    assert plan == {
        "budget_bytes": 5000,
        "seconds": 5.0,
        "peak_bytes": 3100,
        "chunk_frames": 100,
        "lanes": 1,
        "workers": 1,
        "phases": [
            {
                "peak_bytes": 3100,
                "seconds": 5.0,
                "stages": [
                    {"stage": "detect/yunet", "device": "cpu", "batch": 4},
                    {"stage": "align/facemesh", "device": "cpu", "batch": 4},
                ],
            }
        ],
    }
