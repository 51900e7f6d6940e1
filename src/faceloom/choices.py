"""What options choose among: every word and every range once, for the table of options and for those who obey it.

Nothing here imports more than the standard library, so that the command line can list the words at once.
"""

from enum import StrEnum

REFEEDS = range(1, 33)
"""Over how many squares landmarks can be averaged."""


class Crop(StrEnum):
    """How much a chip shows around the middle of the inner landmarks."""

    FACE = "face"
    """All 68 landmarks of the mean face, from the brows to the chin."""
    HEAD = "head"
    """Hair, chin and ears too; what networks are given."""
    WHOLE = "whole"
    """The head with all its hair, neck and shoulders."""


class Passes(StrEnum):
    """Which networks are in memory together."""

    AUTO = "auto"
    """Those with which it takes least time."""
    TOGETHER = "together"
    SEPARATE = "separate"
    """Each alone."""


class Border(StrEnum):
    """What a chip shows beyond the edge of its frame."""

    REPEAT = "repeat"
    """The outermost pixels, again and again."""
    BLACK = "black"
    REFLECT = "reflect"
    """The frame, mirrored at its edge."""
    TRANSPARENT = "transparent"
    """Nothing: the chip has a fourth channel, of opacity."""


class Over(StrEnum):
    """What of a face is covered."""

    ELLIPSE = "ellipse"
    """The ellipse in its box."""
    BOX = "box"
    MASK = "mask"
    """All its masks; the ellipse where there are none."""


class Fill(StrEnum):
    """What faces are covered with."""

    BLUR = "blur"
    PIXELATE = "pixelate"
    SOLID = "solid"
    PICTURE = "picture"
    """One that a file holds."""


class ChipFormat(StrEnum):
    """How chips are written."""

    JPG = "jpg"
    PNG = "png"
    WEBP = "webp"


class Subsampling(StrEnum):
    """How many of a JPEG's pixels have a colour of their own."""

    NONE = "444"
    """Each."""
    HALF = "422"
    """One of two beside each other."""
    QUARTER = "420"
    """One of four, as cameras do."""


class Lighting(StrEnum):
    """What is made even of how a picture is lit."""

    NONE = "none"
    CLAHE = "clahe"
    """The histogram of brightness, tile by tile and within limits (Zuiderveld 1994, Graphics Gems IV)."""
    HIST = "hist"
    """The histogram of brightness of the whole picture."""
    MEAN = "mean"
    """Mean and standard deviation of each colour: 128 and 64."""


class Filter(StrEnum):
    """What a filter looks at."""

    CONFIDENCE = "confidence"
    """How much the aligner believes that there is a face, at least; 0 to 1. Networks that do not tell have 1."""
    DISTANCE = "distance"
    """How far the landmarks lie from the mean head in their pose, on the mean, at most; in eye distances."""
    SCALE = "scale"
    """The longer side of the landmarks over that of the box, at least, and its inverse, at most."""
    ROLL = "roll"
    """Degrees by which the head is turned in the picture, at most."""
    ORDER = "order"
    """Whether eyes and corners of the mouth are left and right, and brows, eyes, nose, mouth and chin top down."""
    QUALITY = "quality"
    """How good the face is, at least; 0 to 1."""
    SPREAD = "spread"
    """How far the landmarks of several aligners are apart, at most; in distances of the outer corners of the eyes."""


class Sort(StrEnum):
    """What stands first of a person's faces."""

    QUALITY = "quality"
    """The best, all in all."""
    SHARPNESS = "sharpness"
    """The sharpest."""
    SIZE = "size"
    """The largest."""
    POSE = "pose"
    """The most frontal."""
    SCORE = "score"
    """The one of which the detector is surest."""


class Each(StrEnum):
    """Of what so many faces are picked."""

    ALL = "all"
    """Of all faces together."""
    PERSON = "person"
    SOURCE = "source"
    TRACK = "track"
    """Of each face as it goes through its shot; faces of pictures are in no track."""


class Laid(StrEnum):
    """How faces are laid out that were picked or sorted."""

    COPIES = "copies"
    LINKS = "links"
    LIST = "list"
    """No chips: a file that names them."""


class EngineName(StrEnum):
    """Which engine runs the networks."""

    ONNX = "onnx"
    TORCH = "torch"


class Precision(StrEnum):
    """Of a network's arithmetic."""

    FP32 = "fp32"
    TF32 = "tf32"
    """Products of 10 bits of mantissa, on cards that have it."""
    FP16 = "fp16"


class SortKey(StrEnum):
    """What faces are sorted by."""

    QUALITY = "quality"
    SHARPNESS = "sharpness"
    SIZE = "size"
    """The longer side of the box, pixels."""
    SCORE = "score"
    YAW = "yaw"
    PITCH = "pitch"
    ROLL = "roll"
    BORDER = "border"
    """The share of the chip that lies beyond the frame."""
    TIME = "time"
    """In the source; pictures have none."""
    NAME = "name"
    """Source, frame and index."""
    BRIGHTNESS = "brightness"
    """Mean luma of the middle of the chip, where the face is."""
    LUMA = "luma"
    """Mean luma of the chip."""
    HUE = "hue"
    """Mean hue of the chip, degrees."""
    GREEN = "green"
    """From purple to green, as YCgCo has it."""
    ORANGE = "orange"
    """From blue to orange, as YCgCo has it."""
    MEAN_FACE = "mean-face"
    """How far the landmarks are from those of the mean head in the same pose."""
    HISTOGRAM = "histogram"
    """Alike in the histogram of luma beside each other, and likewise with those that follow."""
    LANDMARKS = "landmarks"
    """Alike in their landmarks, and in where these lie in the frame."""
    SHAPE = "shape"
    """Alike in their landmarks without place, size and turn."""
    IDENTITY = "identity"
    """Alike in their embeddings."""


class SeenBy(StrEnum):
    """Of whom a timeline tells when they are seen."""

    PERSON = "person"
    """Of persons, as `faceloom group` and people name them."""
    TRACK = "track"
    """Of tracks, as `faceloom track` numbers them."""
