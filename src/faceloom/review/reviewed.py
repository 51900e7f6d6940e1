"""A result folder under review: what the page asks of it, and what is said through it. One thread owns it."""

import json
import os
import secrets
import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.correcting import Corrections, corrections
from faceloom.errors import BudgetError, RequestError
from faceloom.memory.usage import held_bytes
from faceloom.review.likeness import distances, farthest_alike, likely_pairs
from faceloom.review.listing import PROBLEMS, Doubts, FaceQuery, listed, problem_rows, query_of, ranges_of, within
from faceloom.review.people import PersonList
from faceloom.review.plots import AXES, counted, edges_of
from faceloom.review.table import FACE_BYTES, FaceTable, as_corrected, read_table
from faceloom.review.verbs import SAYINGS
from faceloom.store.corrections import Verb, select_corrections
from faceloom.store.database import connect
from faceloom.store.folder import DATABASE, is_held
from faceloom.store.remaking import count_to_make
from faceloom.store.replay import Replayed
from faceloom.store.times import time_of
from faceloom.store.view import found_again, replayed
from faceloom.units import MIB, format_bytes

_MOST_LISTINGS = 16
MOST_ROWS = 400
"""Of one answer."""
_HISTORY = 200
_OF_PLACES = frozenset({"add", "box", "landmarks", "undo", "redo"})
"""After which there may be faces that networks have not seen where they are."""
_OF_ROWS = frozenset({"add", "redo"})
"""After which there may be faces that were not there."""
_BASE_BYTES = 48 * MIB
"""What a page's pictures take, one after another, before the ceiling refuses more (measured with frames of 4K)."""


class StaleListingError(RequestError):
    """A list is not known, or not any more: the page asks for it anew."""


