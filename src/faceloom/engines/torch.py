"""PyTorch: the engine of cards without ONNX Runtime's own provider, and of networks that come as checkpoints."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from faceloom.choices import Precision
from faceloom.engines.checkpoints import empty_network, read_state
from faceloom.engines.cuda_memory import NOT_INITIALISED
from faceloom.engines.engine import DeviceMemory
from faceloom.engines.heap import trim_heap
from faceloom.engines.runtime import Runtime
from faceloom.engines.torch_graph import read_graph
from faceloom.engines.turns import Turns
from faceloom.errors import DeviceLostError, StageError
from faceloom.stage import Tensors

_OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "ALLOC_FAILED",
    "bad_alloc",
    *NOT_INITIALISED,
)
"""How PyTorch and the libraries below it say that memory was refused, where they raise no class of their own."""
_DEVICE_LOST = ("CUDA error", "HIP error", "CUDA driver error", "cuDNN error", "CUBLAS_STATUS", "MPS backend error")
"""Errors that end a process's work on a card: after most of them every call fails."""


class TorchEngine:
    """Runs networks on one device through PyTorch: `cuda:N` (also cards of AMD, by the same name), `mps` or `cpu`.

    A network is an ONNX file that has been prepared for ONNX Runtime, or a checkpoint of a module. On the CPU each call
    runs on one thread, as ONNX Runtime's do here. On a card calls are taken one at a time, so that together the
    networks need the activations of the largest; what goes to the card and what comes back is copied meanwhile.
    """

    def __init__(self, runtime: Runtime, *, arena_bytes: int = 0) -> None:
        """An engine that takes at most `arena_bytes` of its device; 0 is no limit, and the host has none.

        Raises:
            StageError: PyTorch has no such device here.
        """
        self._device = _device(runtime.device)
        self._precision = runtime.precision
        self._is_cuda = self._device.type == "cuda"
        self._card = _Card(self._device) if self._is_cuda else None
        _settle(self._precision)
        if self._is_cuda and arena_bytes:
            share = arena_bytes / torch.cuda.get_device_properties(self._device).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, share), self._device)
        if self._device.type == "mps" and arena_bytes:
            torch.mps.set_per_process_memory_fraction(arena_bytes / torch.mps.recommended_max_memory())

    @property
    def version(self) -> str:
        """The name and version of the runtime."""
        return f"torch {torch.__version__}"

    @property
    def busy_s(self) -> float:
        """Seconds in which a card has worked on calls so far, by its own clock."""
        return self._card.turns.busy_s if self._card else 0.0

    @property
    def memory(self) -> DeviceMemory | None:
        """The card's memory; None on the CPU, and on Apple's chips, where the card uses the host's memory."""
        return _CardMemory(self._device) if self._is_cuda else None

    def load(self, path: Path, network: str = "") -> "TorchNetwork":
        """Loads the network of a prepared file, or of the checkpoint of a module."""
        with _as_memory_error():
            module = _module(path, network) if network else read_graph(path)
            half = self._precision is Precision.FP16
            module = module.eval().requires_grad_(False).to(self._device, torch.float16 if half else torch.float32)
            # Convolutions of tensor cores, and of the CPU, read channels last; those of plain float32 on cards do not.
            layout = torch.channels_last if self._prefers_channels_last else torch.contiguous_format
            module = module.to(memory_format=layout)
        if self._card:
            return _CardNetwork(module, self._card, layout)
        return TorchNetwork(module, self._device, layout)

    @property
    def _prefers_channels_last(self) -> bool:
        return self._device.type == "cpu" or self._precision is not Precision.FP32

    def reserve(self, size_bytes: int) -> None:
        """Makes the card's allocator hold one block, which it cuts into what calls need; the host's keeps none."""
        if self._is_cuda:
            with _as_memory_error():
                torch.empty(size_bytes, dtype=torch.uint8, device=self._device)

    def shrink(self) -> None:
        """Gives back to the system what no loaded network holds at this moment."""
        gc.collect()
        if self._is_cuda:
            torch.cuda.synchronize(self._device)
            torch.cuda.empty_cache()
            _empty_pinned()
        elif self._device.type == "mps":
            torch.mps.synchronize()
            torch.mps.empty_cache()
        trim_heap()


