"""A run under the eyes of whoever waits for it, and what is said of how it ended."""

import argparse
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.cli.interrupts import Interrupts, Terminated
from faceloom.cli.terminal import say, say_json
from faceloom.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from faceloom.events import OnEvent, Summary
    from faceloom.supervisor.inputs import ShouldStop


DONE_BEFORE = "of them done before"


def do_and_report(
    work: Callable[["OnEvent", "ShouldStop"], "Summary"],
    chosen: argparse.Namespace,
    out: Path,
    *,
    skipped: str = DONE_BEFORE,
) -> int:
    """Does a run, prints how it ended, and gives the exit code; `skipped` says what frames are that were left alone."""
    from faceloom.cli.watching import watching

    try:
        with Interrupts() as interrupts, watching(chosen) as on_event:
            summary = work(on_event, interrupts.should_stop)
    except Terminated:
        return 128 + signal.SIGTERM
    # Whoever waits has waited for the imports too.
    return _report(replace(summary, seconds=time.monotonic() - chosen.started), chosen, out, skipped)


def _report(summary: "Summary", chosen: argparse.Namespace, out: Path, skipped: str) -> int:
    """Prints how a run ended, as one JSON document or in words; the exit code."""
    if chosen.json:
        say_json(summary.to_json())
    else:
        say(_in_words(summary, out, skipped))
    for damage in summary.damages:
        say(f"faceloom: damaged: {damage}", to=sys.stderr)
    for failure in summary.failures:
        say(f"faceloom: failed: {failure}", to=sys.stderr)
    if summary.outcome == "interrupted":
        say("faceloom: interrupted; run the same command again to go on", to=sys.stderr)
        return 128 + signal.SIGINT
    if summary.failed and summary.failed == summary.frames:
        say("faceloom: no input could be read", to=sys.stderr)
        return 4
    return 1 if summary.failed else 0


def _in_words(summary: "Summary", out: Path, left_alone: str) -> str:
    frames = f"{summary.frames:,} frame{'s' * (summary.frames != 1)}"
    found = f"{summary.faces:,} face{'s' * (summary.faces != 1)} in {frames}, {format_seconds(summary.seconds)}"
    failed = f", {summary.failed:,} failed" if summary.failed else ""
    failed += f", {summary.damaged:,} damaged" if summary.damaged else ""
    skipped = f", {summary.skipped:,} {left_alone}" if summary.skipped else ""
    memory = f"peak memory {format_bytes(summary.peak_bytes)} of {format_bytes(summary.budget_bytes)}"
    if summary.predicted_peak_bytes:
        memory += f" ({format_bytes(summary.predicted_peak_bytes)} predicted)"
    lines = [f"{found}{failed}{skipped}; {memory}"]
    for name, card in summary.cards.items():
        peak, predicted, budget = map(format_bytes, (card.peak_bytes, card.predicted_peak_bytes, card.budget_bytes))
        lines.append(
            f"  on {name} {peak} of {budget} ({predicted} predicted), at work {card.busy_share:.0%} of the time"
        )
    if summary.device_frames:
        lines.append("  frames    " + ", ".join(f"{name} {number:,}" for name, number in summary.device_frames.items()))
    places = {"chips": out / "chips", "overlays": out / "overlays", "store": out / "faceloom.sqlite"}
    lines += [f"  {name:<9}{path}" for name, path in places.items() if path.exists()]
    return "\n".join([*lines, f"  look at   faceloom show {out}"])
