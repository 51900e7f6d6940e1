"""`faceloom where`: where chips come from."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from faceloom.cli.commands import Argument, Command
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import on_one_line, say, say_json
from faceloom.options.option import Option
from faceloom.options.stages import PathLike
from faceloom.units import format_time

if TYPE_CHECKING:
    from faceloom.store.origins import Origin

_EXAMPLES = """\
A chip in its result folder is looked up in the store, which knows the path of its source; one that was moved or
copied elsewhere says itself which source, by name, and which frame it is from.

  faceloom where faces/chips/clip.mp4/000012_0.jpg
  faceloom where best/*.jpg --json
  faceloom where faces/chips/clip.mp4/000012_0.jpg --out frame.png
"""


class WhereFlags(JsonFlags, total=False):
    """What `faceloom where` takes."""

    out: Annotated[
        PathLike | None,
        Option(
            help="write the frame to a new .png or .jpg, with the face drawn on it; of one chip",
            unit="PICTURE",
            example="frame.png",
        ),
    ]


def run(chosen: argparse.Namespace) -> int:
    """Prints where each chip comes from; those of which that cannot be told are named on stderr."""
    from faceloom.api import draw_origin
    from faceloom.api import where as find
    from faceloom.errors import MediaError, RequestError

    if chosen.out is not None and len(chosen.chips) > 1:
        raise RequestError(f"--out {chosen.out} is for one chip, and {len(chosen.chips)} were named")
    found: list[Origin] = []
    for chip in chosen.chips:
        try:
            found.append(find(chip))
        except MediaError as error:
            say(f"faceloom: failed: {error}", to=sys.stderr)
    if chosen.json:
        say_json({"chips": [origin.to_json() for origin in found]})
    else:
        say("\n".join(map(_in_words, found)), end="\n" * bool(found))
    if chosen.out is not None and found:
        draw_origin(found[0], Path(chosen.out))
    if not found:
        return 4
    return 1 if len(found) < len(chosen.chips) else 0


def _in_words(origin: "Origin") -> str:
    told = on_one_line(origin.to_json())
    if origin.path is None:
        source = f"{told['source']}, by name: its result folder is not here"
    else:
        source = told["path"] + ("" if told["exists"] else ", where it no longer is")
    time = "" if origin.time_s is None else f" at {format_time(origin.time_s)}"
    x0, y0, x1, y1 = origin.box
    lines = [told["chip"], f"  source  {source}", f"  frame   {origin.frame}{time}, face {origin.index}"]
    return "\n".join([*lines, f"  box     {x0:.1f}, {y0:.1f} to {x1:.1f}, {y1:.1f}"])


WHERE = Command(
    name="where",
    description="Tells where chips come from: source, frame, time, box.",
    examples=_EXAMPLES,
    arguments=(Argument(name="chips", metavar="CHIP", help="a chip file", nargs="+"),),
    options=WhereFlags,
    run=run,
)
