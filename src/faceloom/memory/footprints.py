"""Footprints: what a stage costs on one device, measured once and kept."""

import hashlib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

MARGIN = 0.04
"""Added to measured bytes: other networks cut the block that they share in other places (measured, docs/memory.md)."""
_FORMAT = 2
"""Counts the changes to what is measured and how; footprints of another format are measured again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one stage costs in a worker process."""

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
    """Of the process with everything imported and no network loaded."""
    start_s: float
    """CPU seconds until the process was that far."""
    switch_s: float
    """To give back what the networks of one phase held, before those of the next are loaded."""
    is_measured: bool = True
    """False for a first guess from the network's graph."""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "batch_s": {str(batch): seconds for batch, seconds in self.batch_s.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Footprint":
        """The inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: the values are no footprint.
        """
        footprint = cls(**values)
        return replace(footprint, batch_s={int(batch): float(s) for batch, s in footprint.batch_s.items()})


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
