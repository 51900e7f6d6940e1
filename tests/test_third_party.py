"""A package of somebody else, built and installed by pip, adds a detector and a format."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.api import extract
from jobs import exported

EXAMPLE = Path(__file__).parent / "third_party/example"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip installed the package into, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    source = shutil.copytree(EXAMPLE, folder / "source")
    alone = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *alone, "--target", folder / "site", source]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if "No module named pip" in done.stderr:
        pytest.skip("pip is not installed")
    assert done.returncode == 0, done.stderr
    return folder / "site"


def faceloom(installed: Path, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    paths = os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "faceloom.cli.main", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "1000"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_its_detector_finds_what_it_says(installed: Path, samples: Path, tmp_path: Path) -> None:
    chosen = ["--detect", "keen", "--size", "64", "--align", "none"]
    done = faceloom(installed, "extract", samples / "crowd.jpg", "--out", tmp_path / "keen", *chosen)
    assert done.returncode == 0, done.stderr
    extract(samples / "crowd.jpg", tmp_path / "ours", size=64, align=None, min_score=0.5)
    assert exported(tmp_path / "keen") == exported(tmp_path / "ours")


def test_its_detector_is_listed(installed: Path) -> None:
    assert "detect/keen" in faceloom(installed, "models").stdout


def test_its_format_is_written_and_listed_and_never_read(installed: Path, samples: Path, tmp_path: Path) -> None:
    extract(samples / "crowd.jpg", tmp_path / "out", size=64, align=None)
    faces = len(exported(tmp_path / "out").splitlines())
    assert faceloom(installed, "export", tmp_path / "out", "--to", "counts").stdout == f"crowd.jpg 0 {faces}\n"
    assert re.search(r",\s+counts\b", faceloom(installed, "export", "--help").stdout)
    (tmp_path / "some.counts").write_text("crowd.jpg 0 3\n")
    told = ["--detect", "import", "--from", str(tmp_path / "some.counts"), "--from-format", "counts"]
    done = faceloom(installed, "extract", samples / "crowd.jpg", "--out", tmp_path / "again", *told)
    assert done.returncode == 2
    assert "can be written and not read" in done.stderr


def test_a_name_that_is_nearly_its_detectors_is_put_right(installed: Path, samples: Path, tmp_path: Path) -> None:
    done = faceloom(installed, "extract", samples / "crowd.jpg", "--out", tmp_path / "out", "--detect", "ken")
    assert done.returncode == 2
    assert "did you mean 'keen'?" in done.stderr


def test_what_cannot_be_imported_is_named_with_its_package(installed: Path, samples: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(installed, tmp_path / "broken")
    (broken / "example_extras/keen.py").write_text("import a_module_that_nobody_has\n")
    done = faceloom(broken, "extract", samples / "crowd.jpg", "--out", tmp_path / "out", "--detect", "keen")
    assert done.returncode == 2
    assert "detect/keen of example-extras cannot be loaded" in done.stderr
    assert "a_module_that_nobody_has" in done.stderr
