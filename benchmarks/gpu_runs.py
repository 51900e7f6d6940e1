"""The whole, on a card: `faceloom extract` at budgets from the smallest that has a plan, predicted and held bytes.

Part of `benchmarks/gpu.py`; alone: `python benchmarks/gpu_runs.py [--device cuda:0] [--align NAME] [--mask NAME ...]`.
The frames are those of `faceloom samples`. Detection is YuNet's, so that there are faces also where the large networks
have random values.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from faceloom.units import GIB, MIB

BUDGETS = (2 * GIB, 3 * GIB, 4 * GIB, 8 * GIB, 16 * GIB)
STEP = 64 * MIB
"""The smallest budget is looked for in such steps."""
FLAGS = ("--align", "fan", "--mask", "bisenet", "--mask", "unet")


def report_runs(device: str, weights: Mapping[str, Path], *, flags: Sequence[str] = FLAGS) -> None:
    """Prints a table of runs, each in a new folder.

    Args:
        device: as `--device` takes it.
        weights: files in place of a stage's own.
        flags: the stages.
    """
    own = [part for stage, file in weights.items() for part in ("--weights", f"{stage}={file}")]
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder, "samples")
        faceloom("samples", samples)
        asked: list[str | Path] = [samples, "--device", device, *flags, *own]
        first = extract(asked, Path(folder, "first"))  # what is measured is measured here
        print(
            "\n| budget MiB | where each network ran | predicted MiB | held MiB | RAM predicted | RAM held | seconds |"
        )
        print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
        over = 0
        for i, budget in enumerate([smallest(asked), *BUDGETS]):
            told = extract(asked, Path(folder, str(i)), "--memory", str(budget)) if budget else None
            if told is None:
                print(f"| {mib(budget)} | does not fit | | | | | |")
                continue
            name = device if device in told["peak_bytes"] else "cpu"
            over += told["peak_bytes"][name] > budget
            print(f"| {mib(budget)} | {places(told['plan'])} | {sizes(told, name)} | {sizes(told, 'cpu')} |", end="")
            print(f" {told['seconds']:.1f} |")
            assert told["faces"] == (first or told)["faces"], "the same faces under every budget"
        print(f"\n{over} budgets exceeded")


def smallest(asked: Sequence[str | Path]) -> int:
    """The smallest budget that has a plan, to a step; 0 if none of those tried has."""
    steps = range(STEP, BUDGETS[-1] + 1, STEP)
    told = faceloom("plan", *asked, "--what-if", ",".join(map(str, steps)), "--json")
    plans: list[dict[str, Any]] = json.loads(told.stdout)["plans"]
    return next((step for step, plan in zip(steps, plans, strict=True) if "error" not in plan), 0)


def extract(asked: Sequence[str | Path], out: Path, *more: str) -> dict[str, Any] | None:
    """The summary of a run; None if it was refused."""
    told = faceloom("extract", *asked, "--out", out, "--size", "64", "--json", "--quiet", *more)
    if told.returncode == 3:
        return None
    if told.returncode not in {0, 1}:
        sys.exit(f"a run ended with exit code {told.returncode}: {told.stderr}")
    summary: dict[str, Any] = json.loads(told.stdout)
    return summary


def faceloom(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, in a process of its own."""
    command = [sys.executable, "-m", "faceloom.cli.main", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def places(plan: Mapping[str, Any]) -> str:
    """Each phase's networks with their batches, and a star for those on the host."""
    return "; ".join(
        ", ".join(
            f"{stage['stage'].partition('/')[2]} {stage['batch']}{'*' * (stage['device'] == 'cpu')}"
            for stage in phase["stages"]
        )
        for phase in plan["phases"]
    )


def sizes(told: Mapping[str, Any], name: str) -> str:
    return f"{mib(told['predicted_peak_bytes'][name])} | {mib(told['peak_bytes'][name])}"


def mib(size: int) -> str:
    return f"{size / MIB:,.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--align", default="fan")
    parser.add_argument("--mask", nargs="+", default=["bisenet", "unet"])
    chosen = parser.parse_args()
    flags = ["--align", chosen.align, *(part for mask in chosen.mask for part in ("--mask", mask))]
    report_runs(chosen.device, {}, flags=flags)


if __name__ == "__main__":
    main()
