import numpy as np
import pytest

from faceloom.geometry.stored import Area, as_stored, as_upright
from faceloom.media.orientations import upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_area_is_where_its_pixels_are(orientation: int) -> None:
    stored = np.zeros((30, 50, 3), np.uint8)
    stored[3:9, 10:30] = 255
    image = upright(stored, orientation)
    rows, columns = np.nonzero(image[..., 0])
    height, width = image.shape[:2]
    y0, y1, x0, x1 = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    area = Area((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
    found = as_stored(area, orientation)
    assert (found.x, found.y, found.width, found.height) == pytest.approx((20 / 50, 6 / 30, 20 / 50, 6 / 30))
    back = as_upright(found, orientation)
    assert (back.x, back.y, back.width, back.height) == pytest.approx((area.x, area.y, area.width, area.height))


def test_an_orientation_that_there_is_not_turns_nothing() -> None:
    area = Area(0.2, 0.3, 0.1, 0.2)
    assert as_stored(area, 0) == as_upright(area, 9) == area
