import time
from dataclasses import replace
from pathlib import Path

import pytest

from faceloom.errors import StageError, WeightsError
from faceloom.job import Outputs
from faceloom.orders.flows import make_flow
from faceloom.orders.order import make_order
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
    path.write_bytes(endless(name="input").SerializeToString())
    order = replace(order, weights={"detect/yunet": path}, footprints=tmp_path / "footprints")
    monkeypatch.setattr(profiling, "LIMIT_S", 20)
    started = time.monotonic()
    with WorkerPool() as pool:
        with pytest.raises(StageError, match="within 20 s") as caught:
            Profiler(order, ON_HOST, pool, lambda event: None).measure((480, 640), worker_bytes=1024 * MIB)
        assert not pool.workers
    assert caught.value.stage == "detect/yunet"
    assert time.monotonic() - started < 120
