"""ONNX Runtime: the default engine."""

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.choices import Precision
from faceloom.engines.cuda_memory import NOT_INITIALISED, CudaMemory
from faceloom.engines.engine import DeviceMemory
from faceloom.engines.heap import trim_heap
from faceloom.engines.runtime import CPU, ON_CPU, Runtime
from faceloom.engines.turns import Turns
from faceloom.errors import DeviceLostError, StageError
from faceloom.models.made import banded
from faceloom.stage import Tensors

_OUT_OF_MEMORY = (
    "Failed to allocate memory",
    "bad allocation",
    "bad_alloc",
    "is smaller than requested bytes",
    "out of memory",
    "ALLOC_FAILED",
    *NOT_INITIALISED,
)
"""How the runtime says that memory was refused; the fourth is the arena's, those after it are CUDA's and cuDNN's."""
_DEVICE_LOST = ("CUDA failure", "CUDNN failure", "CUBLAS failure", "HIP failure", "MIOPEN failure", "DXGI_ERROR")
"""Errors that end a process's work on a card: after most of them every call fails."""
_KEEPER = Path(__file__).with_name("keeper.onnx")
_RESERVER = Path(__file__).with_name("reserver.onnx")
_FLOAT_BYTES = 4
_GROW_BY_WHAT_IS_ASKED = 1  # kSameAsRequested: the default doubles, and holds up to twice what is needed


def _cuda_options(runtime: Runtime, arena_bytes: int) -> dict[str, str]:
    """Source: onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html, "Configuration Options"."""
    limit = {"gpu_mem_limit": str(arena_bytes)} if arena_bytes else {}
    return {
        "device_id": str(runtime.number),
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",  # the default tries them all, in workspaces that no plan knows of
        "use_tf32": str(int(runtime.precision is Precision.TF32)),  # the default is 1
        **limit,
    }


def _numbered(runtime: Runtime, _arena_bytes: int) -> dict[str, str]:
    return {"device_id": str(runtime.number)}


def _openvino_options(_runtime: Runtime, _arena_bytes: int) -> dict[str, str]:
    """Without the precision OpenVINO computes in what the device likes best, and answers differently."""
    return {"device_type": "GPU", "precision": "ACCURACY"}


def _no_options(_runtime: Runtime, _arena_bytes: int) -> dict[str, str]:
    return {}


PROVIDERS: Mapping[str, tuple[str, Callable[[Runtime, int], dict[str, str]]]] = {
    CPU: ("CPUExecutionProvider", _no_options),
    "cuda": ("CUDAExecutionProvider", _cuda_options),
    "rocm": ("MIGraphXExecutionProvider", _numbered),
    "directml": ("DmlExecutionProvider", _numbered),
    "coreml": ("CoreMLExecutionProvider", _no_options),
    "openvino": ("OpenVINOExecutionProvider", _openvino_options),
}
"""What ONNX Runtime calls the kinds of device that this engine drives, and what it is told about each."""


