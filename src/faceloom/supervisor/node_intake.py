"""The intake of nodes: what each can do is asked and measured, and a plan of its own is made for it.

All of that but the planning takes seconds on the node, so threads wait for it; what touches the store is done by
whoever calls `poll`.
"""

import json
import queue
import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from faceloom.errors import DeviceLostError, FaceloomError, InstallationError, RequestError
from faceloom.events import NODE_JOINED, OTHER_VERSIONS, Event, Notice, OnEvent
from faceloom.job import Order
from faceloom.memory.budget import Budget, host_budget_bytes
from faceloom.memory.footprints import Footprint
from faceloom.store.store import Store
from faceloom.supervisor.cluster import ClusterNode
from faceloom.supervisor.devices import PlannedDevice, leave_out, plan_devices
from faceloom.supervisor.node_facts import NodeFacts, NodeQuestion, digest, keep_weights, look_at_node
from faceloom.supervisor.profiling import machine_traits
from faceloom.supervisor.survey import Survey
from faceloom.supervisor.workers import WorkerConnection, WorkerPool
from faceloom.targets import Target, WorkerNode, device_budget_bytes
from faceloom.units import format_bytes
from faceloom.version import VERSION

_LOOK_EVERY_S = 3.0
"""Ray tells of nodes only those who ask; one more or less for so long makes no difference."""
_AT_ONCE = 16
_LOOKED_AT = 512
_T = TypeVar("_T")
_FOLDERS = 32
"""Of the first frames that are to be done a file of so many folders is looked for on each node."""


class ClusterConnection(Protocol):
    """A cluster, as far as it is of use here; `Cluster` is one."""

    def nodes(self) -> list[ClusterNode]:
        """The machines that are there now."""

    def has(self, node_id: str) -> bool:
        """Whether a machine is still there, as far as is known."""

    def ask(self, node: ClusterNode, call: "partial[_T]", *, is_over: Callable[[], bool]) -> _T:
        """Has a node make a call, and returns what that gives, unless nobody waits for it any more."""

    def start(self, target: Target, worker_bytes: int = 0) -> WorkerConnection:
        """Starts a worker process for a device, wherever that is, with what it and its relay may hold."""


class NodeIntake:
    """Finds nodes that are there or come, and prepares them; to be used in a `with` block."""

    def __init__(self, order: Order, store: Store, cluster: ClusterConnection, on_event: OnEvent) -> None:
        self._order = order
        self._store = store
        self._cluster = cluster
        self._tell = on_event
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="node")
        self._todo: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        """What threads leave to the one that may use the store."""
        self._is_over = threading.Event()
        self._known: set[str] = set()
        self._open = 0
        """How many nodes are being prepared."""
        self._looked = 0.0
        self._found: list[PlannedDevice] = []
        self._refusals: list[FaceloomError] = []
        self._kinds: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        """Of each kind of hardware one node is measured, and the others wait for what that shows."""
        self._question = self._ask_of_every_node()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._question.probe.unlink(missing_ok=True)
        self._is_over.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def first(self) -> list[PlannedDevice]:
        """The devices of all nodes that are there now.

        Raises:
            FaceloomError: why the first node cannot take part, if none can.
        """
        self._look()
        while self._open:
            self._todo.get()()
        if not self._found:
            raise (
                self._refusals[0]
                if self._refusals
                else RequestError(
                    f"the cluster at {self._order.cluster} has no node with a core for workers; see `ray status`"
                )
            )
        return self._take()

    def poll(self) -> list[PlannedDevice]:
        """The devices of nodes that have come since, as soon as they are prepared."""
        if time.monotonic() - self._looked >= _LOOK_EVERY_S:
            self._look()
        while not self._todo.empty():
            self._todo.get()()
        return self._take()

    @property
    def is_open(self) -> bool:
        """Whether any node is being prepared."""
        return self._open > 0

    def has(self, node_id: str) -> bool:
        """Whether a node is still there, as far as Ray knows."""
        return self._cluster.has(node_id)

    def _take(self) -> list[PlannedDevice]:
        found, self._found = self._found, []
        return found

    def _look(self) -> None:
        self._looked = time.monotonic()
        for node in self._cluster.nodes():
            if node.id not in self._known:
                self._known.add(node.id)
                self._open += 1
                self._threads.submit(self._within, node, partial(self._ask, node))

    def _within(self, node: ClusterNode, step: Callable[[], None]) -> None:
        """A step of a node's preparation, in a thread; if it fails, the node is left out."""
        try:
            step()
        except FaceloomError as error:
            self._todo.put(partial(self._refuse, node, error))
        except Exception as error:  # handed to the thread that can tell of it
            message = f"{node.name} cannot be prepared: {error!r}"
            self._todo.put(partial(self._refuse, node, DeviceLostError(message)))

    def _refuse(self, node: ClusterNode, error: FaceloomError) -> None:
        self._open -= 1
        self._refusals.append(error)
        leave_out(node.name, str(error), self._tell)

    def _ask_of_every_node(self) -> NodeQuestion:
        assert self._order.choose_targets is not None
        token = secrets.token_hex()
        probe = (self._store.folder / ".probe").absolute()
        probe.write_text(token)
        folders: dict[Path, Path] = {}
        for frame in islice(self._store.frames.pending(), _LOOKED_AT):
            path = frame.source.path.absolute()
            folders.setdefault(path.parent, path)
        return NodeQuestion(
            choose_targets=self._order.choose_targets,
            weights={path: digest(path) for path in self._order.weights.values()},
            sources={path: path.stat().st_size for path in islice(folders.values(), _FOLDERS) if path.exists()},
            probe=probe,
            token=token,
        )

    def _ask(self, node: ClusterNode) -> None:
        facts = self._cluster.ask(node, partial(look_at_node, self._question), is_over=self._is_over.is_set)
        _check(node, facts)
        weights = {path: there or self._send(node, path) for path, there in facts.weights.items()}
        self._todo.put(lambda: self._measure(node, facts, weights))

    def _send(self, node: ClusterNode, path: Path) -> Path:
        keep = partial(keep_weights, self._question.weights[path], path.read_bytes())
        return self._cluster.ask(node, keep, is_over=self._is_over.is_set)

    def _measure(self, node: ClusterNode, facts: NodeFacts, weights: Mapping[Path, Path]) -> None:
        """Has the stages measured on the node, if its kind is not known yet."""
        other = other_versions(facts.machine, machine_traits())
        if other:
            text = f"{node.name} has {other}; what it finds may be other in the last bits"
            self._tell(Notice(kind=OTHER_VERSIONS, text=text))
        order = _order_of(self._order, node, facts, weights)
        host_bytes = _host_bytes(order, node, facts)
        pool = WorkerPool(self._cluster.start)
        surveys = [Survey(order, one, self._store, pool, on_event=self._tell_later) for one in order.targets]
        kind = json.dumps([facts.machine, [target.device.label for target in order.targets]], sort_keys=True)

        def step() -> None:
            with self._kinds[kind], pool:
                for survey, target in zip(surveys, order.targets, strict=True):
                    survey.measure(worker_bytes=host_bytes - facts.relay_bytes, device_bytes=_own_bytes(target))
            self._todo.put(lambda: self._plan(node, order, host_bytes))

        self._threads.submit(self._within, node, step)

    def _plan(self, node: ClusterNode, order: Order, host_bytes: int) -> None:
        own = {target.name: size for target in order.targets if (size := _own_bytes(target)) is not None}
        try:
            with WorkerPool(self._cluster.start) as pool:
                found = plan_devices(
                    order,
                    self._store,
                    pool,
                    budget=Budget(host_bytes=host_bytes, device_bytes=own),
                    footprints_of=partial(_measured, order.targets[0].relay_bytes),
                    on_event=self._tell,
                )
        except FaceloomError as error:
            self._refuse(node, error)
            return
        self._open -= 1
        self._found += found
        plan = found[0].planned.plan
        what = f"{plan.workers} worker{'s' * (plan.workers != 1)} in {format_bytes(host_bytes)}"
        self._tell(Notice(kind=NODE_JOINED, text=f"{node.name} takes part, with {what}"))

    def _tell_later(self, event: Event) -> None:
        self._todo.put(lambda: self._tell(event))


