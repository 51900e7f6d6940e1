"""What a planner of a card believes and does between chunks, with numbers in place of a card."""

from dataclasses import replace
from pathlib import Path

import pytest

from faceloom.engines.runtime import Runtime
from faceloom.faces import FrameId
from faceloom.flow import build_flow
from faceloom.job import Order, Outputs
from faceloom.memory.devices import Device
from faceloom.memory.footprints import Footprint, HostFootprint
from faceloom.memory.ram import Ram
from faceloom.solver.plan import Plan
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.supervisor import replanning as planners
from faceloom.supervisor.costs import Work
from faceloom.supervisor.replanning import Holding, Planner
from faceloom.supervisor.rooms import Room
from faceloom.targets import Target, device_budget_bytes
from faceloom.units import GIB, KIB, MIB

FLOW = build_flow(["detect/centerface", "align/facemesh", "mask/unet"])
CARD = Device(name="cuda:0", label="A card", total_bytes=8 * GIB, free_bytes=8 * GIB, uuid="GPU-1")
TARGET = Target(runtime=Runtime(device="cuda:0"), device=CARD)
ROWS = ChunkRows(number=0, frames=(), faces=(), seconds=1.0)


def footprint(*, weights: int, item: int, seconds: float) -> Footprint:
    """On a card, sizes in MiB: twice as many items take a quarter more time; on the host a hundred times as much."""
    host = Footprint(
        weights_bytes=weights * MIB,
        load_spike=1.0,
        load_s=0.05,
        fixed_bytes=0,
        item_bytes=item * MIB,
        batch_s={1: 100 * seconds},
        arena_fixed_bytes=0,
        arena_item_bytes=item * MIB,
        transient_bytes=0,
        process_bytes=100 * MIB,
        start_s=0.5,
        switch_s=0.05,
    )
    return replace(
        host,
        batch_s={2**i: seconds * 1.25**i for i in range(5)},
        process_bytes=400 * MIB,
        context_bytes=400 * MIB,
        host=HostFootprint(
            weights_bytes=weights * MIB, spike_bytes=0, fixed_bytes=0, item_bytes=MIB, process_bytes=300 * MIB
        ),
        on_host=host,
    )


FOOTPRINTS = {
    "detect/centerface": footprint(weights=80, item=300, seconds=0.02),
    "align/facemesh": footprint(weights=40, item=40, seconds=0.005),
    "mask/unet": footprint(weights=60, item=100, seconds=0.01),
}
WORK = Work(
    frames=4000,
    frame_bytes=6 * MIB,
    decoder_bytes=35 * MIB,
    reading_bytes=6 * MIB,
    faces_a_frame=1.0,
    kept_bytes_a_frame=256 * KIB,
    decode_s=0.0,
)


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Planner:
    ram = Ram(total_bytes=8 * GIB, available_bytes=6 * GIB, is_limited=False)
    monkeypatch.setattr(planners, "read_ram", lambda: ram)
    monkeypatch.setattr(planners, "LOOK_UP_EVERY_S", 0.0)
    order = Order(
        flow=FLOW,
        weights={},
        outputs=Outputs(),
        cores=2,
        footprints=tmp_path,
        targets=(TARGET,),
    )
    room = Room(budget_bytes=4 * GIB, supervisor_bytes=72 * MIB, workers=1, device="cuda:0", device_bytes=6 * GIB)
    return Planner(order, TARGET, FOOTPRINTS, WORK, room)


def batch(planner: Planner) -> int:
    return max(p.batch for phase in planner.plan().plan.phases for p in phase.placements)


def holding(free_bytes: int | None, *, others_bytes: int = 0) -> Holding:
    return Holding(run_bytes=0, others_bytes=others_bytes, device_free_bytes=free_bytes)


