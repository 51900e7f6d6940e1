"""Counting inside a budget, with an animation that is larger to look at than to keep."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faceloom.store.reading import read_frames
from faceloom.units import MIB
from jobs import exported
from reliability.bad_inputs import declaring_gif

SIDE = 7000
"""Pixels: a decoded picture takes 187 MiB, and reading a frame 1.5 GiB by what is believed of GIFs."""
LITTLE_BYTES = 300 * MIB
ENOUGH_BYTES = 2048 * MIB

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes have a limit on Linux alone")


def run(inputs: Path, out: Path, budget_bytes: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(inputs), "--out", str(out)]
    command += ["--memory", str(budget_bytes), "--size", "64", "--json", "--quiet"]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads(done.stdout)
    assert summary["peak_bytes"]["cpu"] <= summary["budget_bytes"]["cpu"]
    return summary


@pytest.fixture
def inputs(samples: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(samples / "portrait.png", folder)
    (folder / "huge.gif").write_bytes(declaring_gif(SIDE))
    return folder


def test_a_video_that_cannot_be_counted_in_the_budget_is_counted_when_there_is_more(
    inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = run(inputs, out, LITTLE_BYTES)
    assert first.returncode == 1, first.stderr
    summary = summary_of(first)
    assert (summary["frames"], summary["failed"], summary["faces"]) == (2, 1, 1)
    assert summary["events"]["oom"] > 0
    assert summary["events"]["worker_restarted"] == 0
    (failed,) = [frame for frame in read_frames(out) if frame["status"] == "failed"]
    assert failed["source"] == "huge.gif"
    assert failed["reason"] == f"not enough memory: a frame of {SIDE} x {SIDE} cannot be decoded"

    again = run(inputs, out, LITTLE_BYTES)
    assert again.returncode == 1, again.stderr
    assert summary_of(again)["frames"] == 2

    last = run(inputs, out, ENOUGH_BYTES)
    assert last.returncode == 0, last.stderr
    summary = summary_of(last)
    assert (summary["frames"], summary["failed"]) == (2, 0)
    assert run(inputs, tmp_path / "whole", ENOUGH_BYTES).returncode == 0
    assert exported(out, frames=True) == exported(tmp_path / "whole", frames=True)
    assert exported(out) == exported(tmp_path / "whole")


def test_a_video_that_more_memory_shows_to_be_damaged_fails_for_that(inputs: Path, tmp_path: Path) -> None:
    whole = (inputs / "huge.gif").read_bytes()
    (inputs / "huge.gif").write_bytes(whole[:-4])
    assert run(inputs, tmp_path / "out", LITTLE_BYTES).returncode == 1
    run(inputs, tmp_path / "out", ENOUGH_BYTES)
    run(inputs, tmp_path / "whole", ENOUGH_BYTES)
    assert exported(tmp_path / "out", frames=True) == exported(tmp_path / "whole", frames=True)
    assert "not enough memory" not in exported(tmp_path / "out", frames=True)


def test_a_budget_in_which_nothing_can_be_counted_is_refused(inputs: Path, tmp_path: Path) -> None:
    done = run(inputs / "huge.gif", tmp_path / "out", LITTLE_BYTES)
    assert done.returncode == 3
    assert f"not enough memory: a frame of {SIDE} x {SIDE} cannot be decoded" in done.stderr
    assert "the smallest budget that would do is" in done.stderr
