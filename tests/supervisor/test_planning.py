from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.errors import BudgetError
from faceloom.flow import Flow, build_flow
from faceloom.geometry.chips import COPIED_BYTES
from faceloom.memory.footprints import Footprint
from faceloom.supervisor.costs import Work
from faceloom.supervisor.planning import KEEP_BYTES, Planned, frugal_plan, make_plan
from faceloom.supervisor.rooms import Room
from faceloom.units import GIB, KIB, MIB

FLOW = build_flow(["detect/centerface", "align/facemesh", "mask/unet", "mask/extended"])
SUPERVISOR_BYTES = 72 * MIB


def footprint(*, weights: int, item: int, seconds: float, batches: int = 1) -> Footprint:
    """Sizes in MiB; a batch of n takes a tenth less for each item than n of one."""
    return Footprint(
        weights_bytes=weights * MIB,
        load_spike=1.0,
        load_s=0.05,
        fixed_bytes=MIB,
        item_bytes=item * MIB,
        batch_s={2**i: seconds * 2**i * 0.9**i for i in range(batches)},
        arena_fixed_bytes=MIB,
        arena_item_bytes=item * MIB,
        transient_bytes=0,
        process_bytes=109 * MIB,
        start_s=0.5,
        switch_s=0.05,
    )


FOOTPRINTS = {
    "detect/centerface": footprint(weights=8, item=100, seconds=0.1),
    "align/facemesh": footprint(weights=40, item=3, seconds=0.003, batches=4),
    "mask/unet": footprint(weights=60, item=50, seconds=0.03),
}
WORK = Work(
    frames=2000,
    frame_bytes=6 * MIB,
    decoder_bytes=35 * MIB,
    reading_bytes=6 * MIB,
    faces_a_frame=1.5,
    kept_bytes_a_frame=300 * KIB,
    decode_s=0.0,
)


def room(budget_bytes: int, *, workers: int = 2) -> Room:
    return Room(budget_bytes=budget_bytes, supervisor_bytes=SUPERVISOR_BYTES, workers=workers)


def plan(budget_bytes: int, work: Work = WORK, *, flow: Flow = FLOW) -> Planned | None:
    try:
        return make_plan(flow, FOOTPRINTS, work, room(budget_bytes))
    except BudgetError:
        return None


works = st.builds(
    replace,
    st.just(WORK),
    frames=st.integers(1, 100_000),
    frame_bytes=st.integers(1, 100 * MIB),
    heap_frame_bytes=st.integers(0, 8 * MIB),
    decoder_bytes=st.integers(0, 100 * MIB),
    reading_bytes=st.integers(0, 100 * MIB),
    faces_a_frame=st.floats(0.01, 100),
    kept_bytes_a_frame=st.floats(1, 64 * MIB),
)


@given(works, st.integers(1, 4 * GIB))
def test_a_plan_keeps_the_budget_and_has_every_network_once(work: Work, budget_bytes: int) -> None:
    made = plan(budget_bytes, work)
    if made is None:
        return
    assert max(phase.peak_bytes for phase in made.plan.phases) == made.plan.peak_bytes <= budget_bytes
    names = [placement.stage for phase in made.plan.phases for placement in phase.placements]
    assert sorted(names) == sorted(FOOTPRINTS)
    assert 1 <= made.plan.workers <= 2
    assert made.worker_bytes * made.plan.workers <= budget_bytes - SUPERVISOR_BYTES


@given(works, st.integers(0, 64 * MIB), st.integers(100 * MIB, 2 * GIB))
def test_a_run_without_videos_spares_what_reads_them(work: Work, video_bytes: int, budget_bytes: int) -> None:
    work = replace(work, heap_frame_bytes=0)  # heaps that keep what is freed keep more beside decoders
    told = {name: replace(one, video_bytes=video_bytes) for name, one in FOOTPRINTS.items()}
    less = {name: replace(one, process_bytes=one.process_bytes - video_bytes) for name, one in FOOTPRINTS.items()}

    def made(footprints: dict[str, Footprint], *, has_videos: bool) -> Planned | int | None:
        try:
            return make_plan(FLOW, footprints, replace(work, has_videos=has_videos), room(budget_bytes))
        except BudgetError as error:
            return error.needed_bytes

    assert made(told, has_videos=True) == made(FOOTPRINTS, has_videos=True)
    without, wanted = made(told, has_videos=False), made(less, has_videos=True)
    if isinstance(without, Planned) and isinstance(wanted, Planned):
        assert without.plan == wanted.plan
    else:
        assert without == wanted


