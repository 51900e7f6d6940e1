"""Known faces: what a file tells of faces before their frames are done, and how its names find their sources."""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath

from faceloom.faces import Face, FrameId
from faceloom.formats.record import FrameRecord
from faceloom.media.chunks import Span
from faceloom.store.columns import OF_KNOWN, OF_KNOWN_WITH_CHIPS, Columns
from faceloom.store.soundness import sound

_COLUMNS = f"source, frame_idx, {OF_KNOWN}"
_TABLE = f"CREATE TABLE known ({_COLUMNS}, PRIMARY KEY (source, frame_idx, idx)) WITHOUT ROWID"
_CERTAIN = 1.0
"""The score of a face to which its file gives none."""
_PAGE = 1000
_FRAME_OF_VIDEO = re.compile(r"(.+)_(\d{6,18})\.png", re.DOTALL | re.ASCII)


def write_known(frames: Iterable[FrameRecord], path: Path) -> None:
    """Writes the faces of a file into a database of their own, for `KnownFaces.take`.

    Raises:
        ValueError: a face stands there twice.
    """
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLE}")
        for frame in frames:
            for face in frame.faces:
                told = replace(face, score=_CERTAIN) if face.score is None else face
                try:
                    db.execute(
                        f"INSERT INTO known VALUES (?, ?, {OF_KNOWN.marks})",
                        (frame.id.source, frame.id.index, *OF_KNOWN.cells(told)),
                    )
                except sqlite3.IntegrityError as error:
                    raise ValueError(f"face {face.index} of {frame.id} stands there twice") from error
        db.commit()


class KnownFaces:
    """The table of known faces in an open store."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    @property
    def sha256(self) -> str | None:
        """Of the file that was taken in; None where none was."""
        row = self._db.execute("SELECT value FROM meta WHERE key = 'known_sha256'").fetchone()
        return row and str(row[0])

    def take(self, path: Path, *, sha256: str) -> None:
        """Takes in what `write_known` wrote from a file of this content, as a whole or not at all."""
        self._db.execute("ATTACH ? AS told", (str(path),))
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM known")
            self._db.execute(f"INSERT INTO known ({_COLUMNS}) SELECT {_COLUMNS} FROM told.known")
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('known_sha256', ?)", (sha256,))
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._db.execute("DETACH told")

    def match(self) -> tuple[int, int, list[FrameId]]:
        """Gives what other programs name otherwise the names of this store's sources.

        A name that is no source's is taken for the only source of that name without its suffix, or of the same last
        part, with its suffix or without; `clip_000013.png` also for frame 12 of the only video `clip`.

        Returns:
            How many faces are known, how many of them are of no frame here, and the first of their frames.
        """
        self._db.execute("CREATE TEMP TABLE alias (rank INTEGER, alias TEXT, name TEXT, kind TEXT)")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            aliases = (
                (rank, alias, name, kind)
                for name, kind in self._db.execute("SELECT name, kind FROM source")
                for rank, alias in enumerate(_aliases(name))
            )
            self._db.executemany("INSERT INTO alias VALUES (?, ?, ?, ?)", aliases)
            self._db.execute("CREATE INDEX temp.alias_alias ON alias (rank, alias)")
            for told in self._strange_names():
                self._rename(told)
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._db.execute("DROP TABLE temp.alias")
        (faces,) = self._db.execute("SELECT count(*) FROM known").fetchone()
        lost = (
            "FROM known WHERE NOT EXISTS (SELECT 1 FROM source JOIN frame ON source_id = source.id"
            " WHERE name = known.source AND frame.idx = frame_idx)"
        )
        (number,) = self._db.execute(f"SELECT count(*) {lost}").fetchone()
        first = self._db.execute(f"SELECT DISTINCT source, frame_idx {lost} ORDER BY 1, 2 LIMIT 3").fetchall()
        return faces, number, [FrameId(*frame) for frame in first]

    def told(self, spans: Sequence[Span]) -> Iterator[Face]:
        """The faces of frames that a file told of, in order."""
        return self._faces(OF_KNOWN, "known WHERE source = ?", spans)

    def found(self, spans: Sequence[Span]) -> Iterator[Face]:
        """The faces of frames that were found in them, in order, but for those that a filter has rejected.

        Raises:
            StoreError: a row holds something else than runs write.
        """
        wanted = "added_by IS NULL AND mark IS NOT 'interpolated' AND rejected IS NULL"
        of_source = f"face WHERE {wanted} AND source_id = (SELECT id FROM source WHERE name = ?)"
        return self._faces(OF_KNOWN_WITH_CHIPS, of_source, spans)

    def _faces(self, columns: Columns, where: str, spans: Sequence[Span]) -> Iterator[Face]:
        query = f"SELECT {columns}, frame_idx FROM {where} AND frame_idx BETWEEN ? AND ? ORDER BY frame_idx, idx"
        for span in spans:
            rows = self._db.execute(query, (span.source.name, span.first, span.first + len(span) - 1)).fetchall()
            with sound(self._path):
                faces = [Face(frame=FrameId(span.source.name, row[-1]), **columns.values(row)) for row in rows]
            yield from faces

    @property
    def _path(self) -> Path:
        """The file of the store, for messages."""
        return Path(self._db.execute("PRAGMA database_list").fetchone()[2])

    def _strange_names(self) -> Iterator[str]:
        """Every name that is no source's; renaming may go on meanwhile."""
        query = (
            "SELECT DISTINCT source FROM known WHERE source > ?"
            " AND NOT EXISTS (SELECT 1 FROM source WHERE name = known.source) ORDER BY source LIMIT ?"
        )
        at = ""
        while page := self._db.execute(query, (at, _PAGE)).fetchall():
            for (at,) in page:
                yield at

    def _rename(self, told: str) -> bool:
        last = PurePosixPath(told).name
        for rank, alias in enumerate((told, last, last)):
            query = "SELECT name FROM alias WHERE rank = ? AND alias = ? LIMIT 2"
            found = self._db.execute(query, (rank, alias)).fetchall()
            if len(found) == 1 and self._move(told, found[0][0]):
                return True
        cut_out = _FRAME_OF_VIDEO.fullmatch(last)
        if cut_out is None or int(cut_out[2]) == 0:
            return False
        query = "SELECT name FROM alias WHERE rank = 2 AND alias = ? AND kind = 'video' LIMIT 2"
        found = self._db.execute(query, (cut_out[1],)).fetchall()
        return len(found) == 1 and self._move(told, found[0][0], frame=int(cut_out[2]) - 1)

    def _move(self, told: str, name: str, *, frame: int | None = None) -> bool:
        """Whether the faces could have another name: no others have it already."""
        query = "UPDATE OR IGNORE known SET source = ?, frame_idx = coalesce(?, frame_idx) WHERE source = ?"
        return self._db.execute(query, (name, frame, told)).rowcount > 0


def _aliases(name: str) -> tuple[str, str, str]:
    """Without its suffix; its last part; that without its suffix."""
    path = PurePosixPath(name)
    return str(path.with_suffix("")), path.name, path.stem
