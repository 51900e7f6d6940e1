"""What measuring makes of a card that is not there: it counts, loads kernels as it goes, and works for a while."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from faceloom.engines.runtime import Runtime
from faceloom.engines.turns import AHEAD, Turns
from faceloom.mask import NetworkMask
from faceloom.memory.ceilings import NO_CEILING
from faceloom.memory.footprints import MARGIN, Footprint
from faceloom.messages import Measure
from faceloom.stage import Stage, Tensors
from faceloom.units import MIB
from faceloom.worker import measuring

CONTEXT_BYTES = 300 * MIB
KERNELS_BYTES = 20 * MIB
"""That a network brings with its first call."""
LARGE_KERNELS_BYTES = 7 * MIB
"""That it brings with its first call of four items or more."""
CALL_S = 0.004
"""By the card's own clock."""
PREPARING_S = 0.005
"""An item."""
ITEM_BYTES = 64 * 64 * 3 * 4 * 2
"""Of what goes in and comes out for one item."""


class Darken(NetworkMask):
    """A network of no weights to speak of."""

    input_size = 64

    def prepare(self, images: Any) -> Tensors:
        time.sleep(PREPARING_S * len(images))
        return {"x": images.astype(np.float32)}

    def decode(self, outputs: Tensors) -> Any:
        return (outputs["y"][..., 0] > 0).astype(np.uint8)

    def segment(self, infer: Any, chips: Any) -> Any:
        return self.decode(infer(self.prepare(chips)))


class Card:
    """What every engine of the process takes of it."""

    def __init__(self) -> None:
        self.kernels_bytes = 0
        self.has_context = False
        self.limits: list[tuple[str, int, int]] = []

    @property
    def taken_bytes(self) -> int:
        return (CONTEXT_BYTES if self.has_context else 0) + self.kernels_bytes

    def engine(self, kind: str, arena_bytes: int, weights_bytes: int) -> "CardEngine":
        self.limits.append((kind, arena_bytes, weights_bytes))
        return CardEngine(self)


class CardEngine:
    """Holds nothing of its own but what a call needs for the moment."""

    version = "none"
    total_bytes = free_bytes = 8 << 30
    held_bytes = peak_bytes = pinned_bytes = 0

    def __init__(self, card: Card) -> None:
        card.has_context = True
        self._card = card
        self._turns = Turns()

    @property
    def memory(self) -> "CardEngine":
        return self

    @property
    def busy_s(self) -> float:
        return self._turns.busy_s

    def load(self, path: Path, network: str = "") -> Any:
        def call(inputs: Tensors) -> Tensors:
            count = len(inputs["x"])
            own = KERNELS_BYTES + (LARGE_KERNELS_BYTES if count >= 4 else 0)
            self._card.kernels_bytes = max(self._card.kernels_bytes, own)
            self._turns.add(CALL_S)
            return {"y": inputs["x"]}

        return call

    def reset_peak(self) -> None: ...

    def reserve(self, size_bytes: int) -> None: ...

    def shrink(self) -> None: ...


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    monkeypatch.setattr(measuring, "free_bytes_of", lambda name: (8 << 30) - card.taken_bytes)
    monkeypatch.setattr(
        measuring,
        "start_engine",
        lambda runtime, *, arena_bytes=0, weights_bytes=0: card.engine("run", arena_bytes, weights_bytes),
    )
    monkeypatch.setattr(
        measuring, "start_trial", lambda runtime, *, arena_bytes=0: card.engine("trial", arena_bytes, 0)
    )
    return card


def measured(tmp_path: Path, device_bytes: int) -> Footprint:
    weights = tmp_path / "weights.onnx"
    weights.write_bytes(bytes(1000))
    return measuring.measure(
        Measure(
            stage=Stage(name="mask/darken", plugin=Darken()),
            weights=weights,
            frame_shape=(0, 0),
            worker_bytes=0,
            runtime=Runtime(device="cuda:0"),
            device_bytes=device_bytes,
        ),
        NO_CEILING,
    )


def test_kernels_of_every_batch_are_in_the_base_and_the_context_is_told_apart(card: Card, tmp_path: Path) -> None:
    found = measured(tmp_path, 0)
    assert max(found.batch_s) >= 4, "larger batches pay here"
    assert found.context_bytes == CONTEXT_BYTES
    assert found.process_bytes == CONTEXT_BYTES + KERNELS_BYTES + LARGE_KERNELS_BYTES


def test_the_limit_in_force_while_measuring_is_what_the_base_leaves(card: Card, tmp_path: Path) -> None:
    measured(tmp_path, 1000 * MIB)
    assert card.limits == [
        ("trial", 1000 * MIB, 0),
        ("run", 1000 * MIB - CONTEXT_BYTES - KERNELS_BYTES, 1000),
    ]


def test_what_the_next_call_has_there_already_is_counted(card: Card, tmp_path: Path) -> None:
    found = measured(tmp_path, 0)
    assert found.item_bytes >= AHEAD * ITEM_BYTES * (1 + MARGIN) - 1
    assert found.arena_item_bytes >= AHEAD * ITEM_BYTES * (1 + MARGIN) - 1


def test_the_seconds_of_the_card_and_of_its_host_are_told_apart(card: Card, tmp_path: Path) -> None:
    found = measured(tmp_path, 0)
    assert found.host is not None
    assert found.batch_s == {batch: pytest.approx(CALL_S) for batch in found.batch_s}
    assert found.host.item_s >= PREPARING_S - CALL_S
