"""ONNX Runtime on cards, by sessions that are simulated."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from faceloom.choices import Precision
from faceloom.engines import cuda_memory
from faceloom.engines.onnx import PROVIDERS, OnnxEngine
from faceloom.engines.runtime import Runtime
from faceloom.engines.start import start_trial
from faceloom.engines.turns import AHEAD
from faceloom.errors import DeviceLostError, StageError
from faceloom.units import GIB, MIB


class Session:
    """What ONNX Runtime makes of a file on the providers that are asked for, if it can."""

    made: Sequence["Session"] = []
    works = True

    def __init__(self, path: str, options: Any, *, providers: list[tuple[str, dict[str, str]]]) -> None:
        self.path, self.providers, self.falls_back = Path(path), providers, True
        self.shares_arena = options.get_session_config_entry("session.use_env_allocators") == "1"
        self.runs: list[dict[str, str]] = []
        Session.made = [*Session.made, self]

    def get_providers(self) -> list[str]:
        return [*([self.providers[0][0]] if Session.works else []), "CPUExecutionProvider"]

    def disable_fallback(self) -> None:
        self.falls_back = False

    def get_outputs(self) -> list[Any]:
        return [type("Output", (), {"name": "y"})]

    def io_binding(self) -> "Binding":
        return Binding()

    def run_with_iobinding(self, binding: "Binding") -> None:
        self.run(None, binding.inputs)

    def run(self, names: Any, inputs: dict[str, Any], options: Any = None) -> list[Any]:
        entry = "memory.enable_memory_arena_shrinkage"
        self.runs.append({} if options is None else {entry: options.get_run_config_entry(entry)})
        return [np.zeros(1)]


class Binding:
    """What goes in and what comes out of a call."""

    def __init__(self) -> None:
        self.inputs: dict[str, Any] = {}

    def bind_cpu_input(self, name: str, values: Any) -> None:
        self.inputs[name] = values

    def bind_output(self, name: str) -> None:
        pass

    def copy_outputs_to_cpu(self) -> list[Any]:
        return [np.zeros(1)]


@pytest.fixture
def arenas(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The arenas that are registered: on which provider, of which device, with which options."""
    made: list[tuple[Any, ...]] = []
    providers = [provider for provider, _ in PROVIDERS.values()]
    monkeypatch.setattr(Session, "made", [])
    monkeypatch.setattr(Session, "works", True)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    monkeypatch.setattr(onnxruntime, "OrtArenaCfg", dict)
    monkeypatch.setattr(
        onnxruntime, "create_and_register_allocator", lambda memory, limits: made.append(("cpu", 0, {}, limits))
    )
    monkeypatch.setattr(
        onnxruntime,
        "create_and_register_allocator_v2",
        lambda provider, memory, options, limits: made.append((provider, memory.device_id, options, limits)),
    )
    return made


def on(device: str, **settings: Any) -> OnnxEngine:
    limit = settings.pop("arena_bytes", 0)
    return OnnxEngine(Runtime(device=device, **settings), arena_bytes=limit)


def test_a_card_has_one_arena_that_grows_by_what_is_asked_up_to_the_limit(arenas: list[tuple[Any, ...]]) -> None:
    engine = on("cuda:1", arena_bytes=3 * GIB)
    engine.load(Path("a.onnx"))
    engine.load(Path("b.onnx"))
    cpu, card = arenas
    assert cpu[3]["max_mem"] == 0
    provider, number, options, limits = card
    assert (provider, number, limits["max_mem"]) == ("CUDAExecutionProvider", 1, 3 * GIB)
    assert limits["arena_extend_strategy"] == 1
    assert options["device_id"] == "1"


def test_the_provider_is_told_what_bounds_its_memory(arenas: list[tuple[Any, ...]]) -> None:
    on("cuda:1", arena_bytes=3 * GIB).load(Path("a.onnx"))
    (name, options), *others = Session.made[-1].providers
    assert name == "CUDAExecutionProvider"
    assert not others
    assert options == {
        "device_id": "1",
        "gpu_mem_limit": str(3 * GIB),
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": "0",
    }


def test_tf32_is_used_where_it_is_asked_for(arenas: list[tuple[Any, ...]]) -> None:
    on("cuda:0", precision=Precision.TF32).load(Path("a.onnx"))
    assert Session.made[-1].providers[0][1]["use_tf32"] == "1"


@pytest.mark.parametrize("kind", [kind for kind in PROVIDERS if kind != "cpu"])
def test_a_session_that_comes_out_on_the_cpu_is_refused(arenas: list[tuple[Any, ...]], kind: str) -> None:
    Session.works = False
    with pytest.raises(StageError, match="would run on"):
        on(f"{kind}:0").load(Path("a.onnx"))


@pytest.mark.parametrize("kind", PROVIDERS)
def test_no_session_may_fall_back_later(arenas: list[tuple[Any, ...]], kind: str) -> None:
    on(f"{kind}:0").load(Path("a.onnx"))
    assert Session.made
    assert not any(session.falls_back for session in Session.made)


