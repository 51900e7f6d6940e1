"""Orders: what is asked of a run, with everything at hand that it needs, and what a result folder is held to."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from faceloom.engines.runtime import CPU, Precision
from faceloom.errors import RequestError
from faceloom.events import Fetching, OnEvent
from faceloom.flow import Flow
from faceloom.geometry.chips import Crop
from faceloom.job import Order, Outputs
from faceloom.media.excerpts import in_words
from faceloom.memory.cores import usable_cores
from faceloom.memory.devices import AUTO
from faceloom.models.weights import WeightCache
from faceloom.options import FlowOptions, make_choice, make_excerpt, make_framing
from faceloom.targets import choose_targets
from faceloom.units import parse_bytes

RESULTS = 2
"""Counts the changes to our own arithmetic that change what is found; part of every configuration."""
_PACKAGES = (
    "faceloom",
    "onnxruntime",
    "onnxruntime-gpu",
    "torch",
    "opencv-python-headless",
    "av",
    "numpy",
    "pillow",
    "simplejpeg",
)


def make_order(
    flow: Flow,
    outputs: Outputs,
    options: FlowOptions,
    *,
    memory: int | str | None = None,
    ram: int | str | None = None,
    on_event: OnEvent,
) -> Order:
    """What is asked for, with every weight file at hand.

    Raises:
        RequestError: a value out of range, or an engine that cannot run a stage.
        BudgetError: this machine lacks the device, or an engine for it.
        WeightsError: a network is neither on this machine nor to be had.
    """
    threads = options.get("threads")
    if threads is not None and threads < 1:
        raise RequestError(f"{threads} threads cannot do anything; ask for 1 or more")
    memory_bytes, ram_bytes = budget_bytes_of(memory), budget_bytes_of(ram)
    targets = choose_targets(
        options.get("device", AUTO) if flow.networks else CPU,
        excluded=options.get("exclude_device", ""),
        engine=options.get("engine"),
        precision=options.get("precision", Precision.FP32),
        checkpoints=[stage.name for stage in flow.networks if stage.plugin.network],
        memory_bytes=memory_bytes,
    )
    # Without a memory of its own the device's is the host's: both ceilings are for the same.
    has_memory = any(target.has_memory for target in targets)
    ceilings = [ram_bytes] if has_memory else [memory_bytes, ram_bytes]
    asked_bytes = min((size for size in ceilings if size is not None), default=None)
    cache = WeightCache.of_user()

    def on_bytes(name: str, done: int, total: int) -> None:
        on_event(Fetching(name=name, done_bytes=done, total_bytes=total))

    weights = {stage.name: cache.prepare(stage.weights, on_bytes=on_bytes) for stage in flow.networks if stage.weights}
    return Order(
        flow=flow,
        weights=weights,
        outputs=outputs,
        cores=threads or usable_cores(),
        memory_bytes=asked_bytes,
        footprints=cache.folder / "footprints",
        excerpt=make_excerpt(options),
        choice=make_choice(options),
        targets=targets,
    )


def budget_bytes_of(memory: int | str | None) -> int | None:
    """A ceiling in bytes; None if there is none.

    Raises:
        RequestError: it is no size, or none that could hold anything.
    """
    try:
        size = parse_bytes(memory) if isinstance(memory, str) else memory
    except ValueError as error:
        raise RequestError(str(error)) from error
    if size is not None and size <= 0:
        raise RequestError(f"a budget of {size} bytes is none; ask for something like 800MiB")
    return size


def config_of(order: Order) -> dict[str, Any]:
    """What results depend on: a folder is held to it."""
    outputs, file = order.outputs, order.faces_file
    chips = {"size": outputs.chip_size, "format": outputs.chip_format} if outputs.write_chips else None
    return {
        "results": RESULTS,
        "stages": order.flow.describe(),
        "chips": chips,
        "mask_size": outputs.mask_size,
        "overlay": outputs.overlay,
        # Said where they are not as they were when there was nothing to choose: folders of then are gone on with.
        **({} if outputs.framing.crop is Crop.HEAD else {"crop": outputs.framing.crop}),
        **({} if outputs.framing.level else {"level": False}),
        **({"overlay_chips": True} if outputs.overlay_chips else {}),
        # Either engine finds the same in float32, so that one may go on where the other ended.
        **({} if order.runtime.precision is Precision.FP32 else {"precision": order.runtime.precision}),
        **({"import": {"format": file.format, "sha256": file.sha256}} if file else {}),
        # Said where something is left out: folders made when there was nothing to choose are gone on with.
        **{name: str(value) for name, value in _left_out(order).items() if value is not None},
    }


def outputs_of(config: Mapping[str, Any]) -> Outputs:
    """What a folder's masks lie over; no chips are written."""
    return Outputs(
        write_chips=False,
        mask_size=config["mask_size"],
        framing=make_framing(config.get("crop", Crop.HEAD), level=config.get("level", True)),
    )


def _left_out(order: Order) -> dict[str, object]:
    """Of what keeps frames and faces out of a result, that which was asked for."""
    excerpt, choice = order.excerpt, order.choice
    return {
        "every": None if excerpt.every == 1 else excerpt.every,
        "start": None if excerpt.start is None else in_words(excerpt.start),
        "end": None if excerpt.end is None else in_words(excerpt.end),
        "min_size": choice.min_size,
        "max_size": choice.max_size,
        "max_faces": choice.max_faces,
    }


def versions() -> dict[str, str]:
    """Of the packages that a result may depend on, as far as they are installed."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
