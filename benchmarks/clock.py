"""Plan and estimate against the clock: `python benchmarks/clock.py INPUT [INPUT ...]`.

For each input and each flow: the seconds that `faceloom.plan` names, those that the run took, and how far the estimate
in the progress was off at a quarter, at half and at three quarters of the run. Footprints are measured before, so that
is no part of it; other programs are, so the load is printed: figures count from a quiet machine. On a busy one the
processor's seconds, divided by the workers, say what the clock would have.
"""

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import faceloom
from faceloom.errors import BudgetError
from faceloom.events import Event, Progress

FLOWS: Mapping[str, Mapping[str, Any]] = {
    "detector alone": {"align": None, "mask": (), "chips": False},
    "default": {},
    "all masks": {"mask": ("components", "extended", "unet")},
    "two phases": {"mask": ("unet",), "memory": "300MiB"},
}
AT = (0.25, 0.5, 0.75)


@dataclass(slots=True)
class Ran:
    """How long a run took, and what was told by the way."""

    started: float = field(default_factory=monotonic)
    seconds: float = 0.0
    processor_s: float = 0.0
    """Of all processes."""
    told: list[tuple[float, float]] = field(default_factory=list)
    """After how many seconds how many were said to be left."""

    def hear(self, event: Event) -> None:
        """Notes an estimate, if the event has one."""
        if isinstance(event, Progress) and event.eta_s is not None:
            self.told.append((monotonic() - self.started, event.eta_s))

    def off(self, share: float) -> str:
        """By what share of what was left the estimate was off, at a share of the run."""
        now, eta = min(self.told, key=lambda one: abs(one[0] - share * self.seconds), default=(self.seconds, 0.0))
        left = self.seconds - now
        return f"{(eta - left) / left:+.0%}" if left > 0.05 * self.seconds else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="+", type=Path)
    parser.add_argument("--flow", action="append", choices=FLOWS, help="only these")
    parser.add_argument("--end", help="as of extract")
    chosen = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print("| input | flow | plan s | processor s | clock s | plan off | ETA off at 25 % | 50 % | 75 % |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for path in chosen.inputs:
        for name in chosen.flow or FLOWS:
            more = {"end": chosen.end} if chosen.end else {}
            report(path, name, {**FLOWS[name], **more})
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


def report(path: Path, name: str, options: Mapping[str, Any]) -> None:
    """Prints one row."""
    of_stages = {key: value for key, value in options.items() if key not in ("memory", "chips")}
    faceloom.profile(path, **of_stages)
    planned = faceloom.plan(path, **options).plans[0]
    if isinstance(planned, BudgetError):
        print(f"| {path.name} | {name} | {planned} | | | | | | |")
        return
    with tempfile.TemporaryDirectory() as folder:
        ran, before = Ran(), processor_s()
        faceloom.extract(path, Path(folder) / "out", on_event=ran.hear, **options)
        ran.seconds, ran.processor_s = monotonic() - ran.started, processor_s() - before
    planned_s = planned.plan.seconds
    processor = ran.processor_s / planned.plan.workers
    off = (planned_s - ran.seconds) / ran.seconds
    offs = " | ".join(map(ran.off, AT))
    seconds = f"{planned_s:.1f} | {processor:.1f} | {ran.seconds:.1f}"
    print(f"| {path.name} | {name} | {seconds} | {off:+.0%} | {offs} |", flush=True)


def processor_s() -> float:
    """What this process and those that it has started and waited for have taken of the processor."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
