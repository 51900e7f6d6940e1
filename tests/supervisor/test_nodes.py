"""Plans for several machines."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import faceloom
from faceloom.errors import BudgetError, RequestError
from faceloom.supervisor.nodes import NodeKind, NodesForecast, plan_nodes, read_nodes
from faceloom.units import GIB, MIB

FRAMES = 100_000
KINDS = st.lists(st.tuples(st.integers(1, 40), st.floats(0.2, 8), st.floats(10, 5000)), min_size=1, max_size=4)


def kind(name: str, **of_it: Any) -> NodeKind:
    return replace(NodeKind(name=name, count=1, cores=2, memory_bytes=GIB), **of_it)


def planned(seconds: float) -> Any:
    """As much of a plan as is looked at."""
    return SimpleNamespace(plan=SimpleNamespace(seconds=seconds))


@given(KINDS)
def test_machines_end_at_about_the_same_time(machines: list[tuple[int, float, float]]) -> None:
    kinds = [kind(str(i), count=count, speed=speed) for i, (count, speed, _) in enumerate(machines)]
    alone = {str(i): seconds for i, (_, _, seconds) in enumerate(machines)}
    found = plan_nodes(kinds, FRAMES, lambda one: planned(alone[one.name]))
    assert found.shards == sum(one.shards * one.kind.count for one in found.nodes)
    assert all(one.shards >= 1 for one in found.nodes)
    # What could be dealt in any amounts would take so long; the slowest machines' shards are whole ones.
    least = 1 / sum(count * speed / seconds for count, speed, seconds in machines)
    assert least <= found.seconds * (1 + 1e-9)
    assert found.seconds <= 1.51 * least


@given(st.integers(1, 50), st.floats(1, 1000))
def test_machines_that_are_alike_have_one_shard_each(count: int, seconds: float) -> None:
    found = plan_nodes([kind("a", count=count)], FRAMES, lambda one: planned(seconds))
    assert found.shards == count
    assert found.seconds == pytest.approx(seconds / count)


def test_a_machine_that_cannot_do_it_takes_no_part_and_costs_nothing() -> None:
    refusal = BudgetError("too little", needed_bytes=300 * MIB)
    kinds = [kind("small", cost_an_hour=5.0, count=7), kind("large", cost_an_hour=2.0, count=3)]
    found = plan_nodes(kinds, FRAMES, lambda one: refusal if one.name == "small" else planned(7200.0))
    assert [one.shards for one in found.nodes] == [0, 1]
    assert found.seconds == pytest.approx(2400)
    assert found.cost == pytest.approx(2.0 * 3 * 2400 / 3600)
    nobody = plan_nodes(kinds, FRAMES, lambda one: refusal)
    assert (nobody.shards, nobody.seconds, nobody.cost) == (0, 0.0, 0.0)
    assert nobody.to_json()["nodes"][0]["needed_bytes"] == 300 * MIB


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "nodes.toml"
    file.write_text(
        '[[node]]\ncores = 4\nmemory = "8GiB"\n[[node]]\nname = "b"\ncount = 9\ncores = 1\nmemory = "500MiB"\nspeed = 2'
    )
    assert read_nodes(file) == (
        NodeKind(name="1", count=1, cores=4, memory_bytes=8 * GIB),
        NodeKind(name="b", count=9, cores=1, memory_bytes=500 * MIB, speed=2.0),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "tables"),
        ("[[node]", "cannot be read"),
        ("[[node]]\nmemory = '1GiB'", "no cores"),
        ("[[node]]\ncores = 2\nmemory = '1GiB'\ngpus = 1", "'gpus', which nothing takes"),
        ("[[node]]\ncores = 0\nmemory = '1GiB'", "cores is 0"),
        ("[[node]]\ncores = true\nmemory = '1GiB'", "cores is True"),
        ("[[node]]\ncores = 2\nmemory = 'much'", "node 1: memory"),
        ("[[node]]\ncores = 2\nmemory = '1GiB'\nspeed = nan", "speed is nan"),
        (
            "[[node]]\nname='a'\ncores=1\nmemory='1GiB'\n[[node]]\nname='a'\ncores=1\nmemory='1GiB'",
            "two kinds of nodes 'a'",
        ),
    ],
)
def test_what_no_machine_is_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "nodes.toml"
    file.write_text(text)
    with pytest.raises(RequestError, match=reason):
        read_nodes(file)


def test_each_kind_has_the_plan_that_its_machine_would_make(samples: Path, tmp_path: Path) -> None:
    file = tmp_path / "nodes.toml"
    file.write_text(
        "[[node]]\nname='two'\ncores=2\nmemory='8GiB'\n[[node]]\nname='one'\ncores=1\nmemory='8GiB'\n"
        "[[node]]\nname='none'\ncores=8\nmemory='60MiB'"
    )
    options: dict[str, Any] = {"align": None, "mask": (), "look": False}
    found = faceloom.plan(samples / "clip.mp4", nodes=file, **options).nodes
    assert isinstance(found, NodesForecast)
    two, one, none = found.nodes
    assert isinstance(none.planned, BudgetError)
    for node, cores in ((two, 2), (one, 1)):
        assert not isinstance(node.planned, BudgetError)
        own = faceloom.plan(samples / "clip.mp4", memory="8GiB", threads=cores, **options).plans[0]
        assert not isinstance(own, BudgetError)
        assert node.planned.plan.workers == own.plan.workers <= cores
        assert node.planned.plan.seconds == pytest.approx(own.plan.seconds)
