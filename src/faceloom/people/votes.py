"""Votes: what the faces of a track say together, also for those of them that say too little by themselves."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def agreed(tracks: NDArray[np.intp], embeddings: NDArray[np.float32], *, threshold: float) -> NDArray[np.intp]:
    """(N,) the tracks of faces; -1 for those whose faces are not one person's, as a track that went over to another's.

    Args:
        tracks: (N,) -1 for none.
        embeddings: (N, D) of unit length.
        threshold: the mean cosine over all pairs of a track from which on it is one person's.
    """
    _, places, counts = np.unique(tracks, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), embeddings.shape[1]))
    np.add.at(sums, places, embeddings)
    pairs = counts * (counts - 1)
    means = np.divide((sums**2).sum(axis=1) - counts, pairs, out=np.ones(len(counts)), where=pairs > 0)
    return np.where(means[places] >= threshold, tracks, -1)


def elected(tracks: Iterable[int], names: Iterable[str | None]) -> Mapping[int, str]:
    """The name that most faces of each track have; of as many the one that comes first. -1 is no track.

    Args:
        tracks: numbers, of each face.
        names: of each face; None where nothing is said of it.
    """
    votes: dict[int, Counter[str]] = defaultdict(Counter)
    for track, name in zip(tracks, names, strict=True):
        if track >= 0 and name is not None:
            votes[track][name] += 1
    return {track: counts.most_common(1)[0][0] for track, counts in votes.items()}


def following(
    faces: Sequence[int], tracks: Sequence[int], elected_names: Mapping[int, str], kept: frozenset[int]
) -> tuple[list[int], list[str]]:
    """The faces, by row number, that get the name of their track, and these names; those that are kept do not."""
    pairs = [
        (face, elected_names[track])
        for face, track in zip(faces, tracks, strict=True)
        if track in elected_names and face not in kept
    ]
    return [face for face, _ in pairs], [name for _, name in pairs]
