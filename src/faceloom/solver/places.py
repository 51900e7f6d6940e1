"""Places: stages run on the device, or on the host of a device that has a memory of its own."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import product

from faceloom.solver.problem import HostShare, Problem, StageCost


def place(problem: Problem, on_host: Collection[str]) -> Problem:
    """Returns the problem in which these stages run on the host, at their costs there, and all others on the device."""
    stages = tuple(_on_host(stage) if stage.stage in on_host else _on_device(stage) for stage in problem.stages)
    return replace(problem, stages=stages)


def movable(problem: Problem) -> list[str]:
    """The names of the stages that may run on the host."""
    return [stage.stage for stage in problem.stages if stage.on_host]


def ways(places: dict[str, list[bool]]) -> Iterator[frozenset[str]]:
    """Yields every set of stages that may be on the host together, given the places that each stage may have."""
    for chosen in product(*places.values()):
        yield frozenset(name for name, is_on_host in zip(places, chosen, strict=True) if is_on_host)


def _on_device(stage: StageCost) -> StageCost:
    return replace(stage, on_host=None)


def _on_host(stage: StageCost) -> StageCost:
    cost = stage.on_host
    assert cost is not None, "the stage may run there"
    return replace(
        stage,
        weights_bytes=0,
        load_spike=0.0,
        load_s=cost.load_s,
        fixed_bytes=0,
        item_bytes=0,
        batch_s=cost.batch_s,
        host=HostShare(
            weights_bytes=cost.weights_bytes,
            spike_bytes=round(cost.load_spike * cost.weights_bytes),
            fixed_bytes=cost.fixed_bytes,
            item_bytes=cost.item_bytes,
        ),
        on_host=None,
        is_on_host=True,
    )
