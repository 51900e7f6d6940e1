"""`faceloom COMMAND ...`: the parser, and what an error becomes.

Results go to stdout, everything else to stderr. A command imports what it needs when it is run.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from faceloom.cli import doctor, extend, extract, fetching, keeping, people, planning, results
from faceloom.cli.option_files import FILE, Parser, add_config_flags, take_options
from faceloom.errors import FaceloomError

_EPILOG = f"""\
start here:
  faceloom samples samples                         a few pictures and a clip to try things on
  faceloom extract samples --out faces             find every face, write aligned crops and the store
  faceloom plan samples --memory 800MiB            what would be done in so much memory
  faceloom show faces                              what was found
  faceloom export faces --to jsonl                 boxes, landmarks and masks as JSON lines

options: {FILE} in the current folder, or --config FILE, holds those that are not to be typed each time, in a
  table for each command ([extract], then detect = "centerface"); flags on the command line win

exit codes: 0 done; 1 done, but some items failed; 2 the request is wrong; 3 this machine cannot;
  4 no input could be read; 5 weights; 6 a stage; 7 the store; 130 interrupted, state kept (143 on SIGTERM)

Everything stays on this machine; the only network access is fetching weights, each pinned by its sha256.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit code says how it ended."""
    parser, commands = _parser()
    given = sys.argv[1:] if arguments is None else arguments
    try:
        take_options(given, commands)
        chosen = parser.parse_args(given)
        return int(chosen.run(chosen))
    except FaceloomError as error:
        print(f"faceloom: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("faceloom: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser, and that of each command."""
    parser = Parser(
        prog="faceloom",
        description="Finds, aligns, masks and identifies the faces in any amount of images and video.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_PrintVersion, nargs=0, help="print the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (extract, extend, planning, results, keeping, people, fetching, doctor):
        module.add_parsers(commands)
    add_config_flags(parser, commands.choices)
    return parser, commands.choices


class _PrintVersion(argparse.Action):
    """Looks the version up only when it is asked for: package metadata takes as long as all the rest of `--help`."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from faceloom.version import VERSION

        print(f"faceloom {VERSION}")
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
