from pathlib import Path

import pytest

from faceloom.memory.cores import usable_cores
from faceloom.memory.ram import read_ram
from faceloom.units import GIB, KIB, MIB


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text(f"MemTotal: {8 * GIB // KIB} kB\nMemFree: 1 kB\nMemAvailable: {5 * GIB // KIB} kB\n")
    return path


def test_without_a_limit_it_is_the_machines(meminfo: Path, tmp_path: Path) -> None:
    ram = read_ram(meminfo, tmp_path / "nothing")
    assert ram is not None
    assert (ram.total_bytes, ram.available_bytes, ram.is_limited) == (8 * GIB, 5 * GIB, False)


def test_a_cgroup_of_the_second_version_limits_it(meminfo: Path, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{2 * GIB}\n")
    (tmp_path / "memory.current").write_text(f"{GIB}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {256 * MIB}\n")
    ram = read_ram(meminfo, tmp_path)
    assert ram is not None
    assert (ram.total_bytes, ram.available_bytes, ram.is_limited) == (2 * GIB, GIB + 256 * MIB, True)


def test_a_cgroup_of_the_first_version_limits_it(meminfo: Path, tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text(f"{3 * GIB}")
    (tmp_path / "memory/memory.usage_in_bytes").write_text(f"{GIB}")
    ram = read_ram(meminfo, tmp_path)
    assert ram is not None
    assert (ram.total_bytes, ram.available_bytes) == (3 * GIB, 2 * GIB)


def test_a_cgroup_without_a_limit_changes_nothing(meminfo: Path, tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text(f"{7 * GIB}\n")
    ram = read_ram(meminfo, tmp_path)
    assert ram is not None
    assert ram.available_bytes == 5 * GIB


def test_a_system_that_does_not_tell_gives_none(tmp_path: Path) -> None:
    assert read_ram(tmp_path / "nothing", tmp_path) is None


def test_there_is_a_core_to_use() -> None:
    assert usable_cores() >= 1
