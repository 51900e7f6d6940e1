"""Foresight: what would go if a person were forgotten, and how sure it is that all of it is theirs."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.options.calls import LEAST_QUALITY
from faceloom.people.doubt import is_doubtful
from faceloom.people.thresholds import same_person_of
from faceloom.store.lost import no_such_person
from faceloom.store.persons import read_identifier
from faceloom.store.view import connect_corrected, of_persons, replayed

_AT_ONCE = 1000
"""Embeddings that are held at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foresight:
    """The faces of a person, before they are forgotten."""

    person: str
    faces: int
    sources: tuple[tuple[str, int], ...]
    """Every source with how many of the faces are in it, most faces first."""
    by_hand: int
    """Faces of which somebody said whose they are."""
    unlike: int
    """Faces that are less like the person's others, on average, than one person's are; 0 where that cannot be said."""
    doubtful: int
    """Faces that say too little of whose they are, by their quality or size; by hand none is."""
    twice: int
    """Frames in which the person is more than once."""

    @property
    def is_sure(self) -> bool:
        """Whether nothing speaks against all faces being the person's."""
        return not (self.unlike or self.doubtful or self.twice)

    def to_json(self) -> dict[str, Any]:
        """Gives it as JSON has it, sources by name."""
        return {**asdict(self), "sources": dict(self.sources)}


def foresee(folder: Path, person: str) -> Foresight:
    """Looks at the faces of a person, as persons are corrected; nothing is changed.

    Raises:
        RequestError: there is none of that name.
        StoreError: the folder holds no store that can be read.
    """
    with connect_corrected(folder) as db:
        db.execute("BEGIN")
        candidates, names = of_persons(db, [person])
        where, values = f"face.id IN ({candidates}) AND person = ?", (*names, person)
        query = "SELECT face.id, name, frame_idx, quality, max(x1 - x0, y1 - y0) FROM face"
        rows = db.execute(f"{query} JOIN source ON source.id = source_id WHERE {where}", values).fetchall()
        if not rows:
            raise no_such_person(db, folder, person)
        by_hand = {row[0] for row in rows} & _placed_by_hand(db)
        return Foresight(
            person=person,
            faces=len(rows),
            sources=tuple(Counter(row[1] for row in rows).most_common()),
            by_hand=len(by_hand),
            unlike=len(_unlike(db, where, values, threshold=_threshold(folder)) - by_hand),
            doubtful=len(_doubtful(rows) - by_hand),
            twice=sum(count > 1 for count in Counter(row[1:3] for row in rows).values()),
        )


def _placed_by_hand(db: sqlite3.Connection) -> set[int]:
    if db.execute("SELECT 1 FROM correction WHERE NOT undone > 0 LIMIT 1").fetchone() is None:
        return set()
    return set(replayed(db).people.faces)


def _threshold(folder: Path) -> float | None:
    """From which cosine on two faces pass for one person's; None where no identifier says."""
    try:
        return same_person_of(read_identifier(folder))
    except RequestError:
        return None


def _doubtful(rows: Sequence[tuple[Any, ...]]) -> set[int]:
    """Row numbers of faces that say too little of whose they are."""
    ids, _, _, qualities, sizes_px = zip(*rows, strict=True)
    doubtful = is_doubtful(np.array(qualities, np.float64), np.array(sizes_px, np.float64), least=LEAST_QUALITY)
    return {face for face, is_one in zip(ids, doubtful.tolist(), strict=True) if is_one}


def _unlike(db: sqlite3.Connection, where: str, values: Sequence[str], *, threshold: float | None) -> set[int]:
    """Row numbers of faces whose mean cosine with the person's others is below a threshold."""
    total, count = None, 0
    for _, embeddings in _embeddings(db, where, values):
        total = embeddings.sum(axis=0) + (0 if total is None else total)
        count += len(embeddings)
    if total is None or count < 2 or threshold is None:
        return set()
    found: set[int] = set()
    for ids, embeddings in _embeddings(db, where, values):
        means = (embeddings @ total - (embeddings**2).sum(axis=1)) / (count - 1)
        found.update(ids[means < threshold].tolist())
    return found


def _embeddings(
    db: sqlite3.Connection, where: str, values: Sequence[str]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float64]]]:
    """Row numbers and embeddings, some at a time; of several identifiers those of the first face's."""
    length = None
    cursor = db.execute(f"SELECT id, embedding FROM face WHERE {where} AND embedding IS NOT NULL", values)
    while rows := cursor.fetchmany(_AT_ONCE):
        length = length or len(rows[0][1])
        kept = [(face, content) for face, content in rows if len(content) == length]
        content = b"".join(content for _, content in kept)
        vectors = np.frombuffer(content, "<f4").reshape(len(kept), -1).astype(np.float64)
        yield np.array([face for face, _ in kept], np.intp), vectors
