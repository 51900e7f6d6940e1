"""Ties: what is known of faces before they are compared, as linkage takes it."""

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.linkage import Ties
from faceloom.store.persons import Attributions


def ties_of(told: Attributions, frames: NDArray[np.intp] | None = None) -> Ties:
    """What was said of persons, and which faces are in one frame.

    Faces of which somebody said whose they are stay as they are.

    Args:
        told: of the faces.
        frames: (N,) as `once_in_frame` gives them.
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
    return Ties(together=together, colours=by_person, apart=apart, frames=frames)
