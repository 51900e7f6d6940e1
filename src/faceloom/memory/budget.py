"""The budget: what a run may take of each memory, from what was asked for and what there is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from faceloom.memory.devices import default_card_bytes
from faceloom.memory.ram import Ram, default_budget_bytes
from faceloom.units import GIB

_UNKNOWN_RAM_BYTES = 2 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bytes that a run may take; the machine is asked once, when the run begins."""

    host_bytes: int
    """The ceiling of the host's memory, for all processes together."""
    device_bytes: Mapping[str, int] = field(default_factory=dict)
    """The ceiling of each device that has a memory of its own, by its name."""


def host_budget_bytes(
    memory_bytes: int | None, ram: Ram | None, *, held_bytes: int = 0, reserve_bytes: int | None = None
) -> int:
    """Returns what a run may take of the host's memory: what was asked for, or what is free less a reserve.

    Args:
        memory_bytes: what was asked for; None if nothing was. It is never more than there is.
        ram: what there is; None where the system does not tell.
        held_bytes: what the run's own processes hold of that already.
        reserve_bytes: what is left to others in any case; None for the usual reserve, where nothing was asked for.
    """
    if ram is None:
        return memory_bytes or _UNKNOWN_RAM_BYTES
    free = replace(ram, available_bytes=ram.available_bytes + held_bytes)
    if memory_bytes is None and reserve_bytes is None:
        return default_budget_bytes(free)
    return _within(memory_bytes, free.available_bytes, reserve_bytes)


def card_budget_bytes(
    memory_bytes: int | None, *, free_bytes: int, total_bytes: int, reserve_bytes: int | None = None
) -> int:
    """Returns what a run may take of a card's memory, found in the same way."""
    if memory_bytes is None and reserve_bytes is None:
        return default_card_bytes(free_bytes, total_bytes)
    return _within(memory_bytes, free_bytes, reserve_bytes)


def _within(memory_bytes: int | None, free_bytes: int, reserve_bytes: int | None) -> int:
    """What was asked for, but no more than is free and not left to others."""
    left = max(0, free_bytes - (reserve_bytes or 0))
    return left if memory_bytes is None else min(memory_bytes, left)
