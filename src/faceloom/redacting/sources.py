"""The sources of a result folder that are to be written anew, and why some cannot be."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faceloom.errors import RequestError
from faceloom.media.numbered import state_of
from faceloom.media.sources import Source, SourceKind
from faceloom.store.database import connect

_SOURCES = (
    "SELECT source.id, name, path, kind, time_base, size_bytes, mtime_ns FROM source"
    " WHERE EXISTS (SELECT 1 FROM frame WHERE source_id = source.id) ORDER BY name"
)
_STATES = "SELECT status, count(*), max(reason) FROM frame WHERE source_id = ? GROUP BY status"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A source that cannot be written."""

    name: str
    reason: str


def sources_of(folder: Path) -> Iterator[Source | LeftOut]:
    """Every source with frames, in the order of their names.

    Raises:
        RequestError: the run that makes the folder has not come to its end.
        StoreError: the folder holds no store that can be read.
    """
    with connect(folder, read_only=True) as db:
        for number, name, path, kind, time_base, size_bytes, mtime_ns in db.execute(_SOURCES).fetchall():
            states = {status: (count, reason) for status, count, reason in db.execute(_STATES, (number,))}
            if "pending" in states:
                raise RequestError(
                    f"{folder} is not finished: {states['pending'][0]:,} frames of {name} are still to be done; run the"
                    " command that makes it again first"
                )
            place = Path(os.fsdecode(path))
            reason = _why_not(place, size_bytes, mtime_ns)
            if reason is None and "done" not in states:
                reason = states["failed"][1] or "none of its frames can be read"
            if reason is None:
                yield Source(name=name, path=place, kind=SourceKind(kind), time_base=time_base)
            else:
                yield LeftOut(name=name, reason=reason)


def _why_not(path: Path, size_bytes: int, mtime_ns: int) -> str | None:
    try:
        state = state_of(path)
    except OSError as error:
        return f"the file {path} cannot be read any more ({error.strerror})"
    if state != (size_bytes, mtime_ns):
        return "the file has changed since faces were found in it; extract anew"
    return None
