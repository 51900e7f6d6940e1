"""Products of whole numbers of eight bits by ONNX Runtime: four to six times as fast as of floats, on one thread."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.geometry.rounded import MOST, Multiplied, Products, Whole

_NETWORK = Path(__file__).with_name("whole_numbers.onnx")


def by_runtime(others: Whole) -> Multiplied:
    """Takes (M, D) numbers; what it gives multiplies any (N, D) by them, exactly.

    Products lie where those of the call before lay: megabytes that came and went would leave holes in the heap.
    """
    session, turned = _session(), np.ascontiguousarray(others.T)
    binding, space = session.io_binding(), np.empty(0, np.int32)

    def multiplied(some: Whole) -> Products:
        nonlocal space
        shape = len(some), len(others)
        space = space if space.size >= shape[0] * shape[1] else np.empty(shape[0] * shape[1], np.int32)
        products = space[: shape[0] * shape[1]].reshape(shape)
        left = some.view(np.uint8) + np.uint8(MOST)  # beyond 255 it begins anew, as signed numbers are written
        binding.bind_cpu_input("left", left)
        binding.bind_cpu_input("right", turned)
        binding.bind_output("products", "cpu", 0, np.int32, shape, products.ctypes.data)
        session.run_with_iobinding(binding)
        return products

    return multiplied


@cache
def _session() -> Any:
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(_NETWORK), options, providers=["CPUExecutionProvider"])