class TorchNetwork:
    """A module on the host, or on a device that knows no streams."""

    def __init__(self, module: torch.nn.Module, device: torch.device, layout: torch.memory_format) -> None:
        self._module = module
        self._device = device
        self._layout = layout
        self._floats = next((tensor.dtype for tensor in _tensors(module)), torch.float32)

    def __call__(self, inputs: Tensors) -> Tensors:
        with _as_memory_error(), torch.inference_mode():
            given = {name: self._take(torch.from_numpy(values)) for name, values in inputs.items()}
            return {name: _floats(tensor).cpu().numpy() for name, tensor in self._module(**given).items()}

    def _take(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.to(self._device)
        return self._laid_out(tensor)

    def _laid_out(self, tensor: torch.Tensor) -> torch.Tensor:
        is_picture = tensor.is_floating_point() or tensor.dtype == torch.uint8
        tensor = tensor.to(self._floats) if is_picture else tensor
        return tensor.contiguous(memory_format=self._layout) if tensor.ndim == 4 else tensor


class _Card:
    """What the networks of a card share: the streams, so that their tensors come from the same pools, and the turns.

    PyTorch's allocator keeps what a stream has freed for that stream alone: with a stream of its own each network would
    hold its inputs besides those of all others.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.up, self.down = torch.cuda.Stream(device), torch.cuda.Stream(device)
        self.turns = Turns()
        self.launching = threading.Lock()
        """Held by the network that launches: kernels of two calls in turns would hold the activations of both."""


class _CardNetwork(TorchNetwork):
    """A module on a card, with copies on streams of their own, from and to memory that the card reads by itself."""

    def __init__(self, module: torch.nn.Module, card: _Card, layout: torch.memory_format) -> None:
        super().__init__(module, card.device, layout)
        self._card = card

    def __call__(self, inputs: Tensors) -> Tensors:
        card = self._card
        with _as_memory_error(), torch.inference_mode(), torch.cuda.device(card.device), card.turns.place():
            compute = torch.cuda.current_stream(card.device)
            with torch.cuda.stream(card.up):
                sent = {name: self._send(values) for name, values in inputs.items()}
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            with card.launching:
                compute.wait_stream(card.up)
                for tensor in sent.values():
                    tensor.record_stream(compute)
                begin.record(compute)
                answer = self._module(**{name: self._laid_out(tensor) for name, tensor in sent.items()})
                answer = {name: _floats(tensor).contiguous() for name, tensor in answer.items()}
                end.record(compute)
                card.down.wait_stream(compute)
                with torch.cuda.stream(card.down):
                    fetched = {name: self._fetch(tensor) for name, tensor in answer.items()}
                    done = torch.cuda.Event()
                    done.record(card.down)
            done.synchronize()
            card.turns.add(begin.elapsed_time(end) / 1000)
            return {name: tensor.numpy() for name, tensor in fetched.items()}

    def _send(self, values: "np.typing.NDArray[np.generic]") -> torch.Tensor:
        return torch.from_numpy(values).pin_memory().to(self._device, non_blocking=True)

    def _fetch(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor.record_stream(self._card.down)
        target = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        return target.copy_(tensor, non_blocking=True)


class _CardMemory:
    """What PyTorch's allocator holds of a card."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    @property
    def total_bytes(self) -> int:
        return int(torch.cuda.mem_get_info(self._device)[1])

    @property
    def free_bytes(self) -> int:
        return int(torch.cuda.mem_get_info(self._device)[0])

    @property
    def held_bytes(self) -> int:
        return int(torch.cuda.memory_reserved(self._device))

    @property
    def peak_bytes(self) -> int:
        return int(torch.cuda.max_memory_reserved(self._device))

    @property
    def pinned_bytes(self) -> int:
        return int(torch.cuda.host_memory_stats().get("allocated_bytes.current", 0))

    def reset_peak(self) -> None:
        torch.cuda.reset_peak_memory_stats(self._device)


def _empty_pinned() -> None:
    """Gives back the host's memory that cards read by themselves, as far as no copy needs it.

    PyTorch keeps it, in blocks that are rounded up to powers of two, and has given the call for it three names.
    """
    if hasattr(torch.accelerator, "empty_host_cache"):
        torch.accelerator.empty_host_cache()
    elif hasattr(torch._C, "_accelerator_emptyHostCache"):
        torch._C._accelerator_emptyHostCache()
    else:
        torch._C._host_emptyCache()


def _device(name: str) -> torch.device:
    """The device of a name, if PyTorch drives one.

    Raises:
        StageError: it does not, here.
    """
    kind, _, number = name.partition(":")
    if kind == "cpu":
        return torch.device("cpu")
    if kind == "mps" and torch.backends.mps.is_available():
        return torch.device("mps")
    if kind == "cuda" and torch.cuda.is_available() and int(number or 0) < torch.cuda.device_count():
        return torch.device("cuda", int(number or 0))
    message = (
        f"PyTorch {torch.__version__} drives no {name} here; see docs/gpu.md and faceloom doctor, or use --device cpu"
    )
    raise StageError(message, stage="torch")


def _settle(precision: Precision) -> None:
    """Sets what PyTorch keeps for the whole process: one thread a call, and no arithmetic that was not asked for."""
    torch.set_num_threads(1)
    floats = "tf32" if precision is Precision.TF32 else "ieee"
    torch.backends.cuda.matmul.fp32_precision = floats
    torch.backends.cudnn.conv.fp32_precision = floats  # its default is tf32
    torch.backends.cudnn.benchmark = False  # trials take workspaces that no plan knows of
    torch.backends.cudnn.deterministic = True


def _module(path: Path, network: str) -> torch.nn.Module:
    """The module with the values of its checkpoint.

    Raises:
        StageError: there is no such module, or the checkpoint is another's.
    """
    module = empty_network(network)
    try:
        module.load_state_dict(read_state(path), assign=True)
    except (RuntimeError, TypeError) as error:
        message = f"{path.name} is not a checkpoint of {network}: {str(error).splitlines()[0]}"
        raise StageError(message, stage=path.stem) from error
    return module


def _tensors(module: torch.nn.Module) -> Iterator[torch.Tensor]:
    return (tensor for tensor in (*module.parameters(), *module.buffers()) if tensor.is_floating_point())


def _floats(tensor: torch.Tensor) -> torch.Tensor:
    """Answers are float32 whatever the network computes in."""
    return tensor.float() if tensor.is_floating_point() else tensor


@contextmanager
def _as_memory_error() -> Iterator[None]:
    """What PyTorch raises when memory is refused, under Python's name for it, and when a card is lost."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or any(sign in str(error) for sign in _OUT_OF_MEMORY):
            raise MemoryError(str(error)) from error
        if any(sign in str(error) for sign in _DEVICE_LOST):
            raise DeviceLostError(f"PyTorch: {str(error).splitlines()[0]}") from error
        raise
