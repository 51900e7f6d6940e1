import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faceloom.api import extract
from faceloom.cli import watching
from faceloom.cli.main import main
from faceloom.events import Event, OnEvent
from faceloom.store.summary import read_summary
from jobs import exported
from reliability.kill_fuzz import Fuzz, workers_of, write_media


def test_a_run_that_is_killed_at_random_moments_ends_as_one_in_peace(samples: Path, tmp_path: Path) -> None:
    media = write_media(samples, tmp_path / "media")
    tally = Fuzz(media, tmp_path, seed=3).run(9, least_kills=6)
    assert not tally.problems, str(tally)
    assert sum(tally.kills.values()) >= 6
    assert tally.finished


def reads_videos(pid: int) -> bool:
    """Whether a worker has been told to count, for which it loads FFmpeg."""
    try:
        return "libavformat" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def test_a_worker_that_is_killed_while_it_counts_costs_a_retry_and_not_the_video(samples: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(samples), "--out", str(tmp_path / "out")]
    process = subprocess.Popen([*command, "--size", "64"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (workers := [pid for pid in workers_of(process.pid) if reads_videos(pid)]):
        assert process.poll() is None, "the run ended before it had a worker"
        time.sleep(0.002)
    os.kill(workers[0], signal.SIGKILL)
    assert process.wait(120) == 0
    extract(samples, tmp_path / "whole", size=64)
    assert exported(tmp_path / "out", frames=True) == exported(tmp_path / "whole", frames=True)
    assert read_summary(tmp_path / "out")["runs"][0]["summary"]["events"]["worker_restarted"] == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_sigterm_beside_the_work_is_exit_code_143_too(
    moment: str, samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heard(event: Event) -> None:
        """Nobody watches."""

    @contextmanager
    def watch(*, plainly: bool) -> Iterator[OnEvent]:
        if moment == "before":
            os.kill(os.getpid(), signal.SIGTERM)
        yield heard
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(watching, "watch", watch)
    assert main(["extract", str(samples / "portrait.png"), "--out", str(tmp_path / "out"), "--size", "64"]) == 143
