"""What commands take that the library does not: how they tell what they have done, and where from they are told."""

from functools import partial
from typing import Annotated, TypedDict

from faceloom.options.option import Option
from faceloom.options.stages import PathLike

_always = partial(Option, group="every command")


class CommonFlags(TypedDict, total=False):
    """What every command takes."""

    config: Annotated[
        PathLike | None,
        _always(
            help="take options from this file",
            usual="faceloom.toml in the current folder, if there is one",
            unit="FILE",
            example="other.toml",
        ),
    ]
    verbose: Annotated[bool, _always(help="tell on stderr what is done, a line each", default=False)]
    log_file: Annotated[
        PathLike | None,
        _always(help="add to this file what is done, in more detail", unit="FILE", example="faceloom.log"),
    ]


class JsonFlags(TypedDict, total=False):
    """Of commands that print something for people, or for programs."""

    json: Annotated[bool, Option(help="print one JSON document, also of an error", default=False)]


class RunFlags(JsonFlags, total=False):
    """Of commands that take their time."""

    quiet: Annotated[bool, Option(help="no progress", default=False)]


class ResultFlags(TypedDict, total=False):
    """Of commands that write a result folder."""

    out: Annotated[
        PathLike,
        Option(
            help="result folder: new, empty, or made by the same command", unit="DIR", is_required=True, example="out"
        ),
    ]
