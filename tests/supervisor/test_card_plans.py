"""Plans for a card: how many lanes feed it, what they hold of the host's memory, and the seconds of both together."""

from dataclasses import replace

import pytest

from faceloom.errors import BudgetError
from faceloom.flow import build_flow
from faceloom.memory.footprints import Footprint, HostFootprint, card_base_bytes
from faceloom.solver.plan import Phase, Placement, Plan
from faceloom.supervisor.costs import WAITING_LANES, Work, at_work, in_flight_bytes, stage_costs
from faceloom.supervisor.planning import Planned, make_plan
from faceloom.supervisor.rooms import Room
from faceloom.units import GIB, KIB, MIB

FLOW = build_flow(["detect/yunet", "align/facemesh"])
CONTEXT, KERNELS = 300 * MIB, (20 * MIB, 30 * MIB)
LANES = 4


def footprint(*, kernels_bytes: int, device_s: float, host_s: float, host_item_mib: int) -> Footprint:
    return Footprint(
        weights_bytes=MIB,
        load_spike=0.0,
        load_s=0.0,
        fixed_bytes=0,
        item_bytes=30 * MIB,
        batch_s={1: device_s, 2: 1.9 * device_s},
        arena_fixed_bytes=0,
        arena_item_bytes=30 * MIB,
        transient_bytes=0,
        process_bytes=CONTEXT + kernels_bytes,
        context_bytes=CONTEXT,
        start_s=0.0,
        switch_s=0.0,
        host=HostFootprint(
            weights_bytes=0,
            spike_bytes=0,
            fixed_bytes=0,
            item_bytes=host_item_mib * MIB,
            process_bytes=500 * MIB,
            item_s=host_s,
        ),
    )


FOOTPRINTS = {
    "detect/yunet": footprint(kernels_bytes=KERNELS[0], device_s=0.020, host_s=0.010, host_item_mib=12),
    "align/facemesh": footprint(kernels_bytes=KERNELS[1], device_s=0.002, host_s=0.004, host_item_mib=1),
}
WORK = Work(
    frames=1000,
    frame_bytes=6 * MIB,
    decoder_bytes=30 * MIB,
    reading_bytes=8 * MIB,
    faces_a_frame=1.0,
    kept_bytes_a_frame=300 * KIB,
    decode_s=0.008,
)


def plan(*, ram: int = 4 * GIB, lanes: int = LANES, work: Work = WORK, device: int = 2 * GIB) -> Planned:
    room = Room(
        budget_bytes=ram, supervisor_bytes=72 * MIB, workers=1, device="cuda:0", device_bytes=device, lanes=lanes
    )
    return make_plan(FLOW, FOOTPRINTS, work, room)


def test_a_card_is_fed_by_all_lanes_where_there_is_room() -> None:
    assert plan().plan.lanes == LANES


def test_seconds_are_those_of_the_card_where_its_host_keeps_up() -> None:
    (phase,) = plan().plan.phases
    assert phase.seconds == pytest.approx(1000 * (1.9 * 0.020 / 2 + 1.9 * 0.002 / 2))


def test_seconds_are_those_of_the_host_where_it_is_slower() -> None:
    (phase,) = plan(work=replace(WORK, decode_s=0.1)).plan.phases
    assert phase.seconds == pytest.approx(1000 * (0.1 + 0.010 + 0.004) / at_work(LANES))


def test_one_lane_does_one_thing_after_the_other() -> None:
    (phase,) = plan(lanes=1).plan.phases
    assert phase.seconds == pytest.approx(1000 * (1.9 * 0.020 / 2 + 1.9 * 0.002 / 2 + 0.008 + 0.010 + 0.004))


def test_every_lane_has_its_batch_its_frames_and_its_moment_in_the_hosts_memory() -> None:
    one, all_of_them = (plan(lanes=lanes).plan for lanes in (1, LANES))
    batch = next(p.batch for p in all_of_them.phases[0].placements if p.stage == "detect/yunet")
    a_lane = batch * (12 + 6) * MIB + 8 * MIB
    assert one.phases[0].placements == all_of_them.phases[0].placements
    more = (all_of_them.host_peak_bytes - one.host_peak_bytes) - (LANES - 1) * a_lane
    assert more == (4 + 6) * MIB, "the rows of a second chunk, and a frame of the decoder's second thread"


@pytest.mark.parametrize("lanes", [2, LANES])
@pytest.mark.parametrize("detects", [1, 4])
@pytest.mark.parametrize("aligns", [1, 16])
def test_no_more_photos_are_in_flight_than_the_plan_has_room_for(aligns: int, detects: int, lanes: int) -> None:
    work = replace(WORK, frame_bytes=36 * MIB)
    batches = {"detect/yunet": detects, "align/facemesh": aligns}
    placements = tuple(Placement(stage=stage, device="cuda:0", batch=batch) for stage, batch in batches.items())
    plan = Plan(phases=(Phase(placements=placements, peak_bytes=0, seconds=0.0),), chunk_frames=16, lanes=lanes)

    def planned(frame_bytes: int) -> int:
        detector, _ = stage_costs(FLOW, FOOTPRINTS, replace(work, frame_bytes=frame_bytes), lanes=lanes)
        return detector.host.item_bytes * detects

    assert in_flight_bytes(plan, FLOW, work.frame_bytes) <= planned(work.frame_bytes) - planned(0)


def test_little_ram_leaves_fewer_lanes_and_no_plan_is_above_it() -> None:
    seen: set[tuple[int, float]] = set()
    for ram in range(600 * MIB, 1000 * MIB, 8 * MIB):
        try:
            found = plan(ram=ram).plan
        except BudgetError:
            assert not seen, "more memory is never too little"
            continue
        assert found.host_peak_bytes <= ram
        assert found.seconds <= min((seconds for _, seconds in seen), default=float("inf"))
        seen.add((found.lanes, found.seconds))
    assert {lanes for lanes, _ in seen} == set(range(1, LANES + 1))


def test_the_base_is_one_context_and_the_kernels_of_every_network() -> None:
    assert card_base_bytes(FOOTPRINTS.values()) == CONTEXT + sum(KERNELS)
    assert plan().problem.base_bytes == CONTEXT + sum(KERNELS)


def test_lanes_that_wait_for_the_card_do_no_work_of_the_hosts() -> None:
    assert [at_work(lanes) for lanes in (1, WAITING_LANES, WAITING_LANES + 1, WAITING_LANES + 8)] == [1, 1, 1, 8]
