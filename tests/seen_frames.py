"""Faces that move as a test says, as tracking is given them."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

from faceloom.tracking.sightings import SeenFrame

FPS = 25
Path2 = Callable[[int], tuple[float, float, float] | None]
"""Middle and side of a face in a frame; None: it is not seen."""


def embedding_of(person: int, seed: int) -> NDArray[np.float32]:
    """What an identifier says of somebody: near to what it said before."""
    mean = np.random.default_rng(person).normal(size=64)
    found = mean + np.random.default_rng((person, seed)).normal(size=64) * 0.6
    return np.asarray(found / np.linalg.norm(found), np.float32)


def frames_of(
    paths: Sequence[Path2],
    frames: int,
    *,
    identify: bool = False,
    persons: Mapping[int, str] = {},  # never written to
    order: int = 0,
) -> tuple[list[SeenFrame], list[int]]:
    """The frames with faces, and of each face whose path it is on; faces of a frame are in some order."""
    seen, truth, numbers = [], [], count()
    for index in range(frames):
        there = [(who, place) for who, path in enumerate(paths) if (place := path(index)) is not None]
        np.random.default_rng((order, index)).shuffle(there)
        if not there:
            continue
        truth += [int(who) for who, _ in there]
        middles = np.array([place for _, place in there], np.float64)
        boxes = np.stack([middles[:, 0], middles[:, 1]], axis=1).repeat(2, axis=0).reshape(-1, 4)
        half = middles[:, 2] / 2
        boxes += np.stack([-half, -half, half, half], axis=1)
        seen.append(
            SeenFrame(
                position=index,
                time_s=index / FPS,
                faces=tuple(next(numbers) for _ in there),
                boxes=boxes.astype(np.float32),
                points=(None,) * len(there),
                embeddings=tuple(embedding_of(int(who), index) if identify else None for who, _ in there),
                persons=tuple(persons.get(int(who)) for who, _ in there),
            )
        )
    return seen, truth


def whose(tracks: Sequence[Sequence[int]], truth: Sequence[int]) -> list[set[int]]:
    """Who is in each track."""
    return [{truth[face] for face in track} for track in tracks]