def test_a_heap_keeps_more_beside_a_decoder() -> None:
    made = [
        make_plan(FLOW, FOOTPRINTS, replace(WORK, has_videos=has, heap_frame_bytes=6 * MIB), room(2 * GIB))
        for has in (False, True)
    ]
    assert [planned.loose_heap_bytes for planned in made] == [11 * MIB, 16 * MIB]
    assert [planned.trim_above_bytes - planned.share.peak_bytes for planned in made] == [5 * MIB, 10 * MIB]


@given(works, st.integers(100 * MIB, 2 * GIB), st.integers(0, 2 * GIB))
def test_more_memory_never_makes_a_slower_plan(work: Work, budget_bytes: int, more: int) -> None:
    less, larger = plan(budget_bytes, work), plan(budget_bytes + more, work)
    if less is not None:
        assert larger is not None
        assert larger.plan.seconds <= less.plan.seconds + 1e-6


@given(works)
def test_the_budget_that_a_refusal_names_does_and_one_byte_less_does_not(work: Work) -> None:
    with pytest.raises(BudgetError) as refusal:
        make_plan(FLOW, FOOTPRINTS, work, room(1))
    needed = refusal.value.needed_bytes
    assert plan(needed, work) is not None
    assert plan(needed - 1, work) is None
    assert refusal.value.stage in FOOTPRINTS


def test_with_little_memory_networks_take_turns_and_with_much_workers_go_side_by_side() -> None:
    with pytest.raises(BudgetError) as refusal:
        make_plan(FLOW, FOOTPRINTS, WORK, room(1))
    plans = [plan(round(refusal.value.needed_bytes * times)) for times in (1, 1.25, 2.5)]
    shapes = [(len(made.plan.phases), made.plan.workers) for made in plans if made]
    assert shapes == [(3, 1), (2, 1), (1, 2)]
    seconds = [made.plan.seconds for made in plans if made]
    assert seconds == sorted(seconds, reverse=True)


def test_no_more_workers_than_frames() -> None:
    made = plan(4 * GIB, replace(WORK, frames=1))
    assert made is not None
    assert made.plan.workers == 1


@given(works, st.integers(1, 2 * GIB))
def test_the_frugal_plan_takes_one_stage_and_one_item_at_a_time(work: Work, budget_bytes: int) -> None:
    made = frugal_plan(FLOW, FOOTPRINTS, work, room(budget_bytes)).plan
    placements = [placement for phase in made.phases for placement in phase.placements]
    assert [placement.stage for placement in placements] == ["detect/centerface", "align/facemesh", "mask/unet"]
    assert {placement.batch for placement in placements} == {1}
    assert (len(made.phases), made.workers) == (3, 1)


def test_boxes_alone_need_one_phase() -> None:
    made = plan(GIB, flow=build_flow(["detect/centerface"]))
    assert made is not None
    assert len(made.plan.phases) == 1


@given(works, st.integers(100 * MIB, 4 * GIB))
def test_a_heap_is_loose_only_where_a_worker_has_room_for_it_and_costs_no_worker_or_batch(
    work: Work, budget_bytes: int
) -> None:
    made = plan(budget_bytes, work)
    if made is None:
        return
    tight = made.plan.peak_bytes - made.plan.workers * made.loose_heap_bytes
    assert tight == SUPERVISOR_BYTES + made.plan.workers * made.share.peak_bytes
    assert made.share.peak_bytes + made.loose_heap_bytes <= made.worker_bytes
    if made.loose_heap_bytes:
        assert made.share.peak_bytes < made.trim_above_bytes
        assert made.trim_above_bytes + work.heap_frame_bytes <= made.share.peak_bytes + made.loose_heap_bytes


def test_a_heap_keeps_hardly_more_than_a_frame_takes_where_frames_are_too_large_to_be_kept() -> None:
    made = [plan(4 * GIB, replace(WORK, frame_bytes=24 * MIB, has_videos=has)) for has in (False, True)]
    assert [planned and planned.loose_heap_bytes for planned in made] == [2 * MIB, 2 * MIB]
    assert [planned and planned.trim_above_bytes - planned.share.peak_bytes for planned in made] == [2 * MIB, 2 * MIB]


@given(works, st.integers(100 * MIB, 2 * GIB))
def test_between_phases_there_is_room_for_the_patches_of_one_frame_more(work: Work, budget_bytes: int) -> None:
    made = plan(budget_bytes, work)
    if made is not None and len(made.plan.phases) > 1:
        kept = made.plan.keep_bytes + min(COPIED_BYTES, work.frame_bytes)
        assert made.problem.base_bytes >= FOOTPRINTS["mask/unet"].process_bytes + work.decoder_bytes + kept


