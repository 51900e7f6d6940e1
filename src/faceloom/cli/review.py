"""`faceloom review` and `faceloom report`: looking at what was found, and putting it right."""

import argparse
from pathlib import Path
from typing import Annotated, TypedDict

from faceloom.cli.commands import Argument, Command, keywords
from faceloom.cli.terminal import say
from faceloom.options.calls import RawOptions
from faceloom.options.option import Interval, Option
from faceloom.options.outputs import ShareOptions
from faceloom.options.stages import PathLike

_EXAMPLES = """\
Needs pip install 'faceloom[review]'. Whatever is done on the page is kept as corrections (docs/corrections.md).

  faceloom review faces                                        in the browser, on this machine alone; Ctrl-C ends it
  faceloom review faces --no-browser --port 8765               the address, with its token, is the first line
  faceloom review faces --host 0.0.0.0 --password "some text"  for others in the network too
"""


class ReviewFlags(TypedDict, total=False):
    """What `faceloom review` takes."""

    port: Annotated[
        int | None,
        Option(help="listen on this port", usual="a free one", unit="N", within=Interval(1, 65535), example=8765),
    ]
    browser: Annotated[
        bool,
        Option(help="whether the page is opened in the browser", default=True, denial="only print the page's address"),
    ]
    host: Annotated[
        str | None,
        Option(
            help="listen on this address, so that others can reach the page; needs a password",
            usual="this machine alone",
            unit="ADDRESS",
            example="0.0.0.0",
        ),
    ]
    password: Annotated[str | None, Option(help="ask this of whoever opens the page", unit="TEXT", example="some text")]
    memory: Annotated[
        int | str | None,
        Option(help="ceiling for the process, like 300MiB", usual="none", unit="SIZE", example="900MiB"),
    ]


def review(chosen: argparse.Namespace) -> int:
    """Serves the page until Ctrl-C; the first line of stdout is its address."""
    from faceloom.review.serving import serve

    serve(Path(chosen.folder), on_address=lambda address: say(address, flush=True), **keywords(chosen, ReviewFlags))
    return 0


class ReportFlags(RawOptions, ShareOptions, total=False):
    """What `faceloom report` takes."""

    out: Annotated[
        PathLike,
        Option(help="write the page to this new file", unit="FILE", is_required=True, example="report.html"),
    ]


def report(chosen: argparse.Namespace) -> int:
    """Writes the report, and says where."""
    from faceloom.review.report import report as write

    say(write(Path(chosen.folder), Path(chosen.out), raw=chosen.raw, share=chosen.share))
    return 0


REVIEW = Command(
    name="review",
    description="Serves a page on this machine on which faces and persons are looked at and corrected.",
    examples=_EXAMPLES,
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=ReviewFlags,
    run=review,
)
REPORT = Command(
    name="report",
    description="Writes a report of a result folder: one HTML file that needs nothing beside it.",
    examples="  faceloom report faces --out report.html\n",
    arguments=(Argument(name="folder", metavar="DIR", help="a result folder"),),
    options=ReportFlags,
    run=report,
)
