"""The timeline of a result folder: who is seen when in its videos, read one video at a time."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from faceloom.choices import SeenBy
from faceloom.errors import RequestError
from faceloom.options.calls import TimelineOptions
from faceloom.options.keywords import takes
from faceloom.options.stages import PathLike
from faceloom.store.beside import new_file, refuse_full
from faceloom.store.copies import CopyKind, note_made
from faceloom.store.times import seconds_a_tick
from faceloom.store.view import connect_corrected
from faceloom.suggestions import or_else
from faceloom.timelines.seen import SeenPeople, SeenVideo
from faceloom.timelines.stretches import Clock, SeenFace, Stretch, join
from faceloom.timelines.writing import WRITERS

_FACES = (
    "SELECT frame_idx, idx, person, track, quality, score, chip FROM face WHERE source_id = ? AND rejected IS NULL"
    " AND {of} IS NOT NULL ORDER BY frame_idx, idx"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline(SeenPeople):
    """Who is seen when in the videos of a result folder."""

    folder: Path

    def text(self, to: str) -> str:
        """Gives it as a file of a format has it: csv, json, vtt, svg, otio or edl.

        Raises:
            RequestError: there is no such format, it cannot hold this, or what writes it is not installed.
        """
        if to not in WRITERS:
            raise RequestError(f"there is no format {to!r} of timelines; {or_else(to, WRITERS)}")
        return WRITERS[to](self)

    def write(self, out: PathLike, to: str) -> Path:
        """Writes it to a new file.

        Raises:
            RequestError: as `text`; or the file is there already, or cannot be written.
        """
        target, text = Path(out), self.text(to)
        try:
            with new_file(target, share=False) as part:
                part.write_text(text, encoding="utf-8")
        except FileExistsError as error:
            raise RequestError(f"{out} is there already; name another, or remove it") from error
        except OSError as error:
            refuse_full(error, target)
            raise RequestError(f"{out} cannot be written: {error.strerror}") from error
        note_made(self.folder, CopyKind.EXPORT, target)  # which forgetting will name
        return target


@takes(TimelineOptions)
def timeline(folder: PathLike, **options: Unpack[TimelineOptions]) -> Timeline:
    """Tells when whose faces are seen in the videos of a result folder.

    A stretch begins when the first of its frames is shown, and ends when the frame after its last one is. Faces that
    somebody rejected are not seen, and persons are whose faces somebody said they are. Pictures have no times.

    Example:
        for one in faceloom.timeline("faces", person=["Ann"]).stretches:
            print(one.source, one.start, one.end, one.best.chip)

    Args:
        folder: a result folder.
        options: as docs/options.md lists them.

    Raises:
        TypeError: there is no such keyword.
        RequestError: there is no such person or video, nobody has a name, or there are no tracks yet.
        StoreError: the folder holds no store that can be read.
    """
    by, gap = SeenBy(options["by"]), Fraction(str(options["gap"]))
    videos: list[SeenVideo] = []
    stretches: list[Stretch] = []
    with connect_corrected(Path(folder), raw=options["raw"]) as db:
        db.execute("BEGIN")
        for number, name, time_base in _videos(db, options["source"]):
            clock = _clock(db, number, time_base)
            if not len(clock):
                continue
            videos.append(_seen(name, clock))
            found = _stretches(db, number, name, clock, by=by, wanted=options["person"], gap=gap)
            stretches += sorted(found, key=lambda one: (one.first, one.last, one.name))
    _refuse_nobody(stretches, by, options["person"], has_videos=bool(videos))
    return Timeline(folder=Path(folder), videos=tuple(videos), stretches=tuple(stretches))


def _refuse_nobody(stretches: Sequence[Stretch], by: SeenBy, wanted: Sequence[str], *, has_videos: bool) -> None:
    if not has_videos:
        raise RequestError("there is no video here whose frames are done; pictures have no times")
    if by is SeenBy.TRACK and not stretches:
        raise RequestError("nobody is in a track here; faceloom track makes tracks")
    if by is SeenBy.PERSON and not wanted and not stretches:
        raise RequestError("no face in these videos has a name; faceloom group gives names, and --by track needs none")
    missing = sorted(set(wanted) - {one.name for one in stretches}) if by is SeenBy.PERSON else []
    if missing:
        raise RequestError(f"{missing[0]!r} is in none of these videos; without --person all are listed who are")


def _videos(db: sqlite3.Connection, wanted: Sequence[str]) -> list[tuple[int, str, str | None]]:
    rows = db.execute("SELECT id, name, time_base FROM source WHERE kind = 'video' ORDER BY name").fetchall()
    missing = sorted(set(wanted) - {name for _, name, _ in rows})
    if missing:
        known = [name for _, name, _ in rows]
        raise RequestError(f"there is no video {missing[0]!r} here; {or_else(missing[0], known)}")
    return [row for row in rows if not wanted or row[1] in wanted]


def _clock(db: sqlite3.Connection, source: int, time_base: str | None) -> Clock:
    query = "SELECT idx, ticks FROM frame WHERE source_id = ? AND status != 'pending' ORDER BY idx"
    rows = db.execute(query, (source,)).fetchall()
    has_times = time_base is not None and bool(rows) and all(ticks is not None for _, ticks in rows)
    return Clock(
        indexes=np.array([index for index, _ in rows], np.int64),
        ticks=np.array([ticks for _, ticks in rows], np.int64) if has_times else None,
        tick=seconds_a_tick(time_base) if has_times else None,
    )


def _seen(name: str, clock: Clock) -> SeenVideo:
    start, end = clock.start(0), clock.end(len(clock) - 1)
    return SeenVideo(name=name, frames=len(clock), rate=clock.rate, tick=clock.tick, start=start, end=end)


def _stretches(
    db: sqlite3.Connection,
    source: int,
    name: str,
    clock: Clock,
    *,
    by: SeenBy,
    wanted: Sequence[str],
    gap: Fraction,
) -> Iterator[Stretch]:
    """The stretches of a video, of one after the other."""
    found: dict[Any, list[SeenFace]] = defaultdict(list)
    whose: dict[int, list[str | None]] = defaultdict(list)
    for frame, index, person, track, quality, score, chip in db.execute(_FACES.format(of=by.value), (source,)):
        worth = score - 2 if quality is None else quality
        one = SeenFace(frame=frame, index=index, worth=worth, quality=quality, chip=chip)
        found[person if by is SeenBy.PERSON else track].append(one)
        whose[track].append(person)
    for key, sightings in found.items():
        if by is SeenBy.PERSON:
            if not wanted or key in wanted:
                yield from join(sightings, clock, source=name, name=key, track=None, gap=gap)
        elif not wanted or _most(whose[key]) in wanted:
            title = f"track {key}" if (most := _most(whose[key])) is None else f"{most} (track {key})"
            yield from join(sightings, clock, source=name, name=title, track=key, gap=None)


def _most(persons: Iterable[str | None]) -> str | None:
    """Whose most faces of a track are, the first by name of several; None: nobody's that is known."""
    known = sorted(person for person in persons if person is not None)
    return max(dict.fromkeys(known), key=known.count, default=None)
