"""Ties: what is known of faces before they are compared, as linkage takes it."""

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.linkage import Ties
from faceloom.store.persons import Attributions


def ties_of(
    told: Attributions,
    frames: NDArray[np.intp] | None = None,
    *,
    tracks: NDArray[np.intp] | None = None,
    also: NDArray[np.intp] | None = None,
) -> Ties:
    """What was said of persons, which faces are in one frame, and which are in one track.

    Faces of which somebody said whose they are stay as they are, and so do those that are different from others; of the
    rest, those of a track are together, also with the one person whose the track is said to be.

    Args:
        told: of the faces.
        frames: (N,) in which a person is once; -1 for others.
        tracks: (N,) numbers of their tracks; -1 for none.
        also: (P, 2) index of a face, and another frame that its track is in.
    """
    blocs: dict[tuple[str, str | None], int] = {}
    colours: dict[str, int] = {}
    rows = [
        (-1, -1)
        if person is None
        else (blocs.setdefault((person, call), len(blocs)), colours.setdefault(person, len(colours)))
        for person, call in zip(told.persons, told.calls, strict=True)
    ]
    together, by_person = np.array(rows, np.intp).reshape(-1, 2).T
    apart = np.array(told.apart, np.intp).reshape(-1, 2)
    if tracks is not None:
        together, by_person = _with_tracks(together, by_person, apart, tracks)
    return Ties(together=together, colours=by_person, apart=apart, frames=frames, also=also)


def _with_tracks(
    together: NDArray[np.intp], colours: NDArray[np.intp], apart: NDArray[np.intp], tracks: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Blocs and colours in which the faces of a track are together of whom nothing was said."""
    is_free = (together < 0) & (tracks >= 0)
    is_free[apart.ravel()] = False
    blocs = np.where(is_free, tracks + together.max(initial=-1) + 1, together)
    colours = colours.copy()
    told = np.flatnonzero((together >= 0) & (tracks >= 0))
    told = told[np.argsort(tracks[told], kind="stable")]
    for some in np.split(told, np.flatnonzero(np.diff(tracks[told])) + 1) if len(told) else ():
        if len(set(together[some].tolist())) == 1:  # of two persons it says nothing
            members = is_free & (tracks == tracks[some[0]])
            blocs[members], colours[members] = together[some[0]], colours[some[0]]
    return blocs, colours
