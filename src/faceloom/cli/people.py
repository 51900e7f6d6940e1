"""`faceloom group` and `faceloom forget`: whose faces a result folder holds, and whose it is to hold no more."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import on_one_line, say, say_json
from faceloom.errors import RequestError
from faceloom.options.calls import ForgetOptions, GroupOptions
from faceloom.options.option import Option

if TYPE_CHECKING:
    from faceloom.grouping import Person
    from faceloom.people.foresight import Foresight
    from faceloom.store.forgetting import Forgotten

_GROUP_EXAMPLES = """\
Needs embeddings: faceloom extract INPUT --out DIR --identify dlib

  faceloom group faces                                             names persons in the store
  faceloom group faces --sort sharpness --folders people           a folder of links for each, the sharpest first
  faceloom group faces --threshold 0.93                            stricter: fewer strangers together
  faceloom group faces --min-quality 0                             also small and blurred faces, which pass for others
"""
_FORGET_EXAMPLES = """\
Nothing can be undone. Exports and the inputs themselves are not touched. Of a person it is shown first which faces
would go and how sure it is that they are theirs, and it is asked; if the answer is no, nothing goes, and the exit code
is 1. A source goes without a question.

  faceloom forget faces --source holiday/ann.jpg      rows, chips, overlays, masks, embeddings, and its name
  faceloom forget faces --person "person 3"           the same of all faces that group gave this name
  faceloom forget faces --person "person 3" --yes     without a question, as where there is no terminal
"""
_TOLD = 20


class GroupFlags(GroupOptions, JsonFlags, total=False):
    """What `faceloom group` takes."""


class ForgetFlags(ForgetOptions, JsonFlags, total=False):
    """What `faceloom forget` takes."""

    yes: Annotated[bool, Option(help="forget a person without asking", default=False)]


def group(chosen: argparse.Namespace) -> int:
    """Groups, and prints the persons."""
    from faceloom.grouping import group as find
    from faceloom.store.persons import count_nobody

    persons = find(chosen.folder, **keywords(chosen, GroupOptions))
    nobody = count_nobody(Path(chosen.folder))
    if chosen.json:
        say_json({"persons": [person.to_json() for person in persons], "nobody": nobody})
    else:
        say(_in_words(persons, nobody))
    return 0


def forget(chosen: argparse.Namespace) -> int:
    """Forgets, if it is meant, and prints what went."""
    from faceloom.store.forgetting import forget as remove

    is_asked = not chosen.yes and chosen.person is not None and chosen.source is None
    if is_asked and not _is_meant(chosen):
        say("nothing was forgotten", to=sys.stderr)
        return 1
    went = remove(chosen.folder, **keywords(chosen, ForgetOptions))
    if chosen.json:
        say_json(went.to_json())
    else:
        say(_gone_in_words(went))
    return 0


def _is_meant(chosen: argparse.Namespace) -> bool:
    """Shows what would go, and asks.

    Raises:
        RequestError: there is nobody to be asked.
    """
    from faceloom.people.foresight import foresee
    from faceloom.store.forgetting import is_half_done

    folder = Path(chosen.folder)
    if is_half_done(folder, person=chosen.person):  # it was asked the first time
        return True
    say(_foreseen_in_words(foresee(folder, chosen.person)), to=sys.stderr)
    if not sys.stdin.isatty():
        raise RequestError("forgetting cannot be undone, and there is no terminal to ask on; add --yes if it is meant")
    say("forget them for good? [y/N] ", to=sys.stderr, end="", flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _foreseen_in_words(told: "Foresight") -> str:
    lines = [f"{on_one_line(told.person)}: {_number(told.faces, 'face')} in {_number(len(told.sources), 'source')}"]
    lines += [f"  {faces:>7,}  {on_one_line(source)}" for source, faces in told.sources[:_TOLD]]
    if rest := told.sources[_TOLD:]:
        lines.append(f"  {sum(faces for _, faces in rest):>7,}  in {_number(len(rest), 'more source')}")
    doubts = [
        (told.unlike, "less like the others than faces of one person are"),
        (told.doubtful, "too small, blurred or turned to tell whose they are"),
    ]
    lines += [f"not sure: {_number(count, 'face')} {why}" for count, why in doubts if count]
    if told.twice:
        lines.append(f"not sure: more than once in {_number(told.twice, 'frame')}")
    if not told.is_sure:
        lines.append("look at them first: faceloom review DIR, or faceloom group DIR --folders PEOPLE")
    elif told.by_hand < told.faces:
        lines.append("sure: all of them are as alike as faces of one person are")
    return "\n".join(lines)


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _gone_in_words(went: "Forgotten") -> str:
    told = went.to_json()
    unreachable = told.pop("unreachable")
    counts = {name.removesuffix("s").replace("_", " "): number for name, number in told.items() if number}
    gone = ", ".join(f"{number:,} {name}{'s' * (number != 1)}" for name, number in counts.items())
    return "\n".join([f"gone: {gone or 'nothing'}", *(f"not reached: {text}" for text in unreachable)])


def _in_words(persons: list["Person"], nobody: int) -> str:
    faces = sum(person.faces for person in persons)
    lines = [f"{_number(len(persons), 'person')}, {_number(faces, 'face')}"]
    lines += [f"  {person.name:<12}{person.faces:>7,}  {on_one_line(person.best)}" for person in persons[:_TOLD]]
    rest = persons[_TOLD:]
    if rest:
        lines.append(f"  and {len(rest):,} more, of {rest[0].faces:,} faces or fewer (--json has all)")
    if nobody:
        lines.append(f"{_number(nobody, 'face')} of nobody yet: too small, blurred or turned to tell (--min-quality)")
    return "\n".join(lines)


GROUP = Command(
    name="group",
    description="Groups the faces of a result folder by person, and names the persons in its store.",
    examples=_GROUP_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder with embeddings"),),
    options=GroupFlags,
    run=group,
)
FORGET = Command(
    name="forget",
    description="Removes everything that a result folder holds of a source or a person, down to the bytes.",
    examples=_FORGET_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=ForgetFlags,
    run=forget,
)
