import os
from pathlib import Path

import pytest

from faceloom.memory.cores import usable_cores


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def cores(tmp_path: Path, *memberships: str) -> int:
    process = tmp_path / "cgroups of the process"
    process.write_text("".join(f"{line}\n" for line in memberships))
    return usable_cores(tmp_path, process)


def second(folder: Path, limit: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(f"{limit}\n")


def first(folder: Path, quota: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")


def test_there_is_a_core_to_use() -> None:
    assert usable_cores() >= 1


def test_without_a_limit_it_is_the_affinity(tmp_path: Path) -> None:
    second(tmp_path / "scope", "max 100000")
    first(tmp_path / "cpu", -1)
    assert cores(tmp_path, "1:cpu:/", "0::/scope") == 8


@pytest.mark.parametrize("limited", ["", "slice", "slice/scope"])
def test_a_limit_anywhere_above_holds(tmp_path: Path, limited: str) -> None:
    for name in ("", "slice", "slice/scope"):
        second(tmp_path / name, "300000 100000" if name == limited else "max 100000")
    assert cores(tmp_path, "0::/slice/scope") == 3


def test_the_tightest_of_several_counts(tmp_path: Path) -> None:
    second(tmp_path / "slice", "200000 100000")
    second(tmp_path / "slice/scope", "600000 100000")
    assert cores(tmp_path, "0::/slice/scope") == 2


def test_a_share_of_a_core_is_one(tmp_path: Path) -> None:
    second(tmp_path, "20000 100000")
    assert cores(tmp_path, "0::/") == 1


def test_the_first_version_is_found_where_controllers_share_a_mount(tmp_path: Path) -> None:
    first(tmp_path / "cpu,cpuacct", -1)
    first(tmp_path / "cpu,cpuacct/job", 400_000)
    first(tmp_path / "cpu,cpuacct/job/step", -1)
    assert cores(tmp_path, "3:cpuset:/other", "2:cpu,cpuacct:/job/step") == 4


def test_damaged_files_are_no_limit(tmp_path: Path) -> None:
    second(tmp_path, "100000 0")
    second(tmp_path / "scope", "many")
    assert cores(tmp_path, "0::/scope") == 8
