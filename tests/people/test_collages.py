import numpy as np
from numpy.typing import NDArray

from faceloom.people.collages import bound_to, collages, copy_threshold


def faces(*degrees: float) -> NDArray[np.float32]:
    """Unit vectors (N, 2) at these angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def once(frames: list[int], *degrees: float) -> list[int]:
    numbers = np.array(frames, np.intp)
    return list(map(int, bound_to(numbers, collages(faces(*degrees), numbers, copies_from=0.9))))


def test_faces_are_bound_to_their_frame() -> None:
    assert once([0, 0, 1, 2, 2], 0, 60, 30, 0, 90) == [0, 0, 1, 2, 2]


def test_one_pair_of_copies_makes_a_collage_of_its_frame_alone() -> None:
    assert once([3, 3, 3, 4, 4], 0, 10, 120, 0, 90) == [-1, -1, -1, 4, 4]


def test_copies_are_more_alike_than_one_persons_faces_have_to_be() -> None:
    for same_person in (0.3, 0.363, 0.91):
        assert same_person < copy_threshold(same_person) < 1


def test_no_faces_are_in_no_frame() -> None:
    assert collages(np.zeros((0, 2), np.float32), np.zeros(0, np.intp), copies_from=0.9).tolist() == []
