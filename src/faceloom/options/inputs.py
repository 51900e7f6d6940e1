"""Which inputs a job has besides those that are named one by one, and what it has to do with other machines."""

from functools import partial
from typing import Annotated, TypedDict

from faceloom.options.option import Interval, Option
from faceloom.options.stages import PathLike

_input = partial(Option, group="inputs")
_elsewhere = partial(Option, group="what is written")


class InputOptions(TypedDict, total=False):
    """Inputs in a list, and the part of all that is a job's own."""

    from_list: Annotated[
        PathLike | None,
        _input(
            help="also take the inputs that this file names, a path a line, or - for standard input; their names are"
            " their paths",
            unit="FILE",
            example="list.txt",
        ),
    ]
    null: Annotated[
        bool,
        _input(
            help="entries of that list end with a NUL character, as find -print0 writes them (short: -0)",
            default=False,
            short="-0",
        ),
    ]
    shard: Annotated[
        str | None,
        _input(
            help="do only this part of the inputs, I of N, by a hash of each name; faceloom merge puts the results of"
            " all parts together",
            usual="all",
            unit="I/N",
            example="2/7",
        ),
    ]


class RateOptions(TypedDict, total=False):
    """Of numbered pictures."""

    fps: Annotated[
        float | None,
        _input(
            help="frames a second of numbered pictures, which are named like frame_%04d.png",
            usual="25",
            unit="RATE",
            within=Interval(0, 1000, is_open=True),
            example=24.0,
        ),
    ]


class ScratchOptions(TypedDict, total=False):
    """What remote inputs take of this machine."""

    scratch: Annotated[
        int | str | None,
        _input(
            help="how much of the disk below --out remote inputs may take while they are read",
            usual="10GiB",
            unit="SIZE",
            example="1GiB",
        ),
    ]


class PublishOptions(TypedDict, total=False):
    """Where results are copied to."""

    publish: Annotated[
        PathLike | None,
        _elsewhere(
            help="also copy the result folder to this address, as in s3://bucket/faces, now and then and at the end",
            unit="ADDRESS",
            example="memory://faces",
        ),
    ]
    snapshot_every: Annotated[
        float,
        _elsewhere(
            help="seconds between two copies of it, each with a snapshot of the store",
            default=600.0,
            unit="SECONDS",
            within=Interval(1),
            example=60.0,
        ),
    ]