def test_one_frame_alone_needs_less_than_the_last_of_many() -> None:
    (last, alone) = (plan(GIB, replace(WORK, frames=1, is_one_frame=is_one)) for is_one in (False, True))
    assert last is not None
    assert alone is not None
    assert alone.plan.peak_bytes < last.plan.peak_bytes


def arena(*, fixed: int, outside: int) -> Footprint:
    """Sizes in MiB: what lies in the arena, and outside of it."""
    return replace(
        footprint(weights=1, item=0, seconds=0.01),
        fixed_bytes=(fixed + outside) * MIB,
        arena_fixed_bytes=fixed * MIB,
        arena_item_bytes=0,
        load_spike=0.0,
    )


def test_what_an_arena_reserves_for_one_stage_is_held_while_another_one_needs_room_outside_of_it() -> None:
    footprints = {"detect/centerface": arena(fixed=10, outside=60), "align/facemesh": arena(fixed=50, outside=1)}
    flow = build_flow(["detect/centerface", "align/facemesh"])

    def made(budget_bytes: int) -> Planned:
        return make_plan(flow, footprints, replace(WORK, frame_bytes=0, reading_bytes=0), room(budget_bytes))

    together = made(GIB)
    assert len(together.plan.phases) == 1
    weights, largest, outside = 2 * MIB, 50 * MIB, 60 * MIB
    assert together.share.peak_bytes == together.problem.base_bytes + weights + largest + outside
    with pytest.raises(BudgetError) as refused:
        made(MIB)
    assert refused.value.needed_bytes is not None
    enough = made(refused.value.needed_bytes)
    assert enough.plan.peak_bytes <= refused.value.needed_bytes
    with pytest.raises(BudgetError):
        made(refused.value.needed_bytes - 1)
    less = made(together.share.peak_bytes + SUPERVISOR_BYTES - 1)
    assert len(less.plan.phases) == 2


def test_of_two_plans_as_fast_the_one_that_needs_less_memory_is_made() -> None:
    """One worker with large batches, or two with small ones, whose second start takes as long as they save."""
    detector = replace(FOOTPRINTS["detect/centerface"], load_s=0.0, batch_s={1: 0.1, 8: 0.72}, start_s=3.2)
    flow, work = build_flow(["detect/centerface"]), replace(WORK, frames=80)

    def made(*, workers: int, budget_bytes: int = 2 * GIB) -> Planned:
        return make_plan(flow, {"detect/centerface": detector}, work, room(budget_bytes, workers=workers))

    large = made(workers=1)
    enough = large.share.peak_bytes + SUPERVISOR_BYTES
    small = made(workers=2, budget_bytes=enough)
    assert [p.batch for phase in large.plan.phases for p in phase.placements] == [8]
    assert (small.plan.workers, round(small.plan.seconds, 6)) == (2, round(large.plan.seconds, 6))
    assert small.share.peak_bytes * 2 < large.share.peak_bytes


@given(works, st.integers(200 * MIB, GIB))
def test_patches_have_room_for_somewhat_more_than_is_expected_of_a_chunk(work: Work, budget_bytes: int) -> None:
    """A chunk that keeps a tenth more is not cut short, unless its frames were counted by that room, or are all."""
    made = plan(budget_bytes, work)
    if made is None or len(made.plan.phases) == 1:
        return
    expected_bytes = made.plan.chunk_frames * work.kept_bytes_a_frame
    filled = (made.plan.chunk_frames + 1) * work.kept_bytes_a_frame > made.plan.keep_bytes
    is_all = made.plan.chunk_frames == -(-work.frames // made.plan.workers) and made.plan.keep_bytes in KEEP_BYTES
    assert made.plan.keep_bytes >= 1.1 * expected_bytes or filled or (is_all and made.plan.keep_bytes >= expected_bytes)
    assert made.plan.keep_bytes <= max(KEEP_BYTES[0], 1.5 * expected_bytes) or filled


def test_a_chunk_of_all_frames_has_room_for_somewhat_more_patches_than_are_expected() -> None:
    work = replace(WORK, frames=40, kept_bytes_a_frame=MIB // 2)
    with pytest.raises(BudgetError) as refusal:
        make_plan(FLOW, FOOTPRINTS, work, room(1))
    made = plan(refusal.value.needed_bytes + 32 * MIB, work)
    assert made is not None
    assert (len(made.plan.phases), made.plan.chunk_frames) == (3, 40)
    assert 22 * MIB <= made.plan.keep_bytes <= 28 * MIB  # 20 are expected
