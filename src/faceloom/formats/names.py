"""Names of frames, for formats that know pictures alone.

A still picture has its source's name; a frame of a video is `clip.mp4#000012.png`, as if somebody had cut it out.
"""

import re
from collections.abc import Callable
from pathlib import PurePosixPath
from xml.sax.saxutils import escape

from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats.record import FrameRecord

_LONGEST = 50
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CUT_OUT = re.compile(r"(.+)#(\d{6,18})\.png", re.DOTALL | re.ASCII)


def frame_name(frame: FrameRecord) -> str:
    """The name of a frame's picture; no two frames have the same."""
    is_still = frame.time is None and frame.id.index == 0
    if is_still and not _CUT_OUT.fullmatch(frame.id.source):
        return frame.id.source
    return f"{frame.id.source}#{frame.id.index:06}.png"


def frame_named(name: str) -> FrameId:
    """The frame of a name, whether it is one of ours or another program's."""
    cut_out = _CUT_OUT.fullmatch(name)
    return FrameId(cut_out[1], int(cut_out[2])) if cut_out else FrameId(name, 0)


def one_line(name: str) -> str:
    """The name, which is to stand in a line of its own.

    Raises:
        RequestError: it is empty, or does not stay on one line as it is.
    """
    if not name or name.splitlines() != [name] or name != name.strip():
        raise RequestError(f"the name {name!r} cannot stand in a line of this format; export to jsonl or csv")
    return name


def below(source: str) -> str:
    """The name, which is to be that of a file or folder in the export's folder.

    Raises:
        RequestError: it leads out of it.
    """
    if any(part in ("/", "..") for part in PurePosixPath(source).parts):
        raise RequestError(f"the source {source!r} would be written outside the folder")
    return source


def without_suffix(name: str) -> str:
    """The name of a picture without the suffix of its last part, as programs name what belongs to it."""
    return str(PurePosixPath(name).with_suffix("")) if PurePosixPath(name).suffix else name


def unique_names() -> Callable[[str, str], str]:
    """Gives `name(text, what)`: the text, if no other has been given before.

    Raises:
        RequestError: two are the same; for what of the pictures is said.
    """
    known: set[int] = set()

    def once(text: str, what: str) -> str:
        key = hash(text)
        if key in known:
            raise RequestError(
                f"two pictures have the same {what}, {text!r}, in this format; export them one at a time"
            )
        known.add(key)
        return text

    return once


def flat_names() -> Callable[[str], str]:
    """Gives a name for each source that can be that of a file, readable and like no other; sources come sorted."""
    taken: dict[str, str] = {}

    def flat(source: str) -> str:
        if source not in taken:
            text = "_".join(part for part in without_suffix(source).split("/") if part)[-_LONGEST:].strip(". ") or "_"
            free, number = text, 2
            while free.casefold() in used:
                free, number = f"{text}-{number}", number + 1
            used.add(free.casefold())
            taken.clear()  # sources come one after the other
            taken[source] = free
        return taken[source]

    used: set[str] = set()
    return flat


def xml_text(value: str) -> str:
    """A text as it stands in XML, also in attributes.

    Raises:
        RequestError: it has characters that XML cannot hold.
    """
    if _NOT_IN_XML.search(value):
        raise RequestError(f"{value!r} has characters that XML cannot hold; export to jsonl or csv")
    return escape(value, {'"': "&quot;"})


def known_size(frame: FrameRecord) -> tuple[int, int]:
    """Width and height of a frame.

    Raises:
        RequestError: they are not known, and this format tells places as shares of them.
    """
    if frame.width is None or frame.height is None:
        raise RequestError(f"the size of {frame.id} is not known, which this format needs; export to jsonl or csv")
    return frame.width, frame.height