def test_a_card_that_others_fill_is_planned_smaller_and_larger_when_they_leave(planner: Planner) -> None:
    first = planner.plan()
    assert first.plan.peak_bytes <= 6 * GIB
    why = planner.observe(ROWS, holding=holding(2 * GIB), plan=first)
    assert why == "other programs leave 1,638 MiB of cuda:0"
    smaller = planner.plan()
    assert smaller.plan.peak_bytes <= smaller.plan.budget_bytes < 2 * GIB
    assert planner.observe(ROWS, holding=holding(2 * GIB), plan=smaller) is None
    why = planner.observe(ROWS, holding=holding(7 * GIB), plan=smaller)
    assert why
    assert "of cuda:0 are to be had now" in why
    assert batch(planner) >= max(p.batch for phase in first.plan.phases for p in phase.placements)


def test_a_card_that_nobody_can_ask_stays_as_it_was_planned(planner: Planner) -> None:
    assert planner.observe(ROWS, holding=holding(None), plan=planner.plan()) is None


def test_a_card_too_full_for_its_largest_network_leaves_that_to_the_host(planner: Planner) -> None:
    planner.observe(ROWS, holding=holding(400 * MIB + 350 * MIB + 400 * MIB), plan=planner.plan())
    placed = {p.stage: p.device for phase in planner.plan().plan.phases for p in phase.placements}
    assert placed["detect/centerface"] == "cpu"
    assert "cuda:0" in placed.values()


def test_memory_refused_on_the_card_and_on_its_host_raises_what_is_believed_there(planner: Planner) -> None:
    before = planner.plan()
    said = planner.starved("detect/centerface", 1, before.plan)
    assert said.startswith("detect/centerface is believed to need 376 MiB for 1")
    again = planner.starved("detect/centerface", 1, planner.plan().plan)
    assert again.startswith("detect/centerface is believed to need 471 MiB for 1")


def test_a_worker_that_outgrows_its_share_of_the_host_makes_for_a_smaller_one(planner: Planner) -> None:
    planned = planner.plan()
    assert planner.outgrown(planned.worker_bytes, planned) is None
    why = planner.outgrown(planned.worker_bytes + 100 * MIB, planned)
    assert why == "a worker on cuda:0 has taken 100 MiB of RAM more than planned"
    assert planner.plan().host_base_bytes == planned.host_base_bytes + 100 * MIB


def test_ram_that_other_devices_are_to_hold_is_not_counted_on(planner: Planner) -> None:
    planned = planner.plan()
    why = planner.observe(ROWS, holding=holding(8 * GIB, others_bytes=5 * GIB), plan=planned)
    assert why
    assert why.endswith("of RAM")


def test_a_budget_on_a_card_is_what_was_asked_or_free_less_a_reserve() -> None:
    asked = replace(TARGET, memory_bytes=3 * GIB)
    assert device_budget_bytes(asked, 8 * GIB) == 3 * GIB
    assert device_budget_bytes(asked, 2 * GIB) == 2 * GIB
    assert device_budget_bytes(TARGET, None) == 8 * GIB - round(0.05 * 8 * GIB)
    assert device_budget_bytes(TARGET, 100 * MIB) == 0
    assert device_budget_bytes(Target(), 8 * GIB) is None


def test_a_planner_that_has_been_given_its_share_plans_within_it(planner: Planner) -> None:
    planned = planner.plan()
    planner.give(planned.host_bytes)
    again = planner.plan()
    assert again.host_bytes <= planned.host_bytes
    assert again.plan.seconds == planned.plan.seconds
    assert planner.outgrown(planned.host_bytes + MIB, again)


def test_more_room_that_makes_nothing_faster_is_left_alone_however_much_is_done(planner: Planner) -> None:
    planned = planner.plan()
    planner.give(planned.host_bytes)
    planner.note_done(3000)
    assert planner.observe(ROWS, holding=holding(6 * GIB), plan=planned) is None


