"""What is told of sources that are no files: cameras, addresses, standard input, numbered pictures."""

from functools import partial
from typing import Annotated, TypedDict

from faceloom.options.option import Interval, Option

_live = partial(Option, group="live sources")


class LiveOptions(TypedDict, total=False):
    """Of `stream`."""

    frame_size: Annotated[
        str | None,
        _live(
            help="standard input holds raw RGB frames of this size; of a camera, what is asked for",
            usual="standard input holds a file of some kind",
            unit="WxH",
            example="1280x720",
        ),
    ]
    fps: Annotated[
        float | None,
        _live(
            help="frames a second of raw frames and of numbered pictures; of a camera, what is asked for",
            usual="25; of a camera its own",
            unit="RATE",
            within=Interval(0, 1000, is_open=True),
            example=24.0,
        ),
    ]
    reconnect: Annotated[
        float,
        _live(
            help="how long a camera or an address that breaks off is tried to be opened again",
            default=30.0,
            unit="SECONDS",
            within=Interval(0, 86400),
            example=5.0,
        ),
    ]


class DelayOptions(TypedDict, total=False):
    """Of `redact`."""

    delay: Annotated[
        float,
        _live(
            help="how long frames are held before they are written, so that what is found meanwhile covers them too",
            default=1.0,
            unit="SECONDS",
            within=Interval(0, 60),
            example=0.3,
        ),
    ]
