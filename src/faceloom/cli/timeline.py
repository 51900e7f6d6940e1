"""`faceloom timeline`: when who is seen."""

import argparse
from typing import TYPE_CHECKING, Annotated

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import JsonFlags
from faceloom.cli.terminal import on_one_line, say, say_json
from faceloom.errors import RequestError
from faceloom.options.calls import TimelineOptions
from faceloom.options.option import Option
from faceloom.options.stages import PathLike

if TYPE_CHECKING:
    from faceloom.timelines.timeline import Timeline

_EXAMPLES = """\
  faceloom timeline faces                                        a table: who, from when to when, the best chip
  faceloom timeline faces --by track --to csv --out tracks.csv
  faceloom timeline faces --person Ann --source clip.mp4 --to edl --out ann.edl     for an editor
  faceloom timeline faces --source clip.mp4 --to vtt --out clip.vtt                 for a player
  faceloom timeline faces --to otio --out faces.otio
"""


class TimelineFlags(TimelineOptions, JsonFlags, total=False):
    """What `faceloom timeline` takes."""

    to: Annotated[
        str | None,
        Option(
            help="the format: csv, json, vtt, svg, otio or edl (these two need the extra `timeline`)",
            usual="a table for people",
            unit="FORMAT",
            example="csv",
        ),
    ]
    out: Annotated[PathLike | None, Option(help="write to a new file", usual="stdout", unit="FILE", example="clip.vtt")]


def run(chosen: argparse.Namespace) -> int:
    """Prints the timeline, or writes it."""
    from faceloom.timelines.timeline import timeline

    out, to = chosen.out, "json" if chosen.json and chosen.to is None else chosen.to
    if out is not None and to is None:
        raise RequestError("name the format of the file with --to")
    line = timeline(chosen.folder, **keywords(chosen, TimelineOptions))
    if out is not None and to is not None:
        line.write(out, to)
    elif chosen.json and to == "json":
        say_json(line.to_json())
    elif to is not None:
        say(line.text(to), end="")
    else:
        say(_table(line))
    return 0


def _table(line: "Timeline") -> str:
    from faceloom.timelines.writing import clock_time

    rows: list[str] = []
    for video in line.videos:
        some = [one for one in line.stretches if one.source == video.name]
        rate = f", {float(video.rate):g} frames a second" if video.rate else ""
        rows.append(f"{on_one_line(video.name)}: {video.frames:,} frames{rate}")
        for one in some:
            when = f"frames {one.first} to {one.last}"
            if one.start is not None and one.end is not None:
                when = f"{clock_time(one.start)} to {clock_time(one.end)}"
            name, best = on_one_line(one.name), on_one_line(one.best.chip or "")
            rows.append(f"  {name:<20} {when}  {one.frames:>6,} frames  {best}")
    return "\n".join(rows)


TIMELINE = Command(
    name="timeline",
    description="Tells from when to when each person, or track, is seen in the videos of a result folder.",
    examples=_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=TimelineFlags,
    run=run,
)
