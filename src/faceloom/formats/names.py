"""Names of frames, for formats that know pictures alone.

A still picture has its source's name; a frame of a video is `clip.mp4#000012.png`, as if somebody had cut it out.
"""

import re
from pathlib import PurePosixPath

from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats.record import FrameRecord

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
