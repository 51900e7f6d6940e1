"""How faces are covered in what is written anew, whose, and how that is looked at."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, TypedDict

from faceloom.choices import Fill, Over
from faceloom.options.option import Interval, Option

_cover = partial(Option, group="how faces are covered")
_proof = partial(Option, group="how that is looked at")
_FILLS = tuple(fill.value for fill in Fill if fill is not Fill.PICTURE)


class CoverOptions(TypedDict, total=False):
    """How faces are covered, and whose."""

    with_: Annotated[
        str,
        _cover(
            help=f"cover faces with {', '.join(_FILLS)}, or the picture in a file",
            default=Fill.BLUR.value,
            flag="with",
            unit="blur|pixelate|solid|FILE",
            example="solid",
        ),
    ]
    over: Annotated[
        str,
        _cover(
            help="what of a face is covered; its masks are those that it has",
            default=Over.ELLIPSE.value,
            among=tuple(Over),
            example="mask",
        ),
    ]
    margin: Annotated[
        float,
        _cover(
            help="how much more is covered on each side, as a share of the face's sides",
            default=0.25,
            unit="SHARE",
            within=Interval(0, 2),
            example=0.4,
        ),
    ]
    feather: Annotated[
        float,
        _cover(
            help="over which share of the face's longer side the edge fades, outside of all that",
            default=0.05,
            unit="SHARE",
            within=Interval(0, 1),
            example=0.1,
        ),
    ]
    fill: Annotated[
        float,
        _cover(
            help="in videos, also cover a face that is missing for up to so long",
            default=1.0,
            unit="SECONDS",
            within=Interval(0, 60),
            example=2.0,
        ),
    ]
    hold: Annotated[
        float,
        _cover(
            help="in videos, also cover a face for so long before it is found first and after it is found last",
            default=0.3,
            unit="SECONDS",
            within=Interval(0, 60),
            example=0.5,
        ),
    ]
    only: Annotated[
        Sequence[str],
        _cover(
            help="of a result folder, cover the faces of this person alone",
            default=(),
            unit="PERSON",
            example=("ann",),
        ),
    ]
    except_: Annotated[
        Sequence[str],
        _cover(
            help="of a result folder, cover all faces but those of this person",
            default=(),
            flag="except",
            unit="PERSON",
            example=("ann",),
        ),
    ]
    quality: Annotated[
        int,
        _cover(
            help="of videos, the constant rate factor of the encoder: less is better, and larger",
            default=20,
            unit="CRF",
            within=Interval(0, 51),
            example=23,
        ),
    ]


class ProofOptions(TypedDict, total=False):
    """How what was written is looked at."""

    proof: Annotated[
        Sequence[str],
        _proof(
            help="detector that looks for faces in what was written, or none",
            default=("yunet", "centerface"),
            usual="yunet and centerface",
            unit="NAME",
            or_none=True,
            example=("yunet",),
        ),
    ]
    proof_score: Annotated[
        float | None,
        _proof(
            help="least score of a face in what was written",
            usual="three quarters of the detector's own",
            unit="SCORE",
            within=Interval(0, 1, is_open=True),
            example=0.5,
        ),
    ]
    rounds: Annotated[
        int,
        _proof(
            help="how often what still shows a face is written again, with that face covered by one colour",
            default=4,
            unit="N",
            within=Interval(0, 9),
            example=1,
        ),
    ]
