"""A cluster that Ray runs: its nodes, and worker processes on them.

Ray starts processes where it is told, carries bytes and tells who is there. What is done again, where, and what
counts as done is decided by the scheduler as on one machine: Ray's own retries are off.
"""

import contextlib
import math
import os
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from faceloom.early import WORKER_SETTINGS
from faceloom.errors import DeviceLostError, FaceloomError, InstallationError, RequestError
from faceloom.supervisor.relay import THREADS, Relay
from faceloom.supervisor.relayed import RelayedWorker
from faceloom.supervisor.workers import (
    WorkerConnection,
    WorkerLostError,
    here,
)
from faceloom.targets import Target, WorkerNode
from faceloom.units import MIB

LOCAL = "local"
EXTRA = "pip install 'faceloom[ray]'"
_OBJECTS_BYTES = 128 * MIB
"""Of a cluster that is started here; what is carried at once is a hundredth of it."""
_ASK_S = 120.0
_START_S = 180.0
"""How long a worker may wait for its cores and memory."""
_END_S = 5.0
_LOOK_UP_S = 1.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """A machine of a cluster, by what Ray says of it."""

    name: str
    id: str
    cores: int
    memory_bytes: int
    """What all its workers together may be given."""
    gpus: int = 0


class Cluster:
    """A connection to Ray; to be used in a `with` block."""

    def __init__(self, address: str, *, cores: int, share: bool = False) -> None:
        """Connects to a cluster, or with `local` starts one of this machine alone, with so many cores.

        `share` says whether the umask decides who may read files that nodes send.

        Raises:
            RequestError: Ray is not installed, the address is none, or there is no cluster.
        """
        _check(address)
        self._ray = _import_ray(address)
        self._share = share
        self._names: dict[str, str] = {}
        self._relay = self._ray.remote(concurrency_groups=THREADS, max_restarts=0, max_task_retries=0)(Relay)
        self._open = contextlib.ExitStack()
        if not self._ray.is_initialized():
            with _undisturbed(), contextlib.ExitStack() as self._open:
                self._connect(address, cores)
                self._open.callback(self._ray.shutdown)
                self._open = self._open.pop_all()

    def _connect(self, address: str, cores: int) -> None:
        # What raylets say of each other it prints on standard output, between what a command prints there.
        self._ray._private.worker.print_to_stdstream = lambda *told, **more: None
        own = self._of_our_own(cores) if address == LOCAL else {}
        try:
            self._ray.init(address=address, log_to_driver=False, logging_level="ERROR", **own)
        except Exception as error:  # Ray raises anything, that class too
            what = _first_line(error)
            if own:
                raise RequestError(f"Ray does not start on this machine: {what}") from error
            message = f"no cluster of Ray is reached at {address} ({what}); see `ray status` on its head"
            raise RequestError(message) from error

    def _of_our_own(self, cores: int) -> dict[str, Any]:
        """What starts Ray for this run alone: nobody else can use it, and nothing is left of it."""
        # Names of sockets may have a hundred letters, of which Ray takes seventy.
        folder = self._open.enter_context(
            tempfile.TemporaryDirectory(prefix="fl-", dir="/tmp", ignore_cleanup_errors=True)
        )
        return {
            "num_cpus": cores,
            "include_dashboard": False,
            "object_store_memory": _OBJECTS_BYTES,
            "_temp_dir": folder,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def nodes(self) -> list[ClusterNode]:
        """The machines that are there now and have a core for workers."""
        found = [told for told in self._ray.nodes() if told["Alive"] and told["Resources"].get("CPU", 0) >= 1]
        return [
            ClusterNode(
                name=self._name(told),
                id=told["NodeID"],
                cores=int(told["Resources"]["CPU"]),
                memory_bytes=int(told["Resources"].get("memory", 0)),
                gpus=int(told["Resources"].get("GPU", 0)),
            )
            for told in sorted(found, key=lambda told: (told["NodeManagerHostname"], told["NodeID"]))
        ]

    def has(self, node_id: str) -> bool:
        """Whether a machine is still there, as far as Ray knows."""
        return any(told["NodeID"] == node_id and told["Alive"] for told in self._ray.nodes())

    def _name(self, told: Mapping[str, Any]) -> str:
        """The name that it was started with, or that of its host; made unique by its id."""
        known = self._names.get(told["NodeID"])
        if known is not None:
            return known
        given: str = told["NodeName"]
        name: str = told["NodeManagerHostname"] if given == told["NodeManagerAddress"] else given
        if name in self._names.values():
            name = f"{name}-{told['NodeID'][:6]}"
        self._names[told["NodeID"]] = name
        return name

    def ask(self, node: ClusterNode, call: "partial[_T]", *, is_over: Callable[[], bool]) -> _T:
        """Has a node make a call, in a process that sees its GPUs and ends then, and returns what that gives.

        Raises:
            DeviceLostError: it cannot be reached, or not in time, or nobody waits any more, as `is_over` says.
            FaceloomError: what the function raises.
        """
        asked = self._ray.remote(max_calls=1, max_retries=0)(call.func)
        task = asked.options(num_cpus=0, num_gpus=node.gpus, scheduling_strategy=self._at(node.id))
        try:
            return cast(_T, _got(self._ray, task.remote(*call.args), _ASK_S, is_over))
        except self._ray.exceptions.RayTaskError as error:
            raise _in_our_words(error, node) from error
        except (self._ray.exceptions.RayError, TimeoutError) as error:
            raise DeviceLostError(f"{node.name} does not answer: {_first_line(error)}") from error

    def start(self, target: Target, worker_bytes: int = 0) -> WorkerConnection:
        """Starts a worker process for a device, wherever that is, with what it and its relay may hold."""
        if target.node is None:
            return here(target)
        handle = self._relay.options(
            num_cpus=1,
            num_gpus=1 if target.has_memory else 0,
            memory=worker_bytes,
            scheduling_strategy=self._at(target.node.id),
        ).remote(WORKER_SETTINGS | dict(target.device.environment), str(Path.cwd()))
        return RelayedWorker(_FarRelay(self._ray, handle, target.node), target.node, share=self._share)

    def _at(self, node_id: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(node_id, soft=False)


class _FarRelay:
    """A relay in an actor of Ray; what it does and answers is as `Relay` has it."""

    def __init__(self, ray: Any, handle: Any, node: WorkerNode) -> None:
        self._ray = ray
        self._handle = handle
        self._node = node
        self._is_ended = False

    def begin(self) -> int:
        try:
            pid: int = self._get("begin", within_s=_START_S)
        except TimeoutError as error:
            message = f"{self._node.name} has not started a worker within {_START_S:.0f} s"
            raise WorkerLostError(f"{message}: others have its cores or memory, see `ray status`") from error
        return pid

    def write(self, told: bytes) -> None:
        self._call("write", told)

    def read(self) -> tuple[bytes, int]:
        said: tuple[bytes, int] = self._get("read")
        return said

    def death(self) -> tuple[int, bytes]:
        told: tuple[int, bytes] = self._get("death")
        return told

    def end(self) -> None:
        self._is_ended = True
        # Its memory is to be free before another worker is started in its place.
        with contextlib.suppress(self._ray.exceptions.RayError, TimeoutError):
            _got(self._ray, self._call("end"), _END_S, lambda: False)
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(self._handle)

    def _get(self, method: str, *, within_s: float = math.inf) -> Any:
        try:
            return _got(self._ray, self._call(method), within_s, lambda: self._is_ended)
        except TimeoutError as error:
            if self._is_ended:
                raise WorkerLostError(f"a worker on {self._node.name} has been ended") from error
            raise
        except self._ray.exceptions.RayError as error:
            raise WorkerLostError(f"a worker on {self._node.name} is gone: {_first_line(error)}") from error

    def _call(self, method: str, *given: Any) -> Any:
        return getattr(self._handle, method).remote(*given)


def _got(ray: Any, answer: Any, within_s: float, is_over: Callable[[], bool]) -> Any:
    """Waits for an answer as long as somebody wants it: Ray crashes where it is left while a thread waits for it.

    Raises:
        TimeoutError: nobody does, or it takes too long.
    """
    end = time.monotonic() + within_s
    while True:
        try:
            return ray.get(answer, timeout=min(_LOOK_UP_S, max(0.0, end - time.monotonic())))
        except ray.exceptions.GetTimeoutError:
            if is_over() or time.monotonic() >= end:
                raise


def _check(address: str) -> None:
    if address not in {LOCAL, "auto"} and not address.startswith("ray://"):
        raise RequestError(f"--cluster takes local, auto or ray://HOST:PORT, not {address!r}")


def _import_ray(address: str) -> Any:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if address == LOCAL and "ray" not in sys.modules and "RAY_AUTH_MODE" not in os.environ:
        # Its ports are open to the network whatever it is told, and whoever may use them can run anything.
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else it warns of what is to come
    try:
        import ray
    except ImportError as error:
        raise RequestError(f"--cluster needs Ray, which is not installed: {EXTRA}") from error
    return ray


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keeps Ray from what it does to its caller: it takes over SIGTERM, and adds the current folder to imports."""
    is_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        with contextlib.chdir("/"):
            yield
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


def _in_our_words(error: Any, node: ClusterNode) -> Exception:
    cause = getattr(error, "cause", None)
    if isinstance(cause, FaceloomError):
        return cause
    return InstallationError(
        f"{node.name} cannot do this: {_first_line(cause or error)}; install the same faceloom there"
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
