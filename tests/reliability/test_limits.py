import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from faceloom.cli import main as command_line
from faceloom.faults import limit_in_words
from faceloom.units import MIB

LONGEST_S = 300


def faceloom(
    *arguments: object, before: Callable[[], None] | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "faceloom.cli.main", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=LONGEST_S, preexec_fn=before, env=env
    )
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done


@pytest.mark.parametrize(
    ("limit", "amount", "told"),
    [(resource.RLIMIT_NOFILE, 10, "ulimit -n"), (resource.RLIMIT_AS, 300 * MIB, "ulimit -v")],
)
def test_a_limit_of_the_account_is_named_and_the_exit_code_is_that_of_the_machine(
    limit: int, amount: int, told: str, samples: Path, tmp_path: Path
) -> None:
    done = faceloom(
        "extract", samples / "portrait.png", "--out", tmp_path / "out", "--size", "64", "--quiet",
        before=lambda: resource.setrlimit(limit, (amount, amount)),
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert told in done.stderr
    again = faceloom("extract", samples / "portrait.png", "--out", tmp_path / "out", "--size", "64", "--quiet")
    assert again.returncode == 0


@pytest.mark.parametrize(
    "error",
    [BlockingIOError(11, "Resource temporarily unavailable"), RuntimeError("can't start new thread"), MemoryError()],
)
def test_what_cannot_be_started_is_no_bug(
    error: Exception, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(command_line, "logging_to", lambda _: nullcontext())
    assert command_line._run(argparse.Namespace(run=fail)) == 3
    assert "ulimit" in capsys.readouterr().err


def test_other_errors_are_no_limits() -> None:
    assert not any(map(limit_in_words, [ValueError("no"), OSError(2, "No such file"), RuntimeError("other")]))


def test_without_a_home_it_runs(samples: Path, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name not in {"HOME", "XDG_CACHE_HOME"}}
    done = faceloom("extract", samples / "portrait.png", "--out", tmp_path / "out", "--size", "64", "--quiet", env=env)
    assert done.returncode == 0, done.stderr


_SMALL = """
import json, sys
import faceloom.targets
from faceloom.memory.ram import Ram
from faceloom.units import MIB
ram = Ram(total_bytes=400 * MIB, available_bytes=385 * MIB, is_limited=True)
faceloom.targets.read_ram = lambda: ram
from faceloom.api import extract
told = extract(sys.argv[1], sys.argv[2], size=64)
print(json.dumps([told.outcome, told.failed, told.peak_bytes, told.budget_bytes]))
"""


def test_the_default_flow_runs_in_a_container_of_400_mib(samples: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SMALL, str(samples), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outcome, failed, peak_bytes, budget_bytes = json.loads(done.stdout)
    assert (outcome, failed) == ("done", 0)
    assert peak_bytes <= budget_bytes == 285 * MIB
