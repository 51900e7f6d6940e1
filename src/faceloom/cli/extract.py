"""`faceloom extract`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import ResultFlags, RunFlags
from faceloom.cli.reporting import do_and_report
from faceloom.cli.starting import starting
from faceloom.options.calls import ExtractOptions

if TYPE_CHECKING:
    from faceloom.events import OnEvent, Summary
    from faceloom.supervisor.inputs import ShouldStop

_EXAMPLES = """\
Run the same command again after any kind of end: it goes on where it stopped, with the same final result.

  faceloom extract holiday --out faces                          everything below a folder
  faceloom extract a.jpg clip.mp4 --out faces --size 256        single files, smaller chips
  faceloom extract film.mkv --out boxes --align none            boxes only
  find shots -name '*.png' -print0 | faceloom extract --from-list - -0 --out faces     what a list names
  faceloom extract shots --out part-2 --shard 2/7               a seventh of it, see faceloom merge
  faceloom extract shots --out look --no-chips --overlay        frames with the faces drawn on them
"""


class ExtractFlags(ResultFlags, ExtractOptions, RunFlags, total=False):
    """What `faceloom extract` takes."""


def run(chosen: argparse.Namespace) -> int:
    """Extracts, and prints what was found."""
    with starting(with_worker=True):
        from faceloom.api import extract

    def work(on_event: "OnEvent", should_stop: "ShouldStop") -> "Summary":
        return extract(
            chosen.inputs,
            chosen.out,
            on_event=on_event,
            should_stop=should_stop,
            **keywords(chosen, ExtractOptions),
        )

    return do_and_report(work, chosen, Path(chosen.out))


EXTRACT = Command(
    name="extract",
    description="Finds every face in pictures, folders and videos, and writes aligned chips and a store.",
    examples=_EXAMPLES,
    arguments=(
        Argument(
            name="inputs",
            metavar="INPUT",
            help="a picture, a video, a folder with everything below it, or an address as in s3://bucket/prefix",
            nargs="*",
        ),
    ),
    options=ExtractFlags,
    run=run,
)
