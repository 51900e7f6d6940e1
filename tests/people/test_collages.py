import numpy as np
from numpy.typing import NDArray

from faceloom.people.collages import copy_threshold, once_in_frame


def faces(*degrees: float) -> NDArray[np.float32]:
    """Unit vectors (N, 2) at these angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_faces_with_company_are_bound_to_their_frame() -> None:
    found = once_in_frame(faces(0, 60, 30, 0, 90), np.array([0, 0, 1, 2, 2]), copies_from=0.9)
    assert found.tolist() == [0, 0, -1, 2, 2]


def test_one_pair_of_copies_makes_a_collage_of_its_frame_alone() -> None:
    found = once_in_frame(faces(0, 10, 120, 0, 90), np.array([3, 3, 3, 4, 4]), copies_from=0.9)
    assert found.tolist() == [-1, -1, -1, 4, 4]


def test_copies_are_more_alike_than_one_persons_faces_have_to_be() -> None:
    for same_person in (0.3, 0.363, 0.91):
        assert same_person < copy_threshold(same_person) < 1


def test_no_faces_are_in_no_frame() -> None:
    assert once_in_frame(np.zeros((0, 2), np.float32), np.zeros(0, np.intp), copies_from=0.9).tolist() == []
