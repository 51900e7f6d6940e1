"""Starting engines: an engine is imported only then, since each brings a runtime of tens or hundreds of megabytes."""

from faceloom.choices import EngineName
from faceloom.engines.engine import Engine
from faceloom.engines.runtime import Runtime


def start_engine(runtime: Runtime, *, arena_bytes: int = 0) -> Engine:
    """Starts an engine that takes at most `arena_bytes` of its device for networks and activations; 0 is no limit.

    Raises:
        StageError: the device cannot be had.
    """
    if runtime.engine is EngineName.TORCH:
        from faceloom.engines.torch import TorchEngine

        return TorchEngine(runtime, arena_bytes=arena_bytes)
    from faceloom.engines.onnx import OnnxEngine

    return OnnxEngine(runtime, arena_bytes=arena_bytes)
