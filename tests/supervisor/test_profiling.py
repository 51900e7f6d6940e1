import time
from dataclasses import replace
from pathlib import Path

import pytest

from faceloom.errors import StageError, WeightsError
from faceloom.flow import build_flow
from faceloom.job import Order, Outputs
from faceloom.memory.footprints import Footprint
from faceloom.orders.flows import make_flow
from faceloom.orders.order import make_order
from faceloom.stage import Stage
from faceloom.supervisor import profiling
from faceloom.supervisor.profiling import Profiler
from faceloom.supervisor.workers import ON_HOST, WorkerPool
from faceloom.units import MIB
from onnx_files import endless


def test_a_network_that_never_answers_is_measured_no_longer_than_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    try:
        order = make_order(make_flow({"align": "none"}), Outputs(), {"device": "cpu"}, on_event=lambda event: None)
    except WeightsError as error:
        pytest.skip(f"the weights cannot be had here: {error}")
    path = tmp_path / "endless.onnx"
    path.write_bytes(endless(pixels=True).SerializeToString())
    order = replace(order, weights={"detect/yunet": path}, footprints=tmp_path / "footprints")
    monkeypatch.setattr(profiling, "LIMIT_S", 20)
    started = time.monotonic()
    with WorkerPool() as pool:
        with pytest.raises(StageError, match="within 20 s") as caught:
            Profiler(order, ON_HOST, pool, lambda event: None).measure((480, 640), worker_bytes=1024 * MIB)
        assert not pool.workers
    assert caught.value.stage == "detect/yunet"
    assert time.monotonic() - started < 120


ORDER = Order(flow=build_flow(["detect/yunet"]), weights={}, outputs=Outputs(), cores=2, footprints=Path())
MEASURED = Footprint(
    weights_bytes=1,
    load_spike=0.0,
    load_s=0.0,
    fixed_bytes=1,
    item_bytes=1,
    batch_s={1: 1.778},
    arena_fixed_bytes=1,
    arena_item_bytes=1,
    transient_bytes=0,
    process_bytes=1,
    start_s=0.0,
    switch_s=0.0,
)


@pytest.mark.parametrize(
    ("is_settled", "load", "load_now", "again"),
    [
        (True, 0.1, 0.0, False),  # measured in peace
        (True, 0.1, 9.0, False),
        (True, 6.0, 6.0, False),  # busy then, and no quieter now
        (True, 6.0, 4.0, False),
        (True, 6.0, 2.0, True),
        (True, 0.8, 0.3, True),
        (False, 0.6, 0.1, True),  # never twice the same
        (False, 0.6, 0.5, False),
    ],
)
def test_what_was_measured_on_a_busy_machine_is_measured_again_on_a_quiet_one(
    is_settled: bool,
    load: float,
    load_now: float,
    again: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = replace(ORDER, footprints=tmp_path)
    asked: list[str] = []
    better = replace(MEASURED, batch_s={1: 0.025})

    def measure(self: Profiler, stage: Stage, *_: object) -> Footprint:
        asked.append(stage.name)
        return better

    monkeypatch.setattr(Profiler, "_measure", measure)
    monkeypatch.setattr(profiling, "read_load", lambda: load_now)
    with WorkerPool() as pool:
        profiler = Profiler(order, ON_HOST, pool, lambda event: None)
        known = replace(MEASURED, is_settled=is_settled, load=load)
        (stage,) = order.flow.networks
        profiler._cache.keep(profiler._traits(stage, (480, 640)), known)
        found = profiler.measure((480, 640), worker_bytes=0)
    assert found == {"detect/yunet": better if again else known}
    assert asked == (["detect/yunet"] if again else [])
