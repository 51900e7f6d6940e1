"""The budget: what a run may take of each memory, from what was asked for and what there is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from faceloom.errors import RequestError
from faceloom.memory.devices import default_card_bytes
from faceloom.memory.ram import Ram, default_budget_bytes
from faceloom.units import GIB, MIB, parse_bytes

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


def budget_bytes_of(memory: int | str | None) -> int | None:
    """A ceiling in bytes; None if there is none.

    Raises:
        RequestError: it is no size, or none that could hold anything.
    """
    size = _size_of(memory)
    if size is None:
        return None
    if size <= 0:
        raise RequestError(f"a budget of {size} bytes is none; ask for something like 800MiB")
    if size < MIB and _has_no_unit(memory):
        raise RequestError(f"a budget of {memory} bytes holds nothing; did you mean {memory}MiB?")
    return size


def reserve_bytes_of(reserve: int | str | None) -> int | None:
    """What is left to others, in bytes; None if nothing is said.

    Raises:
        RequestError: it is no size.
    """
    size = _size_of(reserve)
    if size is not None and (size < 0 or (0 < size < MIB and _has_no_unit(reserve))):
        raise RequestError(f"a reserve of {reserve} bytes leaves nothing to others; ask for something like 1GiB")
    return size


def _size_of(told: int | str | None) -> int | None:
    if told is None:
        return None
    try:
        return parse_bytes(told.strip()) if isinstance(told, str) else int(told)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _has_no_unit(told: int | str | None) -> bool:
    return str(told).strip()[-1].isdigit()
