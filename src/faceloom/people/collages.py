"""Frames in which a person is once, and those in which they may be more than once: collages, mirrors, split screens."""

import numpy as np
from numpy.typing import NDArray


def copy_threshold(same_person: float) -> float:
    """The cosine from which on two faces of one frame are taken for one person's, who is there twice.

    Half way from where two faces pass for one person's to two that are equal. Of strangers in one picture none came
    near it, of photographs of one person in a collage every second pair does (measured, docs/people.md).
    """
    return (1 + same_person) / 2


def collages(embeddings: NDArray[np.float32], frames: NDArray[np.intp], *, copies_from: float) -> NDArray[np.intp]:
    """Numbers of the frames that show somebody twice.

    One pair that is as alike as copies are makes a collage of a frame: of all its faces it is left to likeness alone
    whose they are.

    Args:
        embeddings: (N, D) of unit length, of faces that are not doubtful.
        frames: (N,) numbers of their frames, faces of a frame one after another.
        copies_from: a cosine, see `copy_threshold`.
    """
    starts = np.flatnonzero(np.diff(frames, prepend=-1))
    ends = np.append(starts[1:], len(frames))
    has_company = ends - starts > 1
    found = []
    for start, end in zip(starts[has_company].tolist(), ends[has_company].tolist(), strict=True):
        some = embeddings[start:end]
        cosines = some @ some.T
        np.fill_diagonal(cosines, -1)
        if cosines.max() >= copies_from:
            found.append(int(frames[start]))
    return np.array(found, np.intp)


def bound_to(frames: NDArray[np.intp], collages_: NDArray[np.intp]) -> NDArray[np.intp]:
    """(N,) frames in which a person is once; -1 for the others."""
    return np.where(np.isin(frames, collages_), -1, frames)