class ReviewedFolder:
    """A result folder as the page shows it."""

    def __init__(self, folder: Path, *, budget_bytes: int | None = None) -> None:
        self.folder = folder
        self.version = 0
        """Another whenever anything has changed."""
        self._budget_bytes = budget_bytes
        self._said: Corrections = corrections(folder)
        self._listings: OrderedDict[str, NDArray[np.int64]] = OrderedDict()
        self._stack = ExitStack()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the store."""
        self._stack.close()

    def _open(self) -> None:
        self._stack.close()
        self._file = os.stat(self.folder / DATABASE).st_ino  # noqa: PTH116  # no object a look
        self._db: sqlite3.Connection = self._stack.enter_context(connect(self.folder, read_only=True))
        self._changes = -1
        self.refresh()

    def refresh(self) -> int:
        """Reads what has changed since, whoever changed it; gives the version."""
        if os.stat(self.folder / DATABASE).st_ino != self._file:  # noqa: PTH116  # no object a look
            self._open()
        elif (changes := self._changes_now()) != self._changes:
            self._require_room()
            self._found: FaceTable = read_table(self._db)
            self._take(changes)
        return self.version

    def _changes_now(self) -> int:
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _take(self, changes: int) -> None:
        """Lays what was said over what was found."""
        self._now: Replayed = replayed(self._db)
        self.table: FaceTable = as_corrected(self._db, self._found, self._now)
        self._notes = self._read_notes()
        self._doubts: Doubts | None = None
        self._people: PersonList | None = None
        self._counts: tuple[Any, ...] | None = None
        self._changes = changes
        self.version += 1

    def _require_room(self) -> None:
        if self._budget_bytes is None:
            return
        (faces,) = self._db.execute("SELECT count(*) FROM main.face").fetchone()
        needed = held_bytes() + _BASE_BYTES + faces * FACE_BYTES
        if needed > self._budget_bytes:
            message = (
                f"a page of {faces:,} faces does not fit into {format_bytes(self._budget_bytes)}; the smallest budget"
                f" that would do is {-(-needed // MIB):,} MiB: raise --memory"
            )
            raise BudgetError(message, stage="review", needed_bytes=needed, budget_bytes=self._budget_bytes)

    def doubts(self) -> Doubts:
        """Of each face, how far it is from the others of its person."""
        if self._doubts is None:
            self._doubts = Doubts(distances(self._db, self.table), farthest_alike(self.folder))
        return self._doubts

    def people(self) -> PersonList:
        """The persons, and what there is to know of them."""
        if self._people is None:
            self._people = PersonList(self.table)
        return self._people

    def pairs(self, count: int) -> list[dict[str, Any]]:
        """Gives persons who may be one, two by two, those first of whom an answer settles most."""
        self.refresh()
        table, people = self.table, self.people()
        faces = table.rows_of(np.array(self._now.people.apart, np.int64).reshape(-1)).reshape(-1, 2)
        apart = {frozenset(pair) for pair in table.persons[faces[(faces >= 0).all(axis=1)]].tolist()}
        alike = 1 - farthest_alike(self.folder)
        found = likely_pairs(self._db, table, alike=alike, apart=apart, most=min(count, MOST_ROWS))
        return [
            {"one": people.told(one), "other": people.told(other), "cosine": round(cosine, 3)}
            for one, other, cosine in found
        ]

    def state(self) -> dict[str, Any]:
        """Gives what the page shows around everything else."""
        self.refresh()
        table, shown = self.table, self.table.is_shown
        if self._counts is None:
            self._counts = self._db.execute(
                "SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'failed'),"
                " (SELECT max(id) FROM main.correction WHERE undone = 0) FROM main.frame"
            ).fetchone()
        pending, failed, last = self._counts
        return {
            "folder": self.folder.resolve().name,
            "version": self.version,
            "faces": int(shown.sum()),
            "rejected": int((~shown).sum()),
            "persons": len(self.people()),
            "nobody": int((shown & (table.persons < 0)).sum()),
            "pending": pending,
            "failed": failed,
            "running": is_held(self.folder),
            "writable": os.access(self.folder / DATABASE, os.W_OK),
            "undo": last,
        }

    def list_faces(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Makes a list, which stays as it is whatever is said of its faces meanwhile."""
        self.refresh()
        query = query_of(told)
        rows = listed(
            self.table,
            query,
            source_id=self._source_id(query),
            doubts=self.doubts() if query.needs_doubts else None,
        )
        name = secrets.token_hex(8)
        self._listings[name] = self.table.ids[rows]
        while len(self._listings) > _MOST_LISTINGS:
            self._listings.popitem(last=False)
        return {"listing": name, "total": len(rows), "version": self.version}

    def _source_id(self, query: FaceQuery) -> int | None:
        if query.by != "source":
            return None
        row = self._db.execute("SELECT id FROM main.source WHERE name = ?", (query.of,)).fetchone()
        if row is None:
            raise RequestError(f"there is no source {query.of!r}")
        return int(row[0])

    def _listing(self, name: str) -> NDArray[np.int64]:
        if name not in self._listings:
            raise StaleListingError("this list is not there any more")
        self._listings.move_to_end(name)
        return self._listings[name]

    def place_in(self, listing: str, face: int) -> int | None:
        """Gives the place of a face in a list."""
        found = np.flatnonzero(self._listing(listing) == face)
        return int(found[0]) if len(found) else None

    def rows(self, listing: str, first: int, count: int) -> dict[str, Any]:
        """Gives some faces of a list, as they are now."""
        self.refresh()
        ids = self._listing(listing)[max(0, first) : max(0, first) + min(count, MOST_ROWS)]
        return {"first": max(0, first), "faces": self.told(ids), "version": self.version}

    def told(self, ids: NDArray[np.int64]) -> list[dict[str, Any]]:
        """Gives what cells show of faces; a face that is gone has its id alone."""
        table, places = self.table, self.table.rows_of(ids).tolist()
        query = (
            "SELECT face.id, name, ticks, time_base, rejected FROM main.face"
            " JOIN main.source ON source.id = face.source_id"
            " JOIN main.frame ON frame.source_id = face.source_id AND frame.idx = frame_idx"
            f" WHERE face.id IN ({', '.join('?' * len(ids))})"
        )
        found = {row[0]: row[1:] for row in self._db.execute(query, ids.tolist())}
        return [
            {"id": face} if place < 0 or face not in found else self._told(table, face, place, *found[face])
            for face, place in zip(ids.tolist(), places, strict=True)
        ]

    def _told(
        self, table: FaceTable, face: int, place: int, source: str, ticks: Any, time_base: Any, found: Any
    ) -> dict[str, Any]:
        time = time_of(ticks, time_base)
        person = int(table.persons[place])
        numbers = {name: _rounded(values[place]) for name, values in table.numbers.items()}
        return {
            "id": face,
            "source": source,
            "frame": int(table.frames[place]),
            "index": int(table.indexes[place]),
            "time_s": None if time is None else float(time),
            "person": None if person < 0 else table.names[person],
            "rejected": self._now.rejected.get(face, found),
            "chip": bool(table.has_chip[place]),
            "look": self.look_of(face),
            "notes": self._notes.get(face, []),
            "doubt": None if self._doubts is None else _rounded(self._doubts.distances[place]),
            **numbers,
        }

    def look_of(self, face: int) -> str:
        """Tells pictures of a face apart from those before it was corrected."""
        landmarks, is_remade = self._now.landmarks.get(face), face in self.table.remade
        if landmarks is None and not is_remade:
            return ""
        return f"{hash(json.dumps([landmarks, is_remade, self._now.boxes.get(face)])) & 0xFFFFFFFF:x}"

    def chip_of(self, face: int) -> str | None:
        """Gives the path of a face's chip; None where it has none, or one that shows another square than it should.

        Raises:
            RequestError: there is no such face.
        """
        row = self._db.execute("SELECT chip FROM main.face WHERE id = ?", (face,)).fetchone()
        if row is None:
            raise RequestError(f"there is no face {face}")
        return None if row[0] is None or self._is_elsewhere(face) else str(row[0])

    def _is_elsewhere(self, face: int) -> bool:
        """Whether a face may be elsewhere than its chip shows."""
        return face in self._now.landmarks or face in self.table.remade

    def chips(self, listing: str, first: int, count: int) -> list[str | None]:
        """Gives the paths of the chips of some faces of a list, as `chip_of`."""
        ids = self._listing(listing)[first : first + count].tolist()
        query = f"SELECT id, chip FROM main.face WHERE id IN ({', '.join('?' * len(ids))})"
        found = dict(self._db.execute(query, ids))
        return [None if self._is_elsewhere(face) else found.get(face) for face in ids]

    def _read_notes(self) -> dict[int, list[str]]:
        query = "SELECT id FROM main.correction WHERE verb = ? AND NOT undone > 0 AND persons IS NULL ORDER BY id"
        notes: dict[int, list[str]] = {}
        for (number,) in self._db.execute(query, (Verb.NOTE,)).fetchall():
            for said in select_corrections(self._db, number=number):
                for face in found_again(self._db, said).values():
                    notes.setdefault(face, []).append(said.after)
        return notes

    def problems(self, first: int, count: int) -> dict[str, Any]:
        """Gives how many faces have each problem, and frames that failed or of which something was lost."""
        self.refresh()
        counts = {name: int(problem_rows(self.table, name, self.doubts()).sum()) for name in PROBLEMS}
        where = (
            "FROM main.frame JOIN main.source ON source.id = source_id WHERE status = 'failed' OR reason IS NOT NULL"
        )
        (total,) = self._db.execute(f"SELECT count(*) {where}").fetchone()
        query = f"SELECT source.id, name, frame.idx, status, reason {where} ORDER BY name, frame.idx LIMIT ? OFFSET ?"
        frames = self._db.execute(query, (min(count, MOST_ROWS), max(0, first))).fetchall()
        keys = ("source_id", "source", "frame", "status", "reason")
        return {
            "faces": [{"name": name, "about": PROBLEMS[name], "count": number} for name, number in counts.items()],
            "frames": [dict(zip(keys, row, strict=True)) for row in frames],
            "total": total,
        }

    def looks(self, ranges: str) -> dict[str, Any]:
        """Gives what faces are like that nobody rejected: counts of all, and of those within all ranges but its own."""
        self.refresh()
        table, asked = self.table, ranges_of(ranges)
        plots = []
        for name, axis in AXES.items():
            values = table.numbers[name]
            edges = edges_of(values[table.is_shown], axis)
            if edges is not None:
                others = within(table, [one for one in asked if one[0] != name]) & table.is_shown
                told = {"all": counted(values[table.is_shown], edges), "now": counted(values[others], edges)}
                counts = {key: some.tolist() for key, some in told.items()}
                plots.append({"name": name, "title": axis.title, "unit": axis.unit, "edges": edges.tolist(), **counts})
        return {"plots": plots, "total": int((within(table, asked) & table.is_shown).sum()), "version": self.version}

    def sources(self, search: str, count: int) -> list[str]:
        """Gives the names of sources with faces that have a text in them, the first of them."""
        query = (
            "SELECT name FROM main.source WHERE instr(lower(name), lower(?)) AND EXISTS"
            " (SELECT 1 FROM main.face WHERE source_id = source.id) ORDER BY name LIMIT ?"
        )
        return [str(name) for (name,) in self._db.execute(query, (search, min(count, MOST_ROWS)))]

    def history(self) -> list[dict[str, Any]]:
        """Gives what was said last, the last first."""
        query = (
            "SELECT id, at, verb, persons, after, undone > 0,"
            " (SELECT count(*) FROM main.corrected_face WHERE correction_id = id) FROM main.correction"
            " ORDER BY id DESC LIMIT ?"
        )
        return [
            {
                "id": number,
                "at": at,
                "verb": verb,
                "persons": json.loads(persons or "[]"),
                "after": _text_in(after),
                "undone": bool(undone),
                "faces": faces,
            }
            for number, at, verb, persons, after, undone, faces in self._db.execute(query, (_HISTORY,))
        ]

    def say(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Says something; when this returns it is on disk.

        Raises:
            RequestError: it makes no sense.
            StoreError: it cannot be written.
        """
        self.refresh()  # what others have changed is read as a whole; what is said here is laid over it
        verb = str(told.get("verb"))
        if verb not in SAYINGS:
            raise RequestError(f"there is no verb {verb!r}")
        answer = SAYINGS[verb](self._said, self.faces_of, told)
        if verb in _OF_ROWS:
            self._found = read_table(self._db)
        some = answer if isinstance(answer, list) else [answer]
        numbers = [one.id for one in some]
        after = some[0].after if some and isinstance(some[0].after, str) else None
        del answer, some  # of all faces, perhaps
        self._take(self._changes_now())
        answer = {"corrections": numbers, "verb": verb, "after": after, "version": self.version}
        return {**answer, "to_make": verb in _OF_PLACES and count_to_make(self._db, self._now) > 0}

    def next_doubtful(self, source: int, frame: int) -> int | None:
        """Gives the first face after a frame, in the order of lists, that anything speaks against."""
        self.refresh()
        table, doubts = self.table, self.doubts()
        doubtful = np.zeros(len(table), np.bool_)
        for name in PROBLEMS:
            if name != "rejected":  # of which somebody, or a filter, has made up their mind
                doubtful |= problem_rows(table, name, doubts)
        here = np.flatnonzero((table.sources == source) & (table.frames <= frame))
        first = int(here[-1]) + 1 if len(here) else self._first_of(source)
        found = np.flatnonzero(doubtful[first:])
        return int(table.ids[first + found[0]]) if len(found) else None

    def _first_of(self, source: int) -> int:
        rows = np.flatnonzero(self.table.sources == source)
        return int(rows[0]) if len(rows) else 0

    def faces_of(self, told: Mapping[str, Any]) -> list[str]:
        """The faces that something is said of: ids, or ranges of a list, as places that corrections know them by.

        Raises:
            RequestError: they are not there.
        """
        if "listing" in told:
            ids = self._listing(str(told["listing"]))
            picked = np.zeros(len(ids), np.bool_)
            for first, last in told.get("ranges", ()):
                picked[max(0, int(first)) : int(last) + 1] = True
            ids = ids[picked]
        else:
            ids = np.array([int(face) for face in told.get("faces", ())], np.int64)
        places = self.table.rows_of(ids)
        places = places[places >= 0]
        if not len(places):
            raise RequestError("no face is chosen, or none of them is there any more")
        return list(self._addresses(places))

    def _addresses(self, places: NDArray[np.int64]) -> Iterator[str]:
        table, names = self.table, dict[int, str]()
        for place in places.tolist():
            source = int(table.sources[place])
            if source not in names:
                query = "SELECT name FROM main.source WHERE id = ?"
                (names[source],) = self._db.execute(query, (source,)).fetchone()
            yield f"{names[source]}#{table.frames[place]}/{table.indexes[place]}"


def _rounded(value: Any) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)


def _text_in(after: str | None) -> str | None:
    """What was said, where that is a text."""
    if after is None or not after.startswith('"'):
        return None
    text = json.loads(after)
    return text if isinstance(text, str) else None
