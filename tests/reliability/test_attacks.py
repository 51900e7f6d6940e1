"""Attacks: what a received folder, file or network may try. Nothing runs or changes outside, and all of it ends."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from faceloom.models.weights import WeightCache
from reliability.attack_folders import plant_shadows

_LONGEST_S = 300
"""Seconds in which any of these commands has to have ended, on a machine that is busy with other things too."""
_COMMAND = Path(sys.executable).with_name("faceloom")


@pytest.fixture
def pictures(samples: Path, tmp_path: Path) -> Path:
    """A folder with a picture and a shadow of everything; what is run tells `tmp_path / "ran"`."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    shutil.copy(samples / "portrait.png", folder)
    assert plant_shadows(folder, tmp_path / "ran") > 200
    return folder


def run_in(folder: Path, command: list[str | Path], **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **variables}
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, timeout=_LONGEST_S
    )


@pytest.mark.parametrize(
    "command",
    [
        ["extract", "portrait.png", "--out", "../out", "--quiet"],
        ["plan", "."],
        ["models"],
        ["doctor"],
    ],
    ids=lambda command: command[0],
)
def test_nothing_beside_the_pictures_is_ever_imported(command: list[str], pictures: Path, tmp_path: Path) -> None:
    if not _COMMAND.exists():
        pytest.skip("the command is not installed beside this Python")
    # A cache of its own, so that networks are converted here, each by a process of its own.
    done = run_in(pictures, [_COMMAND, *command], FACELOOM_CACHE=str(tmp_path / "cache"))
    assert done.returncode in {0, 3}, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert (tmp_path / "out/faceloom.sqlite").exists() == (command[0] == "extract")


def test_a_module_run_by_its_name_leaves_the_current_folder(pictures: Path, tmp_path: Path) -> None:
    # These Python imports before anything of ours can be heard; docs/reliability.md says so.
    first = subprocess.check_output([sys.executable, "-c", "import runpy, sys; print(*sys.modules)"], text=True)
    for name in {"faceloom", *(name.partition(".")[0] for name in first.split())}:
        (pictures / f"{name}.py").unlink(missing_ok=True)
    shutil.rmtree(pictures / "faceloom")
    done = run_in(pictures, [sys.executable, "-m", "faceloom", "models"])
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_the_pip_of_the_current_folder_fetches_no_weights(pictures: Path, tmp_path: Path) -> None:
    if not _COMMAND.exists():
        pytest.skip("the command is not installed beside this Python")
    nowhere = {"PIP_NO_INDEX": "1", "FACELOOM_WEIGHTS": "", "FACELOOM_CACHE": str(tmp_path / "cache")}
    done = run_in(pictures, [_COMMAND, "pull", "yunet"], **nowhere)
    assert done.returncode == 5, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


def test_networks_are_converted_away_from_the_current_folder(
    pictures: Path, tmp_path: Path, cache: WeightCache
) -> None:
    assert cache.mirrors, "there are no weights here to convert"
    if not _COMMAND.exists():
        pytest.skip("the command is not installed beside this Python")
    done = run_in(pictures, [_COMMAND, "pull", "facemesh"], FACELOOM_CACHE=str(tmp_path / "cache"))
    if done.returncode == 5:
        pytest.skip("the weights cannot be had here")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
