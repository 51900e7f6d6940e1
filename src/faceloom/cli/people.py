"""`faceloom group`: whose faces a result folder holds."""

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceloom.run.grouping import Person

_GROUP_EPILOG = """\
Needs embeddings: faceloom extract INPUT --out DIR --identify dlib

  faceloom group faces                                             names persons in the store
  faceloom group faces --sort sharpness --folders people           a folder of links for each, the sharpest first
  faceloom group faces --threshold 0.93                            stricter: fewer strangers together
"""
_TOLD = 20


def add_parsers(commands: Any) -> None:
    """Adds this module's commands."""
    grouped = commands.add_parser(
        "group",
        help="which faces are of one person, by their embeddings",
        description="Groups the faces of a result folder by person, and names the persons in its store.",
        epilog=_GROUP_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    grouped.set_defaults(run=group)
    grouped.add_argument("folder", metavar="DIR", help="a result folder with embeddings")
    grouped.add_argument(
        "--threshold",
        type=float,
        metavar="COSINE",
        help="mean cosine from which on groups are one person's, -1 to 1 (default: the identifier's own)",
    )
    grouped.add_argument(
        "--sort", metavar="BY", help="of a person's faces the best first: sharpness, size, pose or score"
    )
    grouped.add_argument("--folders", metavar="DIR", help="fill a new folder with one of links to crops a person")
    grouped.add_argument("--copy", action="store_true", help="copies in place of links")
    grouped.add_argument("--json", action="store_true", help="print one JSON document")


def group(chosen: argparse.Namespace) -> int:
    """Groups, and prints the persons."""
    from faceloom.run.grouping import group as find

    persons = find(
        chosen.folder, threshold=chosen.threshold, sort=chosen.sort, folders=chosen.folders, copy=chosen.copy
    )
    print(json.dumps({"persons": [person.to_json() for person in persons]}) if chosen.json else _in_words(persons))
    return 0


def _in_words(persons: list["Person"]) -> str:
    faces = sum(person.faces for person in persons)
    lines = [f"{len(persons):,} person{'s' * (len(persons) != 1)}, {faces:,} face{'s' * (faces != 1)}"]
    lines += [f"  {person.name:<12}{person.faces:>7,}  {person.best}" for person in persons[:_TOLD]]
    rest = persons[_TOLD:]
    if rest:
        lines.append(f"  and {len(rest):,} more, of {rest[0].faces:,} faces or fewer (--json has all)")
    return "\n".join(lines)
