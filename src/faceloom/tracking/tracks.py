"""Tracks: the tracklets of a shot joined over what hides a face for a while, all of them at once."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Self

from faceloom.tracking.assignment import assign
from faceloom.tracking.costs import COSTLIEST, NEVER, End, Likeness, gap_cost, whole
from faceloom.tracking.sightings import SeenFrame
from faceloom.tracking.tracklets import OF_END, Tracklet, tracklets

LONGEST_S = 1.0
"""How long a face may be gone without a track of its own when it is back."""
_LONGEST_KNOWN_S = 3.0
"""The same where embeddings say that it is the same person."""
_FIRST_S = 0.2
"""Gaps up to this are closed before longer ones, whose motion is told better then."""
_FRAMES = 2
"""Gaps of so many frames are closed however long they last: of some videos only every n-th frame is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Chain:
    """Tracklets of one face, one after the other, and what is known at their ends."""

    faces: list[int]
    first_position: int
    last_position: int
    head: Sequence[End]
    tail: Sequence[End]
    likeness: Likeness

    @classmethod
    def of(cls, one: Tracklet) -> Self:
        return cls(
            faces=one.faces,
            first_position=one.first_position,
            last_position=one.last_position,
            head=one.head,
            tail=tuple(one.tail),
            likeness=one.likeness,
        )

    @classmethod
    def of_several(cls, parts: "Sequence[_Chain]") -> Self:
        """One of several that follow each other."""
        likeness = parts[0].likeness
        for part in parts[1:]:
            likeness = likeness.joined(part.likeness)
        return cls(
            faces=list(chain.from_iterable(part.faces for part in parts)),
            first_position=parts[0].first_position,
            last_position=parts[-1].last_position,
            head=list(islice(chain.from_iterable(part.head for part in parts), OF_END)),
            tail=[end for part in parts[-OF_END:] for end in part.tail][-OF_END:],
            likeness=likeness,
        )


def link(frames: Iterable[SeenFrame], *, same_person: float | None = None) -> list[list[int]]:
    """The tracks of one shot: of each the numbers of its faces, in order; every face is in one.

    Tracks are in the order in which they begin, those that begin together by the order of faces in their frame.

    Args:
        frames: those with faces, in order.
        same_person: the cosine from which on two faces are one person's; None: not known.
    """
    found = sorted(tracklets(frames, same_person=same_person), key=lambda one: (one.first_position, one.faces[0]))
    chains = [_Chain.of(one) for one in found]
    longest_s = LONGEST_S if same_person is None else _LONGEST_KNOWN_S
    for most_s in (_FIRST_S, longest_s):
        chains = _joined(chains, longest_s=most_s, same_person=same_person)
    return [one.faces for one in chains]


def _joined(chains: Sequence[_Chain], *, longest_s: float, same_person: float | None) -> list[_Chain]:
    """Chains with those joined to one that are cheapest to join, over gaps up to some length."""
    starts = [one.first_position for one in chains]
    costs = [
        {i: whole(cost) for i, cost in _offers(one, chains, starts, longest_s=longest_s, same_person=same_person)}
        for one in chains
    ]
    following = assign(costs, unpaired=whole(COSTLIEST))
    is_taken = set(following)
    joined = []
    for first in range(len(chains)):
        if first in is_taken:
            continue
        parts: list[_Chain] = []
        at: int | None = first
        while at is not None:
            parts.append(chains[at])
            at = following[at]
        joined.append(parts[0] if len(parts) == 1 else _Chain.of_several(parts))
    return joined


def _offers(
    one: _Chain, chains: Sequence[_Chain], starts: Sequence[int], *, longest_s: float, same_person: float | None
) -> Iterator[tuple[int, float]]:
    """The chains that may follow one, and what each would cost."""
    for i in range(bisect_right(starts, one.last_position), len(chains)):
        other = chains[i]
        seconds = other.head[0].time_s - one.tail[-1].time_s
        if seconds > longest_s and other.first_position > one.last_position + _FRAMES:
            return
        cost = _cost(one, other, seconds, same_person)
        if cost < COSTLIEST:
            yield i, cost


def _cost(one: _Chain, other: _Chain, seconds: float, same_person: float | None) -> float:
    alike = one.likeness.cost(other.likeness, same_person)
    if seconds > LONGEST_S and same_person is not None:
        cosine = one.likeness.cosine(other.likeness)
        if cosine is None or cosine < same_person:
            return NEVER
    return gap_cost(one.tail, other.head) + alike