def _measured(
    relay_bytes: int, survey: Survey, /, *, budget_bytes: int, device_bytes: int | None
) -> Mapping[str, Footprint]:
    return survey.measure(worker_bytes=budget_bytes - relay_bytes, device_bytes=device_bytes)


def _own_bytes(target: Target) -> int | None:
    return device_budget_bytes(target, None)


def other_versions(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Which packages are of another version on a node than here, in words; nothing if none are."""
    own, others = here["packages"], there["packages"]
    differ = [name for name in own if own[name] != others.get(name)]
    return ", ".join(f"{name} {others.get(name) or 'not at all'} (here {own[name] or 'none'})" for name in differ)


def _check(node: ClusterNode, facts: NodeFacts) -> None:
    """Refuses a node that would not do the same work.

    Raises:
        InstallationError: another version is installed there.
        RequestError: it does not see the inputs.
    """
    if facts.version != VERSION:
        what = f"{node.name} has faceloom {facts.version}, and this machine {VERSION}"
        raise InstallationError(f"{what}; install the same version on all nodes")
    if facts.unseen:
        what = f"{node.name} does not see {facts.unseen[0]} as it is here"
        raise RequestError(f"{what}; every node has to find the inputs under the same paths")


def _order_of(order: Order, node: ClusterNode, facts: NodeFacts, weights: Mapping[Path, Path]) -> Order:
    """What is asked of a node: the same, with what it has."""
    there = WorkerNode(
        name=node.name,
        id=node.id,
        machine=facts.machine,
        relay_bytes=facts.relay_bytes,
        sees_folder=facts.sees_folder,
    )
    return replace(
        order,
        weights={stage: weights[path] for stage, path in order.weights.items()},
        cores=min(node.cores, order.threads or node.cores),
        targets=tuple(replace(target, node=there) for target in facts.targets),
    )


def _host_bytes(order: Order, node: ClusterNode, facts: NodeFacts) -> int:
    """What all workers of a node may hold: as on one machine, and no more than Ray has to give there."""
    own = host_budget_bytes(order.memory_bytes, facts.ram, reserve_bytes=order.reserve_bytes)
    return min(own, node.memory_bytes) if node.memory_bytes else own
