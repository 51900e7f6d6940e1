"""What a budget costs and whether it holds: `python benchmarks/budget_sweep.py [--times 1,1.25,2,4]`.

A flow of five networks on real frames, at the smallest budget that is feasible and at multiples of it. Every run is a
command of its own; its peak is that of all its processes together. Writes `out/budget_sweep.md` and `.svg`.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import five
from plot import write_chart

OUT = Path(__file__).parent / "out"
MIB = 2**20
CLOSE = 0.10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", default="1,1.25,2,4", help="multiples of the smallest budget")
    multiples = [float(number) for number in parser.parse_args().times.split(",")]
    OUT.mkdir(exist_ok=True)
    with five.environment() as env, tempfile.TemporaryDirectory() as folder:
        faceloom("profile", *five.inputs(), *five.FLAGS, "--json", env=env)
        smallest = smallest_budget(env)
        runs = [run(round(smallest * times) * MIB, Path(folder) / f"{times}", env) for times in multiples]
    table = describe(runs)
    (OUT / "budget_sweep.md").write_text(table + "\n", encoding="utf-8")
    draw(runs)
    print(table)
    problems = check(runs)
    print("\n" + ("\n".join(problems) or "every run kept its budget, with the same faces"))
    return len(problems)


def smallest_budget(env: dict[str, str]) -> int:
    """In MiB, as the refusal of one that is too small names it."""
    told = faceloom("plan", *five.inputs(), *five.FLAGS, "--what-if", "1MiB", "--json", env=env)
    return -(-int(json.loads(told)["plans"][0]["needed_bytes"]) // MIB)


def run(budget_bytes: int, out: Path, env: dict[str, str]) -> dict[str, Any]:
    """The summary of a run, with the sha256 of its export."""
    told = faceloom("extract", *five.inputs(), *five.FLAGS, "--out", str(out), "--memory", str(budget_bytes),
                    "--json", "--quiet", env=env)  # fmt: skip
    exported = faceloom("export", str(out), "--to", "jsonl", env=env)
    return {**json.loads(told), "export": hashlib.sha256(exported.encode()).hexdigest()}


def faceloom(*arguments: str, env: dict[str, str]) -> str:
    command = [sys.executable, "-m", "faceloom.cli.main", *arguments]
    return subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
    ).stdout


def describe(runs: list[dict[str, Any]]) -> str:
    lines = [
        "| budget MiB | passes | workers | predicted MiB | measured MiB | predicted / measured | seconds | frames | faces | events | export |",  # noqa: E501
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for one in runs:
        budget, predicted, measured = (
            one[name]["cpu"] / MIB for name in ("budget_bytes", "predicted_peak_bytes", "peak_bytes")
        )
        events = ", ".join(f"{kind} {number}" for kind, number in one["events"].items() if number) or "none"
        cells = [
            f"{budget:.0f}",
            len(one["plan"]["phases"]),
            one["plan"]["workers"],
            f"{predicted:.0f}",
            f"{measured:.0f}",
            f"{predicted / measured:.3f}",
            f"{one['seconds']:.1f}",
            one["frames"],
            one["faces"],
            events,
            one["export"][:12],
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def draw(runs: list[dict[str, Any]]) -> None:
    def line(name: str) -> list[tuple[float, float]]:
        return [(one["budget_bytes"]["cpu"] / MIB, one[name]["cpu"] / MIB) for one in runs]

    memory = {"budget": line("budget_bytes"), "predicted": line("predicted_peak_bytes"), "measured": line("peak_bytes")}
    write_chart(OUT / "budget_sweep.svg", memory, title="Peak memory", x="budget, MiB", y="MiB")
    seconds = {"seconds": [(one["budget_bytes"]["cpu"] / MIB, float(one["seconds"])) for one in runs]}
    write_chart(OUT / "budget_sweep_s.svg", seconds, title="Time of the run", x="budget, MiB", y="seconds")


def check(runs: list[dict[str, Any]]) -> list[str]:
    """What is not as promised."""
    problems = []
    for one in runs:
        budget, predicted, measured = (
            one[name]["cpu"] for name in ("budget_bytes", "predicted_peak_bytes", "peak_bytes")
        )
        where = f"at {budget / MIB:.0f} MiB"
        problems += [f"{where} the budget was exceeded"] * (measured > budget)
        problems += [f"{where} the prediction was too low"] * (predicted < measured)
        problems += [f"{where} the prediction was more than {CLOSE:.0%} too high"] * (
            predicted > (1 + CLOSE) * measured
        )
        problems += [f"{where} the faces are others"] * (one["export"] != runs[0]["export"])
    return problems


if __name__ == "__main__":
    sys.exit(main())
