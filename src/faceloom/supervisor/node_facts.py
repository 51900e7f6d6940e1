"""What a node of a cluster is asked before it is given work, and what it answers; runs on the node."""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from faceloom.memory.cores import usable_cores
from faceloom.memory.ram import Ram, read_ram
from faceloom.models.weights import WeightCache
from faceloom.supervisor.profiling import machine_traits
from faceloom.targets import Target
from faceloom.units import MIB
from faceloom.version import VERSION

_RELAY_BYTES = 96 * MIB
"""What a relay holds beside its worker: the interpreter, Ray and what is on its way (measured: 77 to 80 MiB)."""
_ARROW_BYTES = 40 * MIB
"""Ray loads PyArrow where it is installed (measured: 38 MiB more)."""
_SENT = "sent"
"""The folder of the weight cache for files that another machine has sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeQuestion:
    """What a node is asked."""

    choose_targets: Callable[[], tuple[Target, ...]]
    weights: Mapping[Path, str]
    """The sha256 of each network file."""
    sources: Mapping[Path, int]
    """The size of some of the files that are to be read."""
    probe: Path
    """A file in the result folder."""
    token: str
    """What is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What a node answers."""

    version: str
    machine: Mapping[str, Any]
    """As `machine_traits` gives it."""
    cores: int
    ram: Ram | None
    relay_bytes: int
    """What stands beside each worker."""
    targets: tuple[Target, ...]
    weights: Mapping[Path, Path | None]
    """Where each network file is here; None if it has to be sent."""
    unseen: tuple[Path, ...]
    """Which of the sources are not here, or have another size."""
    sees_folder: bool
    """Whether the result folder is here too."""


def look_at_node(question: NodeQuestion) -> NodeFacts:
    """Answers for the machine on which it is called.

    Raises:
        RequestError: no such device, engine or precision.
        BudgetError: this machine lacks a device, or an engine for it.
    """
    return NodeFacts(
        version=VERSION,
        machine=machine_traits(),
        cores=usable_cores(),
        ram=read_ram(),
        relay_bytes=_RELAY_BYTES + (_ARROW_BYTES if find_spec("pyarrow") else 0),
        targets=question.choose_targets(),
        weights={path: _find(path, sha256) for path, sha256 in question.weights.items()},
        unseen=tuple(path for path, size in question.sources.items() if _size(path) != size),
        sees_folder=_content(question.probe) == question.token.encode(),
    )


def keep_weights(sha256: str, content: bytes) -> Path:
    """Keeps a network file that another machine sends, and says where."""
    if hashlib.sha256(content).hexdigest() != sha256:
        raise OSError("a network file has been changed on its way")
    place = _sent(sha256)
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(place)
    return place


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find(path: Path, sha256: str) -> Path | None:
    return next((place for place in (path, _sent(sha256)) if place.is_file() and digest(place) == sha256), None)


def _sent(sha256: str) -> Path:
    return WeightCache.of_user().folder / _SENT / sha256


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
