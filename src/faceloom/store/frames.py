"""Frames of an open store: which are to be done, how many are, and which cannot be."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faceloom.media.chunks import PendingFrame, Span, spans_of
from faceloom.media.sources import Shape, Source, SourceKind
from faceloom.store.again import Again, quoted
from faceloom.store.database import transaction
from faceloom.store.notes import read_notes
from faceloom.store.round import Round
from faceloom.store.rows import Status
from faceloom.store.scratch import place_of

_PAGE = 1000
STARVED = "not enough memory: "
"""How the reason of a frame begins that failed for want of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many frames are in each state, and faces."""

    pending: int
    done: int
    failed: int
    faces: int


class FrameStates:
    """How far the frames of the present run's sources are."""

    def __init__(self, db: sqlite3.Connection, folder: Path, again: Again, now: Round) -> None:
        self._db = db
        self._folder = folder
        self._again = again
        self._round = now
        self.here: tuple[Path, range] | None = None
        """Of this file only these frames can be read for now: nothing else of it is pending."""

    def pending(self) -> Iterator[PendingFrame]:
        """The frames of this run's sources that are still to be done, in order; commits may go on meanwhile."""
        at = (-1, -1)
        while page := self._pending_after(at):
            for source_id, name, path, kind, time_base, notes, index, ticks, seek_ticks in page:
                file = place_of(self._folder, path)
                kinds = SourceKind(kind)
                source = Source(name=name, path=file, kind=kinds, time_base=time_base, notes=read_notes(notes))
                at = (source_id, index)
                if self.here is None or file != self.here[0] or index in self.here[1]:
                    yield PendingFrame(source=source, index=index, ticks=ticks, seek_ticks=seek_ticks)

    def leads(self, spans: Sequence[Span], block: int) -> Iterator[Span]:
        """The frames that come before some of these in their blocks of so many frames, and are not among them."""
        needed: dict[Source, dict[int, int]] = {}
        own: dict[Source, set[int]] = {}
        for span in spans:
            if span.source.kind is SourceKind.VIDEO:
                own.setdefault(span.source, set()).update(span.indexes)
                for index in span.indexes:  # the last of each block
                    needed.setdefault(span.source, {})[index // block] = index
        for source, last_of in needed.items():
            missing = [
                PendingFrame(source=source, index=index, ticks=ticks, seek_ticks=seek_ticks)
                for number, last in last_of.items()
                for index, ticks, seek_ticks in self._db.execute(
                    "SELECT idx, ticks, seek_ticks FROM frame JOIN source ON source.id = source_id"
                    " WHERE source.name = ? AND idx >= ? AND idx < ? ORDER BY idx",
                    (source.name, number * block, last),
                )
                if index not in own[source]
            ]
            yield from spans_of(missing)

    def _pending_after(self, at: tuple[int, int]) -> list[tuple[Any, ...]]:
        return self._db.execute(
            "SELECT source_id, name, path, kind, time_base, notes, idx, ticks, seek_ticks"
            " FROM frame JOIN source ON source.id = source_id"
            f" WHERE {self._round.to_do} AND run_id = ? AND (source_id, idx) > (?, ?) ORDER BY source_id, idx LIMIT ?",
            (self._round.run_id, *at, _PAGE),
        ).fetchall()

    def counts(self) -> Counts:
        """Frames by state, and faces, of this run's sources.

        Where something is done again, frames that miss it are pending, or failed if it could not be done to them, and
        those that have never been done are not counted.
        """
        state = "status"
        if self._round.stages:
            state = (
                f"CASE WHEN {self._round.to_do} THEN 'pending' WHEN {self._round.given_up} THEN 'failed'"
                " WHEN status != 'pending' THEN 'done' END"
            )
        query = (
            f"SELECT {state} AS state, count(*) FROM frame JOIN source ON source.id = source_id WHERE run_id = ?"
            " GROUP BY state"
        )
        states = dict(self._db.execute(query, (self._round.run_id,)).fetchall())
        query = "SELECT count(*) FROM face JOIN source ON source.id = source_id WHERE run_id = ? AND rejected IS NULL"
        (faces,) = self._db.execute(query, (self._round.run_id,)).fetchone()
        pending, done, failed = (states.get(status, 0) for status in (Status.PENDING, Status.DONE, Status.FAILED))
        return Counts(pending=pending, done=done, failed=failed, faces=faces)

    def failures(self, limit: int) -> list[tuple[str, int, str]]:
        """Source, frame index and reason of the first frames of this run's sources that failed."""
        query = (
            "SELECT name, idx, reason FROM frame JOIN source ON source.id = source_id"
            " WHERE run_id = ? AND status = 'failed' ORDER BY name, idx LIMIT ?"
        )
        if self._round.stages:
            query = (
                "SELECT DISTINCT name, frame_idx, reason FROM again JOIN source ON source.id = source_id"
                f" WHERE run_id = ? AND stage IN ({quoted(self._round.stages)}) AND reason IS NOT NULL"
                " ORDER BY name, frame_idx LIMIT ?"
            )
        return self._db.execute(query, (self._round.run_id, limit)).fetchall()

    def damages(self, limit: int) -> tuple[int, list[tuple[str, int, str]]]:
        """How many frames of this run's sources are done and damaged, and the first of them, told as failures are."""
        joined = "FROM frame JOIN source ON source.id = source_id"
        of_run = f"{joined} WHERE run_id = ? AND status = 'done' AND reason NOTNULL"
        (count,) = self._db.execute(f"SELECT count(*) {of_run}", (self._round.run_id,)).fetchone()
        query = f"SELECT name, idx, reason {of_run} ORDER BY name, idx LIMIT ?"
        return count, self._db.execute(query, (self._round.run_id, limit)).fetchall()

    def shapes(self) -> Iterator[tuple[SourceKind, Shape]]:
        """Every shape of this run's frames that are still to be done, as far as it is known."""
        query = (
            "SELECT DISTINCT kind, height, width, reading_bytes FROM frame JOIN source ON source.id = source_id"
            f" WHERE {self._round.to_do} AND run_id = ? AND height IS NOT NULL AND reading_bytes IS NOT NULL"
        )
        for kind, height, width, reading_bytes in self._db.execute(query, (self._round.run_id,)):
            yield SourceKind(kind), Shape(height=height, width=width, reading_bytes=reading_bytes)

    def counted(self) -> Iterator[tuple[SourceKind, Shape, int]]:
        """Every shape of this run's frames that are still to be done, and how many of them have it."""
        query = (
            "SELECT kind, height, width, reading_bytes, count(*) FROM frame JOIN source ON source.id = source_id"
            f" WHERE {self._round.to_do} AND run_id = ? AND height IS NOT NULL AND reading_bytes IS NOT NULL"
            " GROUP BY kind, height, width, reading_bytes"
        )
        for kind, height, width, reading_bytes, frames in self._db.execute(query, (self._round.run_id,)):
            yield SourceKind(kind), Shape(height=height, width=width, reading_bytes=reading_bytes), frames

    def starved_shapes(self) -> Iterator[tuple[SourceKind, Shape]]:
        """Every shape of this run's frames for which there was too little memory, as far as it is known."""
        query = (
            "SELECT DISTINCT kind, height, width, reading_bytes FROM frame JOIN source ON source.id = source_id"
            " WHERE status = 'failed' AND substr(reason, 1, ?) = ? AND run_id = ? AND height IS NOT NULL"
            " AND reading_bytes IS NOT NULL"
        )
        for kind, height, width, reading_bytes in self._db.execute(query, (len(STARVED), STARVED, self._round.run_id)):
            yield SourceKind(kind), Shape(height=height, width=width, reading_bytes=reading_bytes)

    def pixels(self) -> Iterator[tuple[SourceKind, str, int, int]]:
        """Kind, last four letters of the name, number and sum of pixels of this run's frames that are still to be done.

        As far as their sizes are known.
        """
        query = (
            "SELECT kind, substr(source.name, -4), count(*), sum(height * width) FROM frame"
            " JOIN source ON source.id = source_id"
            f" WHERE {self._round.to_do} AND run_id = ? AND height IS NOT NULL GROUP BY 1, 2"
        )
        for kind, ending, frames, pixels in self._db.execute(query, (self._round.run_id,)):
            yield SourceKind(kind), ending, frames, pixels

    def give_up(self, kind: SourceKind, shape: Shape, reason: str) -> None:
        """Has this run's frames of a shape that are still to be done fail."""
        if self._round.stages:
            with transaction(self._db):
                self._again.give_up_shape(self._round.run_id, kind, shape, self._round.stages, reason)
            return
        run = self._round.run_id
        with transaction(self._db):
            self._db.execute(
                "UPDATE frame SET status = 'failed', reason = ?, tried_in = ? WHERE status = 'pending' AND height = ?"
                " AND width = ? AND source_id IN"
                " (SELECT id FROM source WHERE run_id = ? AND kind = ? AND reading_bytes = ?)",
                (reason, run, shape.height, shape.width, run, kind, shape.reading_bytes),
            )

    def retry(self, *, every: bool = False) -> None:
        """Has frames of this run's sources that failed done, and counted, again where that can help.

        It can where there was not enough memory, where the machine was at fault, and where the versions of this program
        or of its decoders are others now. What failed in this run stays as it is.

        Args:
            every: all that failed, whyever.
        """
        others = "SELECT id FROM run WHERE versions != (SELECT versions FROM run WHERE id = :run)"
        can_help = f"substr(reason, 1, :length) = :starved OR fault IS NOT NULL OR coalesce(tried_in, 0) IN ({others})"
        failed = f"status = 'failed' AND (tried_in IS NULL OR (tried_in != :run AND (:every OR {can_help})))"
        sources = "source_id IN (SELECT id FROM source WHERE run_id = :run"
        values = {"length": len(STARVED), "starved": STARVED, "run": self._round.run_id, "every": every}
        with transaction(self._db):
            # Of a video that was never counted there is one frame, which stands for all.
            uncounted = f"{sources} AND kind = 'video' AND time_base IS NULL)"
            self._db.execute(f"DELETE FROM frame WHERE {failed} AND {uncounted}", values)
            again = "status = 'pending', reason = NULL, fault = NULL, tried_in = NULL"
            self._db.execute(f"UPDATE frame SET {again} WHERE {failed} AND {sources})", values)
