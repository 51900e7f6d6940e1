"""Plans for several machines that share a job by shards: one for each kind of node, by the same solver."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from faceloom.errors import BudgetError, RequestError
from faceloom.supervisor.planning import Planned
from faceloom.units import parse_bytes

_MOST_TIMES = 8
"""Nodes are given at most so many shards more than it takes for each to have one."""
_NEARLY = 1.03
"""Fewer shards are better where they end at most so many times as late as the best that was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKind:
    """Machines that are alike."""

    name: str
    count: int
    cores: int
    memory_bytes: int
    speed: float = 1.0
    """How many times as fast as this machine one of its cores is."""
    cost_an_hour: float = 0.0
    """Of one of them, in any currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """What machines of one kind do."""

    kind: NodeKind
    planned: Planned | BudgetError
    """The plan of one, as if it did all frames alone; or why there is none."""
    shards: int = 0
    """How many each of them is given."""

    @property
    def seconds(self) -> float:
        """For all frames, by one of them alone."""
        assert not isinstance(self.planned, BudgetError)
        return self.planned.plan.seconds / self.kind.speed


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesForecast:
    """What a job takes on several machines."""

    frames: int
    nodes: tuple[NodePlan, ...]
    shards: int
    """Of the whole job, N of `--shard I/N`; 0 where no machine can do it."""

    @property
    def seconds(self) -> float:
        """Until the last machine has done its shards, if all shards have as many frames."""
        return max((one.seconds * one.shards / self.shards for one in self.nodes if one.shards), default=0.0)

    @property
    def cost(self) -> float:
        """Of all machines that take part, from the start until the last has ended."""
        return sum(one.kind.cost_an_hour * one.kind.count for one in self.nodes if one.shards) * self.seconds / 3600

    def to_json(self) -> dict[str, Any]:
        """Gives it as `plan --nodes --json` prints it."""
        return {
            "frames": self.frames,
            "shards": self.shards,
            "seconds": round(self.seconds, 3),
            "cost": round(self.cost, 4),
            "nodes": [_to_json(one) for one in self.nodes],
        }


def _to_json(one: NodePlan) -> dict[str, Any]:
    told: dict[str, Any] = {field.name: getattr(one.kind, field.name) for field in fields(NodeKind)}
    if isinstance(one.planned, BudgetError):
        return told | {"error": str(one.planned), "needed_bytes": one.planned.needed_bytes}
    return told | {"shards": one.shards, "plan": one.planned.plan.to_json()}


def plan_nodes(
    kinds: Sequence[NodeKind], frames: int, plan: Callable[[NodeKind], Planned | BudgetError]
) -> NodesForecast:
    """Plans for every kind of node, and how many shards each is given so that all end at about the same time."""
    found = [NodePlan(kind=kind, planned=plan(kind)) for kind in kinds]
    able = [one for one in found if not isinstance(one.planned, BudgetError)]
    if not able:
        return NodesForecast(frames=frames, nodes=tuple(found), shards=0)
    tried = [_dealt(frames, found, times) for times in range(1, _MOST_TIMES + 1)]
    best = min(one.seconds for one in tried)
    return next(one for one in tried if one.seconds <= _NEARLY * best)


def _dealt(frames: int, found: Sequence[NodePlan], times: int) -> NodesForecast:
    """Shards dealt by speed: the slowest machines get `times` of them."""
    slowest = max(one.seconds for one in found if not isinstance(one.planned, BudgetError))
    nodes = [
        one
        if isinstance(one.planned, BudgetError)
        else NodePlan(kind=one.kind, planned=one.planned, shards=max(1, round(times * slowest / one.seconds)))
        for one in found
    ]
    return NodesForecast(frames=frames, nodes=tuple(nodes), shards=sum(one.shards * one.kind.count for one in nodes))


def read_nodes(file: Path) -> tuple[NodeKind, ...]:
    """Reads kinds of nodes from a TOML file, a table `[[node]]` each.

    Raises:
        RequestError: it cannot be read, or says what no machine is.
    """
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RequestError(f"{file} cannot be read: {error}") from error
    tables = told.get("node")
    if not isinstance(tables, list) or not tables or set(told) != {"node"}:
        raise RequestError(f"{file} has to have tables [[node]] and nothing else, each with count, cores and memory")
    kinds = tuple(_kind(table, number, file) for number, table in enumerate(tables, start=1))
    names = [kind.name for kind in kinds]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise RequestError(f"{file} names two kinds of nodes {twice!r}")
    return kinds


def _kind(table: object, number: int, file: Path) -> NodeKind:
    where = f"{file}, node {number}"
    if not isinstance(table, dict):
        raise RequestError(f"{where} is no table")
    known = {"name", "count", "cores", "memory", "speed", "cost_an_hour"}
    if unknown := sorted(set(table) - known):
        raise RequestError(f"{where} has {unknown[0]!r}, which nothing takes; there are: {', '.join(sorted(known))}")
    if missing := sorted({"cores", "memory"} - set(table)):
        raise RequestError(f"{where} has no {missing[0]}")
    count, cores = table.get("count", 1), table["cores"]
    speed, cost = table.get("speed", 1.0), table.get("cost_an_hour", 0.0)
    for name, value in (("count", count), ("cores", cores)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise RequestError(f"{where}: {name} is {value!r}, which is no whole number from 1")
    for name, value, least in (("speed", speed, 0.01), ("cost_an_hour", cost, 0.0)):
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value < float("inf"):
            raise RequestError(f"{where}: {name} is {value!r}, which is no number from {least:g}")
    try:
        memory = parse_bytes(str(table["memory"]))
    except ValueError as error:
        raise RequestError(f"{where}: memory: {error}") from error
    return NodeKind(
        name=str(table.get("name", number)),
        count=count,
        cores=cores,
        memory_bytes=memory,
        speed=float(speed),
        cost_an_hour=float(cost),
    )
