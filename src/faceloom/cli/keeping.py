"""`faceloom where` and `faceloom derive`: where chips come from, and other chips of the same faces."""

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from faceloom.cli.extract import (
    Interrupts,
    Terminated,
    add_ceiling_flags,
    add_chip_flags,
    add_overlay_flags,
    report,
)
from faceloom.units import format_time

if TYPE_CHECKING:
    from faceloom.store.origins import Origin

_WHERE_EPILOG = """\
A chip in its result folder is looked up in the store, which knows the path of its source; one that was moved or
copied elsewhere says itself which source, by name, and which frame it is from.

  faceloom where faces/chips/clip.mp4/000012_0.jpg
  faceloom where best/*.jpg --json
  faceloom where faces/chips/clip.mp4/000012_0.jpg --out frame.png
"""
_DERIVE_EPILOG = """\
Frames are read again from the sources, which have to be where they were and as they were; one that is not fails,
with the reason, until it is. Run the same command again after any kind of end: it goes on where it stopped.

  faceloom derive faces --out heads --size 256 --format png       smaller crops, lossless
  faceloom derive faces --out shoulders --crop whole              crops that show more
  faceloom derive faces --out look --overlay --overlay-chips      pictures to look at
"""


def add_parsers(commands: Any) -> None:
    """Adds this module's commands."""
    parser = commands.add_parser(
        "where",
        help="which source, frame and time a chip comes from",
        description="Tells where chips come from: source, frame, time, box.",
        epilog=_WHERE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=where)
    parser.add_argument("chips", nargs="+", metavar="CHIP", help="a chip file")
    parser.add_argument(
        "--out", metavar="PICTURE", help="write the frame to a new .png or .jpg, with the face drawn on it; of one chip"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")

    derived = commands.add_parser(
        "derive",
        help="other crops of the faces in a result folder, without finding them again",
        description="Cuts the crops of a result folder again from its sources, in another way. No network is run.",
        epilog=_DERIVE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    derived.set_defaults(run=derive)
    derived.add_argument("folder", metavar="DIR", help="a finished result folder")
    derived.add_argument(
        "--out", required=True, metavar="DIR", help="result folder: new, empty, or made by the same command"
    )
    chips = derived.add_argument_group("what is written")
    add_chip_flags(chips)
    add_overlay_flags(chips)
    add_ceiling_flags(derived.add_argument_group("what it may take"))
    derived.add_argument("--json", action="store_true", help="print the summary as one JSON document")
    derived.add_argument("--quiet", action="store_true", help="no progress")


def derive(chosen: argparse.Namespace) -> int:
    """Derives, and prints how that ended."""
    from faceloom.api import derive as cut_again
    from faceloom.cli.progress import silence, watch

    try:
        with Interrupts() as interrupts, silence() if chosen.quiet else watch() as on_event:
            summary = cut_again(
                chosen.folder,
                chosen.out,
                size=chosen.size,
                format=chosen.format,
                crop=chosen.crop,
                level=chosen.level,
                overlay=chosen.overlay,
                overlay_chips=chosen.overlay_chips,
                memory=chosen.memory,
                ram=chosen.ram,
                threads=chosen.threads,
                on_event=on_event,
                should_stop=interrupts.should_stop,
            )
    except Terminated:
        return 128 + signal.SIGTERM
    return report(summary, chosen, Path(chosen.out))


def where(chosen: argparse.Namespace) -> int:
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
            print(f"faceloom: failed: {error}", file=sys.stderr)
    if chosen.json:
        print(json.dumps({"chips": [origin.to_json() for origin in found]}))
    else:
        print("\n".join(map(_in_words, found)), end="\n" * bool(found))
    if chosen.out is not None and found:
        draw_origin(found[0], Path(chosen.out))
    if not found:
        return 4
    return 1 if len(found) < len(chosen.chips) else 0


def _in_words(origin: "Origin") -> str:
    told = origin.to_json()
    if origin.path is None:
        source = f"{origin.source}, by name: its result folder is not here"
    else:
        source = told["path"] + ("" if told["exists"] else ", where it no longer is")
    time = "" if origin.time_s is None else f" at {format_time(origin.time_s)}"
    x0, y0, x1, y1 = origin.box
    lines = [told["chip"], f"  source  {source}", f"  frame   {origin.frame}{time}, face {origin.index}"]
    return "\n".join([*lines, f"  box     {x0:.1f}, {y0:.1f} to {x1:.1f}, {y1:.1f}"])
