"""The recipes of docs/machines.md: run as far as this machine can, and checked as far as it cannot."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from faceloom.api import extract
from faceloom.store.merging import merge
from jobs import exported, files_below
from reliability.kill_fuzz import write_media

PAGE = Path(__file__).parents[1] / "docs" / "machines.md"
pytestmark = pytest.mark.slow


def recipe(title: str, kind: str) -> str:
    """The first block of this kind below a heading."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    found: list[str] = re.findall(rf"^```{kind}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    return found[0]


@pytest.fixture(scope="module")
def shots(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few pictures and a video, of which some are broken."""
    folder = write_media(samples, tmp_path_factory.mktemp("machines") / "shots")
    for name in ("a/clip.mp4", "b/c/clip.mp4"):
        (folder / name).unlink()
    return folder


@pytest.fixture(scope="module")
def whole(shots: Path) -> Path:
    extract(shots, shots.parent / "whole", size=64)
    return shots.parent / "whole"


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """An environment in which the command is there."""
    command = tmp_path / "bin" / "faceloom"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m faceloom.cli.main "$@"\n')
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}"}


def run(script: str, folder: Path, variables: Mapping[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def require_same(merged: Path, whole: Path) -> None:
    for frames in (False, True):
        assert exported(merged, frames=frames) == exported(whole, frames=frames)
    assert files_below(merged) == files_below(whole)


def test_gnu_parallel_runs_the_shards(shots: Path, whole: Path, variables: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("parallel") is None:
        pytest.skip("GNU parallel is not installed here")
    (tmp_path / "shots").symlink_to(shots)
    run(recipe("GNU parallel", "bash"), tmp_path, variables)
    log = (tmp_path / "shards.log").read_text().splitlines()
    assert len(log) == 1 + 4
    require_same(tmp_path / "faces", whole)


def test_the_script_of_slurm_does_each_shard(
    shots: Path, whole: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    script = recipe("Slurm", "bash")
    directives = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", script, re.MULTILINE))
    assert directives["array"].startswith("1-"), "shards count from 1"
    count = 3
    for number in range(1, count + 1):
        told = {
            "SLURM_ARRAY_TASK_ID": str(number),
            "SLURM_ARRAY_TASK_COUNT": str(count),
            "SLURM_CPUS_PER_TASK": "2",
            "SLURM_MEM_PER_NODE": "1024",  # in MiB, as the manual of sbatch says
            "SHOTS": str(shots),
            "PARTS": str(tmp_path / "parts"),
        }
        run(script, tmp_path, {**variables, **told})
    merge(sorted((tmp_path / "parts").iterdir()), tmp_path / "faces")
    require_same(tmp_path / "faces", whole)


def manifest() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed here")
    told: dict[str, Any] = yaml.safe_load(recipe("Kubernetes", "yaml"))
    return told


@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
def test_the_manifest_of_kubernetes_is_one(version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed here")
    told = manifest()
    schemas.validate(told, version, strict=True)
    told["spec"]["completion"] = 3
    with pytest.raises(schemas.ValidationError):
        schemas.validate(told, version, strict=True)


def test_the_command_of_kubernetes_does_each_shard(
    shots: Path, whole: Path, variables: dict[str, str], tmp_path: Path
) -> None:
    told = manifest()
    (container,) = told["spec"]["template"]["spec"]["containers"]
    assert container["command"] == ["bash", "-c"]
    (script,) = container["args"]
    count = told["spec"]["completions"]
    assert f"/{count}" in script
    script = script.replace(f"/{count}", "/3").replace("/data/", f"{tmp_path}/")
    (tmp_path / "shots").symlink_to(shots)
    for index in range(3):
        run(script, tmp_path, {**variables, "JOB_COMPLETION_INDEX": str(index)})
    merge(sorted((tmp_path / "parts").iterdir()), tmp_path / "faces")
    require_same(tmp_path / "faces", whole)
