"""Plans for cards of 2, 4, 8 and 24 GiB that are not there, and the networks that they are for.

Weights and bytes an item of S3FD (1024 x 576), FAN and BiSeNet are what `faceloom.memory.guess_module` answers,
those of the embedding the size of its file and a guess; so are the CPU's seconds, in nominal operations a second. The
card is taken to be 200 times as fast with 2 ms a call, and its context to hold 400 MiB. Nothing was measured on a card.

`MEASURED` has what PyTorch held of them on the CPU, and its seconds there, by `benchmarks/gpu.py --device cpu` (busy
machine, batches of 1 and 2): far less than the guesses, since it gives tensors back as it goes.
"""

import math
from dataclasses import replace

import pytest

from faceloom.errors import BudgetError
from faceloom.solver.plan import Plan
from faceloom.solver.problem import Arena, Host, HostCost, HostShare, Problem, StageCost
from faceloom.solver.solve import solve
from faceloom.units import GIB, MIB

CARDS_GIB = (2, 4, 8, 24)
BATCHES = (1, 2, 4, 8, 16)
CONTEXT_BYTES = 400 * MIB
TIMES_AS_FAST = 200
CALL_S = 0.002


def stage(
    name: str, *needs: str, weights_mib: float, item_mib: int, input_mib: float, cpu_s: float, fixed_mib: int = 0
) -> StageCost:
    weights_bytes, item_bytes = round(weights_mib * MIB), item_mib * MIB
    return StageCost(
        stage=name,
        needs=frozenset(needs),
        reads_frames=not needs,
        weights_bytes=weights_bytes,
        load_spike=0.0,
        load_s=0.1,
        fixed_bytes=fixed_mib * MIB,
        item_bytes=item_bytes,
        items_per_frame=1.0,
        batch_s={batch: CALL_S + batch * cpu_s / TIMES_AS_FAST for batch in BATCHES},
        host=HostShare(weights_bytes=weights_bytes, item_bytes=round(input_mib * MIB)),
        on_host=HostCost(
            weights_bytes=weights_bytes,
            load_spike=1.0,
            load_s=0.1,
            fixed_bytes=fixed_mib * MIB,
            item_bytes=item_bytes,
            batch_s={1: cpu_s},
        ),
    )


STAGES = (
    stage("detect/s3fd", weights_mib=85.7, item_mib=1728, input_mib=6.75, cpu_s=18.65),
    stage("align/fan", "detect/s3fd", weights_mib=91.1, item_mib=72, input_mib=0.75, cpu_s=2.53),
    stage("mask/bisenet", "align/fan", weights_mib=50.8, item_mib=192, input_mib=3.0, cpu_s=1.34),
    stage("identify/fr_feature", "align/fan", weights_mib=4.7, item_mib=12, input_mib=0.2, cpu_s=0.001),
)


MEASURED = (
    stage("detect/s3fd", weights_mib=91, fixed_mib=105, item_mib=284, input_mib=6.75, cpu_s=17.19),
    stage("align/fan", "detect/s3fd", weights_mib=98, fixed_mib=9, item_mib=61, input_mib=0.75, cpu_s=0.458),
    stage("mask/bisenet", "align/fan", weights_mib=53, fixed_mib=86, item_mib=37, input_mib=3.0, cpu_s=0.321),
    stage("identify/fr_feature", "align/fan", weights_mib=5, item_mib=21, input_mib=0.2, cpu_s=0.173),
)


def job(card_gib: float, *, ram_gib: int = 4, stages: tuple[StageCost, ...] = STAGES) -> Problem:
    return Problem(
        frames=2000,
        budget_bytes=round(card_gib * GIB),
        base_bytes=CONTEXT_BYTES,
        arena=Arena.SHARED,
        overlap=False,
        decode_s=0.0,
        patch_read_s=0.0,
        patch_write_s=0.0,
        switch_s=0.1,
        stages=stages,
        host=Host(budget_bytes=ram_gib * GIB, base_bytes=300 * MIB),
    )


def plan(card_gib: int, *, ram_gib: int = 4) -> Plan:
    return solve(job(card_gib, ram_gib=ram_gib), device="cuda:0")


def on_the_card(made: Plan) -> set[str]:
    return {p.stage for phase in made.phases for p in phase.placements if p.device == "cuda:0"}


@pytest.mark.parametrize("ram_gib", [3, 4, 16])
def test_plans_keep_both_ceilings_and_a_larger_card_is_never_slower(ram_gib: int) -> None:
    seconds = math.inf
    for card_gib in CARDS_GIB:
        made = plan(card_gib, ram_gib=ram_gib)
        assert made.peak_bytes <= card_gib * GIB
        assert made.host_peak_bytes <= ram_gib * GIB
        assert made.seconds <= seconds
        seconds = made.seconds


def test_a_detector_that_is_too_large_for_the_card_runs_on_the_host_and_the_others_on_the_card() -> None:
    assert on_the_card(plan(2)) == {"align/fan", "mask/bisenet", "identify/fr_feature"}
    assert on_the_card(plan(4)) == {one.stage for one in STAGES}


def test_an_embedding_that_is_called_face_by_face_stays_on_the_host_which_is_faster_than_a_call() -> None:
    *others, embedding = STAGES
    single = replace(embedding, batch_s={1: embedding.batch_s[1]})
    problem = replace(job(8), stages=(*others, single))
    assert on_the_card(solve(problem, device="cuda:0")) == {one.stage for one in others}


def test_a_larger_card_takes_larger_batches() -> None:
    batches = {
        card_gib: next(p.batch for phase in plan(card_gib).phases for p in phase.placements if p.stage == "detect/s3fd")
        for card_gib in (4, 8, 24)
    }
    assert batches == {4: 2, 8: 4, 24: 8}


def test_where_neither_the_card_nor_the_host_has_room_the_detector_is_named_with_both_needs() -> None:
    with pytest.raises(BudgetError, match=r"2,214 MiB of cuda:0.*on the host instead 2,114 MiB") as refusal:
        plan(2, ram_gib=2)
    assert refusal.value.stage == "detect/s3fd"


def test_a_host_that_may_not_compute_leaves_everything_to_the_card() -> None:
    problem = replace(job(4), stages=tuple(replace(one, on_host=None) for one in STAGES))
    assert len(on_the_card(solve(problem, device="cuda:0"))) == len(STAGES)


def test_with_what_was_measured_a_card_of_2_gib_has_room_for_all_and_larger_ones_take_larger_batches() -> None:
    plans = [solve(job(card_gib, stages=MEASURED), device="cuda:0") for card_gib in CARDS_GIB]
    for made, card_gib in zip(plans, CARDS_GIB, strict=True):
        assert made.peak_bytes <= card_gib * GIB
        assert made.host_peak_bytes <= 4 * GIB
        assert on_the_card(made) == {one.stage for one in MEASURED}
        assert len(made.phases) == 1, "nothing is gained by taking turns"
    batches = [next(p.batch for p in made.phases[0].placements if p.stage == "detect/s3fd") for made in plans]
    assert batches == [4, 8, 16, 16]
    assert [made.seconds for made in plans] == sorted((made.seconds for made in plans), reverse=True)


def test_with_what_was_measured_the_detector_leaves_a_card_on_which_it_does_not_fit() -> None:
    made = solve(job(0.8, stages=MEASURED), device="cuda:0")
    assert on_the_card(made) == {one.stage for one in MEASURED[1:]}
    assert on_the_card(solve(job(0.9, stages=MEASURED), device="cuda:0")) == {one.stage for one in MEASURED}
