"""The relay: on a node of a cluster it holds a worker process, and carries bytes between that and the supervisor.

It knows nothing of what it carries, imports nothing that a process need not have, and answers the supervisor's calls
one after the other: those that write in one thread, those that read in another.
"""

import fcntl
import os
import select
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from faceloom.isolation import module_command, module_environment
from faceloom.memory.usage import peak_bytes

READ_BYTES = 1 << 20
"""The most that is carried at once, and waits anywhere on the way for each worker."""
_LAST_WORDS_BYTES = 2000
_Method = TypeVar("_Method", bound=Callable[..., Any])


THREADS = {"reading": 1, "writing": 1, "ending": 1}
"""Calls in one of these wait for no call in another."""


def _in(thread: str) -> Callable[[_Method], _Method]:
    """Has Ray make the calls of a method in a thread: as `ray.method` does, but of a class that imports no Ray."""

    def marked(method: _Method) -> _Method:
        method.__ray_concurrency_group__ = thread  # type: ignore[attr-defined]
        return method

    return marked


class Relay:
    """One worker process and its streams."""

    def __init__(self, settings: Mapping[str, str], folder: str) -> None:
        """Starts a process, in this folder if it is there too.

        Of `settings` those hold that are not among the node's own environment variables.
        """
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # it goes with this process
        self._process = subprocess.Popen(
            module_command("faceloom.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=folder if os.path.isdir(folder) else None,  # noqa: PTH112  # of a text
            env={**settings, **os.environ, **module_environment()},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout.fileno()
        fcntl.fcntl(self._answers, fcntl.F_SETPIPE_SZ, READ_BYTES)

    @_in("reading")
    def begin(self) -> int:
        """The id of the worker's process."""
        return self._process.pid

    @_in("writing")
    def write(self, told: bytes) -> None:
        """Gives the worker what it is told; if it is dead, whoever reads learns of that."""
        try:
            self._requests.write(told)
            self._requests.flush()
        except OSError:
            return

    @_in("reading")
    def read(self) -> tuple[bytes, int]:
        """What the worker has said since the last call, at least a byte unless it is dead, and the RAM of this process.

        The second is the most that it has held so far.
        """
        said = bytearray(os.read(self._answers, READ_BYTES))
        while said and len(said) < READ_BYTES and select.select([self._answers], [], [], 0)[0]:
            more = os.read(self._answers, READ_BYTES - len(said))
            if not more:
                break
            said += more
        return bytes(said), peak_bytes()

    @_in("ending")
    def end(self) -> None:
        """Ends the worker, whose memory is free then."""
        self._process.kill()
        self._process.wait()

    @_in("reading")
    def death(self) -> tuple[int, bytes]:
        """How a worker has ended that says no more: its exit code, and the end of what it left on its error stream."""
        code = self._process.wait()
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _LAST_WORDS_BYTES))
        return code, self._errors.read()
