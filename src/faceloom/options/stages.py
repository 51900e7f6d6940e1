"""Which stages a job has, what they are told, and which frames and faces they are for."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypedDict

from faceloom.choices import REFEEDS, Filter, Lighting
from faceloom.options.option import Interval, Option
from faceloom.options.presets import PRESETS, preset
from faceloom.options.written_values import settings_of, weight_files

PathLike: TypeAlias = str | Path
_stage = partial(Option, group="stages (see: faceloom models)")
_ANY_NUMBER = Interval(1)


class ImportOptions(TypedDict, total=False):
    """Faces that a file tells of, in place of a detector."""

    from_: Annotated[
        PathLike | None,
        _stage(
            help="with --detect import: the file or folder that tells of boxes, keypoints or landmarks, in any format"
            " of faceloom export",
            flag="from",
            unit="FILE",
            example="faces.jsonl",
        ),
    ]
    from_format: Annotated[
        str | None, _stage(help="format of that file", usual="by its suffix", unit="FORMAT", example="csv")
    ]


class AlignedOptions(TypedDict, total=False):
    """Faces that are aligned already."""

    aligned: Annotated[
        bool,
        _stage(
            help="the inputs are faces already, chips of faceloom or other square crops that show what --crop says:"
            " nothing is detected, and masks lie over the picture",
            default=False,
        ),
    ]


class ChoiceOptions(TypedDict, total=False):
    """Which of the faces that are found are kept."""

    min_size: Annotated[
        int | float | str | None,
        _stage(
            help="least size of a face, the longer side of its box: pixels like 40, or 5% of the frame's shorter side",
            unit="SIZE",
            example="5%",
        ),
    ]
    max_size: Annotated[
        int | float | str | None, _stage(help="greatest size of a face, likewise", unit="SIZE", example="300")
    ]
    max_faces: Annotated[
        int | None,
        _stage(help="keep the best so many faces of a frame", usual="all", unit="N", within=_ANY_NUMBER, example=3),
    ]


class ExcerptOptions(TypedDict, total=False):
    """Which frames of videos are done."""

    every: Annotated[
        int, _stage(help="of videos, do every N-th frame", default=1, unit="N", within=_ANY_NUMBER, example=4)
    ]
    start: Annotated[
        int | float | str | None,
        _stage(help="of videos, begin at this time (83.5, 1:23.5) or frame (250f)", unit="PLACE", example="0.5"),
    ]
    end: Annotated[
        int | float | str | None,
        _stage(help="of videos, end before this time or frame", unit="PLACE", example="250f"),
    ]


class ColourOptions(TypedDict, total=False):
    """What frames look like when they are read."""

    raw_colours: Annotated[
        bool,
        _stage(
            help="leave the colours of pictures as they are stored, whatever their profiles say that they mean",
            default=False,
        ),
    ]


class DetectorOptions(TypedDict, total=False):
    """How faces are found."""

    detect: Annotated[
        str,
        _stage(
            help="detector, or import for the faces that a file tells of",
            default="yunet",
            unit="NAME",
            example="centerface",
        ),
    ]
    detect_size: Annotated[
        int | None,
        _stage(
            help="scale larger frames down to this longer side for the detector",
            usual="the detector's own, as a rule 1024",
            unit="PX",
            within=Interval(32, 8192),
            example=640,
        ),
    ]
    enlarge: Annotated[
        float,
        _stage(
            help="for small faces in small pictures: look at frames, and at tiles, so many times as large",
            default=1.0,
            unit="FACTOR",
            within=Interval(1, 4),
            example=1.5,
        ),
    ]
    detect_every: Annotated[
        int | None,
        _stage(
            help="of every so many frames of a video look at the first, and where faces are lost or the scene changes;"
            " through the others faces are followed",
            usual="1, every frame",
            unit="N",
            within=Interval(1, 1000),
            example=10,
        ),
    ]
    rotate: Annotated[
        int | float | str | None,
        _stage(
            help="where no face is found upright, look again turned clockwise by each step of 90, or by angles like"
            " 0,45,315, in this order; the first at which a face is found counts; auto: by quarters, where there are"
            " signs that a face is turned, and of frames in which others stand upright that face alone",
            unit="DEGREES",
            example="90",
        ),
    ]
    tiles: Annotated[
        int | None,
        _stage(
            help="for small faces: look at overlapping squares of so many pixels of large frames too, at the frame's"
            " resolution",
            unit="PX",
            within=Interval(128, 8192),
            example=640,
        ),
    ]
    min_score: Annotated[
        float | None,
        _stage(
            help="least score of a face",
            usual="the detector's own",
            unit="SCORE",
            within=Interval(0, 1, is_open=True),
            example=0.8,
        ),
    ]


class AlignerOptions(TypedDict, total=False):
    """How landmarks are found."""

    align: Annotated[
        Sequence[str] | None,
        _stage(
            help="aligner, or none for boxes only; landmarks are the mean of several",
            default=("facemesh",),
            usual="facemesh",
            unit="NAME",
            or_none=True,
            example=("facemesh_v2", "pfld"),
        ),
    ]
    attributes: Annotated[
        Sequence[str],
        _stage(
            help="what else is told of each face by the aligner facemesh_v2: iris, blendshapes",
            default=(),
            unit="NAME",
            among=("iris", "blendshapes"),
            example=("iris",),
        ),
    ]
    normalize: Annotated[
        str,
        _stage(
            help="make the lighting even of what the aligner sees, not of what is kept",
            default=Lighting.NONE.value,
            among=tuple(Lighting),
            example="clahe",
        ),
    ]
    refeed: Annotated[
        int,
        _stage(
            help="average landmarks over N squares beside each other",
            default=1,
            unit="N",
            within=Interval(REFEEDS.start, REFEEDS.stop - 1),
            example=3,
        ),
    ]
    realign: Annotated[
        bool, _stage(help="align once more, in a square laid by the landmarks found first", default=False)
    ]
    filter: Annotated[
        Sequence[str],
        _stage(
            help=f"mark faces as rejected by their landmarks: {', '.join(Filter)}, or as in roll=45 by a threshold"
            " other than its own; they stay, and no later stage sees them",
            default=(),
            unit="NAME[=LIMIT]",
            example=("roll=45",),
        ),
    ]


class DerivedOptions(TypedDict, total=False):
    """What is made of landmarks."""

    mask: Annotated[
        Sequence[str] | None,
        _stage(
            help="mask, or none; of bisenet also a part of the face, as in bisenet:hair",
            usual="components and extended; none without an aligner",
            unit="NAME",
            or_none=True,
            example=("unet",),
        ),
    ]
    soft_edges: Annotated[
        float,
        _stage(
            help="let the edges of masks fade over this share of the distance of the outer corners of the eyes",
            default=0.0,
            unit="SHARE",
            within=Interval(0, 1),
            example=0.1,
        ),
    ]
    identify: Annotated[
        str | None,
        _stage(
            help="identifier",
            usual="none: faces become comparable only when that is asked for",
            unit="NAME",
            or_none=True,
            example="sface",
        ),
    ]


class PresetOptions(TypedDict, total=False):
    """Several options at once."""

    preset: Annotated[
        str | None,
        _stage(
            help="how stages are set where nothing else is said of them: fast, standard (also finds faces that lie or"
            " stand on their heads), best (smaller faces, truer landmarks, a mask more)",
            usual="none of them: each option as it says",
            among=tuple(PRESETS),
            sets=preset,
            example="standard",
        ),
    ]


class StageOptions(
    PresetOptions,
    DetectorOptions,
    ChoiceOptions,
    ExcerptOptions,
    ColourOptions,
    AlignerOptions,
    DerivedOptions,
    total=False,
):
    """Which stages a job has, and which frames and faces they are for."""


class WeightsOptions(TypedDict, total=False):
    """The user's own weights of stages."""

    weights: Annotated[
        Mapping[str, PathLike],
        _stage(
            help="weight file of your own for a stage, as in identify/arcface=net.onnx, in place of the catalog's",
            default={},
            unit="STAGE=FILE",
            parse=weight_files,
            example={"detect/yunet": "net.onnx"},
        ),
    ]


class PluginOptions(WeightsOptions, total=False):
    """What the plugins of stages are told."""

    settings: Annotated[
        Mapping[str, Mapping[str, Any]],
        _stage(
            help="option of a plugin (docs/plugins.md), as in detect/yunet.max_iou=0.4",
            default={},
            flag="set",
            unit="STAGE.OPTION=VALUE",
            parse=settings_of,
            example={"detect/yunet": {"max_iou": 0.4}},
        ),
    ]


class FlowOptions(StageOptions, ImportOptions, AlignedOptions, PluginOptions, total=False):
    """What a flow is made of: its stages, what they are told, and which frames and faces they are for."""
