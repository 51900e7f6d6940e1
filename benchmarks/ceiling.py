"""Whether a budget is a ceiling, and whether the plan says what will be held. Linux.

Runs `faceloom extract` over inputs, flows and budgets, and looks at it from outside: the resident bytes of the command
and all its descendants, summed about 200 times a second (a page that several share counts in each), and what they hold
when such a page counts once, less often.

    python benchmarks/ceiling.py                                       a short list, minutes
    python benchmarks/ceiling.py --inputs all --flows all              all of it, hours
    python benchmarks/ceiling.py --inputs growing,pam --budgets smallest --flows default,tiles
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from ceiling_inputs import BOMBS, INPUTS, make
from faceloom.units import MIB

SCRATCH = Path(__file__).resolve().parent / "out" / "ceiling"
FLOWS: Mapping[str, Sequence[str]] = {
    "default": (),
    "masks": ("--mask", "components", "--mask", "extended", "--mask", "unet"),
    "other": ("--detect", "centerface", "--mask", "unet", "--identify", "dlib"),
    "dlib": ("--identify", "dlib"),
    "both": ("--mask", "unet", "--identify", "dlib"),
    "tiles": ("--tiles", "640"),
    "rotate": ("--rotate", "90"),
    "overlay": ("--overlay",),
}
SHORT_INPUTS = ("portraits", "mixed", "photos", "pam", "h264-4k", "hevc10-4k", "growing", *BOMBS)
BUDGETS = ("smallest", "less", "+10%", "x2", "none")
"""`less` is 2 MiB less than the smallest that a refusal names: that has to be refused too."""
LESS_BYTES = 2 * MIB
INTERVAL_S = 0.005
_PSS_EVERY = 10
_LOOK_EVERY = 4
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PSS = re.compile(rb"^Pss:\s+(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One run."""

    input: str
    flow: str
    budget: str
    cache: str
    asked: int | None
    predicted: int = 0
    measured: int = 0
    """By the run itself."""
    rss: int
    pss: int
    exit_code: int
    frames: int = 0
    failed: int = 0
    seconds: float
    events: str = ""
    named: int = 0
    """The smallest budget that a refusal names."""

    @property
    def off(self) -> float | None:
        """By which share the prediction is above what was measured from outside."""
        return self.predicted / self.rss - 1 if self.predicted else None

    @property
    def verdict(self) -> str:
        if self.asked is not None and self.rss > self.asked:
            return f"OVER by {(self.rss - self.asked) / MIB:.1f}"
        if self.budget == "less":
            return "refused" if self.exit_code == 3 else f"NOT REFUSED ({self.exit_code})"
        if self.input in BOMBS:
            return f"held, exit {self.exit_code}"
        if self.exit_code:
            return f"EXIT {self.exit_code}, failed {self.failed}"
        return "held"

    def cells(self) -> list[str]:
        """As a row of the table."""
        off = "" if self.off is None else f"{self.off:+.0%}"
        asked = "" if self.asked is None else f"{self.asked / MIB:.0f}"
        sizes = [f"{size / MIB:.0f}" if size else "" for size in (self.predicted, self.measured, self.rss, self.pss)]
        names = [self.input, self.flow, self.budget, self.cache]
        return [*names, asked, *sizes, off, f"{self.seconds:.1f}", self.events, self.verdict]


HEAD = (
    "| input | flow | budget | cache | asked MiB | predicted | own measure | outside, summed | outside, shared once"
    " | predicted above outside | s | events | verdict |\n"
    "| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |"
)


class Watch:
    """Looks at a process and all its descendants, in a thread, inside a `with` block."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._files: dict[int, int] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rss = 0
        """The largest sum of resident bytes at one moment."""
        self.pss = 0
        self.at_peak: dict[int, int] = {}

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        for file in self._files.values():
            os.close(file)

    def _run(self) -> None:
        for number in range(1 << 40):
            if number % _LOOK_EVERY == 0:
                self._look()
            held = dict(self._held())
            if sum(held.values()) > self.rss:
                self.rss, self.at_peak = sum(held.values()), held
            if number % _PSS_EVERY == 0:
                self.pss = max(self.pss, sum(map(_pss, self._files)))
            if self._end.wait(INTERVAL_S):
                return

    def _look(self) -> None:
        """Finds new processes, and forgets those that are gone."""
        there = {*_tree(self._pid)}
        for pid in self._files.keys() - there:
            os.close(self._files.pop(pid))
        for pid in there - self._files.keys():
            try:
                self._files[pid] = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
            except OSError:
                continue

    def _held(self) -> Iterator[tuple[int, int]]:
        for pid, file in self._files.items():
            try:
                fields = os.pread(file, 128, 0).split()
            except OSError:
                continue
            if len(fields) > 1:
                yield pid, int(fields[1]) * _PAGE


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _tree(int(child))
    except OSError:
        return


def _pss(pid: int) -> int:
    try:
        found = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def run(command: Sequence[str], env: Mapping[str, str]) -> tuple[dict[str, Any], Watch, int, float]:
    """What a command with `--json` prints, what it held, its exit code and seconds."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "faceloom", *command], stdout=out, stderr=errors, env=dict(env)
        )
        with Watch(process.pid) as watch:
            process.wait()
        out.seek(0)
        errors.seek(0)
        text, words = out.read().decode(), errors.read().decode(errors="replace")
    answer = json.loads(text) if text.strip() else {}
    answer["words"] = words
    return answer, watch, process.returncode, time.perf_counter() - started


