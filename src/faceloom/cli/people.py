"""`faceloom group` and `faceloom forget`: whose faces a result folder holds, and whose it is to hold no more."""

import argparse
from typing import TYPE_CHECKING

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import on_one_line, say, say_json
from faceloom.options.calls import ForgetOptions, GroupOptions

if TYPE_CHECKING:
    from faceloom.grouping import Person
    from faceloom.store.forgetting import Forgotten

_GROUP_EXAMPLES = """\
Needs embeddings: faceloom extract INPUT --out DIR --identify dlib

  faceloom group faces                                             names persons in the store
  faceloom group faces --sort sharpness --folders people           a folder of links for each, the sharpest first
  faceloom group faces --threshold 0.93                            stricter: fewer strangers together
"""
_FORGET_EXAMPLES = """\
Nothing is asked, and nothing can be undone. Exports, folders of copies and the inputs themselves are not touched.

  faceloom forget faces --source holiday/ann.jpg      rows, chips, overlays, masks, embeddings, and its name
  faceloom forget faces --person "person 3"           the same of all faces that group gave this name
"""
_TOLD = 20


class GroupFlags(GroupOptions, JsonFlags, total=False):
    """What `faceloom group` takes."""


class ForgetFlags(ForgetOptions, JsonFlags, total=False):
    """What `faceloom forget` takes."""


def group(chosen: argparse.Namespace) -> int:
    """Groups, and prints the persons."""
    from faceloom.grouping import group as find

    persons = find(chosen.folder, **keywords(chosen, GroupOptions))
    if chosen.json:
        say_json({"persons": [person.to_json() for person in persons]})
    else:
        say(_in_words(persons))
    return 0


def forget(chosen: argparse.Namespace) -> int:
    """Forgets, and prints what went."""
    from faceloom.store.forgetting import forget as remove

    went = remove(chosen.folder, **keywords(chosen, ForgetOptions))
    if chosen.json:
        say_json(went.to_json())
    else:
        say(_gone_in_words(went))
    return 0


def _gone_in_words(went: "Forgotten") -> str:
    told = went.to_json()
    unreachable = told.pop("unreachable")
    counts = {name.removesuffix("s").replace("_", " "): number for name, number in told.items() if number}
    gone = ", ".join(f"{number:,} {name}{'s' * (number != 1)}" for name, number in counts.items())
    return "\n".join([f"gone: {gone or 'nothing'}", *(f"not reached: {text}" for text in unreachable)])


def _in_words(persons: list["Person"]) -> str:
    faces = sum(person.faces for person in persons)
    lines = [f"{len(persons):,} person{'s' * (len(persons) != 1)}, {faces:,} face{'s' * (faces != 1)}"]
    lines += [f"  {person.name:<12}{person.faces:>7,}  {on_one_line(person.best)}" for person in persons[:_TOLD]]
    rest = persons[_TOLD:]
    if rest:
        lines.append(f"  and {len(rest):,} more, of {rest[0].faces:,} faces or fewer (--json has all)")
    return "\n".join(lines)


GROUP = Command(
    name="group",
    help="which faces are of one person, by their embeddings",
    description="Groups the faces of a result folder by person, and names the persons in its store.",
    examples=_GROUP_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder with embeddings"),),
    options=GroupFlags,
    run=group,
)
FORGET = Command(
    name="forget",
    help="remove everything found in a source, or of a person, for good",
    description="Removes everything that a result folder holds of a source or a person, down to the bytes.",
    examples=_FORGET_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=ForgetFlags,
    run=forget,
)
