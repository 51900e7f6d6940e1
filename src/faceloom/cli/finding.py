"""`faceloom find` and `faceloom verify`: who is on pictures, and whether two show one person."""

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import RunFlags
from faceloom.cli.starting import starting
from faceloom.cli.terminal import on_one_line, say, say_json
from faceloom.options.calls import FindOptions, VerifyOptions
from faceloom.options.option import Option
from faceloom.options.stages import PathLike

if TYPE_CHECKING:
    from faceloom.finding import FoundFace, LikeFace, LikePerson, PicturesFound

_FIND_EXAMPLES = """\
Folders need embeddings: faceloom extract INPUT --out DIR --identify dlib, or faceloom extend DIR --identify dlib.
Persons are those of faceloom group. The exit code is 1 if one of the pictures shows no face or cannot be read.

  faceloom find ann.jpg --in faces                       who is this
  faceloom find unknown/ --in 2023 --in 2024 --most 3    every face of a folder's pictures, in two result folders
  faceloom find ann.jpg --in faces --json                scores, persons, sources and frames for programs
"""
_VERIFY_EXAMPLES = """\
The exit code is 0 if they do, 1 if not, and 2 or more if it cannot be told.

  faceloom verify a.jpg b.jpg
  faceloom verify a.jpg b.jpg --identify arcface --weights identify/arcface=net.onnx --threshold 0.4
"""


class FindFlags(FindOptions, RunFlags, total=False):
    """What `faceloom find` takes."""

    in_: Annotated[
        Sequence[PathLike],
        Option(
            help="result folder with embeddings",
            unit="DIR",
            flag="in",
            default=(),
            is_required=True,
            example=("faces",),
        ),
    ]


class VerifyFlags(VerifyOptions, RunFlags, total=False):
    """What `faceloom verify` takes."""


def find(chosen: argparse.Namespace) -> int:
    """Finds, and prints who it is."""
    from faceloom.cli.watching import watching

    with starting():
        from faceloom.finding import find as look_for

    with watching(chosen) as on_event:
        found = look_for(chosen.pictures, chosen.in_, on_event=on_event, **keywords(chosen, FindOptions))
    if chosen.json:
        say_json(found.to_json())
    else:
        say(_found_in_words(found, several=len(chosen.in_) > 1))
    for failure in found.failed:
        say(f"faceloom: failed: {on_one_line(failure)}", to=sys.stderr)
    return 1 if found.failed else 0


def verify(chosen: argparse.Namespace) -> int:
    """Compares, and prints whether it is one person."""
    from faceloom.cli.watching import watching

    with starting():
        from faceloom.finding import verify as compare

    with watching(chosen) as on_event:
        told = compare(chosen.first, chosen.second, on_event=on_event, **keywords(chosen, VerifyOptions))
    if chosen.json:
        say_json(told.to_json())
    else:
        which = "one person" if told.is_same else "two people"
        say(f"{which}: cosine {told.score:.4f}, threshold {told.threshold:g} ({told.identifier})")
    return 0 if told.is_same else 1


def _found_in_words(found: "PicturesFound", *, several: bool) -> str:
    lines = []
    for face in found.faces:
        lines += [_head_of(face)]
        lines += [f"  {_person_in_words(one, several=several)}" for one in face.persons]
        lines += [f"    {_face_in_words(one, several=several)}" for one in face.faces]
    return "\n".join([*lines, f"compared with {found.searched:,} faces"])


def _head_of(face: "FoundFace") -> str:
    x0, y0, x1, y1 = face.box
    who = "nobody who has a name" if face.person is None else face.person
    doubt = "; too small, blurred or turned to be sure" if face.is_doubtful else ""
    place = f"{x1 - x0:.0f} x {y1 - y0:.0f} pixels at ({x0:.0f}, {y0:.0f})"
    return str(on_one_line(f"{face.picture}, {place}: {who}{doubt}"))


def _person_in_words(one: "LikePerson", *, several: bool) -> str:
    where = f"  {one.folder}" if several else ""
    told = f"{one.score:7.4f}  {one.person}, on average of {one.faces:,} face{'s' * (one.faces != 1)}"
    return str(on_one_line(f"{told}; best {one.best:.4f}{where}"))


def _face_in_words(one: "LikeFace", *, several: bool) -> str:
    where = f"{one.folder}: " if several else ""
    return str(on_one_line(f"{one.score:7.4f}  {where}{one.source}#{one.frame}/{one.index}  {one.person or 'nobody'}"))


FIND = Command(
    name="find",
    description="Compares every face of pictures with every face of result folders, and ranks who is like it.",
    examples=_FIND_EXAMPLES,
    arguments=(Argument(name="pictures", metavar="PICTURE", help="pictures, or folders of them", nargs="+"),),
    options=FindFlags,
    run=find,
)
VERIFY = Command(
    name="verify",
    description="Compares the faces of two pictures, which show one face each.",
    examples=_VERIFY_EXAMPLES,
    arguments=(
        Argument(name="first", metavar="A", help="a picture of one face"),
        Argument(name="second", metavar="B", help="another"),
    ),
    options=VerifyFlags,
    run=verify,
)
