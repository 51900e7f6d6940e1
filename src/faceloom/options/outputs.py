"""What is written of each face, and whose faces are."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, TypedDict

from faceloom.choices import Border, ChipFormat, Crop, Subsampling
from faceloom.options.option import Interval, Option
from faceloom.options.stages import PathLike

_chip = partial(Option, group="what is written")
_people = partial(Option, group="whose faces (needs --identify)")
CHIP_SIZE = Interval(64, 1024)
COSINE = Interval(-1, 1)


class ShareOptions(TypedDict, total=False):
    """Who may read what is written."""

    share: Annotated[
        bool,
        _chip(
            help="leave it to the umask who may read what is written; otherwise only you may",
            default=False,
        ),
    ]


class SquareOptions(TypedDict, total=False):
    """The square that chips show and masks cover."""

    """What chips look like."""

    crop: Annotated[
        str,
        _chip(
            help="what chips show: brows to chin, the head, or neck and shoulders too",
            default=Crop.HEAD.value,
            among=tuple(Crop),
            example="whole",
        ),
    ]
    level: Annotated[
        bool,
        _chip(
            help="whether the eyes lie level in chips",
            default=True,
            denial="leave chips as the frame stands: eyes are not made level",
        ),
    ]


class BorderOptions(TypedDict, total=False):
    """What there is beyond the frame."""

    border: Annotated[
        str | None,
        _chip(
            help="what chips show beyond the frame: its outermost pixels again and again, black, the frame mirrored, or"
            " nothing (PNG and WebP)",
            usual="black; where there are chips already, as they are",
            among=tuple(Border),
            example="reflect",
        ),
    ]


class BorderLimitOptions(TypedDict, total=False):
    """How much may lie beyond the frame."""

    max_border: Annotated[
        int | float | str | None,
        _chip(
            help="mark faces as rejected of whose chip more than this share lies beyond the frame, as in 20% or 0.2;"
            " they stay, and no later stage sees them",
            usual="no limit",
            unit="SHARE",
            example="20%",
        ),
    ]


class ChipOptions(SquareOptions, BorderOptions, total=False):
    """What chips look like."""

    size: Annotated[int, _chip(help="side of the aligned chips", default=512, unit="PX", within=CHIP_SIZE, example=128)]
    format: Annotated[
        str,
        _chip(
            help="of the chips: JPEG of quality 95, PNG, or WebP of quality 95",
            default=ChipFormat.JPG.value,
            among=tuple(ChipFormat),
            example="png",
        ),
    ]
    subsampling: Annotated[
        str,
        _chip(
            help="of colours in JPEG chips: none, or to a half or a quarter, for smaller files that are written sooner",
            default=Subsampling.NONE.value,
            among=tuple(Subsampling),
            example="420",
        ),
    ]


class MaskSizeOptions(TypedDict, total=False):
    """How masks are stored."""

    mask_size: Annotated[
        int,
        _chip(
            help="side of the stored masks; a mask covers the square that the chip shows",
            default=256,
            unit="PX",
            within=Interval(16, 1024),
            example=64,
        ),
    ]


class FileOptions(ChipOptions, MaskSizeOptions, BorderLimitOptions, total=False):
    """What is written of each face."""

    chips: Annotated[
        bool,
        _chip(help="whether chips are written", default=True, denial="write no chips, only the store"),
    ]


class OverlayOptions(TypedDict, total=False):
    """Pictures to look at."""

    overlay: Annotated[
        bool, _chip(help="also write each frame with boxes, points and masks drawn on it", default=False)
    ]
    overlay_chips: Annotated[
        bool, _chip(help="also write each chip with box, points and masks drawn on it", default=False)
    ]


class PeopleOptions(TypedDict, total=False):
    """Whose faces are kept."""

    like: Annotated[
        PathLike | Iterable[PathLike],
        _people(
            help="pictures of one face each: keep only faces like one of these; others are marked and have no chips",
            default=(),
            unit="PICTURE",
            takes_several=True,
            example=("ann.jpg",),
        ),
    ]
    unlike: Annotated[
        PathLike | Iterable[PathLike],
        _people(
            help="pictures of one face each: drop faces like one of these, also if they are like one of the others",
            default=(),
            unit="PICTURE",
            takes_several=True,
            example=("bob.jpg",),
        ),
    ]
    threshold: Annotated[
        float | None,
        _people(
            help="cosine from which on two faces are one person's",
            usual="the identifier's own",
            unit="COSINE",
            within=COSINE,
            example=0.5,
        ),
    ]
