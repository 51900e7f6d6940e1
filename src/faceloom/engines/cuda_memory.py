"""What is taken of a card as the CUDA runtime reports it, for engines whose allocator does not tell."""

import ctypes
import sys
from functools import cache

NOT_INITIALISED = ("CUBLAS_STATUS_NOT_INITIALIZED", "CUDNN_STATUS_NOT_INITIALIZED")
"""What the libraries say where their handle, with its workspace, did not get its memory: it can be asked for again.

Source: cuBLAS Library, 2.1.4 `cublasCreate`; cuDNN API, `cudnnStatus_t`.
"""


class CudaMemory:
    """A card's memory; what is gone of it since this object was made is taken to be held by this process.

    Other processes on the card are counted too: what they take or give back meanwhile cannot be told apart. An arena
    keeps what it has taken until it is shrunk, so what is held after a call is also the most that was held in it.
    """

    def __init__(self, number: int) -> None:
        """The memory of the card with this number in CUDA's order."""
        self._number = number
        self._free_at_first = self.free_bytes
        self._peak_bytes = 0

    @property
    def total_bytes(self) -> int:
        return _free_and_total(self._number)[1]

    @property
    def free_bytes(self) -> int:
        return _free_and_total(self._number)[0]

    @property
    def pinned_bytes(self) -> int:
        return 0  # what comes and goes is copied from memory of Python's

    @property
    def held_bytes(self) -> int:
        held = max(0, self._free_at_first - self.free_bytes)
        self._peak_bytes = max(self._peak_bytes, held)
        return held

    @property
    def peak_bytes(self) -> int:
        return max(self._peak_bytes, self.held_bytes)

    def reset_peak(self) -> None:
        self._peak_bytes = self.held_bytes


def _free_and_total(number: int) -> tuple[int, int]:
    """Bytes of a card. Asking makes the context, if there is none yet.

    Raises:
        OSError: the CUDA runtime that ONNX Runtime was built for is not there, or refuses.
    """
    library = _cuda_runtime()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    failed = library.cudaSetDevice(number) or library.cudaMemGetInfo(ctypes.byref(free), ctypes.byref(total))
    if failed:
        raise OSError(f"the CUDA runtime cannot tell the memory of card {number}: error {failed}")
    return free.value, total.value


@cache
def _cuda_runtime() -> ctypes.CDLL:
    import onnxruntime

    onnxruntime.preload_dlls()
    major = onnxruntime.cuda_version.partition(".")[0]
    return ctypes.CDLL(f"cudart64_{major}.dll" if sys.platform == "win32" else f"libcudart.so.{major}")
