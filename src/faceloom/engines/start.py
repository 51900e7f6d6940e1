"""Starting engines: an engine is imported only then, since each brings a runtime of tens or hundreds of megabytes."""

from faceloom.choices import EngineName
from faceloom.engines.engine import Engine
from faceloom.engines.runtime import Runtime


def start_engine(runtime: Runtime, *, arena_bytes: int = 0, weights_bytes: int = 0) -> Engine:
    """Starts an engine that takes at most `arena_bytes` of its device for networks and activations; 0 is no limit.

    Args:
        runtime: which engine, and on which device.
        arena_bytes: the limit.
        weights_bytes: the part of it that networks take, for engines that limit only the rest.

    Raises:
        StageError: the device cannot be had.
    """
    if runtime.engine is EngineName.TORCH:
        from faceloom.engines.torch import TorchEngine

        return TorchEngine(runtime, arena_bytes=arena_bytes)
    from faceloom.engines.onnx import OnnxEngine

    return OnnxEngine(runtime, arena_bytes=arena_bytes, weights_bytes=weights_bytes)


def start_trial(runtime: Runtime, *, arena_bytes: int = 0) -> Engine:
    """Starts an engine for one call, after which the process can start another with a limit of its own.

    Raises:
        StageError: the device cannot be had.
    """
    if runtime.engine is EngineName.TORCH:
        return start_engine(runtime, arena_bytes=arena_bytes)
    from faceloom.engines.onnx import OnnxTrialEngine

    return OnnxTrialEngine(runtime, arena_bytes=arena_bytes)
