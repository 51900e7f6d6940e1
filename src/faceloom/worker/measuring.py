"""Measures what a stage costs, in a process of its own: bytes held at two batch sizes, seconds over a ladder of them.

The real engine runs the real step on made-up pictures; what the process holds is what counts, not what a graph says.
On a device that has a memory of its own that is what it holds of the device, and of the host's memory besides.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from faceloom.align import Aligner
from faceloom.detect import Detector
from faceloom.engines.engine import DeviceMemory, Engine, HeldMemory, Network
from faceloom.engines.runtime import CPU
from faceloom.engines.start import start_engine, start_trial
from faceloom.engines.turns import AHEAD
from faceloom.faces import Face, FrameId, Patch
from faceloom.frame import Frame
from faceloom.geometry.chips import PATCH_SCALE
from faceloom.geometry.landmarks import MEAN_FACE, five_keypoints
from faceloom.memory.ceilings import ProcessCeiling, is_out_of_memory
from faceloom.memory.devices import free_bytes_of
from faceloom.memory.footprints import MARGIN, UNTOLD_BYTES, Footprint, HostFootprint, fit
from faceloom.memory.guess import guess_footprint
from faceloom.memory.guess_module import guess_module
from faceloom.memory.load import read_load
from faceloom.memory.usage import ProcessMemory, held_bytes
from faceloom.messages import Guess, Measure
from faceloom.pipeline.steps import network_step
from faceloom.stage import NetworkPlugin, Stage, Tensors
from faceloom.worker.timing import Now, clock, time_batches

_Call = Callable[[int], None]
"""Calls the network once, with this many items."""
BYTE_BATCHES = (1, 2)
"""The batches at which bytes are measured."""
TIMED_BATCHES = (1, 2, 4, 8, 16)
"""The batches at which seconds are measured, as far as they fit."""
_ROUNDS = 2
_HOST_CALLS = 3
_FACE_PX = 100
_NOWHERE = FrameId("measurement", 0)


def measure(request: Measure, ceiling: ProcessCeiling) -> Footprint:
    """Measures what the stage costs in this process, which is held to a ceiling and of no other use afterwards.

    Raises:
        MemoryError: the stage does not fit even at a batch of one.
    """
    start_s = time.process_time()
    ceiling.tighten()
    free_bytes = None if request.runtime.device == CPU else free_bytes_of(request.runtime.device)
    start = start_engine if request.runtime.device == CPU else start_trial
    engine = start(request.runtime, arena_bytes=request.device_bytes)
    item = _item(request)
    if engine.memory is None:
        _warm_up(request, engine, item)
        return _measure(request, engine, ProcessMemory(), item, ceiling, start_s=start_s)
    context = _base_bytes(request, free_bytes, engine.memory)
    _warm_up(request, engine, item)
    base = _base_bytes(request, free_bytes, engine.memory)
    if request.device_bytes:
        engine = start_engine(
            request.runtime,
            arena_bytes=max(1, request.device_bytes - base),
            weights_bytes=request.weights.stat().st_size,
        )
    else:
        engine = start_engine(request.runtime)
    assert engine.memory
    found = _measure(request, engine, engine.memory, item, ceiling, start_s=start_s)
    engine.shrink()
    # Again: kernels and workspaces that larger batches have brought stay too.
    base = max(base, _base_bytes(request, free_bytes, engine.memory))
    return replace(found, process_bytes=base, context_bytes=min(context, base), transient_bytes=0)


def _warm_up(request: Measure, engine: Engine, item: Frame | Face) -> None:
    """Runs the network once before anything is measured: libraries set themselves up then, and never give that back."""
    network_step(request.stage, engine.load(request.weights, request.stage.plugin.network), batch=1).run([item])
    engine.shrink()


def _base_bytes(request: Measure, free_before: int | None, memory: DeviceMemory) -> int:
    """What this process holds of a device with no network loaded, by what the driver has less of.

    What the device tells makes its context, if there is none yet.
    """
    held, _ = memory.held_bytes, memory.free_bytes
    free_now = free_bytes_of(request.runtime.device)
    if free_before is None or free_now is None:
        return held + UNTOLD_BYTES
    return max(held, free_before - free_now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    """A network that has just been loaded, and what that took of the device's memory and of the host's."""

    network: Network
    load_s: float
    process_bytes: int
    """What the process held before."""
    host_process_bytes: int
    weights_bytes: int
    host_weights_bytes: int
    spike_bytes: int
    """The most that was held while the network was loaded."""
    host_spike_bytes: int

    @property
    def held_bytes(self) -> int:
        """What the process holds since."""
        return self.process_bytes + self.weights_bytes

    @property
    def spike(self) -> float:
        """How much more that was, as a multiple of the weights."""
        return max(0, self.spike_bytes - self.weights_bytes) / self.weights_bytes if self.weights_bytes else 0.0


def _load(request: Measure, engine: Engine, memory: HeldMemory, ceiling: ProcessCeiling, now: Now) -> _Loaded:
    host = ProcessMemory()
    process, host_process = memory.held_bytes, host.held_bytes
    ceiling.forget_peak()
    memory.reset_peak()
    started = now()
    network = engine.load(request.weights, request.stage.plugin.network)
    load_s = now() - started
    spike, host_spike = memory.peak_bytes - process, host.peak_bytes - host_process
    engine.shrink()
    return _Loaded(
        network=network,
        load_s=load_s,
        process_bytes=process,
        host_process_bytes=host_process,
        weights_bytes=max(0, memory.held_bytes - process),
        host_weights_bytes=max(0, host.held_bytes - host_process),
        spike_bytes=spike,
        host_spike_bytes=host_spike,
    )


def _measure(
    request: Measure, engine: Engine, memory: HeldMemory, item: Frame | Face, ceiling: ProcessCeiling, *, start_s: float
) -> Footprint:
    now = clock(on_processor=engine.memory is None)
    ceiling.tighten()
    loaded = _load(request, engine, memory, ceiling, now)
    copied = _Copied(loaded.network)
    call = _call_of(request, copied, item, ceiling)
    held = _held(engine, memory, call, _taken(request.stage, BYTE_BATCHES), ceiling)
    fixed, per_item = fit({batch: one.peak_bytes for batch, one in held.items()})
    arena_fixed, arena_item = fit({batch: one.arena_bytes for batch, one in held.items()})
    switch_s = _switch_s(engine, now, reserved_bytes=arena_fixed + arena_item)
    # What is known by now may leave a batch below a ceiling that nothing but this process holds.
    most = math.inf if engine.memory or not request.worker_bytes else request.worker_bytes - loaded.held_bytes - fixed
    offered = _taken(request.stage, TIMED_BATCHES)
    batches = [batch for batch in offered if batch == 1 or (len(held) > 1 and per_item * batch <= most)]
    timed = time_batches(call, batches, (lambda: engine.busy_s) if engine.busy_s else now)
    footprint = Footprint(
        weights_bytes=loaded.weights_bytes,
        load_spike=loaded.spike,
        load_s=loaded.load_s,
        fixed_bytes=fixed,
        item_bytes=per_item,
        batch_s=timed.batch_s,
        arena_fixed_bytes=arena_fixed,
        arena_item_bytes=arena_item,
        transient_bytes=held[1].peak_bytes - held[1].kept_bytes,
        process_bytes=loaded.process_bytes,
        start_s=start_s,
        switch_s=switch_s,
        is_settled=timed.is_settled,
        load=read_load(),
    )
    if engine.memory is None:
        return footprint
    limited = request.device_bytes if timed.was_refused or len(held) < len(offered[:2]) else 0
    largest = _most_held(engine, memory, call, timed.batch_s, ceiling)
    found = _of_two_memories(replace(footprint, limited_bytes=limited), loaded, held, *largest)
    beside_s = _host_item_s(engine, call, timed.batch_s) if engine.busy_s else 0.0
    return _side_by_side(found, beside_s, ahead_bytes=AHEAD * copied.item_bytes)


def _call_of(request: Measure, network: Network, item: Frame | Face, ceiling: ProcessCeiling) -> _Call:
    def call(batch: int) -> None:
        ceiling.tighten()
        try:
            network_step(request.stage, network, batch=batch).run([item] * batch)
        except Exception as error:
            if is_out_of_memory(error):  # whichever library has said so
                raise MemoryError(str(error)) from error
            raise

    return call


def _host_item_s(engine: Engine, call: _Call, batches: Iterable[int]) -> float:
    """The host's seconds an item beside those in which the device works, at the batch at which they are fewest."""
    least = math.inf
    for batch in batches:
        for _ in range(_HOST_CALLS):
            started, before_s = time.perf_counter(), engine.busy_s
            call(batch)
            beside_s = time.perf_counter() - started - (engine.busy_s - before_s)
            least = min(least, max(0.0, beside_s) / batch)
    return least


