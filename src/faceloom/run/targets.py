"""From the devices that a request names to what runs on each."""

from collections.abc import Sequence
from dataclasses import replace

from faceloom.engines.runtime import CPU, Precision, choose_runtime, drivable_kinds
from faceloom.memory.devices import Device, choose_devices, find_devices
from faceloom.run.job import Target


def choose_targets(
    wanted: str,
    *,
    excluded: str = "",
    engine: str | None = None,
    precision: str = Precision.FP32,
    checkpoints: Sequence[str] = (),
    memory_bytes: int | None = None,
) -> tuple[Target, ...]:
    """The devices that a request means, each with the engine that drives it; at least one.

    Args:
        wanted: as `choose_devices` takes it.
        excluded: likewise.
        engine: as `choose_runtime` takes it, like the next two.
        precision: of the networks' arithmetic.
        checkpoints: names of the stages whose networks only the engine `torch` runs.
        memory_bytes: the budget on each device that has a memory of its own.

    Raises:
        RequestError: no such device, engine or precision, or none that can do this work.
        BudgetError: this machine lacks a device, or an engine for it.
    """
    devices = choose_devices(wanted, find_devices(), drivable=drivable_kinds(), excluded=excluded)

    def target(device: Device) -> Target:
        runtime = choose_runtime(engine, device=device.name, precision=precision, checkpoints=checkpoints)
        chosen = Target(runtime=runtime, device=device)
        if not chosen.has_memory:
            return chosen
        # In another precision the host would find other faces.
        on_host = replace(runtime, device=CPU) if runtime.precision is Precision.FP32 else None
        return replace(chosen, budget_bytes=memory_bytes, on_host=on_host)

    return tuple(map(target, devices))
