"""The planning problem: what every stage costs, and what the job is (docs/memory.md)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from faceloom.errors import RequestError

LARGEST = 2**63 - 1
"""No number of a problem is larger: what is computed from them stays finite."""


class Arena(StrEnum):
    """How the activations of the stages of a phase share memory."""

    SHARED = "shared"
    """Activations follow each other in the same block, so the largest counts."""
    PRIVATE = "private"
    """Activations are in a block each, so the sum counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostShare:
    """What a stage holds of the host's memory, and takes of its time, while it runs on a device."""

    weights_bytes: int = 0
    """Held as long as its network is loaded."""
    spike_bytes: int = 0
    """Held besides, while it is loaded; none where the weights go on to a device."""
    fixed_bytes: int = 0
    item_bytes: int = 0
    item_s: float = 0.0
    """The host's seconds an item beside those of the device, whatever the batch."""

    def held_bytes(self, batch: int) -> int:
        """Returns what is held beside the weights while batches of this size run."""
        return self.fixed_bytes + self.item_bytes * batch


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCost:
    """What a stage costs on the host, where the device has a memory of its own."""

    weights_bytes: int
    load_spike: float
    load_s: float
    fixed_bytes: int
    item_bytes: int
    batch_s: Mapping[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The host of a device that has a memory of its own."""

    budget_bytes: int
    base_bytes: int
    """What is held whatever the plan is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What one stage costs on its device."""

    stage: str
    needs: frozenset[str]
    """The stages that must be in the same phase or an earlier one."""
    reads_frames: bool
    """Whether it reads decoded frames; other stages read patches."""
    weights_bytes: int
    load_spike: float
    """How many copies of the weights loading takes beyond the one that stays."""
    load_s: float
    fixed_bytes: int
    item_bytes: int
    """What every item of a batch holds, besides `fixed_bytes`."""
    items_per_frame: float
    batch_s: Mapping[int, float]
    """The seconds of a call, for every batch that is offered."""
    arena_fixed_bytes: int = 0
    arena_item_bytes: int = 0
    """What of `fixed_bytes` and `item_bytes` lies in an arena that stages share, of which the solver knows nothing."""
    host: HostShare = HostShare()
    """What the stage holds of the host's memory as well."""
    on_host: HostCost | None = None
    """What it costs on the host instead, if it may run there."""
    is_on_host: bool = False
    """Whether its calls take the host's time; a stage that has been placed there holds nothing of the device."""

    @property
    def spike_bytes(self) -> int:
        """What is held beyond the weights themselves while they are loaded."""
        return round(self.load_spike * self.weights_bytes)

    @property
    def smallest_batch(self) -> int:
        """The smallest batch that is offered, and so the one that needs least memory."""
        return min(self.batch_s)

    def held_bytes(self, batch: int) -> int:
        """Returns what is held beside the weights while batches of this size run."""
        return self.fixed_bytes + self.item_bytes * batch

    def arena_bytes(self, batch: int) -> int:
        """Returns what of that lies in the arena."""
        return min(self.held_bytes(batch), self.arena_fixed_bytes + self.arena_item_bytes * batch)

    @property
    def least_bytes(self) -> int:
        """What is held while the smallest batches run, including the weights."""
        return self.weights_bytes + self.held_bytes(self.smallest_batch)

    def calls(self, frames: int, batch: int) -> int:
        """Returns how many calls the items of these frames take; noise in a float never makes it one more."""
        return max(0, math.ceil(frames * self.items_per_frame / batch - 1e-9))


def most_held_bytes(stages: Iterable[tuple[StageCost, int]]) -> int:
    """What the stages of a phase hold beside their weights, each at its batch, one after another: an arena that they
    share keeps what the one that wants most of it takes, and what another holds outside of it comes on top.
    """
    held = [(stage.arena_bytes(batch), stage.held_bytes(batch)) for stage, batch in stages]
    arena = max((arena for arena, _ in held), default=0)
    return arena + max((whole - own for own, whole in held), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A job, a budget and what the stages cost; `read_problem` checks all of it."""

    frames: int
    budget_bytes: int
    base_bytes: int
    """What is held whatever the plan is: runtime, decoder, queues."""
    arena: Arena
    overlap: bool
    """Whether decoding and networks run side by side; false where they share the cores."""
    decode_s: float
    """The seconds that decoding a frame takes; the next two are seconds a frame as well."""
    patch_read_s: float
    patch_write_s: float
    switch_s: float
    """The seconds from one phase to the next, without loading."""
    stages: tuple[StageCost, ...]
    host: Host | None = None
    """Where the device has a memory of its own: then the budget and the costs are the device's, arenas are shared, and
    stages may run on the host instead. None where device and host are one."""


def in_order(stages: Sequence[StageCost]) -> tuple[StageCost, ...]:
    """Sorts stages so that each comes after all it needs, and otherwise in the order given.

    Raises:
        RequestError: a stage needs one that is not there, or stages need each other in a circle.
    """
    names = {stage.stage for stage in stages}
    for i, stage in enumerate(stages):
        if unknown := sorted(stage.needs - names):
            raise RequestError(f"stages[{i}].needs names {unknown[0]!r}, which is no stage of the problem")
    ordered: list[StageCost] = []
    rest = list(stages)
    while rest:
        placed = {stage.stage for stage in ordered}
        ready = next((stage for stage in rest if stage.needs <= placed), None)
        if ready is None:
            raise RequestError(f"needs go round in a circle among {', '.join(repr(stage.stage) for stage in rest)}")
        rest.remove(ready)
        ordered.append(ready)
    return tuple(ordered)
