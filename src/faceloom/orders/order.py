"""The order: what is asked of a run, with every weight file at hand."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faceloom.engines.runtime import CPU
from faceloom.errors import RequestError
from faceloom.events import Fetching, OnEvent
from faceloom.flow import Flow
from faceloom.job import Order, Outputs
from faceloom.memory.cores import usable_cores
from faceloom.models.weights import WeightCache
from faceloom.options.calls import OrderOptions
from faceloom.options.declared import filled
from faceloom.orders.excerpts import make_choice, make_excerpt
from faceloom.orders.wishes import wishes_for_flow
from faceloom.targets import Target, choose_targets
from faceloom.units import MIB, parse_bytes

_LOG = logging.getLogger(__name__)


def make_order(flow: Flow, outputs: Outputs, options: Mapping[str, Any], *, on_event: OnEvent) -> Order:
    """What is asked for, with every weight file at hand; of the options, those of `OrderOptions` count.

    Raises:
        RequestError: a value out of range, or an engine that cannot run a stage.
        BudgetError: this machine lacks the device, or an engine for it.
        WeightsError: a network is neither on this machine nor to be had.
    """
    asked = filled(OrderOptions, options)
    memory_bytes, ram_bytes = budget_bytes_of(asked["memory"]), budget_bytes_of(asked["ram"])
    reserve_bytes = reserve_bytes_of(asked["reserve"])
    targets = _targets(flow, asked, memory_bytes, reserve_bytes)
    # Without a memory of its own the device's is the host's: both ceilings are for the same.
    has_memory = any(target.has_memory for target in targets)
    ceilings = [ram_bytes] if has_memory else [memory_bytes, ram_bytes]
    cache = WeightCache.of_user()
    weights = _weights(flow, cache, on_event)
    _LOG.info("stages %s on %s", ", ".join(stage.name for stage in flow.stages), ", ".join(one.name for one in targets))
    return Order(
        flow=flow,
        weights=weights,
        outputs=outputs,
        cores=asked["threads"] or usable_cores(),
        memory_bytes=min((size for size in ceilings if size is not None), default=None),
        reserve_bytes=reserve_bytes,
        wishes=wishes_for_flow(asked, flow),
        footprints=cache.folder / "footprints",
        excerpt=make_excerpt(asked),
        choice=make_choice(asked),
        raw_colours=asked["raw_colours"],
        targets=targets,
    )


def _targets(
    flow: Flow, options: OrderOptions, memory_bytes: int | None, reserve_bytes: int | None
) -> tuple[Target, ...]:
    return choose_targets(
        options["device"] if flow.networks else CPU,
        excluded=options["exclude_device"],
        engine=options["engine"],
        precision=options["precision"],
        checkpoints=[stage.name for stage in flow.networks if stage.plugin.network],
        memory_bytes=memory_bytes,
        reserve_bytes=reserve_bytes,
    )


def _weights(flow: Flow, cache: WeightCache, on_event: OnEvent) -> dict[str, Path]:
    def on_bytes(name: str, done: int, total: int) -> None:
        on_event(Fetching(name=name, done_bytes=done, total_bytes=total))

    return {stage.name: cache.prepare(stage.weights, on_bytes=on_bytes) for stage in flow.networks if stage.weights}


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