@pytest.mark.parametrize("kind", [kind for kind in PROVIDERS if kind != "cpu"])
def test_a_provider_that_is_not_installed_is_refused_before_a_session_is_made(
    arenas: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(StageError, match="faceloom doctor"):
        on(f"{kind}:0").load(Path("a.onnx"))
    assert not Session.made


def test_shrinking_names_the_cards_arena(arenas: list[tuple[Any, ...]]) -> None:
    engine = on("cuda:2")
    engine.load(Path("a.onnx"))
    engine.shrink()
    assert Session.made[0].runs[-1] == {"memory.enable_memory_arena_shrinkage": "cpu:0;gpu:2"}


def test_providers_without_an_arena_of_ours_are_not_asked_to_reserve_or_shrink(arenas: list[tuple[Any, ...]]) -> None:
    engine = on("directml:0")
    engine.load(Path("a.onnx"))
    made = len(Session.made)
    engine.reserve(GIB)
    engine.shrink()
    assert len(Session.made) == made
    assert len(Session.made[0].runs) == 1  # the keeper's first


def test_what_a_card_holds_is_what_has_gone_since_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    free = [6 * GIB]
    monkeypatch.setattr(cuda_memory, "_free_and_total", lambda number: (free[0], 8 * GIB))
    memory = on("cuda:0").memory
    assert memory is not None
    free[0] -= 700 * MIB
    assert memory.held_bytes == 700 * MIB
    free[0] += 300 * MIB
    assert (memory.held_bytes, memory.peak_bytes, memory.total_bytes) == (400 * MIB, 700 * MIB, 8 * GIB)
    memory.reset_peak()
    assert memory.peak_bytes == 400 * MIB


def test_the_cpu_has_no_memory_of_its_own() -> None:
    assert OnnxEngine().memory is None


def test_an_error_of_the_card_means_that_it_is_lost(
    arenas: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = on("cuda:0").load(Path("a.onnx"))

    def fail(*_: object) -> None:
        raise RuntimeError("CUDA failure 719: unspecified launch failure ; GPU=0")

    monkeypatch.setattr(Session, "run", fail)
    with pytest.raises(DeviceLostError, match="unspecified launch failure"):
        network({"x": np.zeros(1)})


def test_weights_are_inside_the_limit_of_a_card(arenas: list[tuple[Any, ...]]) -> None:
    OnnxEngine(Runtime(device="cuda:0"), arena_bytes=300 * MIB, weights_bytes=100 * MIB).load(Path("a.onnx"))
    (_, (_, _, options, limits)) = arenas
    assert limits["max_mem"] == 200 * MIB
    assert options["gpu_mem_limit"] == str(200 * MIB)


def test_a_trial_leaves_the_limit_to_the_engine_after_it(arenas: list[tuple[Any, ...]]) -> None:
    trial = start_trial(Runtime(device="cuda:0"), arena_bytes=900 * MIB)
    trial.load(Path("a.onnx"))({"x": np.zeros(1)})
    trial.reserve(MIB)
    trial.shrink()
    assert not arenas
    assert [session.shares_arena for session in Session.made] == [False]
    assert Session.made[0].providers[0][1]["gpu_mem_limit"] == str(900 * MIB)
    on("cuda:0", arena_bytes=500 * MIB).load(Path("a.onnx"))
    assert [limits["max_mem"] for _, _, _, limits in arenas] == [0, 500 * MIB]
    assert all(session.shares_arena for session in Session.made[1:])


def test_the_inputs_of_the_next_call_are_there_while_one_runs(
    arenas: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = on("cuda:0").load(Path("a.onnx"))
    bound, runs, goes_on = threading.Semaphore(0), [], threading.Event()

    def bind(self: Binding, name: str, values: Any) -> None:
        bound.release()

    def run(self: Session, names: Any, inputs: dict[str, Any], options: Any = None) -> list[Any]:
        runs.append(1)
        assert goes_on.wait(10)
        return [np.zeros(1)]

    monkeypatch.setattr(Binding, "bind_cpu_input", bind)
    monkeypatch.setattr(Session, "run", run)
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(network, {"x": np.zeros(1)}) for _ in range(4)]
        assert all(bound.acquire(timeout=10) for _ in range(1 + AHEAD))
        assert not bound.acquire(timeout=0.05), "memory for no more is planned"
        assert len(runs) == 1, "calls take turns"
        goes_on.set()
        for call in calls:
            call.result()
    assert len(runs) == 4


@pytest.mark.parametrize(
    "words",
    [
        "CUDA failure 2: out of memory",
        "CUDNN_STATUS_ALLOC_FAILED",
        "CUDNN failure 1: CUDNN_STATUS_NOT_INITIALIZED",
        "CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED",
    ],
)
def test_a_card_out_of_memory_is_a_lack_of_memory(
    arenas: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    network = on("cuda:0").load(Path("a.onnx"))

    def fail(*_: object) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(Session, "run", fail)
    with pytest.raises(MemoryError):
        network({"x": np.zeros(1)})
