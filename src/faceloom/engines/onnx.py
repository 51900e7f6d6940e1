"""ONNX Runtime: the default engine."""

from functools import cached_property
from pathlib import Path
from typing import Any

from faceloom.errors import StageError
from faceloom.stage import Tensors

PROVIDERS = {"cpu": "CPUExecutionProvider"}
"""What ONNX Runtime calls the devices that this engine drives."""
_OUT_OF_MEMORY = ("Failed to allocate memory", "bad allocation", "bad_alloc")
"""How the runtime says it."""


class OnnxEngine:
    """Networks on one device through ONNX Runtime.

    Each call runs on one thread: single-threaded calls give the same bits whatever the batch (measured,
    docs/design.md), and calls side by side use the cores better than one call spread over them.
    """

    def __init__(self, device: str = "cpu") -> None:
        self._provider = PROVIDERS[device]

    @cached_property
    def version(self) -> str:
        """Name and version of the runtime."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    def load(self, path: Path) -> "OnnxNetwork":
        """The network of a prepared file, on this engine's device and no other."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        # The default plans a second block of activations at the second run (measured, docs/design.md).
        options.enable_mem_pattern = False
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=[self._provider])
        except Exception as error:  # the runtime's own classes share no base but this
            raise StageError(f"{self.version} cannot load {path.name}: {error}", stage=path.stem) from error
        used = session.get_providers()
        if used[:1] != [self._provider]:
            raise StageError(f"{path.name} would run on {used}, not on {self._provider}", stage=path.stem)
        return OnnxNetwork(session)


class OnnxNetwork:
    """One loaded session."""

    def __init__(self, session: Any) -> None:
        self._session = session
        # Keep names only: the objects that get_outputs() gives hold the session's memory.
        self._outputs = [output.name for output in session.get_outputs()]

    def __call__(self, inputs: Tensors) -> Tensors:
        try:
            values = self._session.run(self._outputs, dict(inputs))
        except Exception as error:  # the runtime's own classes share no base but this
            if any(sign in str(error) for sign in _OUT_OF_MEMORY):
                raise MemoryError(str(error)) from error
            raise
        return dict(zip(self._outputs, values, strict=True))