def named_bytes(words: str) -> int:
    """The smallest budget that a refusal names."""
    found = re.search(r"smallest budget that would do is ([\d,]+) MiB", words)
    return int(found[1].replace(",", "")) * MIB if found else 0


class Bench:
    """Runs cases, and keeps what it has learnt of them."""

    def __init__(self, scratch: Path, also: Sequence[str] = ()) -> None:
        """Cases in a folder; `also` are more flags for all of them."""
        self._scratch = scratch
        self._also = also
        self._cache = scratch / "cache"
        self.env = {**os.environ, "FACELOOM_CACHE": str(self._cache)}

    def rows(self, name: str, flow: str, budgets: Sequence[str], *, is_cold: bool) -> Iterator[Row]:
        """One row for each budget."""
        if not is_cold:
            self._one(name, flow, "", None)  # prepares weights, and measures
        smallest = 0
        if {*budgets} - {"none"}:
            probe = self._one(name, flow, "1MiB", 1 * MIB, is_cold=is_cold)
            smallest = probe.named
            if not smallest:
                print(f"{name}, {flow}: nothing named: exit {probe.exit_code}", file=sys.stderr)
        sizes = {
            "smallest": smallest,
            "less": smallest - LESS_BYTES,
            "+10%": round(smallest * 1.1),
            "x2": smallest * 2,
            "none": None,
        }
        for budget in budgets:
            size = sizes[budget]
            if size is None or size > 0:
                yield self._one(name, flow, budget, size, is_cold=is_cold)

    def _one(self, name: str, flow: str, budget: str, asked: int | None, *, is_cold: bool = False) -> Row:
        if is_cold:
            shutil.rmtree(self._cache / "footprints", ignore_errors=True)
        asked = None if asked is None else asked // MIB * MIB
        with tempfile.TemporaryDirectory(dir=self._scratch) as out:
            flags = [*FLOWS[flow], *self._also, *(["--memory", f"{asked // MIB}MiB"] if asked else [])]
            source = make(name, self._scratch / "inputs")
            answer, watch, code, seconds = run(["extract", str(source), "--out", out, *flags, "--json"], self.env)
        events = {kind: count for kind, count in answer.get("events", {}).items() if count}
        return Row(
            input=name,
            flow=flow,
            budget=budget,
            cache="cold" if is_cold else "",
            asked=asked,
            predicted=answer.get("predicted_peak_bytes", {}).get("cpu", 0),
            measured=answer.get("peak_bytes", {}).get("cpu", 0),
            rss=watch.rss,
            pss=watch.pss,
            exit_code=code,
            frames=answer.get("frames", 0),
            failed=answer.get("failed", 0),
            seconds=seconds,
            events=", ".join(f"{kind} {count}" for kind, count in events.items()),
            named=named_bytes(json.dumps(answer)),
        )


def told(rows: Sequence[Row]) -> str:
    """What all runs together show."""
    over = sum(row.verdict.startswith("OVER") for row in rows)
    done = [row for row in rows if row.off is not None and row.exit_code in (0, 1) and row.input not in BOMBS]
    near = sum(0 <= (row.off or 0) <= 0.1 for row in done)
    below = sum((row.off or 0) < 0 for row in done)
    least = [row for row in rows if row.budget == "less"]
    refused = sum(row.exit_code == 3 for row in least)
    return (
        f"{len(rows)} runs: {over} over the budget; predicted 0 to 10 % above what was held: {near} of {len(done)},"
        f" below it: {below}; 2 MiB less than the smallest: refused {refused} of {len(least)}"
    )


def _chosen(text: str, every: Sequence[str]) -> list[str]:
    names = list(every) if text == "all" else text.split(",")
    for name in names:
        if name not in every:
            raise SystemExit(f"there is no {name!r}; there are {', '.join(every)}")
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", default=",".join(SHORT_INPUTS))
    parser.add_argument("--flows", default="default")
    parser.add_argument("--budgets", default="smallest,less,+10%,x2,none")
    parser.add_argument("--cold", action="store_true", help="with nothing measured before each run")
    parser.add_argument("--scratch", type=Path, default=SCRATCH)
    parser.add_argument("--also", default="", help="more flags, as in '--batch align=8!': what is fastest elsewhere")
    chosen = parser.parse_args()
    chosen.scratch.mkdir(parents=True, exist_ok=True)
    bench = Bench(chosen.scratch, shlex.split(chosen.also))
    rows: list[Row] = []
    print(HEAD, flush=True)
    for name, flow in product(_chosen(chosen.inputs, tuple(INPUTS)), _chosen(chosen.flows, tuple(FLOWS))):
        for row in bench.rows(name, flow, _chosen(chosen.budgets, BUDGETS), is_cold=chosen.cold):
            rows.append(row)
            print(f"| {' | '.join(row.cells())} |", flush=True)
    print(f"\n{told(rows)}")


if __name__ == "__main__":
    main()
