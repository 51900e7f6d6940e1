import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faceloom.errors import RequestError
from faceloom.selection import Choice, Length, People, Reference, length_of, parse_length

lengths = st.none() | st.builds(Length, st.integers(0, 30), is_share=st.booleans())


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=12),
    lengths,
    lengths,
    st.none() | st.integers(1, 12),
)
def test_the_best_of_the_right_size_are_kept(
    sides: list[tuple[int, int]], least: Length | None, greatest: Length | None, most: int | None
) -> None:
    boxes = np.array([[5, 7, 5 + width, 7 + height] for width, height in sides], np.float32).reshape(-1, 4)
    kept = Choice(min_size=least, max_size=greatest, max_faces=most).kept(boxes, height=300, width=200)
    px = [None if length is None else length.value * (2 if length.is_share else 1) for length in (least, greatest)]
    fits = [
        i
        for i, side in enumerate(max(pair) for pair in sides)
        if (px[0] is None or side >= px[0]) and (px[1] is None or side <= px[1])
    ]
    assert kept.tolist() == fits[:most]


def test_sizes_at_the_limits_are_kept_and_those_beyond_are_not() -> None:
    boxes = np.array([[5, 7, 5 + side, 8] for side in range(1, 11)], np.float32)
    between = Choice(min_size=Length(3, is_share=False), max_size=Length(7, is_share=False))
    assert between.kept(boxes, height=300, width=200).tolist() == [2, 3, 4, 5, 6]
    shares = Choice(min_size=Length(1.5, is_share=True), max_size=Length(3.5, is_share=True))
    assert shares.kept(boxes, height=300, width=200).tolist() == [2, 3, 4, 5, 6]
    assert shares.kept(boxes, height=200, width=300).tolist() == [2, 3, 4, 5, 6]


def test_a_box_of_no_size_is_smaller_than_any() -> None:
    point = np.array([[5, 5, 5, 5]], np.float32)
    assert Choice(min_size=Length(1, is_share=False)).kept(point, height=300, width=200).tolist() == []
    assert Choice().kept(point, height=300, width=200).tolist() == [0]
    assert Choice(min_size=Length(1, is_share=False)).kept(point[:0], height=300, width=200).tolist() == []


@given(st.integers(0, 10**6), st.sampled_from(["", " ", "\t"]), st.sampled_from(["", "px", "%"]))
@example(5, " ", "%")
@example(5, "", "")
def test_a_size_is_read_as_it_is_written(thousandths: int, space: str, unit: str) -> None:
    value = thousandths / 1000
    wanted = Length(value, is_share=unit == "%")
    assert parse_length(f" {value:.3f}{space}{unit} ") == wanted
    assert length_of(f"{value:.3f}{space}{unit}") == wanted
    assert wanted.in_px(200, 1000) == wanted.in_px(1000, 200) == pytest.approx(value * (2 if unit == "%" else 1))


def test_a_number_is_a_size_in_pixels_and_sizes_are_told_with_their_unit() -> None:
    assert length_of(40) == Length(40, is_share=False)
    assert length_of(2.5) == Length(2.5, is_share=False)
    assert str(Length(40, is_share=False)) == "40 px"
    assert str(Length(2.5, is_share=True)) == "2.5%"


@pytest.mark.parametrize("number", [-3, float("nan"), float("inf")])
def test_a_number_that_is_no_size_is_refused(number: float) -> None:
    with pytest.raises(RequestError):
        length_of(number)


def reference(name: str, *values: float) -> Reference:
    return Reference(name=name, embedding=np.array(values, np.float32))


SIXTY_DEGREES = np.array([0.5, 0.75**0.5], np.float32)
"""From (1, 0): the cosine is 0.5."""


def test_a_face_exactly_at_the_threshold_is_that_persons() -> None:
    ann = reference("ann.jpg", 1, 0)
    for threshold, is_ann in [(0.4999, True), (0.5, True), (0.5001, False)]:
        wanted = People(like=[ann], unlike=[], threshold=threshold).objection(SIXTY_DEGREES)
        unwanted = People(like=[], unlike=[ann], threshold=threshold).objection(SIXTY_DEGREES)
        assert (wanted is None, unwanted is not None) == (is_ann, is_ann), threshold


def test_the_nearest_reference_decides_and_is_named() -> None:
    ann, bob = reference("ann.jpg", 1, 0), reference("bob.jpg", 0, 1)
    near_bob = SIXTY_DEGREES
    assert People(like=[ann, bob], unlike=[], threshold=0.8).objection(near_bob) is None
    assert People(like=[], unlike=[ann, bob], threshold=0.8).objection(near_bob) == (
        "like bob.jpg: cosine 0.8660, threshold 0.8"
    )
    assert People(like=[ann, bob], unlike=[], threshold=0.9).objection(near_bob) == (
        "not like bob.jpg: cosine 0.8660, threshold 0.9"
    )


def test_a_face_like_somebody_unwanted_is_not_kept_though_it_is_like_somebody_wanted() -> None:
    ann, bob = reference("ann.jpg", 1, 0), reference("bob.jpg", 0, 1)
    why = People(like=[ann], unlike=[bob], threshold=0.4).objection(SIXTY_DEGREES)
    assert why
    assert why.startswith("like bob.jpg")


def test_with_nobody_to_compare_with_every_face_is_kept() -> None:
    assert People(like=[], unlike=[], threshold=0.4).objection(SIXTY_DEGREES) is None


@given(st.integers(-4, 4))
def test_cosines_are_compared_to_the_fourth_decimal(hundred_thousandths: int) -> None:
    """Engines differ in the sixth, and whether a face is kept must not hang on that."""
    cosine = 0.5 + hundred_thousandths * 1e-5
    near = np.array([cosine, (1 - cosine**2) ** 0.5], np.float32)
    assert People(like=[reference("ann.jpg", 1, 0)], unlike=[], threshold=0.5).objection(near) is None


@pytest.mark.parametrize("text", ["", "-3", "5 %%", "big", "5m", "%"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="5%"):
        parse_length(text)
