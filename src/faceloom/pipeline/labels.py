"""Where the labels of faces stand on a frame: beside their faces, over no other's if that can be."""

import numpy as np
from numpy.typing import NDArray

from faceloom.geometry.boxes import Boxes


def place_labels(bounds: Boxes, sizes: NDArray[np.int_], *, height: int, width: int, gap: int) -> NDArray[np.int_]:
    """Lays a label beside each face of a frame of this size.

    Above it or, where there is no room, below, on its right or on its left; the first of these where it covers no face
    and no label that is laid already counts, else the first where it covers not its own face. Where the face leaves no
    room at all, the label stands above it, moved into the frame.

    Args:
        bounds: (N, 4) x0, y0, x1, y1 of what is drawn of each face.
        sizes: (N, 2) widths and heights of the labels, whole pixels.
        gap: pixels between a face and its label.

    Returns:
        (N, 2) x and y of the labels' upper left corners.
    """
    corners = np.zeros((len(bounds), 2), np.int_)
    taken = np.concatenate([bounds, np.zeros((len(bounds), 4))])  # a label without extent covers nothing
    room = np.array([width, height])
    for i, (bound, size) in enumerate(zip(bounds, sizes, strict=True)):
        free = [corner for corner in _beside(bound, size, room, gap) if _is_inside(corner, size, room)]
        best = next((corner for corner in free if not _covers(corner, size, taken)), None)
        if best is None:
            above = np.array([bound[0], bound[1] - gap - size[1]])
            best = free[0] if free else _moved_inside(above, size, room)
        corners[i] = best
        taken[len(bounds) + i] = [*best, *(best + size)]
    return corners


def _beside(
    bound: NDArray[np.float32], size: NDArray[np.int_], room: NDArray[np.int_], gap: int
) -> list[NDArray[np.int_]]:
    """The four places, each moved along the face into the frame."""
    x0, y0, x1, y1 = bound.tolist()
    (w, h), (along_x, along_y) = size.tolist(), _moved_inside(np.array([x0, y0]), size, room).tolist()
    places = [(along_x, y0 - gap - h), (along_x, y1 + gap), (x1 + gap, along_y), (x0 - gap - w, along_y)]
    # Away from the face, so that no rounding brings it over it.
    return [
        np.array([np.floor(x) if x < x1 else np.ceil(x), np.floor(y) if y < y1 else np.ceil(y)], np.int_)
        for x, y in places
    ]


def _moved_inside(corner: NDArray[np.floating], size: NDArray[np.int_], room: NDArray[np.int_]) -> NDArray[np.int_]:
    return np.asarray(np.maximum(np.minimum(np.floor(corner), room - size), 0), np.int_)


def _is_inside(corner: NDArray[np.int_], size: NDArray[np.int_], room: NDArray[np.int_]) -> bool:
    return bool((corner >= 0).all() and (corner + size <= room).all())


def _covers(corner: NDArray[np.int_], size: NDArray[np.int_], taken: NDArray[np.floating]) -> bool:
    (x0, y0), (x1, y1) = corner, corner + size
    beside = (taken[:, 2] <= x0) | (taken[:, 0] >= x1) | (taken[:, 3] <= y0) | (taken[:, 1] >= y1)
    return not beside.all()
