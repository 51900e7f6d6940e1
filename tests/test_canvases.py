"""Frames within the only canvas that a detector takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceloom.canvases import canvas_of, fitting_side, largest_canvas, looks_a_frame, plain, tile_canvas, tile_starts
from faceloom.detect.yunet import YuNet
from faceloom.geometry.letterbox import scaled_shape
from faceloom.geometry.turning import lay_turned, turned_shape

sides = st.integers(1, 5000)
canvas_sides = st.integers(32, 1500)
degrees = st.sampled_from([90.0, 180.0, 270.0, 30.0, 45.0, 222.5, 359.0])


@given(sides, sides, canvas_sides, canvas_sides)
def test_a_frame_lies_within_the_canvas_and_is_no_smaller_than_it_has_to_be(
    height: int, width: int, rows: int, columns: int
) -> None:
    plugin = YuNet(canvas=(rows, columns), longest_side=10_000)
    side = fitting_side(plugin, height, width)
    scaled = scaled_shape(height, width, side)
    assert scaled[0] <= rows
    assert scaled[1] <= columns
    assert scaled == (height, width) or scaled[0] >= rows - 1 or scaled[1] >= columns - 1


@given(sides, sides, canvas_sides, canvas_sides, degrees)
def test_a_turned_frame_lies_within_the_canvas(height: int, width: int, rows: int, columns: int, turn: float) -> None:
    plugin = YuNet(canvas=(rows, columns), turns=(turn,), longest_side=10_000)
    side = fitting_side(plugin, height, width, turned_deg=turn)
    turned = turned_shape(height, width, degrees=turn, longest_side=side)
    assert turned[0] <= rows
    assert turned[1] <= columns
    whole = turned_shape(height, width, degrees=turn, longest_side=10_000_000)
    assert turned == whole or turned[0] >= 0.95 * rows - 2 or turned[1] >= 0.95 * columns - 2


@given(sides, sides, degrees)
def test_every_look_has_the_canvas(height: int, width: int, turn: float) -> None:
    plugin = YuNet(canvas=(480, 640), turns=(turn,), tile_px=400)
    assert canvas_of(plugin, height, width, turned_deg=0) == (480, 640)
    assert canvas_of(plugin, height, width, turned_deg=turn) == (480, 640)
    assert tile_canvas(plugin, height, width) == (480, 640)
    assert largest_canvas(plugin, height, width) == (480, 640)
    rows, columns = tile_starts(plugin, height, width)
    assert looks_a_frame(plugin, height, width) == 1.5 + len(rows) * len(columns)


@given(sides, sides)
def test_there_are_tiles_where_the_whole_frame_is_scaled_down(height: int, width: int) -> None:
    plugin = YuNet(canvas=(480, 640), tile_px=400)
    assert bool(tile_starts(plugin, height, width)[0]) == (height > 480 or width > 640)


@given(canvas_sides, canvas_sides)
def test_a_frame_of_the_canvas_is_left_as_it_is(rows: int, columns: int) -> None:
    plugin = plain(YuNet(canvas=(rows, columns)), (rows, columns))
    assert fitting_side(plugin, rows, columns) == max(rows, columns)


@given(sides, sides, canvas_sides)
def test_a_detect_size_below_the_canvas_holds(height: int, width: int, most: int) -> None:
    plugin = YuNet(canvas=(1500, 1500), longest_side=most)
    assert max(scaled_shape(height, width, fitting_side(plugin, height, width))) <= most


def test_a_turned_frame_is_laid_where_its_pixels_came_from() -> None:
    image = np.zeros((300, 800, 3), np.uint8)
    image[100:110, 600:610] = 255
    plugin = YuNet(canvas=(480, 320), turns=(90.0,))
    side = fitting_side(plugin, 300, 800, turned_deg=90.0)
    canvas = np.zeros((480, 320, 3), np.uint8)
    canvas_to_frame = lay_turned(image, degrees=90.0, longest_side=side, into=canvas)
    rows, columns = np.nonzero(canvas[..., 0] > 127)
    x, y = canvas_to_frame @ [columns.mean(), rows.mean(), 1]
    assert (x, y) == pytest.approx((604.5, 104.5), abs=1.5)


def test_tiles_that_do_not_lie_within_the_canvas_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 480"):
        YuNet(canvas=(480, 640), tile_px=512)


def test_a_detector_without_a_canvas_of_its_own_keeps_its_configuration() -> None:
    assert "canvas" not in YuNet().configuration
    assert "max_batch" not in YuNet(max_batch=1).configuration
    assert YuNet(canvas=(480, 640)).configuration["canvas"] == (480, 640)
