"""`faceloom check`: whether a result folder is whole."""

import argparse

from faceloom.cli.commands import Argument, Command
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import say, say_json

_TOLD = 20


def run(chosen: argparse.Namespace) -> int:
    """Checks, prints what was found, and is 1 if that is anything."""
    from faceloom.store.checking import check

    found = check(chosen.folder)
    if chosen.json:
        say_json(found.to_json())
        return int(bool(found.flaws))
    for flaw in found.flaws[:_TOLD]:
        say(f"{flaw.kind:<9} {flaw.what}: {flaw.detail}")
    if len(found.flaws) > _TOLD:
        say(f"and {len(found.flaws) - _TOLD:,} more (--json has all)")
    say(f"{found.chips:,} chips looked at, {len(found.flaws):,} flaws")
    if found.frames_again or found.frames_pending:
        told = f"the chips of {found.frames_again:,} frames again, and do {found.frames_pending:,} frames"
        say(f"the same command would make {told}")
    return int(bool(found.flaws))


CHECK = Command(
    name="check",
    description="Verifies the store of a result folder, its chips, and that both agree. Nothing is changed."
    " Exit code 0: all is well; 1: something is not.",
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=JsonFlags,
    run=run,
)
