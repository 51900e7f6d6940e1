import math
import re

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from faceloom.errors import RequestError
from faceloom.geometry.affine import apply, scale_of
from faceloom.geometry.turning import boxes_turned_back, lay_turned, parse_turns, steps, turned_shape
from letterboxes import letterbox

sides = st.integers(1, 400)
limits = st.integers(32, 300)
angles = st.integers(1, 359)


@given(sides, sides, limits, angles)
def test_a_turned_frame_is_within_the_longest_side_and_scaled_no_more_than_that(
    height: int, width: int, limit: int, angle: int
) -> None:
    rows, columns = turned_shape(height, width, degrees=angle, longest_side=limit)
    assert 1 <= max(rows, columns) <= limit
    cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    whole = max(width * cos + height * sin, width * sin + height * cos)
    assert max(rows, columns) >= min(limit, whole) * 0.9 - 2


@given(sides, sides, limits, angles)
def test_the_corners_of_a_frame_lie_on_its_canvas(height: int, width: int, limit: int, angle: int) -> None:
    assume(min(height, width) > 8)
    rows, columns = turned_shape(height, width, degrees=angle, longest_side=limit)
    into = np.zeros((rows, columns, 3), np.uint8)
    canvas_to_frame = lay_turned(
        np.full((height, width, 3), 255, np.uint8), degrees=angle, longest_side=limit, into=into
    )
    frame_to_canvas = np.linalg.inv(np.vstack([canvas_to_frame, [0, 0, 1]]))[:2]
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], np.float32)
    on_canvas = apply(frame_to_canvas, corners)
    # Rows and columns that make no whole square of those that are averaged lie beyond it.
    beyond = math.sqrt(2) if scale_of(canvas_to_frame) > 1.9 else 0
    assert (on_canvas > -1 - beyond).all()
    assert (on_canvas < (columns + beyond, rows + beyond)).all()


@given(st.integers(1, 90), st.integers(1, 200), st.sampled_from([90, 180, 270]))
def test_a_quarter_turn_moves_the_pixels_of_the_scaled_frame_and_mixes_none(height: int, width: int, turn: int) -> None:
    image = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    upright, canvas_to_frame = letterbox(image, longest_side=90, side_multiple=1)
    rows, columns = turned_shape(height, width, degrees=turn, longest_side=90)
    turned = np.zeros((rows, columns, 3), np.uint8)
    turned_to_frame = lay_turned(image, degrees=turn, longest_side=90, into=turned)
    np.testing.assert_array_equal(turned, np.rot90(upright, turn // 90))
    # The pixel that came from (x, y) of the upright canvas maps to where that one does.
    places = np.stack(np.meshgrid(np.arange(upright.shape[1]), np.arange(upright.shape[0])), axis=2)
    np.testing.assert_allclose(
        apply(turned_to_frame, np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=2).astype(np.float32)),
        apply(canvas_to_frame, np.rot90(places, turn // 90).astype(np.float32)),
        atol=1e-3,
    )


@given(st.floats(60, 140), st.floats(60, 140), angles)
def test_a_spot_maps_back_to_where_it_was(x: float, y: float, angle: int) -> None:
    rows, columns = np.mgrid[:200, :200]
    spot = (255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 9.0**2))).astype(np.uint8)
    shape = turned_shape(200, 200, degrees=angle, longest_side=150)
    into = np.zeros((*shape, 3), np.uint8)
    canvas_to_frame = lay_turned(np.repeat(spot[..., None], 3, 2), degrees=angle, longest_side=150, into=into)
    weights = into[..., 0].astype(np.float64)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    found = np.array([(weights * columns).sum(), (weights * rows).sum()], np.float32) / weights.sum()
    np.testing.assert_allclose(apply(canvas_to_frame, found.astype(np.float32)), [x, y], atol=0.3)


@given(angles)
def test_a_square_around_a_turned_box_is_the_one_around_the_box(angle: int) -> None:
    box = np.array([[40, 60, 70, 100]], np.float32)
    into = np.zeros((*turned_shape(200, 300, degrees=angle, longest_side=300), 3), np.uint8)
    canvas_to_frame = lay_turned(np.zeros((200, 300, 3), np.uint8), degrees=angle, longest_side=300, into=into)
    ((x0, y0, x1, y1),) = boxes_turned_back(box, canvas_to_frame, degrees=angle)
    np.testing.assert_allclose(
        apply(canvas_to_frame, np.array([55, 80], np.float32)), [(x0 + x1) / 2, (y0 + y1) / 2], rtol=1e-5
    )
    scale = math.sqrt(abs(np.linalg.det(canvas_to_frame[:, :2])))
    assert sorted([x1 - x0, y1 - y0]) == pytest.approx([30 * scale, 40 * scale], rel=1e-4)
    stands = abs(math.cos(math.radians(angle))) >= abs(math.sin(math.radians(angle))) - 1e-9
    assert (y1 - y0 > x1 - x0) == stands


@given(st.integers(5, 359))
def test_steps_go_round_without_coming_back(degrees: int) -> None:
    assert steps(degrees) == tuple(range(degrees, 360, degrees))


@given(st.integers(5, 359))
def test_a_number_is_a_step(degrees: int) -> None:
    assert parse_turns(str(degrees)) == steps(degrees)


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        ("100", (100, 200, 300)),
        ("359.5", (359.5,)),
        ("0,45,315", (45, 315)),
        ("-45, 45, 405", (315, 45)),
        ("180,0", (180,)),
        ("0,360", ()),
    ],
)
def test_a_list_is_angles_each_once_in_its_order(text: str, turns: tuple[float, ...]) -> None:
    assert parse_turns(text) == turns


@pytest.mark.parametrize("text", ["", "0", "-90", "4.9", "360", "1", "left", "90;180", "nan", "0,inf", "45,", "-inf"])
def test_what_is_no_angle_is_refused_and_named(text: str) -> None:
    with pytest.raises(RequestError, match=re.escape(repr(text)) if not is_number(text) else "steps of"):
        parse_turns(text)


def is_number(text: str) -> bool:
    return text.removeprefix("-").replace(".", "").isdigit()
