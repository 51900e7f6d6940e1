from faceloom.solver.plan import Phase, Placement, Plan, decode_threads, one_phase


def test_a_plan_is_told_with_seconds_to_the_microsecond() -> None:
    phases = (
        Phase(placements=(Placement(stage="detect/a", device="cpu", batch=4),), peak_bytes=7, seconds=0.12345649),
        Phase(placements=(), peak_bytes=3, seconds=2 / 3),
    )
    plan = Plan(phases=phases, chunk_frames=5, lanes=2, budget_bytes=9, peak_bytes=7, seconds=0.7901234, workers=3)
    told = {
        "budget_bytes": 9,
        "seconds": 0.790123,
        "peak_bytes": 7,
        "chunk_frames": 5,
        "lanes": 2,
        "workers": 3,
        "phases": [
            {
                "peak_bytes": 7,
                "seconds": 0.123456,
                "stages": [{"stage": "detect/a", "device": "cpu", "batch": 4}],
            },
            {"peak_bytes": 3, "seconds": 0.666667, "stages": []},
        ],
    }
    assert plan.to_json() == told
    assert plan.host_bytes == 7


def test_a_plan_of_two_memories_tells_of_both() -> None:
    plan = Plan(phases=(), chunk_frames=5, lanes=2, peak_bytes=7, host_budget_bytes=20, host_peak_bytes=11)
    told = plan.to_json()
    assert (told["host_budget_bytes"], told["host_peak_bytes"], plan.host_bytes) == (20, 11, 11)


def test_all_stages_together_take_one_item_a_call_on_the_cpu() -> None:
    plan = one_phase(["detect/a", "align/b"], chunk_frames=5, lanes=2)
    placements = tuple(Placement(stage=stage, device="cpu", batch=1) for stage in ("detect/a", "align/b"))
    assert plan == Plan(phases=(Phase(placements=placements),), chunk_frames=5, lanes=2)


def test_every_second_lane_has_a_thread_that_decodes() -> None:
    assert [decode_threads(lanes) for lanes in (1, 2, 3, 4, 8)] == [1, 1, 1, 2, 4]
