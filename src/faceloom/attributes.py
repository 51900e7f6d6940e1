"""The one table of a face's attributes: a field each, which says what it is, how it is kept and where it is told.

The store's columns and queries, JSON lines, chip files, CSV, Parquet and the documentation are made from it. To add an
attribute, add a field and its part here, and have a step fill the field in.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import Enum, StrEnum, auto
from operator import attrgetter
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.affine import Affine, Points
from faceloom.geometry.pose import Pose


class Part(StrEnum):
    """What a format can hold besides the boxes of frames."""

    TIMES = "times"
    SIZES = "frame sizes"
    EMPTY = "frames without a face"
    SCORES = "scores"
    KEYPOINTS = "keypoints"
    LANDMARKS = "landmarks"
    CONFIDENCE = "confidences of the aligner"
    SPREADS = "spreads of landmarks"
    IRISES = "irises"
    BLENDSHAPES = "blendshapes"
    POSES = "poses"
    SHARPNESS = "sharpness"
    QUALITIES = "qualities"
    MADE_UP = "shares of chips beyond the frame"
    REJECTED = "rejected faces"
    AFFINES = "affine maps"
    MASKS = "masks"
    EMBEDDINGS = "embeddings"
    CHIPS = "paths of chips"
    PERSONS = "persons"
    TRACKS = "tracks"
    ADDED = "who added faces"
    MARKS = "which faces fill gaps"


class Kind(Enum):
    """What an attribute's values are, from which every medium knows how to write and to read them."""

    WHOLE = auto()
    """int, from 0."""
    NUMBER = auto()
    """float"""
    TEXT = auto()
    """str, not empty."""
    NAME = auto()
    """str, empty where somebody looked for it and found none."""
    POINTS = auto()
    """An array of pixels."""
    NUMBERS = auto()
    """An array of any other numbers."""
    BOX = auto()
    """An array of four pixels, in the store a column each."""
    POSE = auto()
    """A `Pose`, in the store a column each."""
    MASKS = auto()
    """Encoded pictures by name, in the store a table of their own."""


class Presence(Enum):
    """When a line of an export has the key of an attribute."""

    ALWAYS = auto()
    """Its value is null where it is not known."""
    KNOWN = auto()
    """In lines, where it is known; a table has its column always."""
    ASKED = auto()
    """Where it is known, which takes a user who asked for it; other tables have no such column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """How one attribute of a face is kept and told."""

    kind: Kind
    about: str
    """One sentence for the documentation."""
    name: str = ""
    """Of the field that it is stated with."""
    key: str = ""
    """In lines and tables; the field's name unless it is told."""
    columns: tuple[str, ...] = ()
    """In the store's table of faces; for all but masks the key unless they are told."""
    is_required: bool = False
    """Every face has it."""
    shape: tuple[int, ...] = ()
    """Of an array; -1 stands for any length."""
    dtype: type[np.floating[Any]] = np.float32
    """Of an array."""
    digits: int | None = None
    """Decimals in exports of text and in chip files; None: it is no number."""
    part: Part | None = None
    """What a format without it says that it lacks; None: every format has it."""
    presence: Presence = Presence.ALWAYS
    in_chips: bool = True
    """Chip files say it."""
    is_given: bool = False
    """Files of faces tell it, and stages that are added to a result are given it."""
    is_added: bool = False
    """Stages that are added to a result write it."""
    is_remade: bool = False
    """It is made anew of a face that somebody added or moved."""
    since: int = 1
    """The first version of the store's schema that has it."""

    def of_field(self, name: str) -> "Attribute":
        """This one with what follows from the name of its field."""
        key = self.key or name
        columns = self.columns or (() if self.kind is Kind.MASKS else (key,))
        return replace(self, name=name, key=key, columns=columns)


