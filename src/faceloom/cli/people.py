"""`faceloom group` and `faceloom forget`: whose faces a result folder holds, and whose it is to hold no more."""

import argparse
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceloom.grouping import Person
    from faceloom.store.forgetting import Forgotten

_GROUP_EPILOG = """\
Needs embeddings: faceloom extract INPUT --out DIR --identify dlib

  faceloom group faces                                             names persons in the store
  faceloom group faces --sort sharpness --folders people           a folder of links for each, the sharpest first
  faceloom group faces --threshold 0.93                            stricter: fewer strangers together
"""
_FORGET_EPILOG = """\
Nothing is asked, and nothing can be undone. Exports, folders of copies and the inputs themselves are not touched.

  faceloom forget faces --source holiday/ann.jpg      rows, crops, overlays, masks, embeddings, and its name
  faceloom forget faces --person "person 3"           the same of all faces that group gave this name
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
    forgotten = commands.add_parser(
        "forget",
        help="remove everything found in a source, or of a person, for good",
        description="Removes everything that a result folder holds of a source or a person, down to the bytes.",
        epilog=_FORGET_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    forgotten.set_defaults(run=forget)
    forgotten.add_argument("folder", metavar="DIR", help="a result folder")
    forgotten.add_argument(
        "--source",
        metavar="NAME",
        help="a source, by its name in exports or its path; left out from now on",
    )
    forgotten.add_argument("--person", metavar="NAME", help="a person, as faceloom group named them")
    forgotten.add_argument("--json", action="store_true", help="print one JSON document")


def group(chosen: argparse.Namespace) -> int:
    """Groups, and prints the persons."""
    from faceloom.grouping import group as find

    persons = find(
        chosen.folder, threshold=chosen.threshold, sort=chosen.sort, folders=chosen.folders, copy=chosen.copy
    )
    print(json.dumps({"persons": [person.to_json() for person in persons]}) if chosen.json else _in_words(persons))
    return 0


def forget(chosen: argparse.Namespace) -> int:
    """Forgets, and prints what went."""
    from faceloom.store.forgetting import forget as remove

    went = remove(chosen.folder, source=chosen.source, person=chosen.person)
    print(json.dumps(went.to_json()) if chosen.json else _gone_in_words(went))
    return 0


def _gone_in_words(went: "Forgotten") -> str:
    counts = {name.removesuffix("s"): number for name, number in went.to_json().items() if number}
    return "gone: " + ", ".join(f"{number:,} {name}{'s' * (number != 1)}" for name, number in counts.items())


def _in_words(persons: list["Person"]) -> str:
    faces = sum(person.faces for person in persons)
    lines = [f"{len(persons):,} person{'s' * (len(persons) != 1)}, {faces:,} face{'s' * (faces != 1)}"]
    lines += [f"  {person.name:<12}{person.faces:>7,}  {person.best}" for person in persons[:_TOLD]]
    rest = persons[_TOLD:]
    if rest:
        lines.append(f"  and {len(rest):,} more, of {rest[0].faces:,} faces or fewer (--json has all)")
    return "\n".join(lines)
