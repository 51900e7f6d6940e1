"""Runs mypy and all tests, some test files to a process and three processes at a time: what scripts/test does.

What test files made their process hold is gone when it ends, and none collects what it does not run. For each process a
line tells the CPU seconds of it and of those it started, and the most memory that all of them held together (PSS).
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

AT_ONCE = 3
"""A third of a test is waiting for processes and disks, so that three of them keep two cores busy."""
FILES = 8
"""Of a process, at most."""
SLOWEST = ("reliability", "pipeline", "supervisor", "cli", "store")
"""The folders that begin, so that nothing long is left when all else is done."""
SAMPLED_S = 2.0
_COUNTED = re.compile(r"(\d+) (passed|failed|skipped|xfailed|xpassed|errors?)\b")
TESTS = Path(__file__).parents[1] / "tests"


def groups() -> Iterator[list[str]]:
    """The test files of each process; they are dealt out, so that slow neighbours rarely come together."""
    files = [str(path.relative_to(TESTS.parent)) for path in sorted(TESTS.rglob("test_*.py"))]
    slowest = [[file for file in files if file.startswith(f"tests/{name}/")] for name in SLOWEST]
    for some in (*slowest, sorted(set(files) - set().union(*slowest))):
        count = -(-len(some) // FILES)
        yield from (some[i::count] for i in range(count))


def run(command: list[str], shared: Path) -> tuple[bool, Counter[str]]:
    """Runs a command to its end and prints what it said; whether all is well, and how many tests ended how."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as said:
        environment = {**os.environ, "FACELOOM_TESTS_SHARE": str(shared)}
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    costs = f"{time.monotonic() - started:.0f} s, {used.ru_utime + used.ru_stime:.0f} CPU s"
    print(f"\n$ {' '.join(command)}\n{text}{costs}", flush=True)
    last = text.strip().rpartition("\n")[2] if command[0] == "pytest" else ""
    return process.returncode == 0, Counter({how.rstrip("s"): int(count) for count, how in _COUNTED.findall(last)})


def held_bytes() -> int:
    """What this process and all that came of it hold: pages of several count once."""
    parents, held = {}, 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
    for pid in parents:
        above = pid
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid():
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            except OSError:
                continue
            held += sum(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))
    return held


def main() -> int:
    """Runs everything; the exit code says whether all is well."""
    started, peak, peak_s, is_done = time.monotonic(), 0, 0.0, threading.Event()
    with tempfile.TemporaryDirectory(prefix="faceloom-tests-") as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        shared = Path(folder)
        pytest = ["pytest", "-q", "--no-header", "-p", "no:cacheprovider"]
        commands = [[*pytest, f"--basetemp={shared / str(number)}", *files] for number, files in enumerate(groups())]
        commands.insert(len(commands) // 2, ["mypy"])  # it holds much, and those that begin do too
        ended = [pool.submit(run, command, shared) for command in commands]
        while not all(one.done() for one in ended):
            if (held := held_bytes()) > peak:
                peak, peak_s = held, time.monotonic() - started
            is_done.wait(SAMPLED_S)
        failed = [command for command, one in zip(commands, ended, strict=True) if not one.result()[0]]
        counts = sum((one.result()[1] for one in ended), Counter[str]())
    for command in failed:
        print(f"FAILED: {' '.join(command)}")
    told = ", ".join(f"{count} {how}" for how, count in counts.items())
    print(f"\n{told} in {time.monotonic() - started:.0f}s, at most {peak / 2**30:.2f} GiB (after {peak_s:.0f} s)")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
