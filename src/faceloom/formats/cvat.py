"""CVAT for video 1.1: an XML file a source, in which each face is a track of its box and tracks of its points.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from faceloom.attributes import Part
from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats import checks
from faceloom.formats.names import below, one_line
from faceloom.formats.record import FaceRecord, Format, FrameRecord, Frames, Piece
from faceloom.geometry.affine import Points
from faceloom.units import KIB, MIB

_SUFFIX = ".xml"
_FACE = "face"
_POINTS = {68: "landmarks", 5: "keypoints"}
_LABELS = "".join(
    f"<label><name>{name}</name><attributes>{attributes}</attributes></label>"
    for name, attributes in (
        (
            _FACE,
            "".join(
                f"<attribute><name>{name}</name><mutable>True</mutable><input_type>text</input_type></attribute>"
                for name in ("score", "person")
            ),
        ),
        *((name, "") for name in _POINTS.values()),
    )
)
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_SHAPES = 1_000_000
_MAX_DEPTH = 32
_MAX_TOKEN_BYTES = 1 * MIB
_MAX_TEXT = 4096
_CHUNK_BYTES = 64 * KIB


def _write(frames: Frames) -> Iterator[Piece]:
    for source, of_source in itertools.groupby(frames, key=lambda frame: frame.id.source):
        with_faces = (frame for frame in of_source if frame.faces)
        first = next(with_faces, None)
        if first is not None:
            name = below(source) + _SUFFIX
            yield from ((name, piece) for piece in _document(first, with_faces))


def _document(first: FrameRecord, others: Iterator[FrameRecord]) -> Iterator[bytes]:
    source = _text(one_line(first.id.source))
    size = ""
    if first.width is not None:
        size = f"<original_size><width>{first.width}</width><height>{first.height}</height></original_size>"
    yield (
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta><task>'
        f"<name>{source}</name><mode>interpolation</mode><labels>{_LABELS}</labels>{size}"
        f"</task><source>{source}</source></meta>\n"
    ).encode()
    tracks, groups = itertools.count(), itertools.count(1)
    for frame, following in itertools.pairwise(itertools.chain([first], others, [None])):
        assert frame is not None
        for face in frame.faces:
            yield "".join(_tracks(frame.id.index, face, tracks, next(groups), ends=following is not None)).encode()
    yield b"</annotations>\n"


def _tracks(index: int, face: FaceRecord, tracks: Iterator[int], group: int, *, ends: bool) -> Iterator[str]:
    """The tracks of a face: each is there in one frame and, unless nothing follows, said to be gone in the next."""
    x0, y0, x1, y1 = face.box.tolist()
    told = {"score": None if face.score is None else f"{face.score:.4f}", "person": face.person}
    attributes = [(name, _text(value)) for name, value in told.items() if value is not None]
    inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes)
    shapes = [(_FACE, "box", f'xtl="{x0:.3f}" ytl="{y0:.3f}" xbr="{x1:.3f}" ybr="{y1:.3f}"', inner)]
    shapes += [
        (_POINTS[len(points)], "points", f'points="{_pairs(points)}"', "")
        for points in (face.landmarks, face.keypoints)
        if points is not None
    ]
    for label, shape, pixels, content in shapes:
        yield f'<track id="{next(tracks)}" label="{label}" source="auto" group_id="{group}">\n'
        for outside in (0, 1) if ends else (0,):
            place = f'outside="{outside}" occluded="0" keyframe="1" {pixels} z_order="0"'
            yield f'<{shape} frame="{index + outside}" {place}>{content}</{shape}>\n'
        yield "</track>\n"


def _pairs(points: Points) -> str:
    return ";".join(f"{x:.3f},{y:.3f}" for x, y in points.tolist())


def _text(value: str) -> str:
    if _NOT_IN_XML.search(value):
        raise RequestError(f"{value!r} has characters that XML cannot hold; export to jsonl or csv")
    return escape(value)


def _read(path: Path) -> Iterator[FrameRecord]:
    with checks.reading(path, FORMAT.title):
        if not path.is_dir():
            yield from _read_file(path, path.name.removesuffix(_SUFFIX))
            return
        files = {file.relative_to(path).as_posix().removesuffix(_SUFFIX): file for file in path.rglob("*" + _SUFFIX)}
        for name, file in sorted(files.items()):
            with checks.reading(file, FORMAT.title):
                yield from _read_file(file, name)


def _read_file(path: Path, name: str) -> Iterator[FrameRecord]:
    found = _Found()
    _parse(path, found)
    source = checks.name(found.texts.get("source", name).strip(), "the source")
    width, height = (_side(found.texts.get(side)) for side in ("width", "height"))
    for index, faces in sorted(found.faces().items()):
        yield FrameRecord(id=FrameId(source, index), width=width, height=height, faces=tuple(faces))


def _side(text: str | None) -> int | None:
    return None if text is None else checks.whole(int(text), "the side of a frame")


@dataclass(slots=True)
class _Shape:
    """A box, or points, of a track in one frame."""

    frame: int
    group: int
    label: str
    pixels: NDArray[np.float32]
    """(4,) of a box, else (K, 2)."""
    attributes: dict[str, str] = field(default_factory=dict)


class _Found:
    """What the parser tells, element by element."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        """Source, width and height."""
        self._boxes: list[_Shape] = []
        self._points: list[_Shape] = []
        self._path: list[str] = []
        self._track: dict[str, str] = {}
        self._shape: _Shape | None = None
        self._key = ""
        self._text: list[str] = []
        self._text_length = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) >= _MAX_DEPTH:
            raise ValueError(f"elements lie more than {_MAX_DEPTH} deep")
        if not self._path and name != "annotations":
            raise ValueError(f"its root is {name[:64]!r}, not annotations")
        if self._path == ["annotations"] and name == "image":
            raise ValueError("it has images and not tracks; export it as CVAT for video")
        self._begin_text()
        if name == "track":
            self._track = attributes
        elif self._path[1:] == ["track"] and name in {"box", "points"}:
            self._shape = self._shape_of(name, attributes)
        elif self._path[1:2] == ["track"] and name == "attribute":
            self._key = attributes["name"]
        self._path.append(name)

    def end(self, name: str) -> None:
        self._path.pop()
        text = "".join(self._text)
        if self._path[1:] in (["track", "box"], ["track", "points"]) and name == "attribute" and self._shape:
            self._shape.attributes[self._key] = text
        elif self._path[1:2] == ["meta"] and name in {"source", "width", "height"}:
            self.texts[name] = text
        elif self._path[1:] == ["track"] and name in {"box", "points"}:
            self._shape = None
        self._begin_text()

    def text(self, content: str) -> None:
        self._text.append(content)
        self._text_length += len(content)
        if self._text_length > _MAX_TEXT:
            raise ValueError(f"a text of more than {_MAX_TEXT:,} characters")

    def _begin_text(self) -> None:
        self._text, self._text_length = [], 0

    def _shape_of(self, name: str, attributes: dict[str, str]) -> _Shape | None:
        """The shape that begins, kept if it is of any use."""
        if attributes.get("outside") == "1":
            return None
        if name == "box":
            pixels = checks.box(*(float(attributes[side]) for side in ("xtl", "ytl", "xbr", "ybr")))
            kept = self._boxes
        elif attributes["points"].count(";") + 1 in _POINTS:
            pairs = [pair.split(",") for pair in attributes["points"].split(";")]
            pixels = checks.pixels([[float(x), float(y)] for x, y in pairs], (-1, 2), "points")
            kept = self._points
        else:
            return None
        if len(self._boxes) + len(self._points) >= _MAX_SHAPES:
            raise ValueError(f"it has more than {_MAX_SHAPES:,} boxes and points")
        frame = checks.whole(int(attributes["frame"]), "a frame")
        group = checks.whole(int(self._track.get("group_id") or 0), "a group")
        kept.append(_Shape(frame, group, self._track.get("label", ""), pixels))
        return kept[-1]

    def faces(self) -> dict[int, list[FaceRecord]]:
        """The faces of each frame: boxes of the label `face`, or of all where there is none, each with its group's
        points; where there are no boxes, points of 68.
        """
        labelled = [box for box in self._boxes if box.label == _FACE]
        points: dict[tuple[int, int], dict[int, Points]] = defaultdict(dict)
        for shape in self._points:
            if shape.group:
                points[shape.frame, shape.group][len(shape.pixels)] = shape.pixels
        faces: dict[int, list[FaceRecord]] = defaultdict(list)
        for box in labelled or self._boxes:
            own = points.get((box.frame, box.group), {})
            of_frame = faces[box.frame]
            score = box.attributes.get("score")
            of_frame.append(
                FaceRecord(
                    index=len(of_frame),
                    box=box.pixels,
                    score=checks.score(float(score)) if score else None,
                    landmarks=own.get(68),
                    keypoints=own.get(5),
                    person=box.attributes.get("person"),
                )
            )
        for shape in [] if self._boxes else self._points:
            if len(shape.pixels) == 68:
                (x0, y0), (x1, y1) = shape.pixels.min(axis=0).tolist(), shape.pixels.max(axis=0).tolist()
                of_frame = faces[shape.frame]
                of_frame.append(FaceRecord(index=len(of_frame), box=checks.box(x0, y0, x1, y1), landmarks=shape.pixels))
        return faces


def _parse(path: Path, found: _Found) -> None:
    """Parses a file piece by piece; a document type, and so every entity of a file's own, is refused."""
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartElementHandler = found.start
    parser.EndElementHandler = found.end
    parser.CharacterDataHandler = found.text
    parsed = 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK_BYTES):
                parsed += len(piece)
                if parsed > checks.MAX_FILE_BYTES:
                    raise ValueError(f"it has more than {checks.MAX_FILE_BYTES // MIB} MiB")
                parser.Parse(piece, False)
                if parsed - parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
                    raise ValueError(f"an element of more than {_MAX_TOKEN_BYTES // MIB} MiB")
            parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ValueError(f"it is no XML: {error}") from error


def _refuse_document_type(*_: object) -> None:
    raise ValueError("it declares a document type, which files of this format do not, and which is not read")


FORMAT = Format(
    name="cvat",
    title="CVAT for video 1.1",
    suffix="",
    keeps=frozenset([Part.SIZES, Part.SCORES, Part.KEYPOINTS, Part.LANDMARKS, Part.PERSONS]),
    changes="pixels are rounded to 3 decimals, scores to 4",
    write=_write,
    read=_read,
    is_folder=True,
)
