"""The store of a result folder: one SQLite file, one writer, a chunk a transaction.

What is to be done is in it too: every frame has a row from the moment it is known, so going on after an
end of any kind is a query, and memory does not grow with the job.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from faceloom.faces import Face
from faceloom.media.chunks import Span
from faceloom.store.adding import lay_missing_rows
from faceloom.store.adoption import Adoption
from faceloom.store.again import CHIP_FILES, Again, look_name
from faceloom.store.carrying import Carried, take_in, told_in
from faceloom.store.configuration import Configuration
from faceloom.store.copies import mark_derived
from faceloom.store.database import connect, create_schema, transaction
from faceloom.store.folder import claim_folder, drop, locked, move_into_place, on_network, pending_folder, recover_files
from faceloom.store.frames import FrameStates
from faceloom.store.given_folders import GivenFolder
from faceloom.store.intake import Intake, Taken
from faceloom.store.known import KnownFaces
from faceloom.store.places import place_below, remove_below
from faceloom.store.privacy import make_folder, make_folders_below
from faceloom.store.remaking import SourceToRead, lay_out
from faceloom.store.round import Round
from faceloom.store.rows import ChunkRows
from faceloom.store.scratch import SCRATCH
from faceloom.store.soundness import check_rows, sound
from faceloom.store.sources import Sources
from faceloom.store.writing import ChunkWriter


class Store:
    """A result folder, open for one run."""

    def __init__(self, folder: Path, *, share: bool = False) -> None:
        """A new one is for its owner alone, unless it is shared with whom the umask allows."""
        self.folder = folder
        self._share = share
        self._round = Round()
        self._last_face = 0
        """The greatest id of a face when the store was opened."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Opens or makes the store, and ends what a killed run began.

        Raises:
            RequestError: the folder holds something else.
            StoreError: it cannot be used, or another run is writing to it.
        """
        claim_folder(self.folder, share=self._share)
        with ExitStack() as stack:
            stack.enter_context(locked(self.folder, share=self._share))
            self._db = stack.enter_context(connect(self.folder, read_only=False))
            # A write-ahead log needs memory shared between processes, which network file systems lack.
            self._db.execute(f"PRAGMA journal_mode = {'DELETE' if on_network(self.folder) else 'WAL'}")
            self._db.execute("PRAGMA synchronous = NORMAL")
            create_schema(self._db)
            self.again = Again(self._db)
            self.known = KnownFaces(self._db)
            self.configuration = Configuration(self._db, self.folder, self.again)
            self.sources = Sources(self._db, self.folder, self.again, self._round)
            self.frames = FrameStates(self._db, self.folder, self.again, self._round)
            self._writer = ChunkWriter(self._db, self.again, self._round)
            self._adoption = Adoption(self._db, self.folder)
            self._intake = Intake(self._db, self.folder, self._round)
            check_rows(self._db, self.folder)
            self._last_face = int(self._db.execute("SELECT coalesce(max(id), 0) FROM face").fetchone()[0])
            recover_files(self.folder, self._is_committed)
            remove_below(self.folder, SCRATCH)  # what a kill has left
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

    @property
    def run_id(self) -> int:
        """The row number of the run that was begun last; 0: none was."""
        return self._round.run_id

    @property
    def next_chunk(self) -> int:
        """The first number that no chunk of this run has."""
        query = "SELECT coalesce(max(number) + 1, 0) FROM chunk WHERE run_id = ?"
        return int(self._db.execute(query, (self.run_id,)).fetchone()[0])

    def begin_run(self, *, versions: Mapping[str, Any]) -> None:
        """Notes the start of a run."""
        with transaction(self._db):
            cursor = self._db.execute(
                "INSERT INTO run (started_at, versions) VALUES (?, ?)", (_now(), json.dumps(versions))
            )
            self._round.run_id = int(cursor.lastrowid or 0)
            # None has been given to a run that is only beginning, whatever the store says.
            self._db.execute("UPDATE source SET run_id = 0 WHERE run_id >= ?", (self._round.run_id,))

    def note_plan(self, plan: Mapping[str, Any]) -> None:
        """Notes the plan that the run follows from now on."""
        with transaction(self._db):
            self._db.execute("UPDATE run SET plan = ? WHERE id = ?", (json.dumps(plan), self.run_id))

    def end_run(self, *, outcome: str, summary: Mapping[str, Any]) -> None:
        """Notes how the run ended."""
        with transaction(self._db):
            self._db.execute(
                "UPDATE run SET finished_at = ?, outcome = ?, summary = ? WHERE id = ?",
                (_now(), outcome, json.dumps(summary), self.run_id),
            )

    def add_event(self, kind: str, detail: Mapping[str, Any]) -> None:
        """Notes something that happened and is neither a frame nor a face."""
        with transaction(self._db):
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
        self._round.stages, self._round.look = tuple(stages), look
        with transaction(self._db):
            query = "UPDATE source SET run_id = ? WHERE coalesce(?, run_id) = run_id"
            self._db.execute(query, (self.run_id, sources_of))
            self.again.forget_reasons(self._round.stages)

    def look_again(self, number: int) -> None:
        """From here on this run does this second look on frames in which no face was found."""
        with transaction(self._db):
            self.again.add_look(number, run_id=self.run_id)
        self.do_again([look_name(number)], look=number, sources_of=self.run_id)

    def find_lost_chips(self) -> bool:
        """Lists the chips of this run's sources that are not there, or not whole; whether there are any to be made.

        Those that were written since the store was opened are not looked at again.
        """
        with transaction(self._db):
            self.again.add_chips(self.folder, run_id=self.run_id, last_face=self._last_face)
        return CHIP_FILES in self.again.stages(self.run_id)

    def adopt(self, given: Path, *, raw: bool = False, smooth: bool = False) -> None:
        """Makes the sources of another result folder this run's; see `Adoption.take`."""
        with transaction(self._db):
            self._adoption.take(given, run_id=self.run_id, raw=raw, smooth=smooth)
        self.frames.retry()

    def take_in(self, given: GivenFolder, names: Iterable[str], number: int, *, overlays: bool) -> Taken:
        """Sources of another result folder with all that it holds of them, in one transaction, as a chunk of this run.

        Those that are here already, or were forgotten here, are left out.

        Raises:
            RequestError: one is here with other results.
            StoreError: something there is not what a run could have written, or nothing can be written here.
        """
        pending = self.files_of(number)
        make_folders_below(self.folder, pending.relative_to(self.folder), share=self._share)
        taken = self._intake.take(given, names, pending, number, overlays=overlays, share=self._share)
        move_into_place(self.folder, pending)
        return taken

    def take_notes(self, given: GivenFolder) -> None:
        """What another result folder knows to be no source, and what it is not to take up again."""
        with transaction(self._db):
            self._intake.take_notes(given)

    def carry_corrections(self, other: Path) -> Carried:
        """Takes in what was corrected in another result folder and is not known here yet; see `carrying`.

        Raises:
            StoreError: the other folder holds no store that can be read, or its corrections make no sense.
        """
        with sound(self.folder), transaction(self._db):
            return take_in(self._db, told_in(other))

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """Keeps an empty folder for fetched files, which goes at the end."""
        make_folder(place_below(self.folder, SCRATCH))
        try:
            yield
        finally:
            remove_below(self.folder, SCRATCH)

    def lay_out(self, sources: Iterable[SourceToRead]) -> None:
        """Lists the frames of another folder's sources as to be done in this run, with faces that are known of them."""
        lay_out(self._db, sources, run_id=self.run_id)

    def lay_added(self) -> None:
        """Makes the rows of faces that somebody added, where their frames are there now and they are not."""
        with sound(self.folder), transaction(self._db):
            lay_missing_rows(self._db)

    def mark_derived(self, identity: str) -> None:
        """Says which result folder this one is derived from; see `copies`."""
        mark_derived(self._db, identity)

    def known_faces(self, spans: Sequence[Span]) -> Iterator[Face]:
        """The faces of frames for a flow that finds none: those that were found, or those that a file told of."""
        return self.known.found(spans) if self._round.stages else self.known.told(spans)

    def files_of(self, number: int) -> Path:
        """Where the files of a chunk of this run wait for its transaction."""
        return pending_folder(self.folder, self.run_id, number)

    def drop_files(self, number: int) -> None:
        """Removes the files of a chunk that is not committed."""
        drop(self.files_of(number))

    def commit(self, rows: ChunkRows) -> None:
        """Everything found in a chunk, in one transaction; its files move to their places right after."""
        with transaction(self._db):
            self._writer.write(rows)
        move_into_place(self.folder, self.files_of(rows.number))

    def _is_committed(self, run_id: int, number: int) -> bool:
        query = "SELECT 1 FROM chunk WHERE run_id = ? AND number = ?"
        return self._db.execute(query, (run_id, number)).fetchone() is not None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
