"""`faceloom merge`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import ResultFlags, RunFlags
from faceloom.cli.terminal import say, say_json
from faceloom.options.calls import MergeOptions

if TYPE_CHECKING:
    from faceloom.store.merging import Merged

_EXAMPLES = """\
The folders are only read. Run the same command again after any kind of end: it goes on where it stopped.

  faceloom extract shots --out part-1 --shard 1/2     on one machine
  faceloom extract shots --out part-2 --shard 2/2     on another
  faceloom merge part-1 part-2 --out faces            what one run over everything would have made
"""


class MergeFlags(ResultFlags, MergeOptions, RunFlags, total=False):
    """What `faceloom merge` takes."""


def run(chosen: argparse.Namespace) -> int:
    """Merges, and prints what was taken in."""
    from faceloom.cli.watching import watching
    from faceloom.store.merging import merge

    with watching(chosen) as on_event:
        merged = merge(chosen.folders, chosen.out, on_event=on_event, **keywords(chosen, MergeOptions))
    if chosen.json:
        say_json(merged.to_json())
    else:
        say(_in_words(merged, Path(chosen.out)))
    return int(bool(merged.lost))


def _in_words(merged: "Merged", out: Path) -> str:
    counts = {"source": merged.sources, "frame": merged.frames, "face": merged.faces, "file": merged.files}
    told = ", ".join(f"{number:,} {name}{'s' * (number != 1)}" for name, number in counts.items())
    left = {"there before": merged.known, "forgotten": merged.forgotten, "chips lost": merged.lost}
    told += "".join(f", {number:,} {what}" for what, number in left.items() if number)
    return f"{told}, of {merged.folders:,} folders\n  look at   faceloom show {out}"


MERGE = Command(
    name="merge",
    description="Puts result folders together that were made with the same configuration, as --shard makes them.",
    examples=_EXAMPLES,
    arguments=(Argument(name="folders", metavar="DIR", help="a finished result folder", nargs="+"),),
    options=MergeFlags,
    run=run,
)
