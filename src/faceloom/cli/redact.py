"""`faceloom redact`."""

import argparse
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import RunFlags
from faceloom.cli.interrupts import Interrupts, Terminated
from faceloom.cli.starting import starting
from faceloom.cli.terminal import say, say_json
from faceloom.options.calls import RedactOptions
from faceloom.options.option import Option
from faceloom.options.stages import PathLike
from faceloom.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from faceloom.redacting.summary import RedactSummary

_EXAMPLES = """\
The originals are only read. Files come to lie below DIR/redacted when no detector finds a face in them any more; those
in which one still does stay below DIR/unproven. Run the same command again after any kind of end: it goes on.

  faceloom redact party.mp4 --out public                          every face blurred
  faceloom redact holiday --out public --with solid --over box    black boxes, in pictures and videos
  faceloom redact faces --out public --except ann                 from a result folder, everybody but one person
  faceloom redact 'shot_%04d.png' --fps 24 --out public           numbered pictures, as one video
  faceloom redact rtsp://host/path --out public                   while it comes, until Ctrl-C
"""


class RedactFlags(RedactOptions, RunFlags, total=False):
    """What `faceloom redact` takes."""

    out: Annotated[
        PathLike,
        Option(
            help="folder for what is written: new, empty, or made by the same command",
            unit="DIR",
            is_required=True,
            example="out",
        ),
    ]


def run(chosen: argparse.Namespace) -> int:
    """Redacts, and prints how that ended."""
    with starting():
        from faceloom.redacting.redact import redact

    from faceloom.cli.watching import watching

    try:
        with Interrupts() as interrupts, watching(chosen) as on_event:
            summary = redact(
                chosen.inputs,
                chosen.out,
                on_event=on_event,
                should_stop=interrupts.should_stop,
                **keywords(chosen, RedactOptions),
            )
    except Terminated:
        return 128 + signal.SIGTERM
    return _report(replace(summary, seconds=time.monotonic() - chosen.started), chosen)


def _report(summary: "RedactSummary", chosen: argparse.Namespace) -> int:
    if chosen.json:
        say_json(summary.to_json())
    else:
        say(_in_words(summary))
    if summary.outcome == "interrupted":
        say("faceloom: interrupted; run the same command again to go on", to=sys.stderr)
        return 128 + signal.SIGINT
    if summary.failures and not summary.items:
        say("faceloom: nothing could be written", to=sys.stderr)
        return 4
    return 1 if summary.failures or summary.found else 0


def _in_words(summary: "RedactSummary") -> str:
    files = f"{len(summary.items):,} file{'s' * (len(summary.items) != 1)}, {summary.frames:,} frames"
    skipped = f", {summary.skipped:,} of them written before" if summary.skipped else ""
    failed = f", {len(summary.failures):,} failed" if summary.failures else ""
    peak, budget = format_bytes(summary.peak_bytes), format_bytes(summary.budget_bytes)
    lines = [
        f"{summary.faces:,} faces covered in {files}{skipped}{failed}, {format_seconds(summary.seconds)};"
        f" peak memory {peak} of {budget}",
        f"  {_verdict(summary)}",
    ]
    places = {"files": summary.out / "redacted", "unproven": summary.out / "unproven", "report": summary.report}
    if not summary.found:
        del places["unproven"]
    return "\n".join([*lines, *(f"  {name:<9}{Path(path)}" for name, path in places.items())])


def _verdict(summary: "RedactSummary") -> str:
    if not summary.items:
        return "nothing was written"
    if not summary.detectors:
        return "nobody has looked at what was written"
    named = " and ".join(summary.detectors)
    if summary.found:
        where = sorted(item.name for item in summary.items if item.found)
        more = f" and {len(where) - 1:,} more" if len(where) > 1 else ""
        return f"{named} still find {summary.found:,} faces, in {where[0]}{more}: see the report"
    return f"{named} find no face in what was written"


REDACT = Command(
    name="redact",
    description="Writes pictures and videos anew with the faces in them covered, and has detectors look at the result.",
    examples=_EXAMPLES,
    arguments=(
        Argument(
            name="inputs",
            metavar="INPUT",
            help="a picture, a video, a folder with everything below it; a result folder, as it is corrected; or one"
            " live source: camera:0, an address as in rtsp://host/path, or - for standard input",
            nargs="+",
        ),
    ),
    options=RedactFlags,
    run=run,
)
