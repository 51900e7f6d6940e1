"""A run on a real cluster of Ray, of one node that it starts itself; benchmarks/ray_runs.py has the long ones."""

import json
import subprocess
from pathlib import Path

import pytest

from faceloom.api import extract
from faceloom.isolation import module_command
from jobs import exported, files_below

pytest.importorskip("ray", reason="Ray is not installed")
pytestmark = pytest.mark.slow


def test_a_cluster_that_is_started_for_a_run_finds_what_the_machine_finds_by_itself(
    samples: Path, tmp_path: Path
) -> None:
    extract(samples, tmp_path / "alone", size=64, memory="8GiB", device="cpu")
    options = ["--size", "64", "--memory", "2GiB", "--device", "cpu", "--cluster", "local", "--quiet", "--json"]
    command = [*module_command("faceloom"), "extract", str(samples), "--out", str(tmp_path / "out"), *options]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)
    assert sum(node["frames"] for node in told["nodes"].values()) == told["frames"]
    for frames in (False, True):
        assert exported(tmp_path / "out", frames=frames) == exported(tmp_path / "alone", frames=frames)
    assert files_below(tmp_path / "out") == files_below(tmp_path / "alone")
