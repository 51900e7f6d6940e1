"""Searching: who among any number of faces is most like some, exactly, in memory that does not grow with their number.

Every embedding is looked at once, block by block as the store gives them. So there is no index that would have to be
kept up to date, and no answer is approximate (how long that takes: docs/people.md).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.store.embeddings import EmbeddedFaces

DIGITS = 4
"""Cosines are rounded before they are compared: engines differ in the sixth decimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceHit:
    """A face that is like the one that was asked about."""

    folder: Path
    face: int
    """Its row number there."""
    score: float
    """The cosine of the two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonHit:
    """A person of a result folder, by how like the one that was asked about they are."""

    folder: Path
    person: str
    faces: int
    score: float
    """The mean cosine over all their faces, as grouping compares them."""
    best: float
    """The highest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchAnswer:
    """What was found for one face."""

    faces: tuple[FaceHit, ...]
    """Most alike first; of as many that of the folder named first, and there of the lower row."""
    persons: tuple[PersonHit, ...]
    """Likewise; of as many the name that sorts first."""


class GallerySearch:
    """The most alike of what it is shown, for each of some faces."""

    def __init__(self, queries: NDArray[np.float32], *, most: int) -> None:
        """Of queries (Q, D) of unit length, up to so many faces and persons each."""
        self._queries = queries
        self._most = most
        self._scores = np.zeros((len(queries), 0), np.float32)
        self._places = np.zeros((len(queries), 0), np.intp)
        """Folder and row of those that are kept, in one number."""
        self._persons: dict[tuple[int, str], int] = {}
        self._sums = np.zeros((0, len(queries)))
        self._bests = np.zeros((0, len(queries)))
        self._counts = np.zeros(0, np.intp)
        self._folders: list[Path] = []

    def look_through(self, folder: Path, blocks: Iterable[EmbeddedFaces]) -> int:
        """Takes up the faces of a result folder; how many there are."""
        number, count = len(self._folders), 0
        self._folders.append(folder)
        for block in blocks:
            cosines = np.round(block.embeddings @ self._queries.T, DIGITS)  # (N, Q)
            self._keep(cosines.T, block.ids, number)
            self._add_up(cosines, block.persons, number)
            count += len(block.ids)
        return count

    def _keep(self, cosines: NDArray[np.float32], ids: NDArray[np.intp], folder: int) -> None:
        """Takes up the faces of a block (Q, N) that are among the most alike so far."""
        places = np.broadcast_to((folder << _FOLDER) | ids, cosines.shape)
        scores = np.concatenate([self._scores, cosines], axis=1)
        places = np.concatenate([self._places, places], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self._most]  # those before come first
        self._scores = np.take_along_axis(scores, order, axis=1)
        self._places = np.take_along_axis(places, order, axis=1)

    def _add_up(self, cosines: NDArray[np.float32], persons: Iterable[str | None], folder: int) -> None:
        codes = np.array(
            [
                -1 if person is None else self._persons.setdefault((folder, person), len(self._persons))
                for person in persons
            ],
            np.intp,
        )
        fresh = len(self._persons) - len(self._counts)
        width = len(self._queries)
        self._sums = np.concatenate([self._sums, np.zeros((fresh, width))])
        self._bests = np.concatenate([self._bests, np.full((fresh, width), -np.inf)])
        self._counts = np.concatenate([self._counts, np.zeros(fresh, np.intp)])
        named = codes >= 0
        np.add.at(self._sums, codes[named], cosines[named].astype(np.float64))
        np.maximum.at(self._bests, codes[named], cosines[named].astype(np.float64))
        self._counts += np.bincount(codes[named], minlength=len(self._counts))

    def answers(self) -> Iterator[SearchAnswer]:
        """What was found, for each of the faces that were asked about."""
        for query in range(len(self._queries)):
            faces = [
                FaceHit(
                    folder=self._folders[place >> _FOLDER],
                    face=place & ((1 << _FOLDER) - 1),
                    score=round(score, DIGITS),
                )
                for place, score in zip(self._places[query].tolist(), self._scores[query].tolist(), strict=True)
            ]
            yield SearchAnswer(faces=tuple(faces), persons=tuple(self._ranked(query)))

    def _ranked(self, query: int) -> list[PersonHit]:
        hits = [
            PersonHit(
                folder=self._folders[folder],
                person=person,
                faces=int(self._counts[code]),
                score=round(float(self._sums[code, query] / self._counts[code]), DIGITS),
                best=round(float(self._bests[code, query]), DIGITS),
            )
            for (folder, person), code in self._persons.items()
        ]
        numbers = {folder: number for number, folder in enumerate(self._folders)}
        return sorted(hits, key=lambda hit: (-hit.score, numbers[hit.folder], hit.person))[: self._most]


_FOLDER = 48
"""Bits of a row number below that of its folder."""
