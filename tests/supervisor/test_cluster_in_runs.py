"""Runs on clusters: their nodes are simulated, workers, plans and stores are real."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faceloom.api import extract
from faceloom.errors import DeviceLostError, InstallationError, RequestError
from faceloom.events import DEVICE_LOST, NODE_JOINED, Event, Notice, Progress, Summary
from faceloom.supervisor import run as run_module
from faceloom.supervisor import scheduler
from faceloom.supervisor.node_intake import other_versions
from faceloom.units import GIB, MIB
from jobs import exported, files_below
from simulated_clusters import SimulatedCluster, SimulatedNode

FACES: Any = {"size": 64, "memory": "4GiB", "device": "cpu"}


@pytest.fixture(scope="module")
def alone(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one run on this machine gives."""
    out = tmp_path_factory.mktemp("alone") / "out"
    extract(samples, out, **FACES)
    return out


class Watch:
    """What was told, and what is done when something is."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.on_progress: Callable[[], object] = lambda: None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Notice):
            self.notices.append(event)
        elif isinstance(event, Progress) and event.frames:
            self.on_progress()

    def texts(self, kind: str) -> list[str]:
        return [one.text for one in self.notices if one.kind == kind]


@pytest.fixture
def watch() -> Watch:
    return Watch()


def run(
    samples: Path, out: Path, cluster: SimulatedCluster, patch: pytest.MonkeyPatch, watch: Watch, **options: Any
) -> Summary:
    patch.setattr(run_module, "Cluster", cluster)
    return extract(samples, out, **FACES | options, cluster="auto", on_event=watch)


def assert_same(one: Path, other: Path) -> None:
    for frames in (False, True):
        assert exported(one, frames=frames) == exported(other, frames=frames)
    assert files_below(one) == files_below(other)


def test_nodes_find_what_one_machine_finds_whether_they_see_the_folder_or_not(
    samples: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    far = SimulatedNode("far", memory_bytes=900 * MIB, facts={"sees_folder": False})
    cluster = SimulatedCluster(SimulatedNode("near"), far)
    summary = run(samples, tmp_path / "out", cluster, monkeypatch, watch)
    assert_same(tmp_path / "out", alone)
    assert {name: one.budget_bytes for name, one in summary.nodes.items()} == {"near": 4 * GIB, "far": 900 * MIB}
    assert sum(one.frames for one in summary.nodes.values()) == summary.frames
    assert all(one.peak_bytes <= one.budget_bytes for one in summary.nodes.values())
    assert 0 < cluster.most_bytes["far"] <= 900 * MIB
    assert sorted(watch.texts(NODE_JOINED))[0].startswith("far takes part, with 1 worker in ")
    assert not (tmp_path / "out/.probe").exists()


def test_what_a_node_had_that_is_lost_goes_to_another_that_has_come(
    samples: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    cluster = SimulatedCluster(SimulatedNode("first", reads=4))
    monkeypatch.setattr("faceloom.supervisor.node_intake._LOOK_EVERY_S", 0.1)
    watch.on_progress = lambda: cluster.known.append(SimulatedNode("second")) if len(cluster.known) == 1 else None
    summary = run(samples, tmp_path / "out", cluster, monkeypatch, watch)
    assert_same(tmp_path / "out", alone)
    assert summary.events[DEVICE_LOST] == 1
    assert watch.texts(DEVICE_LOST) == ["first is left out from now on: first is gone"]
    assert summary.nodes["second"].frames > 0


def test_nobody_waits_for_a_node_that_does_not_answer(
    samples: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    monkeypatch.setattr(scheduler, "_SLOW_S", 0.1)
    cluster = SimulatedCluster(SimulatedNode("quick"), SimulatedNode("stuck", hangs=1))
    summary = run(samples, tmp_path / "out", cluster, monkeypatch, watch)
    assert_same(tmp_path / "out", alone)
    assert summary.nodes["quick"].frames == summary.frames


def test_a_run_ends_where_no_node_is_left_and_the_same_command_goes_on(
    samples: Path, alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    monkeypatch.setattr(scheduler, "_PATIENCE_S", 0.1)
    with pytest.raises(DeviceLostError, match="no node of the cluster is left"):
        run(samples, tmp_path / "out", SimulatedCluster(SimulatedNode("one", reads=4)), monkeypatch, watch)
    run(samples, tmp_path / "out", SimulatedCluster(SimulatedNode("two")), monkeypatch, watch)
    assert_same(tmp_path / "out", alone)


def test_a_node_that_would_do_other_work_takes_no_part(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    blind = SimulatedNode("blind", facts={"unseen": (Path("/mnt/shots/a.jpg"),)})
    with pytest.raises(RequestError, match=r"blind does not see /mnt/shots/a\.jpg"):
        run(samples, tmp_path / "out", SimulatedCluster(blind), monkeypatch, watch)
    old = SimulatedNode("old", facts={"version": "0.0.1"})
    with pytest.raises(InstallationError, match=r"old has faceloom 0\.0\.1"):
        run(samples, tmp_path / "out", SimulatedCluster(old), monkeypatch, watch)


def test_weights_that_a_node_lacks_are_sent(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: Watch
) -> None:
    from faceloom.supervisor import node_facts

    sent: list[str] = []

    def keep(sha256: str, content: bytes) -> Path:
        sent.append(sha256)
        return tmp_path / sha256 if (tmp_path / sha256).write_bytes(content) else tmp_path

    monkeypatch.setattr(node_facts, "_find", lambda path, sha256: None)
    monkeypatch.setattr("faceloom.supervisor.node_intake.keep_weights", keep)
    picture = next(path for path in sorted(samples.iterdir()) if path.suffix == ".jpg")
    run(picture, tmp_path / "out", SimulatedCluster(SimulatedNode("bare")), monkeypatch, watch)
    assert len(sent) == 2


def test_packages_of_other_versions_are_named() -> None:
    here = {"packages": {"numpy": "2.4.6", "torch": None, "av": "18.1.0"}}
    there = {"packages": {"numpy": "2.3.0", "torch": None}}
    assert other_versions(there, here) == "numpy 2.3.0 (here 2.4.6), av not at all (here 18.1.0)"
    assert not other_versions(here, here)


@pytest.mark.parametrize(("address", "words"), [("local", "pip install 'faceloom"), ("gpu-box", "not 'gpu-box'")])
def test_without_ray_or_with_another_address_it_says_what_to_do(
    address: str, words: str, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RequestError, match=words):
        extract(samples, tmp_path / "out", cluster=address, **FACES)
