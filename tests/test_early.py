import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from faceloom import early


@pytest.fixture(autouse=True)
def _no_one_waits() -> Iterator[None]:
    early.dismiss()
    yield
    early.dismiss()


def test_whoever_first_needs_a_worker_gets_the_one_that_was_begun() -> None:
    early.begin()
    early.begin()
    (waiting,) = early._waiting
    first, second = early.take({}), early.take({})
    try:
        assert first is waiting
        assert second.process.pid != first.process.pid
        assert not early._waiting
    finally:
        first.end()
        second.end()


def test_a_worker_of_another_environment_is_a_new_one() -> None:
    early.begin()
    other = early.take({"CUDA_VISIBLE_DEVICES": "1"})
    try:
        assert early._waiting
        assert other.environment["CUDA_VISIBLE_DEVICES"] == "1"
    finally:
        other.end()


def test_a_worker_that_has_died_meanwhile_is_given_to_nobody() -> None:
    early.begin()
    (waiting,) = early._waiting
    waiting.process.kill()
    waiting.process.wait()
    taken = early.take({})
    try:
        assert taken.process.poll() is None
    finally:
        taken.end()


def test_nobody_is_left_when_it_is_dismissed() -> None:
    early.begin()
    (waiting,) = early._waiting
    early.dismiss()
    assert waiting.process.poll() is not None
    assert not early._waiting


BEGUN = """
import os, signal, sys
from faceloom import early
early.begin()
print(early._waiting[0].process.pid, flush=True)
if sys.argv[1] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")
@pytest.mark.parametrize("how", ["ended", "killed"])
def test_a_worker_that_nobody_took_ends_with_the_command(how: str) -> None:
    done = subprocess.run([sys.executable, "-c", BEGUN, how], capture_output=True, text=True, check=False)
    worker = Path("/proc") / done.stdout.strip()
    deadline = time.monotonic() + 60
    while _runs(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(worker)


def _runs(process: Path) -> bool:
    try:
        return b"faceloom.worker" in (process / "cmdline").read_bytes()
    except OSError:
        return False


def test_the_environment_of_the_command_goes_before_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "3")
    taken = early.take({})
    try:
        assert taken.environment["MALLOC_ARENA_MAX"] == os.environ["MALLOC_ARENA_MAX"]
        assert taken.environment["OPENBLAS_NUM_THREADS"] == "1"
    finally:
        taken.end()
