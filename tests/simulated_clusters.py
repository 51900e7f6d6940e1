"""A cluster that is not there: nodes are names, and a relay's calls are made in this process."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any, Self

from faceloom.early import WORKER_SETTINGS
from faceloom.supervisor.cluster import ClusterNode
from faceloom.supervisor.node_facts import NodeFacts
from faceloom.supervisor.relay import Relay
from faceloom.supervisor.relayed import RelayedWorker
from faceloom.supervisor.workers import WorkerConnection, WorkerLostError, here
from faceloom.targets import Target
from faceloom.units import GIB


@dataclass
class SimulatedNode:
    """A node, and what is the matter with it."""

    name: str
    cores: int = 1
    memory_bytes: int = 8 * GIB
    facts: dict[str, Any] = field(default_factory=dict)
    """What it answers otherwise than this machine would."""
    reads: int | None = None
    """After how many answers it is lost."""
    hangs: int | None = None
    """After how many answers none comes any more."""
    is_there: bool = True


class SimulatedCluster:
    """What a run takes for a cluster."""

    def __init__(self, *nodes: SimulatedNode) -> None:
        self.known = list(nodes)
        self.relays: list[_LocalRelay] = []
        self.most_bytes: dict[str, int] = {}
        """What Ray would have been told that a worker may hold, by node."""

    def __call__(self, address: str, *, cores: int, share: bool = False) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for relay in self.relays:
            relay.close()

    def nodes(self) -> list[ClusterNode]:
        return [
            ClusterNode(name=one.name, id=one.name, cores=one.cores, memory_bytes=one.memory_bytes)
            for one in self.known
            if one.is_there
        ]

    def has(self, node_id: str) -> bool:
        return self._node(node_id).is_there

    def ask(self, node: ClusterNode, call: "partial[Any]", *, is_over: Callable[[], bool]) -> Any:
        answer = call()
        return replace(answer, **self._node(node.id).facts) if isinstance(answer, NodeFacts) else answer

    def start(self, target: Target, worker_bytes: int = 0) -> WorkerConnection:
        if target.node is None:
            return here(target)
        self.most_bytes[target.node.name] = worker_bytes
        relay = _LocalRelay(self._node(target.node.id))
        self.relays.append(relay)
        return RelayedWorker(relay, target.node, share=False)

    def _node(self, name: str) -> SimulatedNode:
        return next(one for one in self.known if one.name == name)


class _LocalRelay(Relay):
    """A relay whose node may be lost."""

    def __init__(self, node: SimulatedNode) -> None:
        super().__init__(WORKER_SETTINGS, "/")
        self._node = node
        self.is_ended = False

    def read(self) -> tuple[bytes, int]:
        if self._node.hangs is not None:
            self._node.hangs -= 1
            if self._node.hangs < 0:
                self._process.wait()
        if self._node.reads is not None:
            self._node.reads -= 1
            if self._node.reads < 0:
                self._node.is_there = False
        if not self._node.is_there:
            raise WorkerLostError(f"{self._node.name} is gone")
        return super().read()

    def end(self) -> None:
        self.is_ended = True
        super().end()

    def close(self) -> None:
        assert self.is_ended
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
