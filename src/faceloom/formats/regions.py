"""Face regions in XMP, as digiKam, Lightroom, Picasa and others write and read them: written, read, and joined.

Source: Metadata Working Group, Guidelines for Handling Image Metadata 2.0, 5.9 (image regions) and 5.4: regions lie on
the picture as it is stored, and whoever turns it by its EXIF orientation turns them with it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.parsers import expat

from faceloom.formats import checks
from faceloom.geometry.stored import Area
from faceloom.units import MIB

_NAMES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
}
_X, _RDF, _REGIONS, _DIMENSIONS, _AREA, _TIFF = (f"{{{name}}}" for name in _NAMES.values())
_FACE = "Face"
MAX_BYTES = 16 * MIB
_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_END = '\n<?xpacket end="w"?>'
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML can hold (XML 1.0, 2.2)."""
_RESERVED = re.compile(r"ns\d+")
_SAME_PLACE = 0.3
"""Overlap from which on two programs mean the same face: their boxes differ, those of two faces hardly touch."""
_NUMBERED = re.compile(r"person \d+")
_SAME_SHAPE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceRegion:
    """A face in a picture, and who it is."""

    name: str | None
    area: Area
    """In the picture as it is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionPacket:
    """What a packet of XMP says of faces."""

    regions: tuple[FaceRegion, ...]
    size: tuple[float, float] | None
    """Width and height of the stored picture that they were drawn on."""
    orientation: int | None
    """As the packet says it; None: it does not."""

    def fits(self, width: int, height: int) -> bool:
        """Whether they were drawn on a picture of the shape of this stored one."""
        if self.size is None:
            return True
        ours, theirs = width / height, self.size[0] / self.size[1]
        return abs(ours - theirs) <= _SAME_SHAPE * ours


def write_packet(
    regions: Sequence[FaceRegion], *, width: int, height: int, orientation: int = 1, before: bytes | None = None
) -> bytes:
    """A packet of XMP with these regions, in place of those of the same faces in the packet that was there before.

    Everything else of that stays: other properties, other regions, and a name that somebody gave where ours is only a
    number.

    Args:
        regions: faces of the stored picture.
        width: pixels of the stored picture.
        height: likewise.
        orientation: said where it is not 1, for sidecars of pictures; a file has it in its EXIF already.
        before: the packet that was there.

    Raises:
        ValueError: what was there before is no XMP.
    """
    root = _parse(before) if before is not None else ElementTree.Element(f"{_X}xmpmeta")
    rdf = root if root.tag == f"{_RDF}RDF" else root.find(f"{_RDF}RDF")
    if rdf is None:
        rdf = ElementTree.SubElement(root, f"{_RDF}RDF")
    kept = _taken_out(rdf, regions)
    description = rdf.find(f"{_RDF}Description")
    if description is None:
        description = ElementTree.SubElement(rdf, f"{_RDF}Description", {f"{_RDF}about": ""})
    if orientation != 1 and not any(_properties(rdf, f"{_TIFF}Orientation")):
        description.set(f"{_TIFF}Orientation", str(orientation))
    ours = [one for one in regions if not any(_outdoes(there, one) for there in kept)]
    description.append(_element(ours, [there.element for there in kept], width, height))
    for prefix, uri in _NAMES.items():  # a packet may have called them otherwise, or something else so
        ElementTree.register_namespace(prefix, uri)
    return (_BEGIN + ElementTree.tostring(root, encoding="unicode") + _END).encode()


def read_packet(content: bytes) -> RegionPacket:
    """What a packet says of faces.

    Raises:
        ValueError: it is no XMP, or what it says makes no sense.
    """
    root = _parse(content)
    size: tuple[float, float] | None = None
    for info in _properties(root, f"{_REGIONS}Regions"):
        told = _fields(_field(info, f"{_REGIONS}AppliedToDimensions"))
        if f"{_DIMENSIONS}w" in told:
            width, height = (float(_text(told.get(f"{_DIMENSIONS}{name}", "0"))) for name in ("w", "h"))
            if not (0 < width < 1e7 and 0 < height < 1e7):
                raise ValueError("the picture of its regions has no size")
            size = width, height
    found = [there.region for there in _there(root, size) if there.kind == _FACE]
    told_orientation = next(iter(_properties(root, f"{_TIFF}Orientation")), None)
    orientation = None if told_orientation is None else checks.whole(int(_text(told_orientation)), "an orientation")
    return RegionPacket(regions=tuple(found), size=size, orientation=orientation)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _There:
    """A region of a packet."""

    element: ElementTree.Element
    kind: str
    region: FaceRegion


def _outdoes(there: _There, ours: FaceRegion) -> bool:
    """Whether a region of before is of the same face as one of ours, and has the better name."""
    return there.kind == _FACE and _is_same(there.region, ours)


def _taken_out(rdf: ElementTree.Element, ours: Sequence[FaceRegion]) -> list[_There]:
    """Takes all regions out of a packet; those that are to stay."""
    kept = [there for there in _there(rdf, None) if not _is_replaced(there, ours)]
    for description in rdf.iter(f"{_RDF}Description"):
        for info in description.findall(f"{_REGIONS}Regions"):
            description.remove(info)
    return kept


def _is_replaced(there: _There, ours: Sequence[FaceRegion]) -> bool:
    same = [one for one in ours if there.kind == _FACE and _is_same(there.region, one)]
    is_named = there.region.name is not None and not _NUMBERED.fullmatch(there.region.name)
    return any(not (is_named and _NUMBERED.fullmatch(one.name or "person 0")) for one in same)


def _is_same(one: FaceRegion, other: FaceRegion) -> bool:
    return overlap(one.area, other.area) >= _SAME_PLACE


def overlap(one: Area, other: Area) -> float:
    """How much of two areas they share, 0 to 1."""
    both = _shared(one.x, one.width, other.x, other.width) * _shared(one.y, one.height, other.y, other.height)
    union = one.width * one.height + other.width * other.height - both
    return both / union if union > 0 else 0.0


def _shared(middle: float, length: float, other_middle: float, other_length: float) -> float:
    """How long two intervals run together."""
    end = min(middle + length / 2, other_middle + other_length / 2)
    return max(0.0, end - max(middle - length / 2, other_middle - other_length / 2))


def pairs_of(regions: Sequence[Area], faces: Sequence[Area]) -> dict[int, int]:
    """Which face each region is of, by their places: those that overlap most first, each once; far apart none is."""
    ranked = sorted((-overlap(region, face), i, j) for i, region in enumerate(regions) for j, face in enumerate(faces))
    found: dict[int, int] = {}
    for negative, i, j in ranked:
        if -negative >= _SAME_PLACE and i not in found and j not in found.values():
            found[i] = j
    return dict(sorted(found.items()))


def _element(
    ours: Iterable[FaceRegion], others: Iterable[ElementTree.Element], width: int, height: int
) -> ElementTree.Element:
    resource = {f"{_RDF}parseType": "Resource"}
    info = ElementTree.Element(f"{_REGIONS}Regions", resource)
    size = {f"{_DIMENSIONS}w": str(width), f"{_DIMENSIONS}h": str(height), f"{_DIMENSIONS}unit": "pixel"}
    ElementTree.SubElement(info, f"{_REGIONS}AppliedToDimensions", size)
    bag = ElementTree.SubElement(ElementTree.SubElement(info, f"{_REGIONS}RegionList"), f"{_RDF}Bag")
    bag.extend(others)
    for one in ours:
        item = ElementTree.SubElement(bag, f"{_RDF}li")
        told = {f"{_REGIONS}Type": _FACE}
        if one.name is not None:
            told = {f"{_REGIONS}Name": _UNWRITABLE.sub("\ufffd", one.name), **told}
        description = ElementTree.SubElement(item, f"{_RDF}Description", told)
        numbers = {"x": one.area.x, "y": one.area.y, "w": one.area.width, "h": one.area.height}
        area = {f"{_AREA}{name}": f"{value:.6f}" for name, value in numbers.items()}
        ElementTree.SubElement(description, f"{_REGIONS}Area", {**area, f"{_AREA}unit": "normalized"})
    return info


def _there(root: ElementTree.Element, size: tuple[float, float] | None) -> Iterator[_There]:
    """The regions of a packet that have a place."""
    for info in _properties(root, f"{_REGIONS}Regions"):
        regions = _field(info, f"{_REGIONS}RegionList")
        for item in () if regions is None else regions.iter(f"{_RDF}li"):
            told = _fields(item)
            if f"{_REGIONS}Area" in told:
                name = told.get(f"{_REGIONS}Name")
                text = "" if name is None else _text(name).strip()
                region = FaceRegion(name=text or None, area=_area(told[f"{_REGIONS}Area"], size))
                yield _There(element=item, kind=_text(told.get(f"{_REGIONS}Type", _FACE)), region=region)


def _area(told: "str | ElementTree.Element", size: tuple[float, float] | None) -> Area:
    numbers = _fields(None if isinstance(told, str) else told)
    x, y, width, height = (float(_text(numbers.get(f"{_AREA}{name}", "0"))) for name in ("x", "y", "w", "h"))
    if _text(numbers.get(f"{_AREA}unit", "normalized")) == "pixel" and size is not None:
        x, y, width, height = x / size[0], y / size[1], width / size[0], height / size[1]
    if not all(-1 <= value <= 2 for value in (x, y, width, height)) or width < 0 or height < 0:  # no number is neither
        raise ValueError("a region lies outside of its picture")
    return Area(x, y, width, height)


def _properties(root: ElementTree.Element, name: str) -> Iterator["ElementTree.Element | str"]:
    """Of every description in a packet the property of a name, written as an element or as an attribute."""
    for description in root.iter(f"{_RDF}Description"):
        yield from description.findall(name)
        if name in description.attrib:
            yield description.attrib[name]


def _fields(element: ElementTree.Element | None) -> dict[str, "str | ElementTree.Element"]:
    """The fields of a structure, in any of the ways in which RDF writes them."""
    if element is None:
        return {}
    found: dict[str, str | ElementTree.Element] = dict(element.attrib)
    for child in element:
        found |= _fields(child) if child.tag == f"{_RDF}Description" else {child.tag: child}
    return found


def _field(element: "ElementTree.Element | str", name: str) -> ElementTree.Element | None:
    found = _fields(None if isinstance(element, str) else element).get(name)
    return None if isinstance(found, str) else found


def _text(told: "ElementTree.Element | str") -> str:
    return told if isinstance(told, str) else "".join(told.itertext()).strip()


def _parse(content: bytes) -> ElementTree.Element:
    """A packet as XML; its own prefixes are kept. A document type, and so every entity of its own, is refused."""
    if len(content) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES // MIB} MiB")
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.StartNamespaceDeclHandler = _keep_prefix
    parser.StartElementHandler = lambda tag, told: builder.start(_named(tag), {_named(k): v for k, v in told.items()})
    parser.EndElementHandler = lambda tag: builder.end(_named(tag))
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content.rstrip(b"\0 \r\n\t"), True)
        root = builder.close()
    except (expat.ExpatError, AssertionError) as error:
        raise ValueError(f"it is no XMP: {error}") from error
    if root.tag not in {f"{_X}xmpmeta", f"{_X}xapmeta", f"{_RDF}RDF"}:
        raise ValueError("it is no XMP, but other XML")
    return root


def _named(tag: str) -> str:
    return f"{{{tag}" if "}" in tag else tag


def _keep_prefix(prefix: str | None, uri: str | None) -> None:
    if prefix and uri and prefix != "xml" and not _RESERVED.fullmatch(prefix):
        ElementTree.register_namespace(prefix, uri)


def _refuse_document_type(*_: object) -> None:
    raise ValueError("it declares a document type, which is not read")
