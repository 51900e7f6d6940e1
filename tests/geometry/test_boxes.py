from random import Random

import cv2
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceloom.geometry.boxes import Boxes, Scores, area, covered, iou, nms

SIDE = 24
corners = st.tuples(*[st.integers(0, SIDE)] * 4)


def as_boxes(rows: list[tuple[int, ...]]) -> Boxes:
    """Boxes with their corners in order; some are empty."""
    values = np.array(rows, np.float32).reshape(-1, 2, 2)
    return np.concatenate([values.min(axis=1), values.max(axis=1)], axis=1)


def painted(box: NDArray[np.float32]) -> NDArray[np.bool_]:
    pixels = np.zeros((SIDE, SIDE), np.bool_)
    x0, y0, x1, y1 = box.astype(int)
    pixels[y0:y1, x0:x1] = True
    return pixels


box_lists = st.lists(corners, max_size=12).map(as_boxes)


@st.composite
def scored_boxes(draw: st.DrawFn) -> tuple[Boxes, Scores]:
    """Boxes that are not empty, with scores that all differ."""
    starts = draw(st.lists(st.tuples(*[st.integers(0, 30)] * 2, *[st.integers(1, 20)] * 2), max_size=25))
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in starts], np.float32).reshape(-1, 4)
    ranks = draw(st.permutations(range(len(boxes))))
    return boxes, np.array([(rank + 1) / 32 for rank in ranks], np.float32)


EMPTY = as_boxes([(3, 3, 3, 9), (3, 3, 3, 3)])
scales = st.sampled_from([1.0, 1 / 64])
"""Shares are the same for boxes of any size."""


@given(box_lists, box_lists, scales)
@example(EMPTY, EMPTY, 1.0)
@example(as_boxes([(0, 0, 1, 1)]), as_boxes([(0, 0, 1, 1)]), 1 / 64)
def test_overlap_is_what_counting_pixels_gives(first: Boxes, second: Boxes, scale: float) -> None:
    expected = np.zeros((len(first), len(second)))
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            union = (painted(one) | painted(other)).sum()
            expected[i, j] = (painted(one) & painted(other)).sum() / union if union else 0
    found = iou(first * np.float32(scale), second * np.float32(scale))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(box_lists, box_lists, scales)
@example(EMPTY, EMPTY, 1.0)
@example(as_boxes([(0, 0, 1, 1)]), as_boxes([(0, 0, 1, 1)]), 1 / 64)
def test_a_box_is_covered_as_far_as_its_pixels_are_in_one_other(boxes: Boxes, others: Boxes, scale: float) -> None:
    expected = [
        max(((painted(box) & painted(other)).sum() for other in others), default=0) / max(painted(box).sum(), 1)
        for box in boxes
    ]
    found = covered(boxes * np.float32(scale), others * np.float32(scale))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@given(box_lists)
def test_area_is_what_counting_pixels_gives(boxes: Boxes) -> None:
    np.testing.assert_array_equal(area(boxes), [painted(box).sum() for box in boxes])


def test_an_inverted_box_has_no_area() -> None:
    assert area(np.array([[5, 5, 2, 9]], np.float32)) == 0


@given(scored_boxes(), st.floats(0, 1))
def test_nms_is_idempotent(found: tuple[Boxes, Scores], max_iou: float) -> None:
    boxes, scores = found
    kept = nms(boxes, scores, max_iou=max_iou)
    assert nms(boxes[kept], scores[kept], max_iou=max_iou).tolist() == list(range(len(kept)))


@given(scored_boxes())
def test_nms_keeps_what_opencv_keeps(found: tuple[Boxes, Scores]) -> None:
    boxes, scores = found
    max_iou = 0.31416  # no ratio of small whole numbers, so rounding decides nothing
    rectangles = np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).astype(int).tolist()
    theirs = cv2.dnn.NMSBoxes(rectangles, scores.tolist(), 0.0, max_iou) if rectangles else []
    assert nms(boxes, scores, max_iou=max_iou).tolist() == np.asarray(theirs, int).reshape(-1).tolist()


def test_boxes_that_overlap_by_exactly_the_limit_are_both_kept() -> None:
    halves = np.array([[0, 0, 2, 1], [0, 0, 1, 1]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    assert iou(halves, halves)[0, 1] == 0.5
    assert nms(halves, scores, max_iou=0.5).tolist() == [0, 1]
    assert nms(halves, scores, max_iou=np.nextafter(0.5, 0)).tolist() == [0]


@given(scored_boxes(), st.floats(0, 1))
def test_every_box_that_nms_drops_overlaps_a_better_one_that_it_keeps_and_no_two_kept_ones_do(
    found: tuple[Boxes, Scores], max_iou: float
) -> None:
    boxes, scores = found
    kept = nms(boxes, scores, max_iou=max_iou).tolist()
    overlaps = iou(boxes, boxes) > max_iou
    for i in range(len(boxes)):
        better = [j for j in kept if scores[j] > scores[i]]
        assert overlaps[i, better].any() == (i not in kept)


@given(scored_boxes(), st.randoms(use_true_random=False))
def test_nms_does_not_depend_on_the_order_of_the_boxes(found: tuple[Boxes, Scores], random: Random) -> None:
    boxes, scores = found
    order = list(range(len(boxes)))
    random.shuffle(order)
    kept = nms(boxes[order], scores[order], max_iou=0.3)
    assert [order[i] for i in kept] == nms(boxes, scores, max_iou=0.3).tolist()


@given(st.lists(st.integers(1, 3), min_size=1, max_size=40))
@example([1, 2, 3] * 100)
def test_equal_scores_keep_their_order(ranks: list[int]) -> None:
    apart = np.arange(len(ranks), dtype=np.float32)[:, None] * 10 + np.array([0, 0, 5, 5], np.float32)
    found = nms(apart, np.array([rank / 4 for rank in ranks], np.float32), max_iou=0.3).tolist()
    assert found == sorted(range(len(ranks)), key=lambda i: -ranks[i])
