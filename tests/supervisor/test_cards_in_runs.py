"""Runs on cards that are not there: real processes, plans and stores, and the CPU's engine behind a counted memory."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cards import simulated_cards
from conftest import prepared
from faceloom.api import extract
from faceloom.api import plan as plan_inputs
from faceloom.errors import BudgetError, DeviceLostError
from faceloom.events import DEVICE_LOST, OUT_OF_MEMORY, REPLANNED, Event, Notice, Progress, Summary
from faceloom.job import Outputs
from faceloom.media.listing import Inputs
from faceloom.memory.footprints import Footprint
from faceloom.memory.usage import peak_bytes
from faceloom.models.weights import WeightCache
from faceloom.orders.flows import make_flow
from faceloom.orders.order import make_order
from faceloom.store.summary import read_summary
from faceloom.supervisor import profiling
from faceloom.supervisor.forecast import measure_now
from faceloom.units import GIB, MIB
from jobs import exported, files_below

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="held bytes are read from the process file system")

CARDS = {"a": 2 * GIB, "b": 512 * MIB, "c": 24 * GIB}
"""`cuda:0`, `cuda:1` and `cuda:2`; the second is too small for everything at once."""
CONTEXT_BYTES = 96 * MIB
FACES: Any = {"size": 64, "mask": ["unet", "extended"], "max_faces": 1}
"""One of each frame: what runs where, and what is lost with a card, is the same with many."""


@pytest.fixture(scope="module", autouse=True)
def unet(cache: WeightCache) -> None:
    """Every test here runs it."""
    prepared(cache, "unet")


@pytest.fixture
def cards(tmp_path: Path) -> Iterator[Path]:
    """Their folder."""
    with simulated_cards(tmp_path / "cards", CARDS):
        yield tmp_path / "cards"


@pytest.fixture
def everything_on_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated card is no faster than its host, and noise would decide what runs where."""
    monkeypatch.setattr(profiling, "_may_be_on_host", lambda *_: False)


@pytest.fixture(scope="module")
def on_cpu(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one run on the CPU gives."""
    out = tmp_path_factory.mktemp("cpu") / "out"
    extract(samples, out, **FACES, device="cpu")
    return out


@pytest.fixture(scope="module")
def whole_on_cpu(whole_samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of frames enough for each of four devices."""
    out = tmp_path_factory.mktemp("cpu") / "out"
    extract(whole_samples, out, **FACES, device="cpu")
    return out


def run(samples: Path, out: Path, device: str, *, ram: int | None = None, memory: str | None = None) -> Summary:
    return extract(samples, out, **FACES, device=device, ram=ram, memory=memory)


def assert_same(one: Path, other: Path) -> None:
    assert exported(one) == exported(other)
    assert exported(one, frames=True) == exported(other, frames=True)
    assert files_below(one) == files_below(other)


def test_a_footprint_of_a_card_counts_its_memory_and_the_hosts_apart(cards: Path, samples: Path) -> None:
    options = {"device": "cuda:1", "mask": ["unet"]}
    order = make_order(make_flow(options), Outputs(), options, on_event=lambda event: None)
    found: dict[str, Footprint] = measure_now(order, Inputs(roots=(samples,)), on_event=lambda event: None)
    for name, one in found.items():
        assert one.is_measured
        assert one.process_bytes == CONTEXT_BYTES
        assert one.weights_bytes == order.weights[name].stat().st_size
        assert one.host
        assert one.host.process_bytes > 50 * MIB
        assert one.on_host
        assert one.on_host.host is None
        assert one.on_host.process_bytes > 50 * MIB
        assert Footprint.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.usefixtures("everything_on_cards")
def test_a_run_on_a_card_keeps_both_ceilings_and_finds_the_same(cards: Path, samples: Path, on_cpu: Path) -> None:
    ram = peak_bytes() + 450 * MIB  # this process counts too, with all that other tests have made it hold
    summary = run(samples, cards.parent / "out", "cuda:1", ram=ram, memory="200MiB")
    told = summary.to_json()
    assert told["budget_bytes"] == {"cpu": ram, "cuda:1": 200 * MIB}
    for device, budget in told["budget_bytes"].items():
        assert 0 < told["peak_bytes"][device] <= told["predicted_peak_bytes"][device] <= budget
    devices = {stage["device"] for phase in told["plan"]["phases"] for stage in phase["stages"]}
    assert "cuda:1" in devices
    assert 0 < told["device_busy"]["cuda:1"] <= 1
    assert read_summary(cards.parent / "out")["runs"][0]["summary"]["device_busy"] == told["device_busy"]
    assert_same(cards.parent / "out", on_cpu)


def three(
    samples: Path, cards: Path, events: list[Event], *, orders: Mapping[str, str], device: str, after_faces: int = 1
) -> Summary:
    """A run on several cards; orders for some of them are given when so many faces are in the store."""
    waiting = dict(orders)

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progress) and event.faces >= after_faces:
            while waiting:
                name, order = waiting.popitem()
                (cards / name / "orders").write_text(order)

    return extract(samples, cards.parent / "out", **FACES, device=device, on_event=on_event)


def notices(events: list[Event], kind: str) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice) and event.kind == kind]


