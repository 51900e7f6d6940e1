"""The store of a result folder: one SQLite file, one writer, a chunk a transaction.

What is to be done is in it too: every frame has a row from the moment it is known, so going on after an
end of any kind is a query, and memory does not grow with the job.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum, auto
from itertools import chain
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from faceloom.errors import RequestError, StoreError
from faceloom.faces import Face
from faceloom.media.chunks import PendingFrame, Span
from faceloom.media.sources import Shape, Source, SourceKind, VideoIndex
from faceloom.store.adoption import Adoption
from faceloom.store.again import Again, given_up, look_name, quoted, to_do
from faceloom.store.database import connect, create_schema
from faceloom.store.folder import (
    claim_folder,
    locked,
    move_into_place,
    on_network,
    pending_folder,
    recover_files,
    remove_files,
)
from faceloom.store.known import KnownFaces, blob
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, Status
from faceloom.store.tombstones import Tombstones

_PAGE = 1000
LOOKS = "looks"
"""Key of a configuration: the detectors of its second looks, in order. No look is asked for by going on."""
STARVED = "not enough memory: "
"""How the reason of a frame begins that failed for want of memory."""


class Known(Enum):
    """What the store knew of a source that it is given."""

    NEW = auto()
    SAME = auto()
    """It was there already, with the same content."""
    CHANGED = auto()
    """The file's content is another now; what was found in the old one is gone."""
    TWICE = auto()
    """This run has been given the file before."""
    FORGOTTEN = auto()
    """What was found in it was forgotten, and it is not taken up again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many frames are in each state, and faces."""

    pending: int
    done: int
    failed: int
    faces: int


