from pathlib import Path

import pytest

from faceloom.memory.ram import Ram, default_budget_bytes, machine_bytes, read_ram
from faceloom.units import GIB, KIB, MIB

UNLIMITED = 9223372036854771712  # what the first version says instead of "max"


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    path = tmp_path / "meminfo"
    path.write_text(f"MemTotal: {8 * GIB // KIB} kB\nMemFree: 1 kB\nMemAvailable: {5 * GIB // KIB} kB\n")
    return path


def group(folder: Path, **files: int | str) -> None:
    """A control group whose files are named with the controller left out: `max`, `usage_in_bytes`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"memory.{name}").write_text(f"{content}\n")


def read(meminfo: Path, cgroup: Path, *memberships: str) -> Ram:
    process = meminfo.with_name("cgroups of the process")
    process.write_text("".join(f"{line}\n" for line in memberships))
    ram = read_ram(meminfo, cgroup, process)
    assert ram is not None
    return ram


def test_without_a_limit_it_is_the_machines(meminfo: Path, tmp_path: Path) -> None:
    ram = read(meminfo, tmp_path / "nothing")
    assert ram == Ram(total_bytes=8 * GIB, available_bytes=5 * GIB, is_limited=False)


def test_a_cgroup_of_the_second_version_limits_it(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path, max=2 * GIB, current=GIB, stat=f"anon 5\ninactive_file {256 * MIB}")
    ram = read(meminfo, tmp_path, "0::/")
    assert ram == Ram(total_bytes=2 * GIB, available_bytes=GIB + 256 * MIB, is_limited=True)


def test_a_cgroup_of_the_first_version_limits_it(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path / "memory", limit_in_bytes=3 * GIB, usage_in_bytes=GIB)
    ram = read(meminfo, tmp_path, "4:memory:/")
    assert (ram.total_bytes, ram.available_bytes) == (3 * GIB, 2 * GIB)


def test_a_process_that_cannot_know_its_group_has_that_of_the_mount(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path / "memory", limit_in_bytes=3 * GIB, usage_in_bytes=GIB)
    ram = read_ram(meminfo, tmp_path, tmp_path / "nothing")
    assert ram is not None
    assert ram.available_bytes == 2 * GIB


def test_a_cgroup_without_a_limit_changes_nothing(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path, max="max", high="max", current=7 * GIB)
    group(tmp_path / "memory", limit_in_bytes=UNLIMITED, usage_in_bytes=7 * GIB)
    ram = read(meminfo, tmp_path, "0::/", "4:memory:/")
    assert (ram.available_bytes, ram.is_limited) == (5 * GIB, False)


@pytest.mark.parametrize("limited", ["", "user.slice", "user.slice/job.scope"])
def test_a_limit_anywhere_above_holds(meminfo: Path, tmp_path: Path, limited: str) -> None:
    for name in ("", "user.slice", "user.slice/job.scope"):
        group(tmp_path / name, max=GIB if name == limited else "max", current=300 * MIB)
    ram = read(meminfo, tmp_path, "0::/user.slice/job.scope")
    assert (ram.total_bytes, ram.available_bytes) == (GIB, 724 * MIB)


def test_the_tightest_limit_and_the_fullest_group_need_not_be_the_same(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path / "slice", max=4 * GIB, current=4 * GIB - 100 * MIB)  # its other groups fill it
    group(tmp_path / "slice/scope", max=2 * GIB, current=GIB)
    ram = read(meminfo, tmp_path, "0::/slice/scope")
    assert (ram.total_bytes, ram.available_bytes) == (2 * GIB, 100 * MIB)


def test_throttling_counts_as_a_limit(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path / "scope", max=3 * GIB, high=2 * GIB, current=GIB)
    ram = read(meminfo, tmp_path, "0::/scope")
    assert (ram.total_bytes, ram.available_bytes) == (2 * GIB, GIB)


def test_a_nested_group_of_the_first_version_counts_the_caches_of_those_below(meminfo: Path, tmp_path: Path) -> None:
    stat = f"inactive_file 0\ntotal_inactive_file {256 * MIB}"
    group(tmp_path / "memory", limit_in_bytes=UNLIMITED, usage_in_bytes=6 * GIB)
    group(tmp_path / "memory/job", limit_in_bytes=2 * GIB, usage_in_bytes=GIB, stat=stat)
    group(tmp_path / "memory/job/step", limit_in_bytes=UNLIMITED, usage_in_bytes=GIB)
    ram = read(meminfo, tmp_path, "9:name=systemd:/", "4:memory:/job/step", "0::/")
    assert (ram.total_bytes, ram.available_bytes) == (2 * GIB, GIB + 256 * MIB)


def test_another_processs_group_does_not_count(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path / "other", max=GIB, current=GIB)
    group(tmp_path / "own", max="max", current=0)
    assert not read(meminfo, tmp_path, "0::/own").is_limited


def test_a_mount_that_begins_at_the_containers_group_is_understood(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path / "memory", limit_in_bytes=4 * GIB, usage_in_bytes=0)
    group(tmp_path / "memory/step", limit_in_bytes=2 * GIB, usage_in_bytes=0)
    assert read(meminfo, tmp_path, "4:memory:/docker/0123abcd/step").total_bytes == 2 * GIB


def test_a_group_outside_of_what_is_mounted_leaves_the_mounts_own(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path, max=2 * GIB, current=0)
    group(tmp_path / "elsewhere", max=GIB, current=0)
    assert read(meminfo, tmp_path, "0::/../elsewhere").total_bytes == 2 * GIB


def test_the_second_version_beside_the_first_is_found(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path / "unified/scope", max=2 * GIB, current=0)
    assert read(meminfo, tmp_path, "4:memory:/", "0::/scope").total_bytes == 2 * GIB


def test_nothing_is_left_of_a_group_over_its_limit(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path, max=GIB, current=GIB + MIB)
    assert read(meminfo, tmp_path, "0::/").available_bytes == 0


def test_more_cached_than_used_leaves_no_more_than_the_limit(meminfo: Path, tmp_path: Path) -> None:
    group(tmp_path, max=GIB, current=MIB, stat=f"inactive_file {2 * MIB}")  # the counters lag behind each other
    assert read(meminfo, tmp_path, "0::/").available_bytes == GIB


def test_a_system_that_does_not_tell_gives_none(tmp_path: Path) -> None:
    assert read_ram(tmp_path / "nothing", tmp_path) is None


@pytest.mark.parametrize(
    ("total", "available", "budget"),
    [
        (2 * GIB, GIB, 512 * MIB),
        (100 * GIB, 50 * GIB, 40 * GIB),
        (GIB, 400 * MIB, 144 * MIB),
        (400 * MIB, 390 * MIB, 290 * MIB),
        (GIB, 200 * MIB, 0),
    ],
)
def test_a_default_budget_leaves_a_reserve(total: int, available: int, budget: int) -> None:
    assert default_budget_bytes(Ram(total_bytes=total, available_bytes=available, is_limited=False)) == budget


def test_the_machine_has_at_least_what_the_process_may_use() -> None:
    ram, machine = read_ram(), machine_bytes()
    if ram is None or machine is None:
        pytest.skip("this system does not tell")
    assert ram.total_bytes <= machine


def test_a_system_without_that_question_has_no_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.sysconf")
    assert machine_bytes() is None
