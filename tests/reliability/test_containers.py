"""Containers: the default flow in a memory cgroup that the kernel holds it to, where a test may make one."""

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from faceloom.memory.ram import CGROUP_ROOT
from faceloom.models.weights import WeightCache
from faceloom.units import MIB
from jobs import exported

LIMIT_BYTES = 400 * MIB
LONGEST_S = 600


@dataclass(frozen=True, kw_only=True)
class Group:
    """A memory cgroup, of either version."""

    folder: Path
    limit: str
    """The file that holds its limit."""
    kills: str
    """The file that says how often its limit had a process killed, as `oom_kill N`."""

    @property
    def killed(self) -> int:
        lines = dict(line.split() for line in (self.folder / self.kills).read_text().splitlines())
        return int(lines.get("oom_kill", 0))


@pytest.fixture
def group() -> Iterator[Group]:
    name = f"faceloom-{uuid.uuid4().hex[:8]}"
    if (CGROUP_ROOT / "memory").is_dir():
        made = Group(folder=CGROUP_ROOT / "memory" / name, limit="memory.limit_in_bytes", kills="memory.oom_control")
    else:
        made = Group(folder=CGROUP_ROOT / name, limit="memory.max", kills="memory.events")
    try:
        made.folder.mkdir()
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error.strerror}")
    try:
        if not (made.folder / made.limit).exists():
            pytest.skip("cgroups that can be made here hold no memory")
        (made.folder / made.limit).write_text(str(LIMIT_BYTES))
        yield made
    finally:
        made.folder.rmdir()


def extract(samples: Path, out: Path, env: dict[str, str], *, inside: Group | None) -> None:
    """In a process of its own that is in the group from its start on."""

    def enter() -> None:
        if inside is not None:
            (inside.folder / "cgroup.procs").write_text(str(os.getpid()))

    command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(samples), "--out", str(out), "--quiet"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LONGEST_S, preexec_fn=enter, env=env
    )
    assert done.returncode == 0, done.stderr


def test_the_kernel_lets_the_default_flow_be_in_400_mib(
    group: Group, samples: Path, cache: WeightCache, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    for name in ("portrait.png", "crowd.jpg", "clip.mp4"):
        shutil.copy(samples / name, media)
    # Nothing is prepared or measured yet: that has to fit too.
    files = os.pathsep.join([str(cache.folder / "files"), *map(str, cache.mirrors)])
    env = {**os.environ, "FACELOOM_CACHE": str(tmp_path / "cache"), "FACELOOM_WEIGHTS": files}
    extract(media, tmp_path / "small", env, inside=group)
    assert group.killed == 0
    extract(media, tmp_path / "large", env, inside=None)
    assert exported(tmp_path / "small") == exported(tmp_path / "large")
