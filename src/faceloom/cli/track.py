"""`faceloom track`."""

import argparse
from typing import TYPE_CHECKING

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.flags import RunFlags
from faceloom.cli.terminal import say, say_json
from faceloom.options.calls import TrackOptions

if TYPE_CHECKING:
    from faceloom.tracks import Tracked

_EXAMPLES = """\
Only videos are done again whose frames or faces have changed, corrections among them.

  faceloom extract film.mkv --out faces --track                    find, then track
  faceloom track faces                                             tracks of what is there
  faceloom export faces --to jsonl                                 each face with its "track"
"""


class TrackFlags(TrackOptions, RunFlags, total=False):
    """What `faceloom track` takes."""


def track(chosen: argparse.Namespace) -> int:
    """Tracks, and prints what there is."""
    from faceloom.cli.watching import watching
    from faceloom.tracks import track as find

    with watching(chosen) as on_event:
        tracked = find(chosen.folder, on_event=on_event, **keywords(chosen, TrackOptions))
    if chosen.json:
        say_json(tracked.to_json())
    else:
        say(in_words(tracked))
    return 0


def in_words(tracked: "Tracked") -> str:
    """What there is, in one line."""
    counts = {
        "track": tracked.tracks,
        "face": tracked.faces,
        "shot": tracked.shots,
        "video": tracked.videos,
    }
    tracks, faces, shots, videos = (f"{number:,} {name}{'s' * (number != 1)}" for name, number in counts.items())
    same = f", {tracked.unchanged:,} of them as before" if tracked.unchanged else ""
    return f"{tracks} of {faces}, in {shots} of {videos}{same}"


TRACK = Command(
    name="track",
    description="Finds cuts, links the faces of each shot to tracks, and numbers these in the store.",
    examples=_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=TrackFlags,
    run=track,
)