def test_three_unequal_cards_and_the_cpu_find_what_one_run_on_the_cpu_finds(
    cards: Path, whole_samples: Path, whole_on_cpu: Path
) -> None:
    """On frames enough for each of the four."""
    events: list[Event] = []
    summary = three(whole_samples, cards, events, orders={}, device="cuda:0,cuda:1,cuda:2,cpu")
    told = summary.to_json()
    assert set(told["peak_bytes"]) == {"cpu", "cuda:0", "cuda:1", "cuda:2"}
    for device, budget in told["budget_bytes"].items():
        assert 0 < told["peak_bytes"][device] <= told["predicted_peak_bytes"][device] <= budget
    assert sum(summary.device_frames.values()) == summary.frames
    assert all(summary.device_frames.values()), "every device has done something"
    assert set(told["plan"]["devices"]) == set(summary.device_frames)
    assert any(isinstance(event, Progress) and len(event.devices) == 4 and event.cards for event in events)
    assert_same(cards.parent / "out", whole_on_cpu)
    assert read_summary(cards.parent / "out")["runs"][0]["plan"] == told["plan"]


@pytest.mark.usefixtures("everything_on_cards")
def test_a_card_that_fails_again_and_again_is_left_out_and_costs_nothing_but_time(
    cards: Path, samples: Path, on_cpu: Path
) -> None:
    events: list[Event] = []
    summary = three(samples, cards, events, orders={"a": "fail always"}, device="cuda:0,cuda:1,cuda:2")
    assert (summary.failed, summary.outcome) == (0, "done")
    (text,) = notices(events, DEVICE_LOST)
    assert text.startswith("cuda:0 is left out from now on")
    assert summary.to_json()["events"]["device_lost"] == 1
    assert_same(cards.parent / "out", on_cpu)


@pytest.mark.usefixtures("everything_on_cards")
def test_a_card_whose_workers_are_killed_one_after_the_other_costs_nothing_but_time(
    cards: Path, samples: Path, on_cpu: Path
) -> None:
    summary = three(samples, cards, [], orders={"a": "die always"}, device="cuda:0,cuda:2", after_faces=0)
    assert (summary.failed, summary.outcome) == (0, "done")
    assert summary.events["worker_restarted"] > 0
    assert_same(cards.parent / "out", on_cpu)


@pytest.mark.usefixtures("everything_on_cards")
def test_a_card_that_fails_once_is_tried_again(cards: Path, samples: Path, on_cpu: Path) -> None:
    events: list[Event] = []
    summary = three(samples, cards, events, orders={"a": "fail 1", "c": "die 1"}, device="cuda:0,cuda:2", after_faces=0)
    assert not notices(events, DEVICE_LOST)
    assert summary.events["worker_restarted"] == 2
    assert_same(cards.parent / "out", on_cpu)


@pytest.mark.usefixtures("everything_on_cards")
def test_a_run_whose_last_card_is_lost_ends_and_another_goes_on_without_it(
    cards: Path, whole_samples: Path, whole_on_cpu: Path
) -> None:
    with pytest.raises(DeviceLostError, match="cuda:0 was lost, and no other device is left: simulated") as error:
        three(whole_samples, cards, [], orders={"a": "fail always"}, device="cuda:0", after_faces=0)
    assert error.value.exit_code == 3
    summary = three(whole_samples, cards, [], orders={}, device="cpu")
    assert summary.skipped < summary.frames
    assert_same(cards.parent / "out", whole_on_cpu)


@pytest.mark.usefixtures("everything_on_cards")
def test_memory_that_a_card_refuses_costs_no_face(cards: Path, samples: Path, on_cpu: Path) -> None:
    events: list[Event] = []
    summary = three(samples, cards, events, orders={"c": "refuse 1"}, device="cuda:2")
    assert notices(events, OUT_OF_MEMORY)
    assert summary.failed == 0
    assert_same(cards.parent / "out", on_cpu)


@pytest.mark.usefixtures("everything_on_cards")
def test_memory_that_others_take_of_a_card_makes_for_a_smaller_plan(cards: Path, samples: Path, on_cpu: Path) -> None:
    others = cards / "c" / "others"
    events: list[Event] = []

    def on_event(event: Event) -> None:
        events.append(event)
        if isinstance(event, Progress) and event.frames:
            others.write_text(str(24 * GIB - 200 * MIB))

    out = cards.parent / "out"
    few = {"detect": "1!", "align": "1!", "mask": "1!"}  # so that there is something left to do
    summary = extract(samples, out, **FACES, batch=few, device="cuda:2", on_event=on_event)
    assert any("other programs leave" in text and "of cuda:2" in text for text in notices(events, REPLANNED))
    assert summary.cards["cuda:2"].budget_bytes == 0, "no more is free than the reserve"
    assert_same(out, on_cpu)


def test_a_card_without_room_for_its_context_is_refused_alone_and_left_out_beside_others(
    cards: Path, samples: Path, on_cpu: Path
) -> None:
    (cards / "b" / "others").write_text(str(512 * MIB - 90 * MIB))
    with pytest.raises(BudgetError, match=r"its context and libraries alone take \d+ MiB") as refusal:
        three(samples, cards, [], orders={}, device="cuda:1")
    assert refusal.value.needed_bytes in {CONTEXT_BYTES, 512 * MIB}, "as measured before, or else believed"
    events: list[Event] = []
    summary = three(samples, cards, events, orders={}, device="cuda:1,cpu")
    (text,) = notices(events, DEVICE_LOST)
    assert text.startswith("cuda:1 is left out: ")
    assert summary.failed == 0
    assert_same(cards.parent / "out", on_cpu)


def test_plans_are_shown_for_each_of_several_devices(cards: Path, samples: Path) -> None:
    found = plan_inputs([samples], device="cuda:0,cuda:2,cpu", mask=["unet"])
    assert found.devices == ("cuda:0", "cuda:2", "cpu")
    command = [
        sys.executable,
        "-m",
        "faceloom.cli.main",
        "plan",
        str(samples),
        "--device",
        "cuda:0,cpu",
        "--mask",
        "unet",
    ]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "cuda:0: 27 frames" in shown
    assert "\ncpu: 27 frames" in shown
