"""The order: what is asked of a run, with every weight file at hand."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from faceloom.engines.runtime import CPU
from faceloom.events import Fetching, OnEvent
from faceloom.flow import Flow
from faceloom.job import Order, Outputs
from faceloom.memory.budget import budget_bytes_of, reserve_bytes_of
from faceloom.memory.cores import usable_cores
from faceloom.models.weights import WeightCache
from faceloom.options.calls import OrderOptions
from faceloom.options.declared import filled
from faceloom.orders.excerpts import make_choice, make_excerpt
from faceloom.orders.wishes import wishes_for_flow
from faceloom.targets import Target, choose_targets

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
    choose = _choice(flow, asked, memory_bytes, reserve_bytes)
    targets = choose()
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
        threads=asked["threads"],
        memory_bytes=min((size for size in ceilings if size is not None), default=None),
        reserve_bytes=reserve_bytes,
        wishes=wishes_for_flow(asked, flow),
        footprints=cache.folder / "footprints",
        excerpt=make_excerpt(asked),
        choice=make_choice(asked),
        raw_colours=asked["raw_colours"],
        targets=targets,
        choose_targets=choose,
    )


def _choice(
    flow: Flow, options: OrderOptions, memory_bytes: int | None, reserve_bytes: int | None
) -> Callable[[], tuple[Target, ...]]:
    """What finds the devices that are meant, on whichever machine it is called."""
    return partial(
        choose_targets,
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
