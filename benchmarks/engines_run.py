"""One process of `engines.py`, in an environment that has both runtimes: times them, or tells what one of them holds.

Prints JSON. Imports neither faceloom nor a runtime that it is not asked about.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Call = Callable[[Floats], list[Floats]]

_LEAST_CALLS, _LEAST_S = 12, 0.6


def main() -> None:
    task, *arguments = sys.argv[1:]
    print(json.dumps(times(*arguments) if task == "time" else holds(*arguments)))


def times(inputs: str, batches: str, *variants: str) -> dict[str, Any]:
    """CPU-ms an item of every variant (`engine:network`), and how far each is from what the first one answers."""
    items = np.load(inputs)
    calls = {variant: open_network(variant, len(items[:1]), items.shape[1:])[0] for variant in variants}
    found: dict[str, Any] = {"cpu_ms": {}, "difference": {}}
    for batch in map(int, batches.split(",")):
        images = np.ascontiguousarray(items[:batch])
        if batch > 1:
            calls |= {v: open_network(v, batch, items.shape[1:])[0] for v in variants if v.startswith("openvino-fixed")}
        answers = {variant: call(images) for variant, call in calls.items()}
        if batch == 1:
            reference = answers[variants[0]]
            found["difference"] = {v: largest_difference(reference, answer) for v, answer in answers.items()}
        taken = measure(calls, images)
        found["cpu_ms"][batch] = {v: (1e3 * np.array(seconds) / batch).tolist() for v, seconds in taken.items()}
    return found


def measure(calls: dict[str, Call], images: Floats) -> dict[str, list[float]]:
    """CPU-seconds of calls in turns."""
    taken: dict[str, list[float]] = {variant: [] for variant in calls}
    order = list(calls)
    while len(taken[order[0]]) < _LEAST_CALLS or sum(taken[order[0]]) < _LEAST_S:
        for variant in order:
            started = time.process_time()
            calls[variant](images)
            taken[variant].append(time.process_time() - started)
        order.append(order.pop(0))  # each follows each other as often
    return taken


def holds(inputs: str, variant: str) -> dict[str, float]:
    """Seconds of importing and loading, and MiB held at each point, in this fresh process."""
    items = np.load(inputs)
    began_mib, started = held_mib(), time.perf_counter()
    if variant.startswith("ort"):
        import onnxruntime  # noqa: F401
    else:
        import openvino  # type: ignore[import-not-found]  # noqa: F401
    imported_s, imported_mib, started = time.perf_counter() - started, held_mib(), time.perf_counter()
    call, keep = open_network(variant, 1, items.shape[1:])
    loaded_s, loaded_mib = time.perf_counter() - started, held_mib()
    for image in items:
        call(np.ascontiguousarray(image[None]))
    assert keep
    return {
        "import_s": imported_s,
        "load_s": loaded_s,
        "import_mib": imported_mib - began_mib,
        "load_mib": loaded_mib - imported_mib,
        "run_mib": held_mib() - loaded_mib,
    }


def open_network(variant: str, batch: int, shape: tuple[int, ...]) -> tuple[Call, Any]:
    engine, _, network = variant.partition(":")
    if engine == "ort":
        return open_ort(network)
    return open_openvino(network, [batch, *shape] if engine == "openvino-fixed" else None)


def open_ort(network: str) -> tuple[Call, Any]:
    """As faceloom does: one thread, no memory pattern, the arena grows by what is asked."""
    import onnxruntime

    limits = {"max_mem": 0, "arena_extend_strategy": 1, "initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    try:
        onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(limits))
    except Exception as error:  # the runtime's own classes share no base but this
        if "already been registered" not in str(error):
            raise
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: list(session.run(None, {name: images})), session


def open_openvino(network: str, shape: list[int] | None) -> tuple[Call, Any]:
    """One thread, one stream, and float32: on CPUs that have bfloat16 the runtime's default is to round to that."""
    import openvino

    core = openvino.Core()
    model = core.read_model(network)
    if shape is not None:
        model.reshape({model.inputs[0].any_name: shape})
    settings = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", settings | hints).create_infer_request()
    return lambda images: list(request.infer({0: images}, share_inputs=True).values()), (core, request)


def largest_difference(ours: list[Floats], theirs: list[Floats]) -> float:
    """Over all outputs, each as a share of its own largest value."""
    pairs = zip(ours, theirs, strict=True)
    return max(float(np.abs(one - other).max() / np.abs(one).max()) for one, other in pairs)


def held_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


if __name__ == "__main__":
    main()
