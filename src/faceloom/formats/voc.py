"""Pascal VOC: an XML file of boxes for each frame, in whole pixels of which the first is (1, 1).

Source: Everingham et al. 2010, "The Pascal visual object classes (VOC) challenge", and its development kit, section 8.
"""

from collections.abc import Iterator

import numpy as np

from faceloom.attributes import Part
from faceloom.formats.names import below, frame_name, known_size, unique_names, without_suffix, xml_text
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece


def _write(frames: Frames) -> Iterator[Piece]:
    once = unique_names()
    for frame in frames:
        name = frame_name(frame)
        place = once(f"Annotations/{without_suffix(below(name))}.xml", "name without suffix")
        yield place, _document(name, frame).encode()


def _document(name: str, frame: FrameRecord) -> str:
    width, height = known_size(frame)
    folder, _, file = name.rpartition("/")
    lines = [
        "<annotation>",
        f"\t<folder>{xml_text(folder)}</folder>",
        f"\t<filename>{xml_text(file)}</filename>",
        "\t<source><database>faceloom</database></source>",
        f"\t<size><width>{width}</width><height>{height}</height><depth>3</depth></size>",
        "\t<segmented>0</segmented>",
        *(_object(face, width, height) for face in frame.faces),
        "</annotation>\n",
    ]
    return "\n".join(lines)


def _object(face: FaceRecord, width: int, height: int) -> str:
    whole = np.rint(face.box).astype(np.int64) + 1
    x0, y0, x1, y1 = np.clip(whole, 1, [width, height] * 2).tolist()
    is_cut = int((whole != (x0, y0, x1, y1)).any())
    box = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    kind = f"<name>face</name><pose>Unspecified</pose><truncated>{is_cut}</truncated><difficult>0</difficult>"
    return f"\t<object>{kind}<bndbox>{box}</bndbox></object>"


FORMAT = Format(
    name="voc",
    title="Pascal VOC",
    suffix="",
    keeps=frozenset([Part.SIZES, Part.EMPTY]),
    changes="boxes become whole pixels and are clipped to the frame",
    write=_write,
    is_folder=True,
)
