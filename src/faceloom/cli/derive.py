"""`faceloom derive`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import ResultFlags, RunFlags
from faceloom.cli.reporting import do_and_report
from faceloom.cli.starting import starting
from faceloom.options.calls import DeriveOptions

if TYPE_CHECKING:
    from faceloom.events import OnEvent, Summary
    from faceloom.supervisor.inputs import ShouldStop

_EXAMPLES = """\
Frames are read again from the sources, which have to be where they were and as they were; one that is not fails,
with the reason, until it is. Run the same command again after any kind of end: it goes on where it stopped.

  faceloom derive faces --out heads --size 256 --format png       smaller chips, lossless
  faceloom derive faces --out shoulders --crop whole              chips that show more
  faceloom derive faces --out look --overlay --overlay-chips      pictures to look at
  faceloom derive faces --out ann --like ann.jpg                  only the faces of somebody (embeddings are needed)
"""


class DeriveFlags(ResultFlags, DeriveOptions, RunFlags, total=False):
    """What `faceloom derive` takes."""


def run(chosen: argparse.Namespace) -> int:
    """Derives, and prints how that ended."""
    with starting(with_worker=True):
        from faceloom.api import derive

    def work(on_event: "OnEvent", should_stop: "ShouldStop") -> "Summary":
        told = keywords(chosen, DeriveOptions)
        return derive(chosen.folder, chosen.out, on_event=on_event, should_stop=should_stop, **told)

    return do_and_report(work, chosen, Path(chosen.out))


DERIVE = Command(
    name="derive",
    description="Cuts the chips of a result folder again from its sources, in another way. No network is run.",
    examples=_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a finished result folder"),),
    options=DeriveFlags,
    run=run,
)
