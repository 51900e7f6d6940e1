"""Names for clusters of faces: those that were said, those that most of their faces had before, or new ones."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence

from faceloom.store.persons import Attributions

_NUMBERED = re.compile(r"person [1-9]\d{0,9}", re.ASCII)


def called(labels: Sequence[int], told: Attributions, *, anew: bool = False) -> list[str]:
    """A name for each face.

    A cluster has the name that was told of faces in it; or that which most of its faces had, where no other cluster has
    more of that name's; or the next number, those with most faces first.

    Args:
        labels: of the faces' clusters, in order of first appearance.
        told: what somebody said of them, and what they were called before.
        anew: whether names that nobody spoke of are given anew.
    """
    # Most faces first, and of as many the one who appears first: labels are in order of appearance.
    ranked = [label for label, _ in Counter(labels).most_common()]
    found = [name if name in told.names or (not anew and _is_number(name)) else None for name in told.found]
    names = _kept_names(labels, told.calls, found)
    taken = {*told.names, *names.values(), *filter(None, told.calls), *filter(None, found)}
    fresh = (name for number in itertools.count(1) if (name := f"person {number}") not in taken)
    for label in ranked:
        if label not in names:
            names[label] = next(fresh)
    return [names[label] for label in labels]


def _is_number(name: str | None) -> bool:
    """Whether it is one that grouping gives; a store that somebody else has written may say anything."""
    return name is not None and _NUMBERED.fullmatch(name) is not None


def _kept_names(labels: Sequence[int], calls: Sequence[str | None], found: Sequence[str | None]) -> dict[int, str]:
    """The names of clusters that have one already."""
    names: dict[int, str] = {}
    given: set[str] = set()
    for source, is_told in ((calls, True), (found, False)):
        counts = Counter((label, name) for label, name in zip(labels, source, strict=True) if name is not None)
        for (label, name), _ in counts.most_common():  # of as many the first
            if label not in names and (is_told or name not in given):
                names[label] = name
                given.add(name)
    return names
