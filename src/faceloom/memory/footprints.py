"""Footprints: what a stage costs on one device, measured once and kept."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from faceloom.units import MIB

MARGIN = 0.04
"""Added to measured bytes: other networks cut the block that they share in other places (measured, docs/memory.md)."""
UNTOLD_BYTES = 512 * MIB
"""Of a card whose driver cannot be asked: its context and libraries are believed to take so much."""
_RUNTIME_BYTES = 512 * MIB
"""Of the host, by libraries of a card; a guess, like the next."""
_TIMES_AS_FAST = 50
"""A card, as one core."""
_FORMAT = 3
"""Counts the changes to what is measured and how; footprints of another format are measured again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFootprint:
    """What one stage holds of the host's memory while its network runs on a device that has a memory of its own."""

    weights_bytes: int
    """As long as the network is loaded, and there is a copy of it here."""
    spike_bytes: int
    """Besides, while it is loaded."""
    fixed_bytes: int
    item_bytes: int
    process_bytes: int
    """Of the process with everything imported and no network loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one stage costs in a worker process, of the memory of the device that it runs on."""

    weights_bytes: int
    load_spike: float
    """Extra copies of the weights while loading."""
    load_s: float
    fixed_bytes: int
    item_bytes: int
    """Held at a batch of b: fixed + item * b, on top of the weights."""
    batch_s: Mapping[int, float]
    """Seconds of one batch, by its size."""
    arena_fixed_bytes: int
    """Of the fixed bytes, what is to be reserved in the arena; like them with the margin."""
    arena_item_bytes: int
    transient_bytes: int
    """Of what one item holds, what goes when the call ends: tensors on their way into the network and out of it."""
    process_bytes: int
    """Of the process with everything imported and no network loaded; of a card, its context and libraries."""
    start_s: float
    """CPU seconds until the process was that far."""
    switch_s: float
    """To give back what the networks of one phase held, before those of the next are loaded."""
    is_measured: bool = True
    """False for a first guess from the network's graph."""
    host: HostFootprint | None = None
    """Of the host's memory, where the device has one of its own."""
    limited_bytes: int = 0
    """The limit that kept larger batches from being measured on such a device; 0 if none did."""
    on_host: "Footprint | None" = None
    """What it costs on the host instead, where that is known; measured, and kept, as a footprint of its own."""

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
    """A guess for the host as one for a card: copies of weights and inputs stay behind, and a context comes on top."""
    host = HostFootprint(
        weights_bytes=guess.weights_bytes,
        spike_bytes=round(guess.load_spike * guess.weights_bytes),
        fixed_bytes=0,
        item_bytes=guess.item_bytes // 8,
        process_bytes=guess.process_bytes + _RUNTIME_BYTES,
    )
    batch_s = {batch: seconds / _TIMES_AS_FAST for batch, seconds in guess.batch_s.items()}
    return replace(guess, process_bytes=UNTOLD_BYTES, batch_s=batch_s, host=host, transient_bytes=0)


def fit(held: Mapping[int, int]) -> tuple[int, int]:
    """Fixed and item bytes, both >= 0 and with the margin, of bytes held at one or two batch sizes.

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
    """Measured footprints of this machine, a file each, by everything they depend on."""

    folder: Path

    def find(self, traits: Mapping[str, Any]) -> Footprint | None:
        """The footprint measured under exactly these traits, if there is one that can be read."""
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
