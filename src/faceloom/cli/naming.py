"""`faceloom names`: names of persons from and into picture files and their sidecars."""

import argparse
import sys
from collections.abc import Sequence
from typing import Annotated

from faceloom.cli.commands import Argument, Command
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import on_one_line, say, say_json
from faceloom.errors import RequestError
from faceloom.options.option import Option
from faceloom.options.stages import PathLike

_EXAMPLES = """\
Names stand in pictures as MWG face regions in XMP, which digiKam, Lightroom, Picasa and others read and write.

  faceloom names faces --from-xmp                 names in the pictures and in sidecars beside them become corrections
  faceloom names faces --sidecars                 write a.jpg.xmp beside each a.jpg; pictures stay untouched
  faceloom names faces --write-into-files         write into JPEG, PNG and WebP; the compressed picture stays as it is
  faceloom export faces --to xmp --out sidecars   sidecars in a new folder; --from-xmp --at sidecars reads them

The exit code is 1 if names found no face, or files could not be written; they are listed.
"""


class NamesFlags(JsonFlags, total=False):
    """What `faceloom names` takes."""

    from_xmp: Annotated[
        bool, Option(help="take names of face regions in pictures and sidecars as corrections", default=False)
    ]
    at: Annotated[
        PathLike | None,
        Option(
            help="with --from-xmp: take them from this folder of sidecars, as faceloom export --to xmp lays it",
            usual="the pictures, and sidecars beside them",
            unit="DIR",
            example="sidecars",
        ),
    ]
    sidecars: Annotated[bool, Option(help="write names to a sidecar beside each picture", default=False)]
    write_into_files: Annotated[
        bool, Option(help="write names into the picture files themselves, whose pixels stay as they are", default=False)
    ]


def run(chosen: argparse.Namespace) -> int:
    """Reads names, then writes them, as far as that is asked for."""
    from faceloom.naming import read_names, write_into_files, write_sidecars

    if not (chosen.from_xmp or chosen.sidecars or chosen.write_into_files):
        raise RequestError("say where names come from or go to: --from-xmp, --sidecars or --write-into-files")
    if chosen.at is not None and not chosen.from_xmp:
        raise RequestError("--at names the sidecars that names are taken from; add --from-xmp")
    told, problems = dict[str, object](), list[str]()
    if chosen.from_xmp:
        read = read_names(chosen.folder, chosen.at)
        told["read"] = read.to_json()
        problems += read.unmatched
        _say(chosen, f"{read.named:,} faces named, {read.known:,} had the name, {len(read.unmatched):,} not matched")
    for is_asked, write, what in (
        (chosen.sidecars, write_sidecars, "sidecars"),
        (chosen.write_into_files, write_into_files, "files"),
    ):
        if is_asked:
            written = write(chosen.folder)
            told[what] = written.to_json()
            problems += written.failed
            _say(chosen, f"{written.files:,} {what} written, {written.unchanged:,} said the same already")
    if chosen.json:
        say_json(told)
    return _tell(problems)


def _say(chosen: argparse.Namespace, text: str) -> None:
    if not chosen.json:
        say(text)


def _tell(problems: Sequence[str]) -> int:
    say("".join(f"faceloom: {on_one_line(text)}\n" for text in problems), end="", to=sys.stderr)
    return 1 if problems else 0


NAMES = Command(
    name="names",
    description="Reads names of face regions as photo libraries write them, or writes them for those.",
    examples=_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=NamesFlags,
    run=run,
)
