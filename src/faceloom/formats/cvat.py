"""CVAT for video 1.1: an XML file a source, in which each track is tracks of its box and of its points.

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
                for name in ("index", "score", "person", "track")
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
_LONGEST_GAP = 300
"""Frames after which a track whose face is not there is written; should it come back, that is a track of its own."""


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
    written = _Tracks()
    for frame, following in itertools.pairwise(itertools.chain([first], others, [None])):
        assert frame is not None
        yield from written.go_on(frame, ends=following is None)
    yield from written.end()
    yield b"</annotations>\n"


@dataclass(slots=True, eq=False)
class _Open:
    """A track that is being written: the shapes of its face so far, by label."""

    group: int
    shapes: dict[str, list[str]] = field(default_factory=dict)
    gone: dict[str, str] = field(default_factory=dict)
    """The same shapes said to be gone in the frame after the last one."""
    last: int = -1


class _Tracks:
    """The tracks of a source: those that are open are held until their face has been gone for long."""

    def __init__(self) -> None:
        self._numbers, self._groups = itertools.count(), itertools.count(1)
        self._open: dict[int, _Open] = {}

    def go_on(self, frame: FrameRecord, *, ends: bool) -> Iterator[bytes]:
        """The tracks that are whole with this frame; one that is the last says of no face that it is gone after it."""
        index = frame.id.index
        for number in [number for number, one in self._open.items() if index - one.last > _LONGEST_GAP]:
            yield self._text(self._open.pop(number))
        for face in frame.faces:
            one = self._of(face.track, index)
            shapes = _shapes(face)
            for label in one.gone.keys() - ({told[0] for told in shapes} if one.last + 1 == index else set()):
                one.shapes[label].append(one.gone[label])
            one.gone, one.last = {}, index
            for label, shape, pixels, content in shapes:
                one.shapes.setdefault(label, []).append(_shape(shape, index, 0, pixels, content))
                if not ends:
                    one.gone[label] = _shape(shape, index + 1, 1, pixels, content)
            if one not in self._open.values():
                yield self._text(one)

    def _of(self, track: int | None, index: int) -> _Open:
        """What a face goes on with, or begins; it is not held if nothing can go on with it."""
        if track is None or (track in self._open and self._open[track].last == index):
            return _Open(next(self._groups))
        if track not in self._open:
            self._open[track] = _Open(next(self._groups))
        return self._open[track]

    def end(self) -> Iterator[bytes]:
        """The tracks that are still open."""
        yield from map(self._text, self._open.values())

    def _text(self, one: _Open) -> bytes:
        texts = []
        for label, shapes in one.shapes.items():
            texts.append(f'<track id="{next(self._numbers)}" label="{label}" source="auto" group_id="{one.group}">\n')
            texts += [*shapes, one.gone.get(label, ""), "</track>\n"]
        return "".join(texts).encode()


def _shapes(face: FaceRecord) -> list[tuple[str, str, str, str]]:
    """Label, kind, pixels and content of a face's box and points."""
    x0, y0, x1, y1 = face.box.tolist()
    told = {
        "index": str(face.index),
        "score": None if face.score is None else f"{face.score:.4f}",
        "person": face.person,
        "track": None if face.track is None else str(face.track),
    }
    attributes = [(name, _text(value)) for name, value in told.items() if value is not None]
    inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes)
    shapes = [(_FACE, "box", f'xtl="{x0:.3f}" ytl="{y0:.3f}" xbr="{x1:.3f}" ybr="{y1:.3f}"', inner)]
    shapes += [
        (_POINTS[len(points)], "points", f'points="{_pairs(points)}"', "")
        for points in (face.landmarks, face.keypoints)
        if points is not None
    ]
    return shapes


def _shape(shape: str, index: int, outside: int, pixels: str, content: str) -> str:
    place = f'outside="{outside}" occluded="0" keyframe="1" {pixels} z_order="0"'
    return f'<{shape} frame="{index}" {place}>{content}</{shape}>\n'


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
        self._keys: list[tuple[int, _Shape | None]] = []
        """Of the track at hand, the frames in which it is told, with its shape unless it is gone there."""
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
            self._track, self._keys = attributes, []
        elif self._path[1:] == ["track"] and name in {"box", "points"}:
            self._shape = self._shape_of(name, attributes)
            self._keys.append((checks.whole(int(attributes["frame"]), "a frame"), self._shape))
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
        elif self._path == ["annotations"] and name == "track":
            self._fill()
        self._begin_text()

    def _fill(self) -> None:
        """Lays the shape of a track between its keyframes, as CVAT shows it: in a straight line."""
        keys = sorted(self._keys, key=lambda key: key[0])
        for (first, one), (last, other) in itertools.pairwise(keys):
            if one is None or other is None or one.pixels.shape != other.pixels.shape:
                continue
            kept = self._boxes if one.pixels.ndim == 1 else self._points
            for frame in range(first + 1, last):
                part = (frame - first) / (last - first)
                pixels = (one.pixels + part * (other.pixels - one.pixels)).astype(np.float32)
                self._keep(kept, _Shape(frame, one.group, one.label, pixels, one.attributes))

    def _keep(self, kept: list[_Shape], shape: _Shape) -> None:
        if len(self._boxes) + len(self._points) >= _MAX_SHAPES:
            raise ValueError(f"it has more than {_MAX_SHAPES:,} boxes and points")
        kept.append(shape)

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
        frame = checks.whole(int(attributes["frame"]), "a frame")
        group = checks.whole(int(self._track.get("group_id") or 0), "a group")
        self._keep(kept, _Shape(frame, group, self._track.get("label", ""), pixels))
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
        for box in sorted(labelled or self._boxes, key=_rank):
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
                    track=checks.whole(int(track), "a track") if (track := box.attributes.get("track")) else None,
                )
            )
        for shape in [] if self._boxes else self._points:
            if len(shape.pixels) == 68:
                (x0, y0), (x1, y1) = shape.pixels.min(axis=0).tolist(), shape.pixels.max(axis=0).tolist()
                of_frame = faces[shape.frame]
                of_frame.append(FaceRecord(index=len(of_frame), box=checks.box(x0, y0, x1, y1), landmarks=shape.pixels))
        return faces


def _rank(box: _Shape) -> int:
    """Where a face stands among those of its frame; those that do not say it come first, as they are in the file."""
    return checks.whole(int(box.attributes.get("index") or 0), "an index")


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
    keeps=frozenset([Part.SIZES, Part.SCORES, Part.KEYPOINTS, Part.LANDMARKS, Part.PERSONS, Part.TRACKS]),
    changes="pixels are rounded to 3 decimals, scores to 4",
    write=_write,
    read=_read,
    is_folder=True,
)
