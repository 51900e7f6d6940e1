"""ONNX Runtime: the default engine."""

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.errors import StageError
from faceloom.stage import Tensors

PROVIDERS = {"cpu": "CPUExecutionProvider"}
"""What ONNX Runtime calls the devices that this engine drives."""
_OUT_OF_MEMORY = ("Failed to allocate memory", "bad allocation", "bad_alloc", "is smaller than requested bytes")
"""How the runtime says it; the last is the arena at its limit."""
_KEEPER = Path(__file__).with_name("keeper.onnx")
_RESERVER = Path(__file__).with_name("reserver.onnx")
_FLOAT_BYTES = 4
_GROW_BY_WHAT_IS_ASKED = 1  # kSameAsRequested: the default doubles, and holds up to twice what is needed


class OnnxEngine:
    """Networks on one device through ONNX Runtime.

    All networks of a process share one arena for their activations, so that together they need those of the
    largest, not the sum. Each call runs on one thread: single-threaded calls give the same bits whatever the batch
    (measured, docs/design.md), and calls side by side use the cores better than one call spread over them.
    """

    def __init__(self, device: str = "cpu", *, arena_bytes: int = 0) -> None:
        """An engine whose arena holds at most `arena_bytes`; 0 is no limit. The first engine of a process decides."""
        self._provider = PROVIDERS[device]
        self._arena_bytes = arena_bytes

    @cached_property
    def version(self) -> str:
        """Name and version of the runtime."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    def load(self, path: Path) -> "OnnxNetwork":
        """The network of a prepared file, on this engine's device and no other."""
        assert self._keeper  # made before anything else, so that its block of the arena is its own
        return OnnxNetwork(self._session(path))

    def reserve(self, size_bytes: int) -> None:
        """Takes one block for the activations of all networks.

        Blocks that the arena takes as it needs them are of the sizes that were asked for then, and cannot be joined:
        calls of growing sizes leave it with up to twice what the largest needs (measured, docs/memory.md).
        """
        assert self._keeper
        with _as_memory_error():
            self._session(_RESERVER).run(None, {"n": np.array([size_bytes // _FLOAT_BYTES])})

    def shrink(self) -> None:
        """Gives back to the system what no loaded network holds at this moment."""
        import onnxruntime

        gc.collect()
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._keeper.run(None, {"x": np.zeros(1, np.float32)}, options)
        _trim_heap()

    @cached_property
    def _keeper(self) -> Any:
        """A network of one operator, which shrinks the arena at the end of a run.

        Only blocks that are empty at that moment go, and a run's own outputs are still there: those of a real network
        keep tens of megabytes from going (measured). This one's outputs are four bytes, in a block that it made when
        the arena was empty.
        """
        import onnxruntime

        limits = {
            "max_mem": self._arena_bytes,
            "arena_extend_strategy": _GROW_BY_WHAT_IS_ASKED,
            "initial_chunk_size_bytes": -1,
            "max_dead_bytes_per_chunk": -1,
        }
        memory = onnxruntime.OrtMemoryInfo(
            "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
        )
        try:
            onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(limits))
        except Exception as error:  # the runtime's own classes share no base but this
            if "already been registered" not in str(error):
                raise
        keeper = self._session(_KEEPER)
        keeper.run(None, {"x": np.zeros(1, np.float32)})
        return keeper

    def _session(self, path: Path) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # The default plans a second block of activations at the second run (measured, docs/memory.md).
        options.enable_mem_pattern = False
        options.log_severity_level = 4
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Weights outside the arena: they go with their network.
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=[self._provider])
        except Exception as error:  # the runtime's own classes share no base but this
            if _is_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise StageError(f"{self.version} cannot load {path.name}: {error}", stage=path.stem) from error
        used = session.get_providers()
        if used[:1] != [self._provider]:
            raise StageError(f"{path.name} would run on {used}, not on {self._provider}", stage=path.stem)
        return session


class OnnxNetwork:
    """One loaded session."""

    def __init__(self, session: Any) -> None:
        self._session = session
        # Keep names only: the objects that get_outputs() gives hold the session's memory.
        self._outputs = [output.name for output in session.get_outputs()]

    def __call__(self, inputs: Tensors) -> Tensors:
        with _as_memory_error():
            values = self._session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, values, strict=True))


@contextmanager
def _as_memory_error() -> Iterator[None]:
    """What the runtime raises when memory is refused, under the name that Python has for it."""
    try:
        yield
    except Exception as error:  # the runtime's own classes share no base but this
        if _is_out_of_memory(error):
            raise MemoryError(str(error)) from error
        raise


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY)


def _trim_heap() -> None:
    """Has the C library give free pages back; other systems' libraries do that by themselves."""
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
