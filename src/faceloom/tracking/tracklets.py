"""Tracklets: faces linked from each frame to the next where there is no doubt, and what is known at their two ends."""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from faceloom.tracking.assignment import assign
from faceloom.tracking.costs import COSTLIEST, End, Likeness, foretold, reach, step_cost, whole
from faceloom.tracking.sightings import SeenFrame

_DOUBT = 4.0
"""Of two ways to go on whose costs differ by less, none is taken here."""
OF_END = 6
"""Of the faces at an end by which its motion is told."""
Offers: TypeAlias = dict[int, dict[int, float]]
"""What it costs to go on: by open tracklet and face."""


@dataclass(slots=True, kw_only=True, eq=False)
class Tracklet:
    """A face through frames that follow each other; the two ends are what joining looks at."""

    first_position: int
    last_position: int
    faces: list[int] = field(default_factory=list)
    head: list[End] = field(default_factory=list)
    """The first faces, from the first on, which alone has its shape."""
    tail: deque[End] = field(default_factory=lambda: deque(maxlen=OF_END))
    """The last ones, of which the last alone has its shape."""
    likeness: Likeness = field(default_factory=Likeness)

    def add(
        self, face: int, end: End, position: int, embedding: NDArray[np.float32] | None, person: str | None
    ) -> None:
        """Goes on with a face."""
        self.faces.append(face)
        if len(self.head) < OF_END:
            self.head.append(end.bare if self.head else end)
        if self.tail:
            self.tail[-1] = self.tail[-1].bare
        self.tail.append(end)
        self.last_position = position
        self.likeness = self.likeness.with_face(embedding, person)


def tracklets(frames: Iterable[SeenFrame], *, same_person: float | None) -> Iterator[Tracklet]:
    """The tracklets of one shot, in the order in which they end; those that are open take little memory.

    Args:
        frames: in order.
        same_person: the cosine from which on two faces are one person's; None: not known.
    """
    open_: list[Tracklet] = []
    position = -1
    for frame in frames:
        if frame.position != position + 1:
            yield from open_
            open_ = []
        position = frame.position
        ends = [End.of(frame, i) for i in range(len(frame.faces))]
        goes_on = _links(open_, frame, ends, same_person=same_person)
        following = []
        for i, (face, end) in enumerate(zip(frame.faces, ends, strict=True)):
            one = goes_on.get(i) or Tracklet(first_position=position, last_position=position)
            one.add(face, end, position, frame.embeddings[i], frame.persons[i])
            following.append(one)
        gone_on = set(map(id, goes_on.values()))
        yield from (one for one in open_ if id(one) not in gone_on)
        open_ = following
    yield from open_


def _links(
    open_: list[Tracklet], frame: SeenFrame, ends: list[End], *, same_person: float | None
) -> Mapping[int, Tracklet]:
    """For faces the tracklet that each goes on with."""
    offers: Offers = {}
    likenesses = [Likeness().with_face(*told) for told in zip(frame.embeddings, frame.persons, strict=True)]
    for row, column in _near(open_, ends):
        one = open_[row]
        cost = step_cost(one.tail, ends[column]) + one.likeness.cost(likenesses[column], same_person)
        if cost < COSTLIEST:
            offers.setdefault(row, {})[column] = cost
    rows = sorted(offers)
    columns = assign([{c: whole(cost) for c, cost in offers[row].items()} for row in rows], unpaired=whole(COSTLIEST))
    pairs = {row: column for row, column in zip(rows, columns, strict=True) if column is not None}
    return {column: open_[row] for row, column in pairs.items() if _is_certain(offers, row, column)}


def _near(open_: list[Tracklet], ends: list[End]) -> list[tuple[int, int]]:
    """Tracklets and faces that are near enough to be looked at."""
    if not open_ or not ends:
        return []
    seconds = max(0.0, ends[0].time_s - open_[0].tail[-1].time_s)
    middles = np.array([end.middle for end in ends])
    sides = np.array([[math.sqrt(one.tail[-1].side * end.side) for end in ends] for one in open_])
    places = [
        np.array([one.tail[-1].middle for one in open_]),
        np.array([foretold(one.tail, seconds) for one in open_]),
    ]
    distances = [np.linalg.norm(place[:, None] - middles, axis=2) for place in places]
    is_near = np.minimum(*distances) <= reach(seconds) * sides
    return [(int(row), int(column)) for row, column in np.argwhere(is_near)]


def _is_certain(offers: Offers, row: int, column: int) -> bool:
    """Whether neither the tracklet nor the face could nearly as well be another's."""
    cost = offers[row][column]
    others = [other for c, other in offers[row].items() if c != column]
    others += [of_row[column] for r, of_row in offers.items() if r != row and column in of_row]
    return all(other >= cost + _DOUBT for other in others)
