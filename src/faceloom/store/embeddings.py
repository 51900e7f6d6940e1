"""Embeddings, some at a time: however many there are, few are held."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import StoreError
from faceloom.faces import FrameId
from faceloom.store.view import connect_corrected

_AT_ONCE = 4096
_NUMBER_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedFaces:
    """Some faces with their embeddings."""

    ids: NDArray[np.intp]
    """(N,) row numbers."""
    embeddings: NDArray[np.float32]
    """(N, D) of unit length."""
    persons: Sequence[str | None]
    """Whose they are, as persons are corrected; None: nobody's."""


def read_embedded(folder: Path, *, numbers: int) -> Iterator[EmbeddedFaces]:
    """All faces that have an embedding and that no filter rejected, in the order of their rows.

    Args:
        folder: the result folder.
        numbers: how many an embedding has to have.

    Raises:
        StoreError: the folder holds no store that can be read, or embeddings of another length.
    """
    query = "SELECT id, embedding, person FROM face WHERE embedding IS NOT NULL AND rejected IS NULL ORDER BY id"
    with connect_corrected(folder) as db:
        db.execute("BEGIN")  # what a run writes meanwhile is not seen
        cursor = db.execute(query)
        while rows := cursor.fetchmany(_AT_ONCE):
            ids, contents, persons = zip(*rows, strict=True)
            if {len(content) for content in contents} != {_NUMBER_BYTES * numbers}:
                raise StoreError(f"{folder} holds embeddings of another length than {numbers} numbers", path=folder)
            embeddings = np.frombuffer(b"".join(contents), "<f4").reshape(len(ids), numbers)
            yield EmbeddedFaces(ids=np.array(ids, np.intp), embeddings=embeddings, persons=persons)


@dataclass(frozen=True, slots=True, kw_only=True)
class FacePlacement:
    """Where a face is, and what its file is called."""

    frame: FrameId
    index: int
    person: str | None
    chip: str | None
    """Below the result folder."""
    quality: float | None


def read_placements(folder: Path, ids: Sequence[int]) -> dict[int, FacePlacement]:
    """The placements of some faces, by row number, as far as they are there.

    Raises:
        StoreError: the folder holds no store that can be read.
    """
    query = (
        "SELECT name, frame_idx, idx, person, chip, quality FROM face JOIN source ON source.id = source_id"
        " WHERE face.id = ?"
    )
    with connect_corrected(folder) as db:
        rows = {face: db.execute(query, (face,)).fetchone() for face in ids}
    return {face: _placement(row) for face, row in rows.items() if row is not None}


def _placement(row: tuple[Any, ...]) -> FacePlacement:
    name, frame, index, person, chip, quality = row
    return FacePlacement(frame=FrameId(name, frame), index=index, person=person, chip=chip, quality=quality)
