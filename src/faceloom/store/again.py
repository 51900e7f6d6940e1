"""What is to be done again on frames that are done: stages that their faces miss, and second looks at empty frames.

A row of the table `again` is one of these for one frame. It goes in the transaction that does it, so going on after an
end of any kind is a query here too.
"""

import os
import sqlite3
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from faceloom.errors import StoreError
from faceloom.media.chip_files import is_whole
from faceloom.media.sources import Shape, SourceKind
from faceloom.store.places import WorkPlaces

_LOOK = "look/"
CHIP_FILES = "chips"
"""What `again` calls the chip files of a frame that are not there, or not whole."""
NEVER = -1
"""`frame.look` of a frame that is to have no second look: who was on it was forgotten."""


def look_name(number: int) -> str:
    """What `again` calls the second look of this number, 1-based."""
    return f"{_LOOK}{number}"


def to_do(stages: Collection[str]) -> str:
    """The condition that a frame still has one of these before it in this run."""
    return f"EXISTS (SELECT 1 {_rows_of(stages)} AND again.reason IS NULL)"


def given_up(stages: Collection[str]) -> str:
    """The condition that one of these could not be done to a frame in this run."""
    return f"EXISTS (SELECT 1 {_rows_of(stages)} AND again.reason IS NOT NULL)"


def _rows_of(stages: Collection[str]) -> str:
    return (
        "FROM again WHERE again.source_id = frame.source_id AND again.frame_idx = frame.idx"
        f" AND stage IN ({quoted(stages)})"
    )


def quoted(names: Collection[str]) -> str:
    """Texts as SQL has them."""
    return ", ".join("'" + name.replace("'", "''") + "'" for name in names)


class Again:
    """The table in an open store; what changes it is called within a transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def stages(self, run_id: int) -> list[str]:
        """The stages that faces in this run's sources miss."""
        query = "SELECT DISTINCT stage FROM again JOIN source ON source.id = source_id WHERE run_id = ? ORDER BY stage"
        found = self._db.execute(query, (run_id,))
        return [stage for (stage,) in found if not stage.startswith(_LOOK)]

    def add_chips(self, folder: Path, *, run_id: int, last_face: int) -> None:
        """Every frame of this run's sources with a chip that is not there, or not whole, is to have its chips again.

        Of faces up to `last_face`, those that were there before: what was written since is whole.
        """
        query = (
            "SELECT source_id, frame_idx, chip FROM face JOIN source ON source.id = source_id"
            " WHERE run_id = ? AND face.id <= ? AND chip IS NOT NULL AND rejected IS NULL"
        )
        chips = self._db.execute(query, (run_id, last_face))
        places = WorkPlaces(folder)
        lost = {(source_id, index) for source_id, index, chip in chips if not _is_whole(places, chip)}
        rows = ((*frame, CHIP_FILES) for frame in sorted(lost))
        self._db.executemany("INSERT OR IGNORE INTO again (source_id, frame_idx, stage) VALUES (?, ?, ?)", rows)

    def add_stages(self, stages: Sequence[str]) -> None:
        """Every frame that has faces misses these."""
        for stage in stages:
            self._db.execute(
                "INSERT OR IGNORE INTO again (source_id, frame_idx, stage)"
                " SELECT DISTINCT source_id, frame_idx, ? FROM face WHERE rejected IS NULL",
                (stage,),
            )

    def drop_stages(self, stages: Collection[str]) -> None:
        """No frame misses these any more."""
        self._db.execute(f"DELETE FROM again WHERE stage IN ({quoted(stages)})")

    def add_look(self, number: int, *, run_id: int) -> None:
        """Every frame of this run's sources in which no face was found is to have this look, if it has not had it."""
        self._db.execute(
            "INSERT OR IGNORE INTO again (source_id, frame_idx, stage) SELECT source_id, idx, ?"
            " FROM frame JOIN source ON source.id = source_id WHERE run_id = ? AND status = 'done'"
            f" AND look NOT IN (?, {NEVER})"
            " AND NOT EXISTS (SELECT 1 FROM face WHERE face.source_id = frame.source_id AND frame_idx = frame.idx"
            " AND mark IS NULL)",
            (look_name(number), run_id, number),
        )

    def forget_reasons(self, stages: Collection[str]) -> None:
        """What could not be done before is tried once more."""
        self._db.execute(f"UPDATE again SET reason = NULL WHERE reason IS NOT NULL AND stage IN ({quoted(stages)})")

    def end(self, source_id: int, index: int, stages: Collection[str]) -> None:
        """These have been done to a frame."""
        query = f"DELETE FROM again WHERE source_id = ? AND frame_idx = ? AND stage IN ({quoted(stages)})"
        self._db.execute(query, (source_id, index))

    def give_up(self, source_id: int, index: int | None, stages: Collection[str], reason: str) -> None:
        """These could not be done to a frame, or to all of a source; the next run tries them again."""
        query = (
            "UPDATE again SET reason = ? WHERE source_id = ? AND coalesce(?, frame_idx) = frame_idx"
            f" AND stage IN ({quoted(stages)})"
        )
        self._db.execute(query, (reason, source_id, index))

    def give_up_shape(self, run_id: int, kind: SourceKind, shape: Shape, stages: Collection[str], reason: str) -> None:
        """These cannot be done in this run to frames of a shape."""
        self._db.execute(
            f"UPDATE again SET reason = ? WHERE reason IS NULL AND stage IN ({quoted(stages)}) AND EXISTS"
            " (SELECT 1 FROM frame JOIN source ON source.id = frame.source_id WHERE frame.source_id = again.source_id"
            " AND idx = frame_idx AND height = ? AND width = ? AND run_id = ? AND kind = ? AND reading_bytes = ?)",
            (reason, shape.height, shape.width, run_id, kind, shape.reading_bytes),
        )

    def sources(self, run_id: int, stages: Collection[str]) -> Iterator[tuple[int, str, Path, int, int, str | None]]:
        """Id, name, path, size, time and sha256 of this run's sources that have any of these before them."""
        query = (
            "SELECT id, name, path, size_bytes, mtime_ns, sha256 FROM source WHERE run_id = ? AND id > ? AND EXISTS"
            f" (SELECT 1 FROM again WHERE source_id = source.id AND stage IN ({quoted(stages)})) ORDER BY id LIMIT 1"
        )
        at = -1
        while (row := self._db.execute(query, (run_id, at)).fetchone()) is not None:
            at, name, path, size_bytes, mtime_ns, sha256 = row
            yield at, name, Path(os.fsdecode(path)), size_bytes, mtime_ns, sha256


def _is_whole(places: WorkPlaces, chip: object) -> bool:
    """Whether a chip is there and whole; what lies elsewhere, or is no file, is none of ours."""
    try:
        place = places.place(chip)
        return stat.S_ISREG(place.lstat().st_mode) and is_whole(place)
    except (OSError, StoreError):
        return False
