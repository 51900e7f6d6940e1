"""Footprints: what a stage costs on one device, measured once and kept."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from faceloom.memory.load import BUSY
from faceloom.units import MIB

MARGIN = 0.04
"""This share is added to measured bytes, since networks cut the block that they share in different places."""
UNTOLD_BYTES = 512 * MIB
"""What context and libraries are assumed to take of a card whose driver cannot be asked."""
_RUNTIME_BYTES = 512 * MIB
"""What the libraries of a card take of the host's memory; a guess, like the next."""
_TIMES_AS_FAST = 50
"""How many times as fast a card is as one core."""
_FORMAT = 6
"""Counts the changes to what is measured and how; footprints of another format are measured again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFootprint:
    """What one stage holds of the host's memory while its network runs on a device that has a memory of its own."""

    weights_bytes: int
    """Held as long as the network is loaded, if a copy of it stays on the host."""
    spike_bytes: int
    """Held besides, while the network is loaded."""
    fixed_bytes: int
    item_bytes: int
    process_bytes: int
    """What the process holds with everything imported and no network loaded."""
    item_s: float = 0.0
    """The host's seconds an item: to prepare it for the device, and to make something of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one stage costs in a worker process, in seconds and in memory of the device that it runs on."""

    weights_bytes: int
    load_spike: float
    """How many extra copies of the weights there are while they are loaded."""
    load_s: float
    fixed_bytes: int
    item_bytes: int
    """A batch of b holds fixed + item * b bytes, on top of the weights."""
    batch_s: Mapping[int, float]
    """The seconds of one batch, by its size; of a device beside its host, the device's alone."""
    arena_fixed_bytes: int
    """The part of the fixed bytes that is to be reserved in the arena; it includes the margin, as they do."""
    arena_item_bytes: int
    transient_bytes: int
    """The part of an item's bytes that is freed when the call ends: the network's input and output tensors."""
    process_bytes: int
    """What the process holds with everything imported and no network loaded; on a card, context and libraries."""
    start_s: float
    """The CPU seconds until the process is that far."""
    switch_s: float
    """The seconds to give back what the networks of one phase held, before those of the next are loaded."""
    is_settled: bool = True
    """Whether the seconds were the same when they were taken again."""
    load: float = 0.0
    """How many programs wanted each core when they were taken."""
    is_measured: bool = True
    """False for a first guess from the network's graph."""
    host: HostFootprint | None = None
    """What the stage holds of the host's memory, where the device has a memory of its own."""
    context_bytes: int = 0
    """On a card, the part of `process_bytes` that is there before any network has run, and so once in a process."""
    limited_bytes: int = 0
    """The limit that kept larger batches from being measured on such a device; 0 if none did."""
    video_bytes: int = 0
    """What a process holds less of the host's memory that reads no videos: what reads them is not imported there."""
    on_host: "Footprint | None" = None
    """What it costs on the host instead, where that is known; measured, and kept, as a footprint of its own."""

    def is_rough(self, load: float) -> bool:
        """Says whether the seconds are not to be trusted, and better ones can be had now that the load is this."""
        return (not self.is_settled or self.load > BUSY) and load <= self.load / 2

    def to_json(self) -> dict[str, Any]:
        """Gives the footprint as plain values."""
        batch_s = {str(batch): seconds for batch, seconds in self.batch_s.items()}
        on_host = self.on_host.to_json() if self.on_host else None
        return {**asdict(self), "batch_s": batch_s, "on_host": on_host}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Footprint":
        """Makes a footprint of what `to_json` gave.

        Raises:
            KeyError, TypeError, ValueError: the values are no footprint.
        """
        batch_s = {int(batch): float(seconds) for batch, seconds in values["batch_s"].items()}
        host = HostFootprint(**values["host"]) if values["host"] else None
        on_host = cls.from_json(values["on_host"]) if values["on_host"] else None
        return cls(**{**values, "batch_s": batch_s, "host": host, "on_host": on_host})


def on_a_card(guess: Footprint) -> Footprint:
    """Turns a guess for the host into one for a card: copies of weights and inputs stay, a context comes on top."""
    host = HostFootprint(
        weights_bytes=guess.weights_bytes,
        spike_bytes=round(guess.load_spike * guess.weights_bytes),
        fixed_bytes=0,
        item_bytes=guess.item_bytes // 8,
        process_bytes=guess.process_bytes + _RUNTIME_BYTES,
    )
    batch_s = {batch: seconds / _TIMES_AS_FAST for batch, seconds in guess.batch_s.items()}
    return replace(
        guess,
        process_bytes=UNTOLD_BYTES,
        context_bytes=UNTOLD_BYTES,
        batch_s=batch_s,
        host=host,
        transient_bytes=0,
    )


def card_base_bytes(footprints: Iterable[Footprint]) -> int:
    """What a process holds of a card besides what its engine does: one context, and the kernels and handles of each
    network, which stay when it goes.
    """
    on_card = [one for one in footprints if one.host]
    context = max((one.context_bytes for one in on_card), default=0)
    return context + sum(one.process_bytes - one.context_bytes for one in on_card)


def fit(held: Mapping[int, int]) -> tuple[int, int]:
    """Fits fixed and item bytes, both >= 0 and with the margin, to the bytes held at one or two batch sizes.

    A stage that holds less at the larger batch has no item bytes: what differs is noise.
    """
    (small, small_bytes), *others = sorted(held.items())
    if not others:
        return round(small_bytes * (1 + MARGIN)), 0
    ((large, large_bytes),) = others
    item = max(0, large_bytes - small_bytes) / (large - small)
    fixed = max(0, max(small_bytes, large_bytes) - item * (large if large_bytes >= small_bytes else small))
    return round(fixed * (1 + MARGIN)), round(item * (1 + MARGIN))


@dataclass(frozen=True, slots=True, kw_only=True)
class FootprintCache:
    """The measured footprints of this machine, in a file each, by everything that they depend on."""

    folder: Path

    def find(self, traits: Mapping[str, Any]) -> Footprint | None:
        """Returns the footprint measured under exactly these traits, if there is one that can be read."""
        try:
            stored = json.loads(self._path(traits).read_text(encoding="utf-8"))
            return Footprint.from_json(stored["footprint"])
        except (OSError, AttributeError, KeyError, TypeError, ValueError):
            return None

    def keep(self, traits: Mapping[str, Any], footprint: Footprint) -> None:
        """Writes a footprint, whole or not at all; a cache that cannot be written costs a measurement each time."""
        path = self._path(traits)
        content = json.dumps({"traits": dict(traits), "footprint": footprint.to_json()}, indent=1)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as file:
                file.write(content)
            Path(file.name).replace(path)
        except OSError:
            return

    def _path(self, traits: Mapping[str, Any]) -> Path:
        text = json.dumps({"format": _FORMAT, **traits}, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"
