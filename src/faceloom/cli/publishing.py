"""`faceloom publish`."""

import argparse

from faceloom.cli.commands import Argument, Command
from faceloom.cli.flags import RunFlags
from faceloom.cli.terminal import say, say_json
from faceloom.units import format_bytes

_EXAMPLES = """\
Run it again, also while a run goes on: what is there already is left alone, and the store is a snapshot each time.

  faceloom publish faces s3://bucket/faces
"""


def run(chosen: argparse.Namespace) -> int:
    """Publishes, and prints what was copied."""
    from faceloom.cli.watching import watching
    from faceloom.store.publishing import publish

    with watching(chosen) as on_event:
        published = publish(chosen.folder, chosen.address, on_event=on_event)
    if chosen.json:
        say_json(published.to_json())
    else:
        known = f", {published.known:,} there before" if published.known else ""
        say(f"{published.files:,} files{known}, and the store, {format_bytes(published.store_bytes)}")
    return 0


PUBLISH = Command(
    name="publish",
    description="Copies the chips of a result folder to an address of fsspec, and then a snapshot of its store.",
    examples=_EXAMPLES,
    arguments=(
        Argument(name="folder", metavar="DIR", help="a result folder"),
        Argument(name="address", metavar="ADDRESS", help="where to, as in s3://bucket/faces"),
    ),
    options=RunFlags,
    run=run,
)
