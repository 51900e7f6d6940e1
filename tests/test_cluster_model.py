"""The simulation of `benchmarks/cluster.py`: bounds that hold whatever things cost, and cases that arithmetic tells."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
from cluster_model import CHUNK_FRAMES, Costs, Network, largest_shard, merge_s, one_driver, shards

del sys.path[-1]  # folders of tests are called as benchmarks are

FREE = Costs(
    frame_s=(0.03,),
    chunk_driver_s=0.0,
    frame_driver_s=0.0,
    report_driver_s=0.0,
    name_s=0.0,
    source_s=0.0,
    start_s=0.0,
    merge_source_s=0.001,
    request_bytes=0.0,
    answer_bytes=0.0,
)


@given(
    frames=st.integers(1, 5000),
    workers=st.integers(1, 64),
    frame_s=st.floats(0.001, 1.0),
    driver_s=st.floats(0.0, 0.01),
    seed=st.integers(0, 5),
)
def test_no_job_ends_before_its_work_can_be_done(
    frames: int, workers: int, frame_s: float, driver_s: float, seed: int
) -> None:
    costs = replace(FREE, frame_s=(frame_s, 2 * frame_s), chunk_driver_s=0.001, frame_driver_s=driver_s, start_s=1.0)
    outcome = one_driver(costs, frames, workers=workers, seed=seed, network=Network())
    least = max(frames * frame_s / workers, frames * driver_s)
    most = 1.0 + frames * (2 * frame_s + driver_s + 0.001) + 1.0
    assert 1.0 + least <= outcome.seconds * (1 + 1e-9)
    assert outcome.seconds <= most
    assert 0 < outcome.workers_busy <= 1 + 1e-9
    assert outcome.driver_busy <= 1 + 1e-9


def test_a_worker_whose_driver_takes_no_time_takes_the_time_of_its_frames() -> None:
    assert one_driver(FREE, 1000, workers=1).seconds == pytest.approx(30.0)


@pytest.mark.parametrize("workers", [2, 10, 50])
def test_workers_end_within_a_chunk_of_each_other(workers: int) -> None:
    outcome = one_driver(FREE, 100_000, workers=workers)
    assert 3000 / workers <= outcome.seconds <= 3000 / workers + CHUNK_FRAMES * 0.03


def test_more_workers_than_a_driver_has_work_for_change_nothing() -> None:
    costs = replace(FREE, frame_driver_s=0.001)
    few, many = (one_driver(costs, 100_000, workers=workers) for workers in (60, 600))
    assert few.seconds == pytest.approx(100, rel=0.1)
    assert many.seconds == pytest.approx(100, rel=0.1)
    assert many.driver_busy > 0.95
    assert many.workers_busy < 0.1


def test_a_driver_on_the_core_of_its_worker_adds_its_time() -> None:
    costs = replace(FREE, frame_driver_s=0.01)
    assert one_driver(costs, 1000, workers=1, one_core=True).seconds == pytest.approx(40, rel=0.02)


def test_shards_take_the_time_of_the_largest_and_look_at_all_names() -> None:
    costs = replace(FREE, name_s=0.001)
    assert shards(costs, 1000, drivers=2, workers=1, size=600).seconds == pytest.approx(18 + 0.4)
    assert shards(FREE, 1000, drivers=1, workers=1).seconds == one_driver(FREE, 1000, workers=1).seconds
    assert merge_s(costs, 1000) == 1.0


@given(frames=st.integers(1, 10**7), drivers=st.integers(1, 2000), seed=st.integers(0, 100))
def test_the_largest_shard_is_at_least_the_mean(frames: int, drivers: int, seed: int) -> None:
    size = largest_shard(frames, drivers, seed)
    assert size <= frames
    if frames > 100 * drivers and drivers > 20:
        assert size >= frames / drivers
