"""`faceloom extend`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import RunFlags
from faceloom.cli.reporting import do_and_report
from faceloom.cli.starting import starting
from faceloom.options.calls import ExtendOptions

if TYPE_CHECKING:
    from faceloom.events import OnEvent, Summary
    from faceloom.supervisor.inputs import ShouldStop

_EXAMPLES = """\
Frames are read again where they were; nothing is detected or aligned again, and chips stay as they are. Run the same
command again after any kind of end: it goes on where it stopped. Later faceloom extract with all stages goes on too.

  faceloom extend faces --mask unet                     one more mask for every face
  faceloom extend faces --mask unet --identify sface    and embeddings
"""


class ExtendFlags(ExtendOptions, RunFlags, total=False):
    """What `faceloom extend` takes."""


def run(chosen: argparse.Namespace) -> int:
    """Extends, and prints how it ended."""
    with starting(with_worker=True):
        from faceloom.api import extend

    def work(on_event: "OnEvent", should_stop: "ShouldStop") -> "Summary":
        told = keywords(chosen, ExtendOptions)
        return extend(chosen.folder, on_event=on_event, should_stop=should_stop, **told)

    return do_and_report(work, chosen, Path(chosen.folder), skipped="of them lacked nothing")


EXTEND = Command(
    name="extend",
    description="Adds stages to the faces of a result folder: only these run, and only on faces that miss them.",
    examples=_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=ExtendFlags,
    run=run,
)
