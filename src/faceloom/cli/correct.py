"""`faceloom correct` and `faceloom corrections`: saying what was found wrongly, and what has been said."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from faceloom.cli.commands import Argument, Command
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import on_one_line, say, say_json
from faceloom.errors import FaceloomError, MediaError, RequestError
from faceloom.options.option import Option
from faceloom.options.stages import PathLike
from faceloom.suggestions import or_else

if TYPE_CHECKING:
    from faceloom.correcting import Corrections
    from faceloom.store.corrections import Correction, FaceAddress

_EXAMPLES = """\
A FACE is SOURCE#FRAME/INDEX, as exports number them, or the path of its chip.

  faceloom correct faces name "person 3" Ann                  another name
  faceloom correct faces merge Ann "person 7" "person 9"      they are Ann too
  faceloom correct faces assign clip.mp4#12/0 Ann             this face is Ann's (without a name: nobody's)
  faceloom correct faces split a.jpg#0/1 b.jpg#0/0 [Bob]      these are somebody else's, who is new
  faceloom correct faces same a.jpg#0/0 b.jpg#0/0             of one person, whoever that is; or different
  faceloom correct faces reject faces/chips/a.jpg/000000_2.jpg ["a poster"]
  faceloom correct faces restore a.jpg#0/2
  faceloom correct faces add a.jpg#0 100 80 180 190           a face that was not found; it is made at once
  faceloom correct faces box a.jpg#0/2 100 80 180 190         x0 y0 x1 y1
  faceloom correct faces landmarks a.jpg#0/2 points.json      a list of 68 points [x, y]
  faceloom correct faces mask a.jpg#0/2 unet mask.png         a grey picture over the square of the chip
  faceloom correct faces note a.jpg#0/2 "ask Ann"
  faceloom correct faces undo [4 2]                           the last one, or those of these numbers; and redo
"""
_LIST_EXAMPLES = """\
  faceloom corrections faces                         what has been said, and what of it is undone
  faceloom corrections faces --export said.jsonl     all of it as JSON lines, for another folder or to be kept
  faceloom corrections other --import said.jsonl     of the same faces there
  faceloom corrections faces --import cvat/          what was changed in CVAT for video, or in Label Studio (JSON)