MaskT = TypeVar("MaskT")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FaceAttributes(Generic[MaskT]):
    """What there is to know of a face, in the order in which exports tell it; pixels are the frame's.

    None means that no stage has written it yet, or that the file, or the run, does not tell it.
    """

    index: Annotated[
        int,
        Attribute(
            kind=Kind.WHOLE, columns=("idx",), is_required=True, is_given=True, about="0-based, best score first."
        ),
    ]
    box: Annotated[
        NDArray[np.float32],
        Attribute(
            kind=Kind.BOX,
            columns=("x0", "y0", "x1", "y1"),
            is_required=True,
            shape=(4,),
            digits=3,
            is_given=True,
            about="Where the face is: x0, y0, x1, y1.",
        ),
    ]
    score: Annotated[
        float | None,
        Attribute(
            kind=Kind.NUMBER,
            is_required=True,
            digits=4,
            part=Part.SCORES,
            is_given=True,
            about="The detector's belief that this is a face, 0 to 1.",
        ),
    ] = None
    keypoints: Annotated[
        Points | None,
        Attribute(
            kind=Kind.POINTS,
            shape=(5, 2),
            digits=3,
            part=Part.KEYPOINTS,
            is_given=True,
            about="Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture.",
        ),
    ] = None
    landmarks: Annotated[
        Points | None,
        Attribute(
            kind=Kind.POINTS,
            shape=(68, 2),
            digits=3,
            part=Part.LANDMARKS,
            is_given=True,
            is_remade=True,
            about="The 68 points of the iBUG scheme.",
        ),
    ] = None
    confidence: Annotated[
        float | None,
        Attribute(
            kind=Kind.NUMBER,
            digits=4,
            part=Part.CONFIDENCE,
            presence=Presence.KNOWN,
            is_given=True,
            is_remade=True,
            about="The aligner's own belief that this is a face, 0 to 1, if it has one.",
        ),
    ] = None
    landmark_spread: Annotated[
        float | None,
        Attribute(
            kind=Kind.NUMBER,
            digits=4,
            part=Part.SPREADS,
            presence=Presence.KNOWN,
            is_given=True,
            since=5,
            is_remade=True,
            about="How far the landmarks of several aligners are apart, in distances of the outer corners of the eyes.",
        ),
    ] = None
    irises: Annotated[
        Points | None,
        Attribute(
            kind=Kind.POINTS,
            shape=(10, 2),
            digits=3,
            part=Part.IRISES,
            presence=Presence.ASKED,
            in_chips=False,
            since=7,
            is_remade=True,
            about="Of the left, then the right iris, as seen in the picture: middle, right, upper, left, lower edge.",
        ),
    ] = None
    blendshapes: Annotated[
        NDArray[np.float32] | None,
        Attribute(
            kind=Kind.NUMBERS,
            shape=(52,),
            digits=4,
            part=Part.BLENDSHAPES,
            presence=Presence.ASKED,
            in_chips=False,
            since=10,
            is_remade=True,
            about="How far each of 52 parts of an expression is there, 0 to 1, in the order of `BLENDSHAPES`.",
        ),
    ] = None
    frame_to_chip: Annotated[
        Affine | None,
        Attribute(
            kind=Kind.NUMBERS,
            key="affine",
            shape=(2, 3),
            dtype=np.float64,
            digits=6,
            part=Part.AFFINES,
            is_remade=True,
            about="Maps (x, y, 1) of the frame to the chip.",
        ),
    ] = None
    pose: Annotated[
        Pose | None,
        Attribute(
            kind=Kind.POSE,
            columns=("pitch", "yaw", "roll"),
            shape=(3,),
            dtype=np.float64,
            digits=2,
            part=Part.POSES,
            since=2,
            is_remade=True,
            about="How the head is turned, in degrees: pitch, yaw, roll.",
        ),
    ] = None
    sharpness: Annotated[
        float | None,
        Attribute(
            kind=Kind.NUMBER,
            digits=2,
            part=Part.SHARPNESS,
            since=2,
            is_remade=True,
            about="How sharp the pixels between brows and mouth are.",
        ),
    ] = None
    made_up: Annotated[
        float | None,
        Attribute(
            kind=Kind.NUMBER,
            digits=4,
            part=Part.MADE_UP,
            presence=Presence.KNOWN,
            since=3,
            is_remade=True,
            about="The share of the chip's square that lies beyond the frame, 0 to 1.",
        ),
    ] = None
    quality: Annotated[
        float | None,
        Attribute(
            kind=Kind.NUMBER,
            digits=3,
            part=Part.QUALITIES,
            presence=Presence.KNOWN,
            since=5,
            is_remade=True,
            about="How well the face will do to tell whose it is, 0 to 1.",
        ),
    ] = None
    rejected: Annotated[
        str | None,
        Attribute(
            kind=Kind.TEXT,
            part=Part.REJECTED,
            presence=Presence.KNOWN,
            in_chips=False,
            since=2,
            about="Why a filter marked the face; such a face keeps what it has, and no later stage is given it.",
        ),
    ] = None
    masks: Annotated[
        Mapping[str, MaskT],
        Attribute(
            kind=Kind.MASKS,
            part=Part.MASKS,
            in_chips=False,
            about="By the plugin's name, coverage 0 to 255 of the square that the chip shows.",
        ),
    ] = field(default_factory=dict)
    embedding: Annotated[
        NDArray[np.float32] | None,
        Attribute(
            kind=Kind.NUMBERS,
            shape=(-1,),
            digits=6,
            part=Part.EMBEDDINGS,
            presence=Presence.ASKED,
            in_chips=False,
            is_added=True,
            is_remade=True,
            about="What tells persons apart, of unit length.",
        ),
    ] = None
    person: Annotated[
        str | None,
        Attribute(
            kind=Kind.NAME,
            part=Part.PERSONS,
            presence=Presence.ASKED,
            in_chips=False,
            since=2,
            about="Whose face it is, as `faceloom group` names persons; empty (in JSON null) if nobody's.",
        ),
    ] = None
    track: Annotated[
        int | None,
        Attribute(
            kind=Kind.WHOLE,
            part=Part.TRACKS,
            presence=Presence.KNOWN,
            in_chips=False,
            since=8,
            about="Which track of its video it is in, as `faceloom track` numbers them, from 1; null in pictures.",
        ),
    ] = None
    chip: Annotated[
        str | None,
        Attribute(
            kind=Kind.TEXT, part=Part.CHIPS, in_chips=False, about="The path of the chip below the result folder."
        ),
    ] = None
    mark: Annotated[
        str | None,
        Attribute(
            kind=Kind.TEXT,
            part=Part.MARKS,
            presence=Presence.KNOWN,
            in_chips=False,
            since=11,
            about="Of a face that fills a gap of its track: `filled`, seen there, or `interpolated`, not seen.",
        ),
    ] = None
    added_by: Annotated[
        str | None,
        Attribute(
            kind=Kind.TEXT,
            part=Part.ADDED,
            presence=Presence.ASKED,
            in_chips=False,
            since=9,
            about="The `uid` of the correction by which somebody added the face that no detector had found.",
        ),
    ] = None


_TOLD = get_type_hints(FaceAttributes, include_extras=True)
ATTRIBUTES: tuple[Attribute, ...] = tuple(
    _TOLD[one.name].__metadata__[0].of_field(one.name) for one in fields(FaceAttributes)
)
"""Every attribute, in the order of the keys of a line."""
_values = attrgetter(*(attribute.name for attribute in ATTRIBUTES))


def attributes_of(face: FaceAttributes[Any]) -> dict[str, Any]:
    """All attributes of a face by name, for another noun that holds them."""
    return dict(zip((attribute.name for attribute in ATTRIBUTES), _values(face), strict=True))
