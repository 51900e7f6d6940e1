from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import BudgetError, RequestError
from faceloom.options.calls import OrderOptions
from faceloom.options.declared import filled
from faceloom.orders.wishes import wishes_for_flow
from faceloom.solver.wishes import FREE, Wishes
from faceloom.supervisor.costs import Work
from faceloom.supervisor.planning import Planned, make_plan
from faceloom.units import GIB, MIB
from supervisor.test_planning import FLOW, FOOTPRINTS, WORK, room, works

DETECT, ALIGN, MASK = "detect/centerface", "align/facemesh", "mask/unet"


def asked(**options: Any) -> Wishes:
    return wishes_for_flow(filled(OrderOptions, options), FLOW)


def sets_of(made: Planned) -> list[set[str]]:
    return [{placement.stage for placement in phase.placements} for phase in made.plan.phases]


def batches_of(made: Planned) -> dict[str, int]:
    return {placement.stage: placement.batch for phase in made.plan.phases for placement in phase.placements}


def wished(wishes: Wishes, budget_bytes: int = 4 * GIB, work: Work = WORK) -> Planned:
    return make_plan(FLOW, FOOTPRINTS, work, room(budget_bytes), wishes=wishes)


def needed(wishes: Wishes, work: Work = WORK) -> int:
    with pytest.raises(BudgetError) as refusal:
        wished(wishes, 1, work)
    return refusal.value.needed_bytes


@pytest.mark.parametrize(
    ("options", "laid"),
    [
        ({"passes": "together"}, [{DETECT, ALIGN, MASK}]),
        ({"passes": "separate"}, [{DETECT}, {ALIGN}, {MASK}]),
        ({"pass_": ["detect", "align,mask"]}, [{DETECT}, {ALIGN, MASK}]),
        ({"pass_": [f"{DETECT}, align/facemesh", MASK]}, [{DETECT, ALIGN}, {MASK}]),
        ({"pass_": ["detect,align,mask", "mask/extended"]}, [{DETECT, ALIGN, MASK}]),
    ],
)
def test_passes_are_laid_as_wished_and_the_budget_that_a_refusal_names_does(
    options: dict[str, Any], laid: list[set[str]]
) -> None:
    wishes = asked(**options)
    assert sets_of(wished(wishes)) == laid
    least = needed(wishes)
    assert sets_of(wished(wishes, least)) == laid
    with pytest.raises(BudgetError):
        wished(wishes, least - 1)


@given(works, st.integers(100 * MIB, 4 * GIB), st.sampled_from(["together", "separate"]))
def test_a_wish_is_never_faster_and_never_needs_less(work: Work, budget_bytes: int, passes: str) -> None:
    wishes = asked(passes=passes)
    assert needed(wishes, work) >= needed(FREE, work)
    try:
        held = wished(wishes, budget_bytes, work)
    except BudgetError:
        assert needed(wishes, work) > budget_bytes
        return
    assert held.plan.peak_bytes <= budget_bytes
    assert held.plan.seconds >= wished(FREE, budget_bytes, work).plan.seconds - 1e-6


def test_a_refusal_says_what_would_do_without_the_wish() -> None:
    least = needed(FREE)
    with pytest.raises(BudgetError, match=f"{-(-least // MIB) + 1} MiB without that wish"):
        wished(asked(passes="together"), least)
    with pytest.raises(BudgetError, match="16 items at a time"):
        wished(asked(batch={"mask": "16!"}), least)


def test_batches_are_capped_or_forced_and_a_stage_counts_more_than_its_kind() -> None:
    assert batches_of(wished(FREE))[ALIGN] == 8
    assert batches_of(wished(asked(batch={"align": 3})))[ALIGN] == 2
    made = wished(asked(batch={"align/facemesh": "3!", "align": 1, "detect": "2!"}))
    assert batches_of(made) == {DETECT: 2, ALIGN: 3, MASK: 1}
    one, two = (needed(asked(batch={"detect": f"{batch}!"})) for batch in (2, 3))
    assert two - one == 100 * MIB + WORK.frame_bytes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch": {"mask/bisenet": 2}}, "no stage 'mask/bisenet'"),
        ({"batch": {"mask/extended": 2}}, "runs no network"),
        ({"batch": {"align": 0}}, "whole number"),
        ({"batch": {"align": "2!!"}}, "whole number"),
        ({"batch": {"align": 2.5}}, "whole number"),
        ({"pass_": ["detect,align"]}, "mask/unet is in no pass"),
        ({"pass_": ["detect", "align,mask", "mask"]}, "passes 2, 3"),
        ({"pass_": ["align", "detect,mask"]}, "comes later"),
        ({"pass_": ["detect", "align,mask"], "passes": "separate"}, "one of the two"),
        ({"passes": "apart"}, "no passes 'apart'"),
    ],
)
def test_a_wish_that_nothing_can_fulfil_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        asked(**options)


def test_what_is_too_large_is_tried_alone_and_within_the_budget() -> None:
    least = needed(FREE)
    made = wished(asked(try_anyway=True), least - MIB)
    assert made.tried_anyway == {DETECT: least}
    assert {DETECT} in sets_of(made)
    assert batches_of(made)[DETECT] == 1
    assert made.plan.workers == 1
    assert made.plan.peak_bytes <= least - MIB
    assert not wished(asked(try_anyway=True), least).tried_anyway
    with pytest.raises(BudgetError):  # what is held whatever runs is no stage's
        wished(asked(try_anyway=True), 100 * MIB)


def test_wishes_for_stages_that_a_run_has_not_are_left_out_of_its_plan() -> None:
    wishes = asked(passes="separate", batch={"mask": "4!"})
    flow = FLOW.part([DETECT, ALIGN])
    made = make_plan(flow, FOOTPRINTS, replace(WORK, frames=9), room(4 * GIB), wishes=wishes)
    assert sets_of(made) == [{DETECT}, {ALIGN}]