def _side_by_side(footprint: Footprint, host_item_s: float, *, ahead_bytes: int) -> Footprint:
    """The footprint on a device that is fed by several lanes: the host's seconds apart from its own, and what the next
    call has there already.
    """
    assert footprint.host
    ahead = math.ceil(ahead_bytes * (1 + MARGIN))
    return replace(
        footprint,
        item_bytes=footprint.item_bytes + ahead,
        arena_item_bytes=footprint.arena_item_bytes + ahead,
        host=replace(footprint.host, item_s=host_item_s),
    )


class _Copied:
    """A network that notes how large an item is that goes in, with what comes out."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.item_bytes = 0

    def __call__(self, inputs: Tensors) -> Tensors:
        outputs = self._network(inputs)
        copied = sum(values.nbytes for values in (*inputs.values(), *outputs.values()))
        self.item_bytes = max(self.item_bytes, copied // max(1, len(next(iter(inputs.values())))))
        return outputs


def _of_two_memories(
    footprint: Footprint, loaded: _Loaded, held: Mapping[int, "_Held"], largest: int, most: "_Held"
) -> Footprint:
    """The footprint on a device beside the host: what it takes of either, with the largest batch taken into account.

    Libraries choose their workspaces by the batch: as many bytes an item as the largest one shows.
    """
    host_fixed, host_item = fit({batch: one.host_peak_bytes for batch, one in held.items()})
    arena_item = _an_item(most.arena_bytes, footprint.arena_fixed_bytes, largest)
    return replace(
        footprint,
        item_bytes=max(footprint.item_bytes, _an_item(most.peak_bytes, footprint.fixed_bytes, largest)),
        arena_item_bytes=max(footprint.arena_item_bytes, arena_item),
        host=HostFootprint(
            weights_bytes=loaded.host_weights_bytes,
            spike_bytes=max(0, loaded.host_spike_bytes - loaded.host_weights_bytes),
            fixed_bytes=host_fixed,
            item_bytes=max(host_item, _an_item(most.host_peak_bytes, host_fixed, largest)),
            process_bytes=loaded.host_process_bytes,
        ),
    )


def _switch_s(engine: Engine, now: Now, *, reserved_bytes: int) -> float:
    """Seconds to give back what one phase held and to reserve for the next."""
    started = now()
    engine.shrink()
    engine.reserve(reserved_bytes)
    return now() - started


def _most_held(
    engine: Engine, memory: HeldMemory, call: _Call, batches: Iterable[int], ceiling: ProcessCeiling
) -> "tuple[int, _Held]":
    """The largest batch that can be measured, and its bytes."""
    for batch in sorted(batches, reverse=True):
        try:
            return batch, _least_held(engine, memory, call, batch, ceiling)
        except MemoryError:
            continue
    raise MemoryError("no batch of any size")


def _an_item(held_bytes: int, fixed_bytes: int, batch: int) -> int:
    return math.ceil((held_bytes * (1 + MARGIN) - fixed_bytes) / batch)


@dataclass(frozen=True, slots=True)
class _Held:
    """What calls of one batch size make the process hold, on top of the weights."""

    arena_bytes: int
    """What was reserved in the arena before the calls."""
    kept_bytes: int
    """What is held after the calls, including what was reserved."""
    peak_bytes: int
    host_peak_bytes: int
    """The peak of the host's memory, whichever memory the other sizes are of."""
    bare_bytes: int = 0
    """What is held after the calls where nothing was reserved for them."""