"""
_MOST_POINTS_BYTES = 1 << 20
_SHOWN = 3


class CorrectionsFlags(JsonFlags, total=False):
    """What `faceloom corrections` takes."""

    export: Annotated[
        PathLike | None, Option(help="write them to a new file of JSON lines", unit="FILE", example="said.jsonl")
    ]
    import_: Annotated[
        PathLike | None,
        Option(
            help="add those of such a file, or what was changed in one of CVAT or Label Studio",
            unit="FILE",
            flag="import",
            example="in.jsonl",
        ),
    ]
    list: Annotated[bool, Option(help="list them, as is done if nothing else is asked for", default=False)]


_Answer: TypeAlias = "Correction | Sequence[Correction]"
_Words: TypeAlias = list[str]


def correct(chosen: argparse.Namespace) -> int:
    """Says something of a result folder, and prints it with its number."""
    from faceloom.correcting import corrections

    verb = _VERBS.get(chosen.verb)
    if verb is None:
        raise RequestError(f"there is no verb {chosen.verb!r}; {or_else(chosen.verb, _VERBS)}")
    answer = verb(corrections(chosen.folder), chosen.words)
    said = list(answer) if isinstance(answer, Sequence) else [answer]
    if chosen.json:
        say_json({"corrections": [one.to_json() for one in said]})
    else:
        say("\n".join(map(_in_words, said)))
    return _make(chosen.folder) if chosen.verb == "add" else 0


def _make(folder: str) -> int:
    """Has networks look at what was added; what was said stands whatever comes of that."""
    from faceloom.remaking import remake

    try:
        left: Sequence[str] = remake(folder).left
    except FaceloomError as error:
        left = (f"{error}; faceloom remake {folder} tries again",)
    say("".join(f"not made: {on_one_line(text)}\n" for text in left), end="", to=sys.stderr)
    return 1 if left else 0


def corrections(chosen: argparse.Namespace) -> int:
    """Carries corrections, or lists them; those that found nothing to correct are told on stderr."""
    from faceloom.correcting import corrections as find

    said, told = find(chosen.folder), dict[str, Any]()
    code = 0
    if chosen.import_ is not None:
        carried = said.read(chosen.import_)
        told["imported"] = carried.to_json()
        code = 1 if carried.lost else 0
        say("".join(f"not here: {on_one_line(text)}\n" for text in carried.lost), end="", to=sys.stderr)
        if not chosen.json:
            say(f"{carried.added:,} added, {carried.known:,} were here already, {len(carried.lost):,} not here")
    if chosen.export is not None:
        said.export(chosen.export)
    if chosen.list or (chosen.import_ is None and chosen.export is None):
        listed = [(one, said.missing(one)) for one in said]
        told["corrections"] = [{**one.to_json(), "missing": [str(face) for face in lost]} for one, lost in listed]
        if not chosen.json:
            say("\n".join(_listed(one, lost) for one, lost in listed) or "nothing has been corrected")
    if chosen.json:
        say_json(told)
    return code


def _listed(said: "Correction", missing: Sequence["FaceAddress"]) -> str:
    """A correction in a line that says too of how many faces it says nothing."""
    return f"{_in_words(said)}{f' ({len(missing):,} of {len(said.faces):,} not here)' if missing else ''}"


def _in_words(said: "Correction") -> str:
    """A correction in a line."""
    faces = [str(face) for face in said.faces[:_SHOWN]]
    more = len(said.faces) - len(faces)
    of = [*map(repr, said.persons), *faces, *([f"and {more:,} more"] if more else [])]
    after = said.after if isinstance(said.after, str) else None
    if said.verb == "box":
        after = ", ".join(f"{value:g}" for value in said.after)
    if said.verb == "mask":
        after = said.after["name"]
    told = f"{said.verb} {', '.join(of)}{f': {after}' if after is not None else ''}{' (undone)' * said.is_undone}"
    return f"{said.id:>5}  {said.at[:19]}Z  {on_one_line(told)}"


def _require(words: _Words, least: int, most: int | None, usage: str) -> None:
    if len(words) < least or (most is not None and len(words) > most):
        raise RequestError(f"write it like: faceloom correct DIR {usage}")


def _is_face(word: str) -> bool:
    source, _, place = word.rpartition("#")
    frame, _, index = place.partition("/")
    return bool(source and frame.isdecimal() and index.isdecimal()) or Path(word).is_file()


def _with_word(words: _Words) -> tuple[_Words, str | None]:
    """The faces, and the word after them if the last is no face."""
    if len(words) > 1 and not _is_face(words[-1]):
        return words[:-1], words[-1]
    return words, None


def _name(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 2, 2, "name PERSON NEW")
    return said.name(*words)


def _merge(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 2, None, "merge PERSON OTHER...")
    return said.merge(words[0], words[1:])


def _assign(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 1, None, "assign FACE... [PERSON]")
    return said.assign(*_with_word(words))


def _split(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 1, None, "split FACE... [NAME]")
    return said.split(*_with_word(words))


def _same(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 2, None, "same FACE FACE...")
    return said.same(words)


def _different(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 2, None, "different FACE FACE...")
    return said.different(words)


def _reject(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 1, None, "reject FACE... [REASON]")
    return said.reject(*_with_word(words))


def _restore(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 1, None, "restore FACE...")
    return said.restore(words)


def _add(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 5, 5, "add SOURCE#FRAME X0 Y0 X1 Y1")
    return said.add(words[0], _numbers_of_box(words[1:]))


def _numbers_of_box(words: _Words) -> list[float]:
    try:
        return [float(word) for word in words]
    except ValueError as error:
        raise RequestError(f"a box has four numbers: {error}") from error


def _box(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 5, 5, "box FACE X0 Y0 X1 Y1")
    return said.move_box(words[0], _numbers_of_box(words[1:]))


def _landmarks(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 2, 2, "landmarks FACE FILE")
    path = Path(words[1])
    try:
        with path.open("rb") as file:
            points = json.loads(file.read(_MOST_POINTS_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise MediaError(f"{path} cannot be read as a list of points: {error}", path=path) from error
    return said.move_landmarks(words[0], points)


def _mask(said: "Corrections", words: _Words) -> _Answer:
    from faceloom.media.pictures import read_picture

    _require(words, 3, 3, "mask FACE NAME FILE")
    path = Path(words[2])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MediaError(f"{path} cannot be read: {error.strerror}", path=path) from error
    return said.draw_mask(words[0], words[1], read_picture(content, path, raw_colours=True).image[..., 0])


def _note(said: "Corrections", words: _Words) -> _Answer:
    _require(words, 2, None, "note FACE... TEXT")
    return said.note(words[:-1], words[-1])


def _numbers(words: _Words) -> list[int]:
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise RequestError("corrections are named by their numbers; faceloom corrections DIR lists them") from error


_VERBS: Mapping[str, Callable[["Corrections", _Words], _Answer]] = {
    "name": _name,
    "merge": _merge,
    "assign": _assign,
    "split": _split,
    "same": _same,
    "different": _different,
    "reject": _reject,
    "restore": _restore,
    "add": _add,
    "box": _box,
    "landmarks": _landmarks,
    "mask": _mask,
    "note": _note,
    "undo": lambda said, words: said.undo(*_numbers(words)),
    "redo": lambda said, words: said.redo(*_numbers(words)),
}
CORRECT = Command(
    name="correct",
    description="Says something of faces or persons, kept beside what was found and read in its place.",
    examples=_EXAMPLES,
    arguments=(
        Argument(name="folder", metavar="DIR", help="a result folder"),
        Argument(name="verb", metavar="VERB", help=", ".join(_VERBS)),
        Argument(name="words", metavar="WHAT", help="faces, persons, and what is said of them", nargs="*"),
    ),
    options=JsonFlags,
    run=correct,
)
CORRECTIONS = Command(
    name="corrections",
    description="Lists the corrections of a result folder, writes them to a file, or adds those of a file.",
    examples=_LIST_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=CorrectionsFlags,
    run=corrections,
)
