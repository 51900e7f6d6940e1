"""`faceloom COMMAND ...`: the parser, and what an error becomes.

Results go to stdout, everything else to stderr. A command imports what it needs when it is run.
"""

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from functools import partial

from faceloom.cli.commands import add_flag, fill
from faceloom.cli.completion import PrintCompletion
from faceloom.cli.crash import CRASHED, report_crash
from faceloom.cli.flags import CommonFlags
from faceloom.cli.listing import LISTED, command_of
from faceloom.cli.logs import logging_to
from faceloom.cli.option_files import FILE, take_options
from faceloom.cli.parser import Parser
from faceloom.cli.refusals import INTERRUPTED, refuse, tell
from faceloom.cli.terminal import say
from faceloom.errors import BudgetError, FaceloomError, StoreError
from faceloom.faults import is_full, limit_in_words
from faceloom.isolation import leave_current_folder
from faceloom.options.declared import declared

_EPILOG = f"""\
start here:
  faceloom samples samples                         a few pictures and a clip to try things on
  faceloom extract samples --out faces             find every face, write aligned chips and the store
  faceloom plan samples --memory 800MiB            what would be done in so much memory
  faceloom show faces                              what was found
  faceloom export faces --to jsonl                 boxes, landmarks and masks as JSON lines

options: {FILE} in the current folder, or --config FILE, holds those that are not to be typed each time, in a
  table for each command ([extract], then detect = "centerface"); flags on the command line win

exit codes: 0 done; 1 done, but some items failed; 2 the request is wrong; 3 this machine cannot;
  4 no input could be read; 5 weights; 6 a stage; 7 the store; {CRASHED} a bug, of which a report is written;
  {INTERRUPTED} interrupted, state kept (143 on SIGTERM)

Everything stays on this machine; the network is used to fetch weights, each pinned by its sha256, and for inputs
and copies that are named by address.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit code says how it ended."""
    started = time.monotonic()
    leave_current_folder()
    given = sys.argv[1:] if arguments is None else list(arguments)
    parser, commands = make_parser()
    try:
        take_options(given, commands)
        chosen = parser.parse_args(given, argparse.Namespace(started=started))
    except FaceloomError as error:
        return refuse(error, as_json=_wants_json(given, commands))
    try:
        return _run(chosen)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(chosen: argparse.Namespace) -> int:
    as_json = getattr(chosen, "json", False)
    try:
        _refuse_address(chosen)
        with logging_to(chosen):
            return int(chosen.run(chosen))
    except FaceloomError as error:
        return refuse(error, as_json=as_json)
    except KeyboardInterrupt:
        return tell("Interrupted", "interrupted", INTERRUPTED, as_json=as_json)
    except BrokenPipeError:
        raise
    except Exception as error:
        if is_full(error):
            message = f"there is no room to write ({error}); free some space and run the same command again"
            return tell("StoreError", message, StoreError.exit_code, as_json=as_json)
        limit = limit_in_words(error)
        if limit is not None:
            return tell("BudgetError", limit, BudgetError.exit_code, as_json=as_json)
        return tell(type(error).__name__, report_crash(error, chosen), CRASHED, as_json=as_json)


def _refuse_address(chosen: argparse.Namespace) -> None:
    """Refuses an address where only a place of this machine will do."""
    out = getattr(chosen, "out", None)
    if out is None or chosen.can_write_remote or "://" not in str(out):
        return
    from faceloom.media.remote import refuse_address  # it takes time that most commands need not

    refuse_address(out)


def _wants_json(given: Sequence[str], commands: Mapping[str, Parser]) -> bool:
    """Whether an error is to be a document, on a command line that could not be read."""
    command = next((text for text in given if text in commands), None)
    return "--json" in given or (command is not None and commands[command].get_default("json") is True)


def make_parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser, and that of each command."""
    parser = Parser(
        prog="faceloom",
        description="Finds, aligns, masks and identifies the faces in any amount of images and video.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="print the version")
    parser.add_argument("--print-completion", action=PrintCompletion, help="print what completes commands in a shell")
    add_flag(parser, declared(CommonFlags)["config"])
    parsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, listed in LISTED.items():
        parsers.add_parser(name, help=listed.help, fill=partial(_fill, name))
    return parser, parsers.choices


def _fill(name: str, parser: Parser) -> None:
    fill(parser, command_of(name))


class _PrintVersion(argparse.Action):
    """Looks the version up only when it is asked for: package metadata takes as long as all the rest of `--help`."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from faceloom.version import VERSION

        say(f"faceloom {VERSION}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
