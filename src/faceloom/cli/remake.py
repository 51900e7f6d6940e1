"""`faceloom remake`."""

import argparse
import sys
from typing import TYPE_CHECKING

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import RunFlags
from faceloom.cli.starting import starting
from faceloom.cli.terminal import on_one_line, say, say_json
from faceloom.cli.watching import watching
from faceloom.options.calls import RemakeOptions

if TYPE_CHECKING:
    from faceloom.remaking import Remade

_EXAMPLES = """\
Faces are made by the stages that the folder was made with, detectors aside. The command that made the folder does this
too when it is run again, and `faceloom correct DIR add` does it at once.

  faceloom remake faces
  faceloom remake faces --memory 800MiB
"""


class RemakeFlags(RemakeOptions, RunFlags, total=False):
    """What `faceloom remake` takes."""


def remake(chosen: argparse.Namespace) -> int:
    """Remakes, and prints of how many faces; 1 where some are left, which are told on stderr."""
    with starting():
        from faceloom.remaking import remake as work

    with watching(chosen) as on_event:
        made = work(chosen.folder, on_event=on_event, **keywords(chosen, RemakeOptions))
    return tell(made, as_json=chosen.json)


def tell(made: "Remade", *, as_json: bool) -> int:
    """Prints what has come of it, and gives the exit code."""
    say("".join(f"not made: {on_one_line(text)}\n" for text in made.left), end="", to=sys.stderr)
    if as_json:
        say_json(made.to_json())
    else:
        say(f"{made.faces:,} faces made anew, {len(made.left):,} left as they are")
    return 1 if made.left else 0


REMAKE = Command(
    name="remake",
    description="Has networks look anew at faces that somebody added or moved and that they have not seen since.",
    examples=_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=RemakeFlags,
    run=remake,
)
