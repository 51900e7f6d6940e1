"""The devices that a run drives: from those that a request names to what runs on each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from faceloom.choices import Precision
from faceloom.engines.runtime import CPU, ON_CPU, Runtime, choose_runtime, drivable_kinds
from faceloom.memory.budget import Budget, card_budget_bytes, host_budget_bytes
from faceloom.memory.devices import Device, choose_devices, find_devices, free_bytes_of
from faceloom.memory.ram import read_ram

HERE = Device(name=CPU, label=CPU, total_bytes=0, free_bytes=0)
"""The CPU, of which a worker needs to know no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNode:
    """A machine of a cluster on which workers run."""

    name: str
    """As events and summaries have it."""
    id: str
    """As the cluster has it."""
    machine: Mapping[str, Any]
    """What tells machines apart on which the same work costs something else."""
    relay_bytes: int
    """What the process holds there that stands beside each worker."""
    sees_folder: bool
    """Whether its files are those of the machine that writes the store, as far as the result folder is concerned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One device that workers of a run drive."""

    runtime: Runtime = ON_CPU
    """Its device's name is the one that plans have."""
    device: Device = HERE
    """What it was when it was chosen."""
    memory_bytes: int | None = None
    """What was asked for of a memory of its own; None if nothing was."""
    reserve_bytes: int | None = None
    """What is left to others of a memory of its own; None: the usual reserve, where nothing was asked for."""
    on_host: Runtime | None = None
    """What runs stages on the host instead; None where they may not, or where this is the host."""
    node: WorkerNode | None = None
    """The machine that it is part of, if that is not this one."""

    @property
    def relay_bytes(self) -> int:
        """What stands beside each of its workers on its machine; nothing on this one."""
        return self.node.relay_bytes if self.node else 0

    @property
    def place(self) -> str:
        """Its name among all devices of a run: on another machine, with that machine's name."""
        if self.node is None:
            return self.name
        return self.node.name if self.name == CPU else f"{self.node.name}/{self.name}"

    @property
    def name(self) -> str:
        """As `--device` takes it."""
        return self.runtime.device

    @property
    def has_memory(self) -> bool:
        """Whether it has a memory of its own that can be held to a budget."""
        return self.runtime.kind == "cuda"

    @property
    def inside(self) -> Runtime:
        """The runtime as a process knows it that sees this device alone."""
        alone = replace(self.runtime, device=f"{self.runtime.kind}:0")
        return alone if self.device.environment else self.runtime


def choose_targets(
    wanted: str,
    *,
    excluded: str = "",
    engine: str | None = None,
    precision: str = Precision.FP32,
    checkpoints: Sequence[str] = (),
    memory_bytes: int | None = None,
    reserve_bytes: int | None = None,
) -> tuple[Target, ...]:
    """The devices that a request means, each with the engine that drives it; at least one.

    Args:
        wanted: as `choose_devices` takes it.
        excluded: likewise.
        engine: as `choose_runtime` takes it, like the next two.
        precision: of the networks' arithmetic.
        checkpoints: names of the stages whose networks only the engine `torch` runs.
        memory_bytes: the budget on each device that has a memory of its own.
        reserve_bytes: what is left to others of it.

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
        return replace(chosen, memory_bytes=memory_bytes, reserve_bytes=reserve_bytes, on_host=on_host)

    return tuple(map(target, devices))


def read_budget(memory_bytes: int | None, targets: Sequence[Target], *, reserve_bytes: int | None = None) -> Budget:
    """What a run may take of the host's memory, if so much was asked for, and of its devices'; asks the machine.

    Args:
        memory_bytes: what was asked for of the host's memory; None if nothing was.
        targets: the devices, each with what was asked for of its own.
        reserve_bytes: what is left to others of the host's memory; None for the usual reserve.
    """
    own = {target.name: device_budget_bytes(target, free_bytes_of(target.name)) for target in targets}
    return Budget(
        host_bytes=host_budget_bytes(memory_bytes, read_ram(), reserve_bytes=reserve_bytes),
        device_bytes={name: size for name, size in own.items() if size is not None},
    )


def device_budget_bytes(target: Target, free_bytes: int | None) -> int | None:
    """What a run may take of a device that has a memory of its own; None if it has none.

    Args:
        target: the device.
        free_bytes: what is free of it; None if nobody tells, and then it is what was free when it was chosen.
    """
    if not target.has_memory:
        return None
    free = target.device.free_bytes if free_bytes is None else free_bytes
    return card_budget_bytes(
        target.memory_bytes,
        free_bytes=free,
        total_bytes=target.device.total_bytes,
        reserve_bytes=target.reserve_bytes,
    )