def _taken(stage: Stage, batches: Sequence[int]) -> list[int]:
    """Of some batches those that the stage's network takes."""
    plugin = stage.plugin
    most = plugin.max_batch if isinstance(plugin, NetworkPlugin) else 0
    return [batch for batch in batches if not most or batch <= most]


def _held(
    engine: Engine, memory: HeldMemory, call: _Call, batches: Sequence[int], ceiling: ProcessCeiling
) -> dict[int, _Held]:
    """Bytes that batches make the process hold, by size, as far as they fit.

    Raises:
        MemoryError: a batch of one does not.
    """
    held: dict[int, _Held] = {}
    for batch in batches:
        try:
            held[batch] = _least_held(engine, memory, call, batch, ceiling, smaller=held.get(batch - 1))
        except MemoryError:
            if not held:
                raise
            break
    return held


def _least_held(
    engine: Engine,
    memory: HeldMemory,
    call: _Call,
    batch: int,
    ceiling: ProcessCeiling,
    *,
    smaller: _Held | None = None,
) -> _Held:
    """With as much reserved as the calls use of it: what the runtime holds elsewhere is not reserved for.

    By chance all of a call's blocks may just fit into what was reserved for one batch size and not for another; what
    larger batches hold does not follow from two such sizes. So a batch holds more than a smaller one, by no less than
    where nothing is reserved.
    """
    found = _run_with(engine, memory, call, batch, ceiling, reserved_bytes=0)
    ample = _run_with(engine, memory, call, batch, ceiling, reserved_bytes=found.kept_bytes)
    elsewhere = max(0, ample.kept_bytes - ample.arena_bytes)
    tight = _run_with(engine, memory, call, batch, ceiling, reserved_bytes=max(0, found.kept_bytes - elsewhere))
    least = smaller.peak_bytes + found.kept_bytes - smaller.bare_bytes if smaller else 0
    first, second = sorted((tight, ample), key=lambda one: one.peak_bytes)
    return replace(first if first.peak_bytes >= least else second, bare_bytes=found.kept_bytes)


