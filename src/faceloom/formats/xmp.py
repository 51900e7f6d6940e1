"""XMP sidecars: names and places of faces for digiKam, Lightroom, Picasa and other picture libraries, a file a picture.

Sources as in regions.py; how sidecars are called: digiKam and darktable, `picture.jpg.xmp`.
"""

from collections.abc import Iterator

from faceloom.attributes import Part
from faceloom.formats.names import below
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, OrientationReader, Piece
from faceloom.formats.regions import FaceRegion, write_packet
from faceloom.geometry.stored import Area, as_stored

SUFFIX = ".xmp"


def named_regions(frame: FrameRecord, orientation: int) -> tuple[FaceRegion, ...]:
    """The faces of a still picture that are somebody's, as regions of the picture as it is stored."""
    return tuple(
        FaceRegion(name=face.person, area=as_stored(area_of(face, frame), orientation))
        for face in frame.faces
        if face.person
    )


def area_of(face: FaceRecord, frame: FrameRecord) -> Area:
    """Where a face is in its upright frame, whose size is known."""
    assert frame.width
    assert frame.height
    x0, y0, x1, y1 = (float(value) for value in face.box)
    # Pixels are points at their centres, and shares are of the picture from edge to edge.
    x, y = ((x0 + x1) / 2 + 0.5) / frame.width, ((y0 + y1) / 2 + 0.5) / frame.height
    return Area(x, y, (x1 - x0) / frame.width, (y1 - y0) / frame.height)


def is_still(frame: FrameRecord) -> bool:
    """Whether a frame is the picture that its source is, or its first page, and its size is known."""
    return frame.time is None and frame.id.index == 0 and bool(frame.width and frame.height)


def stored_size(frame: FrameRecord, orientation: int) -> tuple[int, int]:
    """Width and height of the picture as it is stored."""
    width, height = frame.width or 0, frame.height or 0
    return (height, width) if orientation >= 5 else (width, height)


def _write(frames: Frames, orientation_of: OrientationReader) -> Iterator[Piece]:
    for frame in frames:
        if is_still(frame) and any(face.person for face in frame.faces):
            orientation = orientation_of(frame.id.source)
            width, height = stored_size(frame, orientation)
            regions = named_regions(frame, orientation)
            content = write_packet(regions, width=width, height=height, orientation=orientation)
            yield f"{below(frame.id.source)}{SUFFIX}", content
    yield "", b""


FORMAT = Format(
    name="xmp",
    title="XMP sidecars with face regions (MWG)",
    suffix="",
    keeps=frozenset([Part.SIZES, Part.PERSONS]),
    changes="only faces of persons in pictures, without videos; places are rounded to a millionth of the picture",
    write_with_orientations=_write,
    is_folder=True,
)