class Store:
    """A result folder, open for one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_id = 0
        self._round: tuple[str, ...] = ()
        self.unreadable = 0
        """How many sources have been added since it was opened of which no frame can be had."""
        """What is done again in this run; nothing: it does frames that are pending."""
        self._look = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Opens or makes the store, and ends what a killed run began.

        Raises:
            RequestError: the folder holds something else.
            StoreError: it cannot be used, or another run is writing to it.
        """
        claim_folder(self.folder)
        with ExitStack() as stack:
            stack.enter_context(locked(self.folder))
            self._db = stack.enter_context(connect(self.folder, read_only=False))
            # A write-ahead log needs memory shared between processes, which network file systems lack.
            self._db.execute(f"PRAGMA journal_mode = {'DELETE' if on_network(self.folder) else 'WAL'}")
            self._db.execute("PRAGMA synchronous = NORMAL")
            create_schema(self._db)
            self.known = KnownFaces(self._db)
            self._adoption = Adoption(self._db, self.folder)
            self.again = Again(self._db)
            self._tombstones = Tombstones(self._db)
            recover_files(self.folder, self._is_committed)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Also here: a signal may have come between a transaction and the moves that follow it.
        try:
            recover_files(self.folder, self._is_committed)
        finally:
            self._stack.__exit__(kind, error, trace)

    # --- the run -----------------------------------------------------------------------------------

    def use_config(self, config: Mapping[str, Any]) -> None:
        """Holds the folder to one configuration: the first run's.

        Raises:
            RequestError: the folder was made with another; the message shows the difference.
        """
        here = self.config
        if here is None:
            with self._transaction():
                self._set_config(config)
        else:
            self._require_same({**here, LOOKS: None}, {**config, LOOKS: None})

    @property
    def config(self) -> dict[str, Any] | None:
        """The folder's configuration; None before its first run."""
        row = self._db.execute("SELECT value FROM meta WHERE key = 'config'").fetchone()
        return row and dict(json.loads(row[0]))

    def add_stages(self, described: Mapping[str, Any]) -> list[str]:
        """Adds stages to the configuration; the faces that there are miss them from now on. Those that are new.

        Raises:
            RequestError: a stage is there already, with other options or weights; or a second identifier is asked for.
        """
        here = self.config or {"stages": {}}
        self._require_same({k: v for k, v in here["stages"].items() if k in described}, described, missing=True)
        new = [stage for stage in described if stage not in here["stages"]]
        identifiers = [stage for stage in (*here["stages"], *new) if stage.startswith("identify/")]
        if len(identifiers) > 1:
            raise RequestError(f"{self.folder} has embeddings of {identifiers[0]}, and a face has one: extract anew")
        if new:
            with self._transaction():
                self._set_config({**here, "stages": {**here["stages"], **described}})
                self.again.add_stages(new)
        return new

    def take_back(self, stages: Collection[str]) -> None:
        """Undoes the adding of stages that no face has got."""
        here = self.config or {"stages": {}}
        kept = {stage: options for stage, options in here["stages"].items() if stage not in stages}
        with self._transaction():
            self._set_config({**here, "stages": kept})
            self.again.drop_stages(stages)

    def use_look(self, config: Mapping[str, Any]) -> int:
        """The number of the second look that a configuration's detector is; it is added to the folder's if it is new.

        Raises:
            RequestError: the folder was made with another configuration otherwise, or by this detector.
        """
        here = self.config
        if here is None:
            raise RequestError(f"{self.folder} holds no results yet; run the command without --only-empty first")
        self._require_same(_without_detector(here), _without_detector(config))
        look = _detector(json.loads(json.dumps(config)))
        if look == _detector(here):
            raise RequestError(f"{', '.join(look)} has found none there; name another detector, or other options")
        looks = here.get(LOOKS, [])
        if look not in looks:
            with self._transaction():
                self._set_config({**here, LOOKS: [*looks, look]})
        return [*looks, look].index(look) + 1

    def look_again(self, number: int) -> None:
        """From here on this run does this second look on frames in which no face was found."""
        with self._transaction():
            self.again.add_look(number, run_id=self.run_id)
        self.do_again([look_name(number)], look=number, sources_of=self.run_id)

    def _set_config(self, config: Mapping[str, Any]) -> None:
        text = json.dumps(config, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        rows = [("config", text), ("config_sha256", digest)]
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", rows)

    def _require_same(self, here: Mapping[str, Any], asked: Mapping[str, Any], *, missing: bool = False) -> None:
        """Refuses what differs; `missing`: but for what is not here at all."""
        told = json.loads(json.dumps(asked))
        lines = _differences(here, {k: v for k, v in told.items() if k in here} if missing else told)
        if lines:
            differences = "\n".join(f"  {line}" for line in lines)
            message = (
                f"{self.folder} was made with another configuration, and one folder holds one:\n{differences}\n"
                f"choose another --out, or ask for the same again"
            )
            raise RequestError(message)

    def begin_run(self, *, versions: Mapping[str, Any]) -> None:
        """Notes the start of a run."""
        with self._transaction():
            cursor = self._db.execute(
                "INSERT INTO run (started_at, versions) VALUES (?, ?)", (_now(), json.dumps(versions))
            )
        self.run_id = int(cursor.lastrowid or 0)

    def note_plan(self, plan: Mapping[str, Any]) -> None:
        """Notes the plan that the run follows from now on."""
        with self._transaction():
            self._db.execute("UPDATE run SET plan = ? WHERE id = ?", (json.dumps(plan), self.run_id))

    def end_run(self, *, outcome: str, summary: Mapping[str, Any]) -> None:
        """Notes how the run ended."""
        with self._transaction():
            self._db.execute(
                "UPDATE run SET finished_at = ?, outcome = ?, summary = ? WHERE id = ?",
                (_now(), outcome, json.dumps(summary), self.run_id),
            )

    def add_event(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Notes something that happened and is neither a frame nor a face."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO event (run_id, at, kind, detail) VALUES (?, ?, ?, ?)",
                (self.run_id, _now(), kind, json.dumps(detail)),
            )

    def do_again(self, stages: Iterable[str], *, look: int = 0, sources_of: int | None = None) -> None:
        """From here on this run does again what its sources miss of these, in place of frames that are pending.

        Args:
            stages: as `again` names them.
            look: the number of the second look that they are; 0: they are stages.
            sources_of: take up the sources of that run; of none, all that there are.
        """
        self._round, self._look = tuple(stages), look
        with self._transaction():
            query = "UPDATE source SET run_id = ? WHERE coalesce(?, run_id) = run_id"
            self._db.execute(query, (self.run_id, sources_of))
            self.again.forget_reasons(self._round)

    def refuse_changed(self) -> Iterator[str]:
        """Gives up what is to be done again in files that are gone or have changed, and says why, file by file."""
        for source_id, name, path, size_bytes, mtime_ns, digest in self.again.sources(self.run_id, self._round):
            state = _state(path)
            if state == (size_bytes, mtime_ns):
                continue
            if _is_same_content(path, size_bytes=size_bytes, digest=digest):
                with self._transaction():
                    self._db.execute("UPDATE source SET mtime_ns = ? WHERE id = ?", (state[1], source_id))
                continue
            why = "has changed since it was read; extract does it anew" if path.exists() else "is gone"
            with self._transaction():
                self.again.give_up(source_id, None, self._round, f"{path} {why}")
            yield f"{name}: the file {path} {why}"

    @property
    def _to_do(self) -> str:
        return to_do(self._round) if self._round else "status = 'pending'"

    @property
    def _given_up(self) -> str:
        return given_up(self._round) if self._round else "0"

    # --- sources and frames ------------------------------------------------------------------------

    def adopt(self, given: Path) -> None:
        """Makes the sources of another result folder this run's; see `Adoption.take`."""
        with self._transaction():
            self._adoption.take(given, run_id=self.run_id)
        self.retry_starved()

    @contextmanager
    def adding(self) -> Iterator[None]:
        """Many sources in one transaction."""
        with self._transaction():
            yield

    def add_source(self, source: Source, *, other_names: Iterable[str]) -> tuple[Source, Known]:
        """Takes a source up under its name, or the first of its other names that no other file has.

        Call within `adding`. The source comes back with the name it got.
        """
        path = os.fsencode(source.path.absolute())
        if path in self._tombstones:
            return source, Known.FORGOTTEN
        state = _state(source.path)
        for name in chain([source.name], other_names):
            row = self._db.execute(
                "SELECT id, path, size_bytes, mtime_ns, sha256, run_id FROM source WHERE name = ?", (name,)
            ).fetchone()
            named = Source(name=name, path=source.path, kind=source.kind)
            if row is None and self._lies_across(name):
                continue
            if row is None:
                self._insert_source(named, path, state)
                return named, Known.NEW
            source_id, old_path, size_bytes, mtime_ns, digest, run_id = row
            if old_path != path and (run_id == self.run_id or Path(os.fsdecode(old_path)).exists()):
                continue
            if run_id == self.run_id:
                return named, Known.TWICE
            if (size_bytes, mtime_ns) == state or _is_same_content(source.path, size_bytes=size_bytes, digest=digest):
                self._db.execute(
                    "UPDATE source SET path = ?, mtime_ns = ?, run_id = ? WHERE id = ?",
                    (path, state[1], self.run_id, source_id),
                )
                return named, Known.SAME
            self._forget(source_id, name)
            self._insert_source(named, path, state)
            return named, Known.CHANGED
        raise StoreError(
            f"no free name for {source.path} ({source.name} and its other names are taken)", path=source.path
        )

    def _lies_across(self, name: str) -> bool:
        """Whether a source's files would lie below another's, or the reverse."""
        above = [str(parent) for parent in PurePosixPath(name).parents][:-1]
        marks = ", ".join("?" * len(above))
        query = f"SELECT 1 FROM source WHERE name IN ({marks}) OR (name >= ? AND name < ?) LIMIT 1"
        return self._db.execute(query, (*above, name + "/", name + "0")).fetchone() is not None

    def uncounted(self) -> Iterator[Source]:
        """The videos of this run whose frames have not been counted; commits may go on meanwhile."""
        query = (
            "SELECT id, name, path FROM source WHERE run_id = ? AND kind = 'video' AND time_base IS NULL AND id > ?"
            " AND NOT EXISTS (SELECT 1 FROM frame WHERE source_id = source.id) ORDER BY id LIMIT 1"
        )
        at = -1
        while (row := self._db.execute(query, (self.run_id, at)).fetchone()) is not None:
            at, name, path = row
            yield Source(name=name, path=Path(os.fsdecode(path)), kind=SourceKind.VIDEO)

    def unsized(self, limit: int) -> Iterator[tuple[Source, ...]]:
        """The pictures of this run that are to be done and have not been looked at, some at a time."""
        query = (
            "SELECT id, name, path FROM source WHERE run_id = ? AND kind = 'picture' AND reading_bytes IS NULL"
            " AND id > ? AND EXISTS (SELECT 1 FROM frame WHERE source_id = source.id AND status = 'pending')"
            " ORDER BY id LIMIT ?"
        )
        at = -1
        while rows := self._db.execute(query, (self.run_id, at, limit)).fetchall():
            at = rows[-1][0]
            yield tuple(
                Source(name=name, path=Path(os.fsdecode(path)), kind=SourceKind.PICTURE) for _, name, path in rows
            )

    def add_shape(self, source: Source, shape: Shape) -> None:
        """How large a picture is, by its header. Call within `adding`."""
        source_id = self._source_id(source.name)
        self._db.execute("UPDATE source SET reading_bytes = ? WHERE id = ?", (shape.reading_bytes, source_id))
        self._db.execute(
            "UPDATE frame SET height = ?, width = ? WHERE source_id = ? AND idx = 0",
            (shape.height, shape.width, source_id),
        )

    def shapes(self) -> Iterator[tuple[SourceKind, Shape]]:
        """Every shape of this run's frames that are still to be done, as far as it is known."""
        query = (
            "SELECT DISTINCT kind, height, width, reading_bytes FROM frame JOIN source ON source.id = source_id"
            f" WHERE {self._to_do} AND run_id = ? AND height IS NOT NULL AND reading_bytes IS NOT NULL"
        )
        for kind, height, width, reading_bytes in self._db.execute(query, (self.run_id,)):
            yield SourceKind(kind), Shape(height=height, width=width, reading_bytes=reading_bytes)

    def give_up(self, kind: SourceKind, shape: Shape, reason: str) -> None:
        """Has this run's frames of a shape that are still to be done fail."""
        if self._round:
            with self._transaction():
                self.again.give_up_shape(self.run_id, kind, shape, self._round, reason)
            return
        with self._transaction():
            self._db.execute(
                "UPDATE frame SET status = 'failed', reason = ? WHERE status = 'pending' AND height = ? AND width = ?"
                " AND source_id IN (SELECT id FROM source WHERE run_id = ? AND kind = ? AND reading_bytes = ?)",
                (reason, shape.height, shape.width, self.run_id, kind, shape.reading_bytes),
            )

    def add_picture(self, source: Source) -> None:
        """The only frame of a picture, to be done. Call within `adding`."""
        self._db.execute("INSERT INTO frame (source_id, idx) SELECT id, 0 FROM source WHERE name = ?", (source.name,))

    def add_video(self, source: Source, index: VideoIndex, *, sha256: str, wanted: range | None = None) -> None:
        """The frames of a video, to be done, or those with these indexes. Call within `adding`."""
        self._db.execute(
            "UPDATE source SET time_base = ?, sha256 = ?, reading_bytes = ? WHERE name = ?",
            (str(index.time_base), sha256, index.reading_bytes, source.name),
        )
        (source_id,) = self._db.execute("SELECT id FROM source WHERE name = ?", (source.name,)).fetchone()
        indexes = range(len(index.keyframes)) if wanted is None else wanted
        rows = (
            (source_id, i, ticks, seek, index.height, index.width)
            for i, (ticks, seek) in enumerate(index.times())
            if i in indexes
        )
        columns = "source_id, idx, ticks, seek_ticks, height, width"
        self._db.executemany(f"INSERT INTO frame ({columns}) VALUES (?, ?, ?, ?, ?, ?)", rows)
        if indexes and indexes.stop == len(index.keyframes):  # after the last something is missing, if anything is
            self._db.execute(
                "UPDATE frame SET reason = ? WHERE source_id = ? AND idx = ?", (index.problem, source_id, indexes[-1])
            )

    def add_failed(self, source: Source, reason: str) -> None:
        """A source of which no frame can be had, as one failed frame. Call within `adding`."""
        self.unreadable += 1
        self._db.execute(
            "INSERT INTO frame (source_id, idx, status, reason) SELECT id, 0, 'failed', ? FROM source WHERE name = ?",
            (reason, source.name),
        )

    def retry_starved(self) -> None:
        """Has what failed in this run's sources for want of memory done, and counted, again: there may be more now."""
        starved = "status = 'failed' AND substr(reason, 1, ?) = ?"
        sources = "source_id IN (SELECT id FROM source WHERE run_id = ?"
        values = (len(STARVED), STARVED, self.run_id)
        with self._transaction():
            # Of a video that was never counted there is one frame, which stands for all.
            uncounted = f"{sources} AND kind = 'video' AND time_base IS NULL)"
            self._db.execute(f"DELETE FROM frame WHERE {starved} AND {uncounted}", values)
            self._db.execute(
                f"UPDATE frame SET status = 'pending', reason = NULL WHERE {starved} AND {sources})", values
            )

    def pending(self) -> Iterator[PendingFrame]:
        """The frames of this run's sources that are still to be done, in order; commits may go on meanwhile."""
        at = (-1, -1)
        while page := self._pending_after(at):
            for source_id, name, path, kind, time_base, index, ticks, seek_ticks in page:
                source = Source(name=name, path=Path(os.fsdecode(path)), kind=SourceKind(kind), time_base=time_base)
                yield PendingFrame(source=source, index=index, ticks=ticks, seek_ticks=seek_ticks)
                at = (source_id, index)

    def _pending_after(self, at: tuple[int, int]) -> list[tuple[Any, ...]]:
        return self._db.execute(
            "SELECT source_id, name, path, kind, time_base, idx, ticks, seek_ticks"
            " FROM frame JOIN source ON source.id = source_id"
            f" WHERE {self._to_do} AND run_id = ? AND (source_id, idx) > (?, ?) ORDER BY source_id, idx LIMIT ?",
            (self.run_id, *at, _PAGE),
        ).fetchall()

    def counts(self) -> Counts:
        """Frames by state, and faces, of this run's sources.

        Where something is done again, frames that miss it are pending, or failed if it could not be done to them, and
        those that have never been done are not counted.
        """
        state = "status"
        if self._round:
            state = (
                f"CASE WHEN {self._to_do} THEN 'pending' WHEN {self._given_up} THEN 'failed'"
                " WHEN status != 'pending' THEN 'done' END"
            )
        query = (
            f"SELECT {state} AS state, count(*) FROM frame JOIN source ON source.id = source_id WHERE run_id = ?"
            " GROUP BY state"
        )
        states = dict(self._db.execute(query, (self.run_id,)).fetchall())
        query = "SELECT count(*) FROM face JOIN source ON source.id = source_id WHERE run_id = ? AND rejected IS NULL"
        (faces,) = self._db.execute(query, (self.run_id,)).fetchone()
        pending, done, failed = (states.get(status, 0) for status in (Status.PENDING, Status.DONE, Status.FAILED))
        return Counts(pending=pending, done=done, failed=failed, faces=faces)

    def failures(self, limit: int) -> list[tuple[str, int, str]]:
        """Source, frame index and reason of the first frames of this run's sources that failed."""
        query = (
            "SELECT name, idx, reason FROM frame JOIN source ON source.id = source_id"
            " WHERE run_id = ? AND status = 'failed' ORDER BY name, idx LIMIT ?"
        )
        if self._round:
            query = (
                "SELECT DISTINCT name, frame_idx, reason FROM again JOIN source ON source.id = source_id"
                f" WHERE run_id = ? AND stage IN ({quoted(self._round)}) AND reason IS NOT NULL"
                " ORDER BY name, frame_idx LIMIT ?"
            )
        return self._db.execute(query, (self.run_id, limit)).fetchall()

    def known_faces(self, spans: Sequence[Span]) -> Iterator[Face]:
        """The faces of frames for a flow that finds none: those that were found, or those that a file told of."""
        return self.known.found(spans) if self._round else self.known.told(spans)

    # --- chunks ------------------------------------------------------------------------------------

    def files_of(self, number: int) -> Path:
        """Where the files of a chunk of this run wait for its transaction."""
        return pending_folder(self.folder, self.run_id, number)

    def commit(self, rows: ChunkRows) -> None:
        """Everything found in a chunk, in one transaction; its files move to their places right after."""
        with self._transaction():
            ids = {frame.id.source: self._source_id(frame.id.source) for frame in rows.frames}
            if self._round and not self._look:
                self._commit_stages(rows, ids)
            else:
                self._commit_frames(rows, ids)
            done = (self.run_id, rows.number, len(rows.frames), len(rows.faces), rows.seconds)
            self._db.execute("INSERT INTO chunk VALUES (?, ?, ?, ?, ?)", done)
        move_into_place(self.folder, self.files_of(rows.number))

    def _commit_frames(self, rows: ChunkRows, ids: Mapping[str, int]) -> None:
        unseen = {frame.id: frame for frame in rows.frames if self._look and frame.height is None}
        for frame in rows.frames:
            source_id = ids[frame.id.source]
            if frame.id in unseen:  # what is known of it stays
                self.again.give_up(source_id, frame.id.index, self._round, frame.reason or "unreadable")
                continue
            self._update_frame(source_id, frame)
            self.again.end(source_id, frame.id.index, self._round)
        for face in rows.faces:
            self._insert_face(ids[face.frame.source], face)

    def _commit_stages(self, rows: ChunkRows, ids: Mapping[str, int]) -> None:
        """What faces have learnt that were there; a frame in which that failed for one of them is to be done again."""
        for frame in rows.frames:
            source_id = ids[frame.id.source]
            if frame.status is Status.FAILED:
                self.again.give_up(source_id, frame.id.index, self._round, frame.reason or "unreadable")
            else:
                self.again.end(source_id, frame.id.index, self._round)
        for face in rows.faces:
            ((face_id,),) = self._db.execute(
                "UPDATE face SET embedding = coalesce(?, embedding) WHERE source_id = ? AND frame_idx = ? AND idx = ?"
                " RETURNING id",
                (blob(face.embedding, "<f4"), ids[face.frame.source], face.frame.index, face.index),
            ).fetchall()
            masks = [(face_id, name, mask.size, mask.png) for name, mask in face.masks.items()]
            self._db.executemany("INSERT OR REPLACE INTO mask VALUES (?, ?, ?, ?)", masks)

    def _source_id(self, name: str) -> int:
        return int(self._db.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()[0])

    def _update_frame(self, source_id: int, frame: FrameRow) -> None:
        self._db.execute(
            "UPDATE frame SET status = ?, reason = coalesce(?, reason), height = coalesce(?, height),"
            " width = coalesce(?, width), look = ? WHERE source_id = ? AND idx = ?",
            (frame.status, frame.reason, frame.height, frame.width, self._look, source_id, frame.id.index),
        )
        if frame.sha256:
            self._db.execute("UPDATE source SET sha256 = ? WHERE id = ?", (frame.sha256, source_id))

    def _insert_face(self, source_id: int, face: FaceRow) -> None:
        cursor = self._db.execute(
            "INSERT INTO face (source_id, frame_idx, idx, x0, y0, x1, y1, score, confidence,"
            " keypoints, landmarks, affine, embedding, chip, pitch, yaw, roll, sharpness, rejected)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                source_id,
                face.frame.index,
                face.index,
                *face.box.tolist(),
                face.score,
                face.confidence,
                blob(face.keypoints, "<f4"),
                blob(face.landmarks, "<f4"),
                blob(face.frame_to_chip, "<f8"),
                blob(face.embedding, "<f4"),
                face.chip,
                *(face.pose or (None, None, None)),
                face.sharpness,
                face.rejected,
            ),
        )
        masks = [(cursor.lastrowid, name, mask.size, mask.png) for name, mask in face.masks.items()]
        self._db.executemany("INSERT INTO mask VALUES (?, ?, ?, ?)", masks)

    # --- inside ------------------------------------------------------------------------------------

    def _is_committed(self, run_id: int, number: int) -> bool:
        query = "SELECT 1 FROM chunk WHERE run_id = ? AND number = ?"
        return self._db.execute(query, (run_id, number)).fetchone() is not None

    def _insert_source(self, source: Source, path: bytes, state: tuple[int, int]) -> None:
        self._db.execute(
            "INSERT INTO source (name, path, kind, size_bytes, mtime_ns, run_id) VALUES (?, ?, ?, ?, ?, ?)",
            (source.name, path, source.kind, *state, self.run_id),
        )

    def _forget(self, source_id: int, name: str) -> None:
        remove_files(self.folder, name)
        self._db.execute("DELETE FROM source WHERE id = ?", (source_id,))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # a full disk has rolled back already
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _state(path: Path) -> tuple[int, int]:
    """Size and time of change; zeros for a file that is gone, which reading will report."""
    try:
        state = path.stat()
    except OSError:
        return (0, 0)
    return state.st_size, state.st_mtime_ns


def _is_same_content(path: Path, *, size_bytes: int, digest: str | None) -> bool:
    if digest is None or _state(path)[0] != size_bytes:
        return False
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == digest
    except OSError:
        return False


def _detector(config: Mapping[str, Any]) -> dict[str, Any]:
    return {stage: options for stage, options in config["stages"].items() if stage.startswith("detect/")}


def _without_detector(config: Mapping[str, Any]) -> dict[str, Any]:
    """All of a configuration but what finds faces."""
    stages = {stage: options for stage, options in config["stages"].items() if not stage.startswith("detect/")}
    return {**{key: value for key, value in config.items() if key not in {LOOKS, "import"}}, "stages": stages}


def _differences(here: Any, asked: Any, *, where: str = "") -> Sequence[str]:
    if isinstance(here, dict) and isinstance(asked, dict):
        keys = sorted({*here, *asked})
        return [
            line
            for key in keys
            for line in _differences(here.get(key), asked.get(key), where=f"{where}.{key}" if where else str(key))
        ]
    return [] if here == asked else [f"{where}: {json.dumps(here)} in the folder, {json.dumps(asked)} asked for"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