def rows(frames: int, *, times: float) -> ChunkRows:
    """Of frames that kept so many times as much as was expected."""
    found = tuple(FrameRow(id=FrameId("film.mp4", i), status=Status.DONE) for i in range(frames))
    kept_bytes = round(frames * times * WORK.kept_bytes_a_frame)
    return ChunkRows(number=0, frames=found, faces=(), seconds=1.0, kept_bytes=kept_bytes)


@pytest.mark.parametrize(
    ("frames", "times", "is_drift"),
    [(40, 1, False), (40, 1.9, False), (40, 0.6, False), (40, 3, True), (40, 0.3, True), (7, 3, False), (8, 3, True)],
)
def test_two_to_three_times_as_much_kept_as_was_expected_calls_for_another_plan(
    planner: Planner, frames: int, times: float, is_drift: bool
) -> None:
    """Where phases take turns, since what waits between them was planned for; and not before a few frames are seen."""
    crowded = replace(planner.plan(), plan=in_turns(planner.plan().plan))
    why = planner.observe(rows(frames, times=times), holding=holding(None), plan=crowded)
    assert (why is not None and "faces a frame" in why) == is_drift
    assert planner.observe(rows(0, times=0), holding=holding(None), plan=crowded) is None, "it has learnt"


def test_what_is_kept_matters_not_where_all_stages_fit_together(planner: Planner) -> None:
    together = planner.plan()
    assert len(together.plan.phases) == 1
    assert planner.observe(rows(40, times=10), holding=holding(None), plan=together) is None


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Planner:
    """A planner of up to two workers of the host, for 20 frames of one face each: one worker does them in no time."""
    ram = Ram(total_bytes=8 * GIB, available_bytes=6 * GIB, is_limited=False)
    monkeypatch.setattr(planners, "read_ram", lambda: ram)
    on_host = {name: one.on_host for name, one in FOOTPRINTS.items() if one.on_host}
    quick = {name: replace(one, batch_s={1: 0.01}) for name, one in on_host.items()}
    order = Order(flow=FLOW, weights={}, outputs=Outputs(), cores=2, footprints=tmp_path, targets=(Target(),))
    room = Room(budget_bytes=4 * GIB, supervisor_bytes=72 * MIB, workers=2)
    return Planner(order, Target(), quick, replace(WORK, frames=20), room)


def crowd(frames: int, *, faces_a_frame: int) -> ChunkRows:
    face = object()
    return replace(rows(frames, times=1), faces=(face,) * (frames * faces_a_frame))  # type: ignore[arg-type]  # counted


def test_a_crowd_in_the_first_chunk_calls_for_more_workers_where_all_stages_fit_together(on_cpu: Planner) -> None:
    planned = on_cpu.plan()
    assert (len(planned.plan.phases), planned.plan.workers) == (1, 1)
    on_cpu.note_done(1)
    why = on_cpu.observe(crowd(1, faces_a_frame=322), holding=holding(None), plan=planned)
    assert why
    assert why.startswith("322.0 faces a frame")
    again = on_cpu.plan().plan
    assert again.workers == 2
    assert again.seconds == pytest.approx(0.5 * 2 + 19 / 2 * (0.01 + 322 * 0.02), rel=0.1)
    assert on_cpu.observe(crowd(1, faces_a_frame=322), holding=holding(None), plan=on_cpu.plan()) is None


def test_more_faces_than_expected_are_learnt_without_another_plan_where_none_is_faster(on_cpu: Planner) -> None:
    planned = on_cpu.plan()
    assert on_cpu.observe(crowd(8, faces_a_frame=3), holding=holding(None), plan=planned) is None
    two_workers_s = 2 * 0.5 + 3 * 0.05 + 20 / 2 * (0.01 + 3 * 0.02)
    assert on_cpu.plan().plan.seconds == pytest.approx(two_workers_s)


def in_turns(plan: Plan) -> Plan:
    """The same as if it had two phases."""
    return replace(plan, phases=plan.phases * 2)
