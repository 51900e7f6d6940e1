"""Overlays: marks of a size with their faces, and labels that stand beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.faces import FrameId
from faceloom.geometry.landmarks import MEAN_FACE
from faceloom.pipeline.drawing import draw_overlay
from faceloom.pipeline.labels import place_labels
from faceloom.store.rows import FaceRow

GREY = 100
HEIGHT, WIDTH = 300, 400
bounds = st.tuples(st.floats(-50, 380), st.floats(-50, 280), st.floats(3, 200), st.floats(3, 200)).map(
    lambda place: (place[0], place[1], place[0] + place[2], place[1] + place[3])
)
labels = st.tuples(st.integers(5, 60), st.integers(5, 20))


def face(side: float, x: float, y: float) -> FaceRow:
    """A face whose box has this side and this middle."""
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)
    landmarks = np.asarray(MEAN_FACE * side / 2.6 + [x, y], np.float32)
    return FaceRow(frame=FrameId("a.jpg", 0), index=0, box=box, score=0.5, landmarks=landmarks)


def drawn(one: FaceRow, *, height: int, width: int) -> NDArray[np.bool_]:
    """Where something is drawn."""
    image = np.full((height, width, 3), GREY, np.uint8)
    return np.asarray((draw_overlay(image, [one], chip_size=512) != GREY).any(axis=2))


def inside(one: FaceRow) -> tuple[slice, slice]:
    """Within the box, and within its lines."""
    x0, y0, x1, y1 = one.box.round().astype(int).tolist()
    margin = round((x1 - x0) * 0.05)
    return slice(y0 + margin, y1 - margin), slice(x0 + margin, x1 - margin)


@pytest.mark.parametrize("side", [40, 150, 600, 1500])
def test_marks_leave_a_face_visible_whatever_its_size_in_a_frame_of_4k(side: int) -> None:
    one = face(side, 2000, 1100)
    share = drawn(one, height=2160, width=3840)[inside(one)].mean()
    assert 0.002 < share < 0.1


def test_marks_grow_with_the_face_as_far_as_the_frame_allows() -> None:
    lines = []
    for side in (40, 600, 1500):
        one = face(side, 1920, 1080)
        row = drawn(one, height=2160, width=3840)[1080]
        lines.append(int(row[1920 - side // 2 - 15 : 1920 - side // 2 + 15].sum()))
    assert lines[0] == 1
    assert lines[0] < lines[1] < lines[2] < 3840 / 300


def test_marks_of_a_large_face_in_a_small_frame_stay_thin() -> None:
    one = face(250, 150, 150)
    assert drawn(one, height=300, width=300)[inside(one)].mean() < 0.1


@pytest.mark.parametrize(("x", "y"), [(200, 150), (200, 40), (200, 260), (20, 150), (385, 30), (385, 280)])
def test_a_label_is_drawn_whole_inside_the_frame(x: int, y: int) -> None:
    """As many of its pixels as where there is room on all sides, none of them over the face."""
    one, free = face(70, x, y), face(70, 200, 150)
    assert label_of(one) == label_of(free) > 100


def label_of(one: FaceRow) -> int:
    """Darkened ground, of which a frame without a label has none."""
    image = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    dark = np.asarray((draw_overlay(image, [one], chip_size=512) <= GREY // 4).all(axis=2))
    x0, y0, x1, y1 = one.box.round().astype(int).tolist()
    assert not dark[max(y0, 0) : y1, max(x0, 0) : x1].any()
    rows, columns = np.nonzero(dark)
    return int((np.ptp(rows) + 1) * (np.ptp(columns) + 1))


@given(st.lists(st.tuples(bounds, labels), min_size=1, max_size=12))
def test_labels_lie_in_the_frame_and_over_their_own_faces_only_where_there_is_no_room(
    faces: list[tuple[tuple[float, float, float, float], tuple[int, int]]],
) -> None:
    boxes, sizes = np.array([box for box, _ in faces], np.float32), np.array([size for _, size in faces])
    corners = place_labels(boxes, sizes, height=HEIGHT, width=WIDTH, gap=2)
    assert (corners >= 0).all()
    assert (corners + sizes <= [WIDTH, HEIGHT]).all()
    for (x0, y0, x1, y1), (x, y), (w, h) in zip(boxes.tolist(), corners.tolist(), sizes.tolist(), strict=True):
        covers = x < x1 and x + w > x0 and y < y1 and y + h > y0
        room = max(y0 - h - 3, HEIGHT - y1 - h - 3, x0 - w - 3, WIDTH - x1 - w - 3)
        assert not covers or room < 0


def test_a_label_stands_above_its_face_and_below_where_another_face_is_above() -> None:
    box, other = (100.0, 100.0, 150.0, 150.0), (90.0, 40.0, 160.0, 98.0)
    size = np.array([[40, 10]])
    ((_, above),) = place_labels(np.array([box]), size, height=HEIGHT, width=WIDTH, gap=2)
    assert above == 88
    (_, below), _ = place_labels(np.array([box, other]), np.repeat(size, 2, axis=0), height=HEIGHT, width=WIDTH, gap=2)
    assert below == 152


def test_labels_do_not_cover_each_other() -> None:
    boxes = np.array([(100.0, 100.0, 110.0, 110.0), (112.0, 100.0, 122.0, 110.0)])
    sizes = np.array([[40, 10]] * 2)
    (x, y), (u, v) = place_labels(boxes, sizes, height=HEIGHT, width=WIDTH, gap=2)
    assert abs(x - u) >= 40 or abs(y - v) >= 10
