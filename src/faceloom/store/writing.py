"""Writing what was found in a chunk."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from faceloom.formats.record import OnChip
from faceloom.store.again import CHIP_FILES, Again
from faceloom.store.columns import OF_ADDED, OF_FACES
from faceloom.store.notes import add_notes
from faceloom.store.round import Round
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, Status

_INSERT_FACE = f"INSERT INTO face (id, source_id, frame_idx, {OF_FACES}) VALUES (?, ?, ?, {OF_FACES.marks})"
_ADD_TO_FACE = (
    f"UPDATE face SET {', '.join(f'{name} = coalesce(?, {name})' for name in OF_ADDED.names)}"
    " WHERE source_id = ? AND frame_idx = ? AND idx = ? RETURNING id"
)


class ChunkWriter:
    """Writes the rows of chunks into an open store; call it within a transaction."""

    def __init__(self, db: sqlite3.Connection, again: Again, now: Round) -> None:
        self._db = db
        self._again = again
        self._round = now

    def write(self, rows: ChunkRows) -> None:
        """Everything found in a chunk."""
        names = {frame.id.source for frame in rows.frames}
        ids = {name: self._source_id(name) for name in names}
        if self._round.stages and not self._round.look:
            self._write_stages(rows, ids)
        else:
            self._write_frames(rows, ids)
        done = (self._round.run_id, rows.number, len(rows.frames), len(rows.faces), rows.seconds)
        self._db.execute("INSERT INTO chunk VALUES (?, ?, ?, ?, ?)", done)

    def _write_frames(self, rows: ChunkRows, ids: Mapping[str, int]) -> None:
        unseen = {frame.id for frame in rows.frames if self._round.look and frame.height is None}
        for frame in rows.frames:
            source_id = ids[frame.id.source]
            if frame.id in unseen:  # what is known of it stays
                self._again.give_up(source_id, frame.id.index, self._round.stages, frame.reason or "unreadable")
                continue
            self._update_frame(source_id, frame)
            # What filled gaps of tracks there is made anew when these are.
            self._db.execute(
                "DELETE FROM face WHERE source_id = ? AND frame_idx = ? AND mark IS NOT NULL",
                (source_id, frame.id.index),
            )
            self._again.end(source_id, frame.id.index, self._round.stages)
        (last,) = self._db.execute("SELECT coalesce(max(id), 0) FROM face").fetchone()
        numbers = range(last + 1, last + 1 + len(rows.faces))
        cells = (
            [number, ids[face.frame.source], face.frame.index, *OF_FACES.cells(face)]
            for number, face in zip(numbers, rows.faces, strict=True)
        )
        self._db.executemany(_INSERT_FACE, cells)
        self._write_masks(numbers, rows.faces)

    def _write_stages(self, rows: ChunkRows, ids: Mapping[str, int]) -> None:
        """What faces have learnt that were there; a frame in which that failed for one of them is to be done again."""
        for frame in rows.frames:
            source_id = ids[frame.id.source]
            if frame.status is Status.FAILED:
                self._again.give_up(source_id, frame.id.index, self._round.stages, frame.reason or "unreadable")
            else:
                self._again.end(source_id, frame.id.index, self._round.stages)
        numbers = [self._add_to_face(ids[face.frame.source], face) for face in rows.faces]
        if CHIP_FILES in self._round.stages:  # the rows say what corrections make of what was found
            chips = ((face.chip, number) for face, number in zip(rows.faces, numbers, strict=True))
            self._db.executemany("UPDATE face SET chip = coalesce(chip, ?) WHERE id = ?", chips)
            return
        self._write_masks(numbers, rows.faces)

    def _write_masks(self, numbers: Iterable[int], faces: Sequence[FaceRow]) -> None:
        """The masks of faces, by the faces' row numbers: pictures, and what is drawn when it is read."""
        masks = [
            (number, name, mask.size, mask.content)
            for number, face in zip(numbers, faces, strict=True)
            for name, mask in face.masks.items()
        ]
        drawn = [(*where, str(content.drawing)) for *where, content in masks if isinstance(content, OnChip)]
        pictures = [mask for mask in masks if isinstance(mask[-1], bytes)]
        self._db.executemany("INSERT OR REPLACE INTO mask VALUES (?, ?, ?, ?)", pictures)
        self._db.executemany("INSERT OR REPLACE INTO drawn_mask VALUES (?, ?, ?, ?)", drawn)

    def _update_frame(self, source_id: int, frame: FrameRow) -> None:
        self._db.execute(
            "UPDATE frame SET status = ?, reason = coalesce(?, reason), height = coalesce(?, height),"
            " width = coalesce(?, width), look = ?, fault = ?, tried_in = ? WHERE source_id = ? AND idx = ?",
            (
                *(frame.status, frame.reason, frame.height, frame.width, self._round.look, frame.fault),
                *(self._round.run_id if frame.status is Status.FAILED else None, source_id, frame.id.index),
            ),
        )
        add_notes(self._db, source_id, frame.notes)
        if frame.sha256:
            self._db.execute("UPDATE source SET sha256 = ? WHERE id = ?", (frame.sha256, source_id))

    def _add_to_face(self, source_id: int, face: FaceRow) -> int:
        cells = (*OF_ADDED.cells(face), source_id, face.frame.index, face.index)
        ((face_id,),) = self._db.execute(_ADD_TO_FACE, cells).fetchall()
        return int(face_id)

    def _source_id(self, name: str) -> int:
        return int(self._db.execute("SELECT id FROM source WHERE name = ?", (name,)).fetchone()[0])
