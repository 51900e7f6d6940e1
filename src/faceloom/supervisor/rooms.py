"""The memory and the workers that a plan may use, and what they make of a problem and its peak."""

from dataclasses import dataclass, replace

from faceloom.solver.plan import HOST
from faceloom.solver.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The memory and the workers that a plan may use."""

    budget_bytes: int
    """The budget of the host's memory, for all processes together."""
    supervisor_bytes: int
    """What the process that plans and writes the store holds."""
    workers: int
    """The largest number of workers."""
    memory_bytes: int | None = None
    """The budget that was asked for, if one was; `budget_bytes` is less while other programs take what it needs."""
    device: str = HOST
    """The name of the device on which the workers' networks run, as plans have it."""
    device_bytes: int | None = None
    """The budget on a device that has a memory of its own; all other sizes here are of the host's memory."""
    device_memory_bytes: int | None = None
    """What was asked for of the device's memory, if anything was."""
    relay_bytes: int = 0
    """What stands beside each worker on a node of a cluster."""
    lanes: int = 1
    """The largest number of lanes of a worker on a device that has a memory of its own."""


def within(problem: Problem, room: Room, worker_bytes: int) -> Problem:
    """The problem with the budgets of a worker that may hold so much of the host's memory."""
    if problem.host is None or room.device_bytes is None:
        return replace(problem, budget_bytes=worker_bytes)
    host = replace(problem.host, budget_bytes=worker_bytes)
    return replace(problem, budget_bytes=room.device_bytes, host=host)


def worker_bytes_of(room: Room, workers: int) -> int:
    """What each of so many workers may hold."""
    return max(0, max(0, room.budget_bytes - room.supervisor_bytes) // workers - room.relay_bytes)


def whole_peak_bytes(worker_peak_bytes: int, room: Room, workers: int) -> int:
    """What all processes hold if each of so many workers holds so much."""
    return room.supervisor_bytes + workers * (worker_peak_bytes + room.relay_bytes)
