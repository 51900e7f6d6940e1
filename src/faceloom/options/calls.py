"""What each function of the library takes, and with it the command that ends in it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, TypedDict

from faceloom.choices import Each, Laid, SeenBy, Sort, SortKey
from faceloom.options.inputs import InputOptions, PublishOptions, RateOptions, ScratchOptions
from faceloom.options.live import DelayOptions, LiveOptions
from faceloom.options.machine import (
    CeilingOptions,
    ClusterOptions,
    DeviceOptions,
    MachineOptions,
    PrecisionOptions,
    ReserveOptions,
    ThreadOptions,
    WishOptions,
)
from faceloom.options.option import Interval, Option
from faceloom.options.outputs import (
    COSINE,
    BorderLimitOptions,
    BorderOptions,
    ChipOptions,
    FileOptions,
    MaskSizeOptions,
    OverlayOptions,
    PeopleOptions,
    ShareOptions,
    SquareOptions,
)
from faceloom.options.redaction import CoverOptions, ProofOptions
from faceloom.options.stages import (
    ChoiceOptions,
    ColourOptions,
    DetectorOptions,
    ExcerptOptions,
    FlowOptions,
    PathLike,
    PluginOptions,
    StageOptions,
    WeightsOptions,
)
from faceloom.options.written_values import bins_of, with_commas

LEAST_QUALITY = 0.65
"""Below it more than one in a hundred pairs of strangers' faces pass for one person's, of dlib's network one in
fifteen (measured, docs/people.md)."""
_added = partial(Option, group="stages (see: faceloom models)")


class OrderOptions(MachineOptions, PrecisionOptions, ChoiceOptions, ExcerptOptions, ColourOptions, total=False):
    """What every order depends on besides its flow and what is written."""


class LaidChipOptions(TypedDict, total=False):
    """Which faces of tracks get chips."""

    interpolated: Annotated[
        bool,
        Option(
            help="also cut chips of faces in tracks that nothing was seen of, and that are laid between others",
            default=False,
        ),
    ]


class FillOptions(TypedDict, total=False):
    """How far gaps of tracks are filled."""

    fill: Annotated[
        float,
        Option(
            help="where a track misses its face for up to so long, look again more closely, and lay the face where none"
            " is seen; 0: leave gaps",
            default=0.5,
            unit="SECONDS",
            within=Interval(0, 60),
            example=1.5,
        ),
    ]


class ExtractOptions(
    InputOptions,
    RateOptions,
    ScratchOptions,
    FlowOptions,
    MachineOptions,
    ClusterOptions,
    PrecisionOptions,
    FileOptions,
    OverlayOptions,
    ShareOptions,
    PublishOptions,
    PeopleOptions,
    FillOptions,
    LaidChipOptions,
    total=False,
):
    """What `extract` takes."""

    only_empty: Annotated[
        bool,
        Option(
            help="look again, with another detector, at the frames of the result folder in which no face was found;"
            " all else as the folder was made",
            default=False,
        ),
    ]

    corrections: Annotated[
        PathLike | None,
        Option(
            help="carry over what was corrected in this result folder, as far as its faces are found again",
            unit="DIR",
            example="before",
        ),
    ]

    track: Annotated[
        bool,
        Option(
            help="in the end find the tracks of videos: which faces are one face from frame to frame, as faceloom track"
            " does",
            default=False,
        ),
    ]

    smooth: Annotated[
        bool,
        Option(
            help="do so, and have chips, drawn masks and exports show faces in tracks without what shakes from frame to"
            " frame; what networks found stays in the store",
            default=False,
        ),
    ]

    retry_failed: Annotated[
        bool,
        Option(
            help="do again all that failed, not only what failed for the machine's fault or under other versions",
            default=False,
        ),
    ]


class PlanOptions(
    InputOptions, RateOptions, FlowOptions, MachineOptions, PrecisionOptions, FileOptions, OverlayOptions, total=False
):
    """What `plan` takes."""

    what_if: Annotated[
        Sequence[int | str],
        Option(
            help="plan for each of these budgets instead",
            default=(),
            unit="SIZE,...",
            parse=with_commas,
            example=("300MiB", "1GiB"),
        ),
    ]
    nodes: Annotated[
        PathLike | None,
        Option(
            help="plan for several machines that share the job: a TOML file with a table [[node]] for each kind, with"
            " count, cores, memory, and if need be name, speed beside this machine, cost_an_hour",
            unit="FILE",
            example="nodes.toml",
        ),
    ]
    look: Annotated[
        bool,
        Option(
            help="look at a few of the frames first, so that the seconds fit their faces and their decoder",
            denial="run nothing: expect one face a frame, and a decoder of the usual kind",
            default=True,
        ),
    ]


class ProfileOptions(FlowOptions, DeviceOptions, PrecisionOptions, total=False):
    """What `profile` takes."""


class FramesOptions(
    StageOptions,
    PluginOptions,
    CeilingOptions,
    ThreadOptions,
    DeviceOptions,
    PrecisionOptions,
    MaskSizeOptions,
    SquareOptions,
    BorderLimitOptions,
    total=False,
):
    """What is done to frames that come to the caller: there are no faces from a file."""


class StreamOptions(FramesOptions, LiveOptions, total=False):
    """What `stream` takes."""


class PassesOptions(FramesOptions, ReserveOptions, WishOptions, total=False):
    """What `passes` takes."""


class AddedOptions(TypedDict, total=False):
    """Which stages are added to a result."""

    mask: Annotated[
        Sequence[str],
        _added(
            help="mask to add, of bisenet also a part of the face, as in bisenet:hair",
            default=(),
            unit="NAME",
            or_none=True,
            example=("unet",),
        ),
    ]
    soft_edges: Annotated[
        float,
        _added(
            help="let the edges of masks fade over this share of the distance of the outer corners of the eyes",
            default=0.0,
            unit="SHARE",
            within=Interval(0, 1),
            example=0.1,
        ),
    ]
    identify: Annotated[str | None, _added(help="identifier to add", unit="NAME", or_none=True, example="sface")]


class ExtendOptions(AddedOptions, PluginOptions, MachineOptions, total=False):
    """What `extend` takes."""


class RemakeOptions(WeightsOptions, MachineOptions, total=False):
    """What `remake` takes."""


class RawOptions(TypedDict, total=False):
    """Of what reads results."""

    raw: Annotated[
        bool, Option(help="leave out what people have corrected: everything is as it was found", default=False)
    ]


class SmoothOptions(TypedDict, total=False):
    """Of what reads faces that are in tracks."""

    smooth: Annotated[
        bool,
        Option(help="take boxes and points of faces in tracks without what shakes from frame to frame", default=False),
    ]


class DeriveOptions(
    ChipOptions,
    OverlayOptions,
    PeopleOptions,
    WeightsOptions,
    RawOptions,
    SmoothOptions,
    LaidChipOptions,
    ShareOptions,
    CeilingOptions,
    ReserveOptions,
    ThreadOptions,
    total=False,
):
    """What `derive` takes."""


class RedactOptions(
    CoverOptions,
    ProofOptions,
    LiveOptions,
    DelayOptions,
    DetectorOptions,
    PluginOptions,
    MachineOptions,
    PrecisionOptions,
    RawOptions,
    ShareOptions,
    total=False,
):
    """What `redact` takes."""


class ChipCutOptions(SquareOptions, BorderOptions, total=False):
    """What `chip` takes."""

    size: Annotated[int, Option(help="side of the chip", default=512, unit="PX", example=128)]


class ProcessOptions(TypedDict, total=False):
    """What one process may hold that runs no network."""

    memory: Annotated[
        int | str | None,
        Option(help="ceiling for the process, like 300MiB", usual="none", unit="SIZE", example="900MiB"),
    ]


class TrackOptions(FillOptions, WeightsOptions, MachineOptions, total=False):
    """What `track` takes."""


class GroupOptions(ShareOptions, ProcessOptions, total=False):
    """What `group` takes."""

    threshold: Annotated[
        float | None,
        Option(
            help="mean cosine from which on groups of faces are one person's",
            usual="the identifier's own",
            unit="COSINE",
            within=COSINE,
            example=0.5,
        ),
    ]
    min_quality: Annotated[
        float,
        Option(
            help="quality below which a face says too little of whose it is, and is nobody's; 0: none is",
            default=LEAST_QUALITY,
            unit="QUALITY",
            within=Interval(0, 1),
            example=0.8,
        ),
    ]
    collages: Annotated[
        bool,
        Option(
            help="a person may be in any frame more than once, not only where two faces of it are copies",
            default=False,
        ),
    ]
    anew: Annotated[
        bool,
        Option(
            help="number all persons anew of whom nobody spoke; otherwise they keep the names that most of their faces"
            " had",
            default=False,
        ),
    ]
    sort: Annotated[
        str | None,
        Option(
            help="of a person's faces the best first",
            usual="by source and frame",
            unit="BY",
            among=tuple(Sort),
            example="pose",
        ),
    ]
    folders: Annotated[
        PathLike | None,
        Option(
            help="fill a new or empty folder with one of links to chips for each person", unit="DIR", example="people"
        ),
    ]
    copy: Annotated[bool, Option(help="copies in place of links", default=False)]


class ComparingOptions(WeightsOptions, CeilingOptions, ReserveOptions, ThreadOptions, DeviceOptions, total=False):
    """Of what compares the faces of pictures with others."""

    threshold: Annotated[
        float | None,
        Option(
            help="cosine from which on two faces are one person's",
            usual="the identifier's own",
            unit="COSINE",
            within=COSINE,
            example=0.5,
        ),
    ]


class FindOptions(ComparingOptions, total=False):
    """What `find` takes."""

    most: Annotated[
        int,
        Option(
            help="how many persons, and how many faces, are told of each face",
            default=5,
            unit="N",
            within=Interval(1, 10_000),
            example=3,
        ),
    ]


class VerifyOptions(ComparingOptions, total=False):
    """What `verify` takes."""

    identify: Annotated[str, Option(help="identifier", default="dlib", unit="NAME", example="sface")]


class MergeOptions(ShareOptions, total=False):
    """What `merge` takes."""

    partial: Annotated[
        bool,
        Option(
            help="merge although shards are missing, which are named; the same with all of them adds the others",
            default=False,
        ),
    ]


class ForgetOptions(TypedDict, total=False):
    """What `forget` takes."""

    source: Annotated[
        PathLike | None,
        Option(
            help="a source, by its name in exports or the path of its file; later runs leave it out",
            unit="NAME",
            example="ann.jpg",
        ),
    ]
    person: Annotated[
        str | None,
        Option(
            help="a person, as faceloom group named them; frames stay done, so that later runs do not find the faces"
            " again",
            unit="NAME",
            example="person 3",
        ),
    ]


class LaidOptions(RawOptions, ShareOptions, total=False):
    """How faces are laid out that were picked or sorted."""

    as_: Annotated[
        str,
        Option(
            help="what is made: copies of chips, links to them, or no more than a list, which `out` names then"
            " (.jsonl or .csv)",
            default=Laid.COPIES.value,
            among=tuple(Laid),
            flag="as",
            example="links",
        ),
    ]
    replace: Annotated[
        bool, Option(help="whether a folder or list goes that an earlier call has made there", default=False)
    ]
    person: Annotated[
        Sequence[str],
        Option(help="only the faces of this person", default=(), unit="NAME", example=("person 2",)),
    ]
    memory: Annotated[
        int | str | None,
        Option(help="ceiling for the process, like 300MiB", usual="none", unit="SIZE", example="900MiB"),
    ]


class PickOptions(LaidOptions, total=False):
    """What `pick` takes."""

    best: Annotated[int, Option(help="how many faces, at most", default=100, unit="N", within=Interval(1), example=20)]
    each: Annotated[
        str,
        Option(
            help="of what so many are picked: of all faces together, of each person, of each source, or of each track",
            default=Each.ALL.value,
            among=tuple(Each),
            example="source",
        ),
    ]
    min_quality: Annotated[
        float, Option(help="least quality", default=0.0, unit="SHARE", within=Interval(0, 1), example=0.5)
    ]
    min_size: Annotated[
        int | float | str | None,
        Option(
            help="least length of the longer side of the box, in pixels or like 5% of the frame's shorter side",
            unit="SIZE",
            example="40",
        ),
    ]
    bins: Annotated[
        Mapping[str, int],
        Option(
            help="spread evenly over so many bins of a number, from its least to its most: yaw=5",
            default={},
            unit="KEY=N",
            parse=bins_of,
            example={"yaw": 5},
        ),
    ]
    duplicates: Annotated[
        bool,
        Option(
            help="also near duplicates: copies that were scaled or compressed, the same a moment later", default=False
        ),
    ]


class SortOptions(LaidOptions, total=False):
    """What `sort` takes."""

    by: Annotated[
        str,
        Option(
            help="by what; histogram, landmarks, shape and identity put faces beside those that are like them",
            default=SortKey.QUALITY.value,
            among=tuple(SortKey),
            example="yaw",
        ),
    ]
    descending: Annotated[bool, Option(help="the greatest first", default=False)]
    bins: Annotated[
        int | None,
        Option(
            help="into so many folders: of equal ranges of a number, else of equally many faces",
            usual="one folder",
            unit="N",
            within=Interval(1, 100_000),
            example=5,
        ),
    ]


class TimelineOptions(RawOptions, total=False):
    """What `timeline` takes."""

    person: Annotated[
        Sequence[str],
        Option(help="only of this person", default=(), unit="NAME", example=("person 3",)),
    ]
    source: Annotated[
        Sequence[str],
        Option(help="only in this video, as exports name it", default=(), unit="NAME", example=("clip.mp4",)),
    ]
    by: Annotated[
        str,
        Option(
            help="of whom it tells: of persons, or of tracks, each as a whole",
            default=SeenBy.PERSON.value,
            among=tuple(SeenBy),
            example="track",
        ),
    ]
    gap: Annotated[
        float,
        Option(
            help="longest break that does not end a stretch of a person",
            default=0.5,
            unit="SECONDS",
            within=Interval(0),
            example=2.0,
        ),
    ]


class ExportOptions(RawOptions, SmoothOptions, ShareOptions, total=False):
    """What `export` takes."""

    layout: Annotated[
        str | None,
        Option(
            help="how files are laid out: chips source, flat, person or webdataset; masks face, frame, face-exr or"
            " frame-exr",
            usual="the first of these",
            unit="NAME",
            example="flat",
        ),
    ]
    frames: Annotated[
        bool,
        Option(
            help="with jsonl and csv: a line a frame instead: size, time, faces, what failed and why", default=False
        ),
    ]
    rejected: Annotated[
        bool,
        Option(help="with jsonl, csv, parquet: also the faces that were rejected, and why", default=False),
    ]
    found_only: Annotated[
        bool, Option(help="leave out the faces that fill gaps of tracks, seen or laid", default=False)
    ]
