"""The first worker process, begun while the command that will need it still imports the library.

Either takes a quarter of a second until it has imported what it needs, and a machine has more cores than one.
"""

import atexit
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

from faceloom.isolation import module_command, module_environment
from faceloom.units import MAX_PIXELS, MIB

WORKER_SETTINGS = {
    # Frames and tensors come and go by the megabyte; by default glibc gives each back to the system and has it
    # faulted in again, 1,000 pages a frame of 1080p (measured: a tenth of the wall time).
    # Beyond the first threshold blocks are the system's own again, so that holes in the heap stay small.
    "MALLOC_MMAP_THRESHOLD_": str(1 * MIB),
    "MALLOC_TRIM_THRESHOLD_": str(256 * MIB),
    "MALLOC_ARENA_MAX": "1",
    "OPENBLAS_NUM_THREADS": "1",  # its threads would wait in a loop, and hold buffers
    "OPENCV_LOG_LEVEL": "ERROR",
    "OPENCV_IO_MAX_IMAGE_PIXELS": str(MAX_PIXELS),
    "PYTHONUNBUFFERED": "1",
}


@dataclass(frozen=True, slots=True)
class Begun:
    """A worker process, to which nobody has spoken yet."""

    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]
    """A file without a name that holds what it writes to its error stream."""
    environment: Mapping[str, str]

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                stream.close()


_waiting: list[Begun] = []


def begin() -> None:
    """Starts a worker process for whoever first needs one of this environment; it ends with this one if nobody does."""
    if not _waiting:
        atexit.register(dismiss)
        _waiting.append(_start(_environment({})))


def take(more: Mapping[str, str]) -> Begun:
    """A worker process with more environment variables: the one that waits, or else a new one."""
    environment = _environment(more)
    if _waiting and _waiting[0].environment == environment and _waiting[0].process.poll() is None:
        return _waiting.pop()
    return _start(environment)


def dismiss() -> None:
    """Ends the process that waits, if nobody has taken it."""
    while _waiting:
        _waiting.pop().end()


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return {**WORKER_SETTINGS, **os.environ, **module_environment(), **more}


def _start(environment: Mapping[str, str]) -> Begun:
    errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by whoever takes it
    process = subprocess.Popen(
        module_command("faceloom.worker"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=environment,
    )
    return Begun(process, errors, environment)