class OnnxEngine:
    """Runs networks on one device through ONNX Runtime.

    All networks of a process share one arena for their activations, so that together they need those of the
    largest, not the sum. On the CPU each call runs on one thread: single-threaded calls give the same bits whatever the
    batch (measured, docs/design.md), and calls side by side use the cores better than one call spread over them.
    Arenas are those of the CPU and of CUDA; other providers keep their memory as they like.
    """

    _shares_arena = "1"

    def __init__(self, runtime: Runtime = ON_CPU, *, arena_bytes: int = 0, weights_bytes: int = 0) -> None:
        """An engine whose arena holds at most `arena_bytes`; 0 is no limit. The first engine of a process decides.

        Weights lie outside the arena: on a device, where nothing else limits them, `weights_bytes` are left to them.
        """
        self._runtime = runtime
        if arena_bytes and runtime.kind != CPU:
            arena_bytes = max(1, arena_bytes - weights_bytes)
        self._provider, options = PROVIDERS[self._runtime.kind]
        self._options = options(self._runtime, arena_bytes)
        self._arena_bytes = arena_bytes
        self._turns = Turns()

    @cached_property
    def version(self) -> str:
        """The name and version of the runtime."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    @property
    def busy_s(self) -> float:
        """Seconds in which a card has worked on calls so far."""
        return self._turns.busy_s

    @cached_property
    def memory(self) -> DeviceMemory | None:
        """The card's memory under CUDA; None elsewhere, since other providers do not tell."""
        return CudaMemory(self._runtime.number) if self._runtime.kind == "cuda" else None

    def load(self, path: Path, network: str = "") -> "OnnxNetwork":
        """Loads the network of a prepared file on this engine's device, and on no other."""
        if network:
            message = f"{path.name} is the checkpoint of {network}, which runs by the engine torch alone"
            raise StageError(message, stage=path.stem)
        assert self._keeper  # made before anything else, so that its block of the arena is its own
        in_bands = banded(path)
        session = self._session(in_bands if self._runtime.kind == CPU and in_bands.is_file() else path)
        return OnnxCardNetwork(session, self._turns) if self._runtime.kind == "cuda" else OnnxNetwork(session)

    def reserve(self, size_bytes: int) -> None:
        """Takes one block for the activations of all networks.

        Blocks that the arena takes as it needs them are of the sizes that were asked for then, and cannot be joined:
        calls of growing sizes leave it with up to twice what the largest needs (measured, docs/memory.md).
        """
        if self._arena is None:
            return
        assert self._keeper
        with _as_memory_error():
            self._session(_RESERVER).run(None, {"n": np.array([size_bytes // _FLOAT_BYTES])})

    def shrink(self) -> None:
        """Gives back to the system what no loaded network holds at this moment."""
        import onnxruntime

        gc.collect()
        if self._arena is not None:
            options = onnxruntime.RunOptions()
            options.add_run_config_entry("memory.enable_memory_arena_shrinkage", self._arena)
            self._keeper.run(None, {"x": np.zeros(1, np.float32)}, options)
        trim_heap()

    @property
    def _arena(self) -> str | None:
        """The arenas to be shrunk, in the runtime's words; None where there are none of ours."""
        arenas = {CPU: "cpu:0", "cuda": f"cpu:0;gpu:{self._runtime.number}"}
        return arenas.get(self._runtime.kind)

    @cached_property
    def _keeper(self) -> Any:
        """A network of one operator, which shrinks the arena at the end of a run.

        Only blocks that are empty at that moment go, and a run's own outputs are still there: those of a real network
        keep tens of megabytes from going (measured). This one's outputs are four bytes, in a block that it made when
        the arena was empty.
        """
        import onnxruntime

        onnxruntime.disable_telemetry_events()  # for programs that imported it before faceloom (faceloom/__init__.py)
        self._check_provider()
        if self._runtime.kind == "cuda":
            _register_arena("Cpu", 0, arena_bytes=0)
            _register_arena("Cuda", self._runtime.number, arena_bytes=self._arena_bytes, options=self._options)
        else:
            _register_arena("Cpu", 0, arena_bytes=self._arena_bytes)
        keeper = self._session(_KEEPER)
        keeper.run(None, {"x": np.zeros(1, np.float32)})
        return keeper

    def _check_provider(self) -> None:
        """Refuses a device that the installed runtime knows nothing of: it would say so in its log, and use the CPU."""
        import onnxruntime

        known = onnxruntime.get_available_providers()
        if self._provider not in known:
            message = (
                f"{self.version} has no {self._provider}, only {', '.join(known)}; faceloom doctor says what to install"
            )
            raise StageError(message, stage="onnxruntime")
        if self._runtime.kind == "cuda":
            onnxruntime.preload_dlls()  # CUDA and cuDNN from the wheels of NVIDIA, where they are installed

    def _session(self, path: Path) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # The default plans a second block of activations at the second run (measured, docs/memory.md).
        options.enable_mem_pattern = False
        options.log_severity_level = 4
        options.add_session_config_entry("session.use_env_allocators", self._shares_arena)
        # Weights outside the arena: they go with their network.
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=[(self._provider, self._options)])
        except Exception as error:  # the runtime's own classes share no base but this
            if _is_out_of_memory(error):
                raise MemoryError(str(error)) from error
            raise StageError(f"{self.version} cannot load {path.name}: {error}", stage=path.stem) from error
        used = session.get_providers()
        if used[:1] != [self._provider]:
            message = f"{path.name} would run on {used}, not on {self._provider}; faceloom doctor says what to mend"
            raise StageError(message, stage=path.stem)
        session.disable_fallback()  # to the CPU, after an error on the way
        return session


class OnnxTrialEngine(OnnxEngine):
    """Runs networks in arenas of their own, which go with them.

    The arena that sessions share is made once in a process, with its limit. Until then a network can be tried in this
    way, to see what context and libraries leave for the limit.
    """

    _shares_arena = "0"

    @cached_property
    def _keeper(self) -> bool:
        """No network is needed to shrink what is not shared."""
        self._check_provider()
        return True

    def reserve(self, size_bytes: int) -> None:
        """Does nothing: there is no place to keep it."""

    def shrink(self) -> None:
        """Gives back what networks held that are gone."""
        gc.collect()
        trim_heap()


class OnnxNetwork:
    """A network that is loaded as a session."""

    def __init__(self, session: Any) -> None:
        self._session = session
        # Keep names only: the objects that get_outputs() gives hold the session's memory.
        self._outputs = [output.name for output in session.get_outputs()]

    def __call__(self, inputs: Tensors) -> Tensors:
        with _as_memory_error():
            values = self._session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, values, strict=True))


class OnnxCardNetwork(OnnxNetwork):
    """A network on a card: what goes in is copied there while the call before it runs."""

    def __init__(self, session: Any, turns: Turns) -> None:
        super().__init__(session)
        self._turns = turns

    def __call__(self, inputs: Tensors) -> Tensors:
        with _as_memory_error(), self._turns.place():
            binding = self._session.io_binding()
            for name, values in inputs.items():
                binding.bind_cpu_input(name, np.ascontiguousarray(values))  # copies it to the card
            for name in self._outputs:
                binding.bind_output(name)
            with self._turns.turn():
                self._session.run_with_iobinding(binding)
            values = binding.copy_outputs_to_cpu()
        return dict(zip(self._outputs, values, strict=True))


def _register_arena(name: str, number: int, *, arena_bytes: int, options: Mapping[str, str] | None = None) -> None:
    """Makes the arena that the sessions of this process share; one that is there already stays as it is."""
    import onnxruntime

    limits = {
        "max_mem": arena_bytes,
        "arena_extend_strategy": _GROW_BY_WHAT_IS_ASKED,
        "initial_chunk_size_bytes": -1,
        "max_dead_bytes_per_chunk": -1,
    }
    memory = onnxruntime.OrtMemoryInfo(
        name, onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, number, onnxruntime.OrtMemType.DEFAULT
    )
    try:
        if name == "Cpu":
            onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(limits))
        else:
            onnxruntime.create_and_register_allocator_v2(
                PROVIDERS["cuda"][0], memory, dict(options or {}), onnxruntime.OrtArenaCfg(limits)
            )
    except Exception as error:  # the runtime's own classes share no base but this
        if "already been registered" not in str(error):
            raise


@contextmanager
def _as_memory_error() -> Iterator[None]:
    """What the runtime raises when memory is refused, under Python's name for it, and when a card is lost."""
    try:
        yield
    except Exception as error:  # the runtime's own classes share no base but this
        if _is_out_of_memory(error):
            raise MemoryError(str(error)) from error
        if any(sign in str(error) for sign in _DEVICE_LOST):
            raise DeviceLostError(f"ONNX Runtime: {str(error).splitlines()[0]}") from error
        raise


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY)