def _run_with(
    engine: Engine, memory: HeldMemory, call: _Call, batch: int, ceiling: ProcessCeiling, *, reserved_bytes: int
) -> _Held:
    engine.shrink()
    host = ProcessMemory()
    before, host_before = memory.held_bytes, host.held_bytes
    ceiling.forget_peak()
    memory.reset_peak()
    if reserved_bytes:
        engine.reserve(reserved_bytes)
    for _ in range(_ROUNDS):
        call(batch)
    kept, peak = memory.held_bytes - before, memory.peak_bytes - before
    return _Held(
        arena_bytes=reserved_bytes,
        kept_bytes=max(0, kept),
        peak_bytes=max(0, kept, peak),
        host_peak_bytes=max(0, host.peak_bytes - host_before),
    )


def _item(request: Measure) -> Frame | Face:
    """An item for the step to work on; noise takes as long as anything else."""
    noise = np.random.default_rng(0)
    if isinstance(request.stage.plugin, Detector):
        image = noise.integers(0, 256, (*request.frame_shape, 3), np.uint8)
        return Frame(id=_NOWHERE, time=None, image=image)
    side = round(PATCH_SCALE * _FACE_PX)
    landmarks = (MEAN_FACE * _FACE_PX / 2 + side / 2).astype(np.float32)
    low, high = (side - _FACE_PX) / 2, (side + _FACE_PX) / 2
    pixels = noise.integers(0, 256, (side, side, 3), np.uint8)
    return Face(
        frame=_NOWHERE,
        index=0,
        box=np.array([low, low, high, high], np.float32),
        score=1.0,
        keypoints=five_keypoints(landmarks),
        patch=Patch(pixels=pixels, x=0, y=0, held_bytes=pixels.nbytes, frame_shape=(side, side)),
        landmarks=landmarks,
    )


def guess(request: Guess) -> Footprint:
    """Guesses what the stage costs from its network's graph or module."""
    process_bytes = held_bytes()
    plugin = request.stage.plugin
    assert isinstance(plugin, NetworkPlugin)
    shape = request.frame_shape if isinstance(plugin, Detector) else (plugin.input_size, plugin.input_size)  # type: ignore[attr-defined]  # every contract but a detector's has one
    inputs = plugin.prepare(np.zeros((1, *shape, 3), np.uint8))
    shapes = {name: tuple(values.shape) for name, values in inputs.items()}
    footprint = (
        guess_module(request.weights, plugin.network, shapes)
        if plugin.network
        else guess_footprint(request.weights, shapes)
    )
    if isinstance(plugin, Aligner):
        footprint = replace(footprint, batch_s={n: plugin.looks * seconds for n, seconds in footprint.batch_s.items()})
    canvases = sum(values.nbytes for values in inputs.values())
    return replace(
        footprint, process_bytes=max(process_bytes, footprint.process_bytes), item_bytes=footprint.item_bytes + canvases
    )
