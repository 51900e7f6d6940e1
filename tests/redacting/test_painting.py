import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.choices import Fill, Over
from faceloom.geometry.affine import scaling
from faceloom.redacting.painting import Plane, paint, paint_all
from faceloom.redacting.shapes import Mask, Scale2D, Shape2D, region_of

BOX = np.array([40, 30, 100, 110], np.float32)
WHOLE = Scale2D(x=1.0, y=1.0)


def shape(
    over: Over = Over.ELLIPSE, *, margin: float = 0.25, feather: float = 0.0, mask: Mask | None = None
) -> Shape2D:
    """What is covered of a face in the box."""
    return Shape2D(box=BOX, over=over, margin=margin, feather=feather, mask=mask)


def noise(dtype: type = np.uint8, most: int = 255) -> NDArray[np.generic]:
    return np.random.default_rng(1).integers(0, most + 1, (160, 180)).astype(dtype)


def alpha(one: Shape2D, *, scale: Scale2D = WHOLE, height: int = 160, width: int = 180) -> NDArray[np.float32]:
    """Over the whole plane."""
    whole = np.zeros((height, width), np.float32)
    region = region_of(one, scale, height=height, width=width)
    if region is not None:
        rows, columns = region.alpha.shape
        whole[region.top : region.top + rows, region.left : region.left + columns] = region.alpha
    return whole


def test_a_box_covers_just_its_pixels_and_the_margin() -> None:
    covered = alpha(shape(Over.BOX, margin=0.25))
    y, x = np.nonzero(covered == 1)
    assert (x.min(), x.max(), y.min(), y.max()) == (25, 115, 10, 130)
    assert covered[:, :25].sum() == covered[131:].sum() == 0


def test_an_ellipse_with_the_usual_margin_covers_the_corners_of_the_box() -> None:
    covered = alpha(shape(Over.ELLIPSE, margin=0.25))
    assert covered[31:110, 41:100].min() == 1
    assert covered[12, 27] == 0


@pytest.mark.parametrize("over", [Over.BOX, Over.ELLIPSE])
def test_what_fades_lies_outside_of_what_is_covered(over: Over) -> None:
    hard, soft = alpha(shape(over)), alpha(shape(over, feather=0.2))
    assert (soft[hard == 1] == 1).all()
    faded = (soft > 0) & (soft < 1)
    assert faded.sum() > 500
    assert (np.diff(soft[70, :70]) >= 0).all()


def test_a_mask_is_laid_by_its_affine_and_grown_by_the_margin() -> None:
    pixels = np.zeros((32, 32), np.uint8)
    pixels[8:24, 4:20] = 255
    mask = Mask(pixels=pixels, frame_to_mask=scaling(0.25, 0.25))
    bare = alpha(shape(Over.MASK, margin=0, mask=mask))
    y, x = np.nonzero(bare == 1)
    assert [x.min(), x.max(), y.min(), y.max()] == pytest.approx([16 + 24, 79, 32, 95], abs=2)  # the box begins at 40
    grown = alpha(shape(Over.MASK, margin=0.1, mask=mask))
    assert (grown >= bare).all()
    assert grown[100, 60] == 1  # 8 pixels, a tenth of the box, below it
    assert grown[108, 60] == 0


def test_planes_of_half_the_resolution_are_covered_in_the_same_place() -> None:
    full, half = alpha(shape()), alpha(shape(), scale=Scale2D(x=0.5, y=0.5), height=80, width=90)
    assert np.abs(full.reshape(80, 2, 90, 2).mean(axis=(1, 3)) - half).mean() < 0.01


def test_a_shape_beyond_the_frame_covers_nothing() -> None:
    far = Shape2D(box=BOX + 1000, over=Over.BOX, margin=0.2, feather=0.1)
    assert region_of(far, WHOLE, height=160, width=180) is None


@pytest.mark.parametrize("fill", [Fill.BLUR, Fill.PIXELATE, Fill.SOLID])
@pytest.mark.parametrize(("dtype", "most"), [(np.uint8, 255), (np.uint16, 1023)])
def test_only_what_is_covered_changes_and_of_that_nothing_fine_is_left(fill: Fill, dtype: type, most: int) -> None:
    before = noise(dtype, most)
    values = before.copy()
    paint([Plane(values=values, scale=WHOLE, solid=16)], shape(feather=0.1), fill)
    covered = alpha(shape(feather=0.1))
    assert (values[covered == 0] == before[covered == 0]).all()
    inside = values[60:90, 60:80].astype(float)
    assert inside.std() < 0.15 * before.std()
    assert values.dtype == dtype


def test_a_blur_keeps_no_more_than_a_few_averages_of_a_face() -> None:
    """Two pictures with the same averages of cells come out the same: what is finer is not hidden, it is gone."""
    before = noise()
    other = before.copy()
    other[60:80, 60:80] = before[60:80, 60:80][::-1]  # the same values in other places of a part of a cell
    for fill in (Fill.PIXELATE, Fill.BLUR):
        first, second = before.copy(), other.copy()
        for values in (first, second):
            paint([Plane(values=values, scale=WHOLE, solid=0)], shape(), fill)
        changed = np.abs(first.astype(int) - second.astype(int))[40:100, 50:90]
        assert changed.max() <= 0.1 * np.abs(before.astype(int) - other.astype(int)).max()


def test_one_colour_is_that_of_the_plane() -> None:
    values = noise()
    paint([Plane(values=values, scale=WHOLE, solid=77)], shape(), Fill.SOLID)
    assert (values[40:100, 50:90] == 77).all()


def test_a_picture_is_stretched_over_the_shape_and_hides_what_it_does_not_cover_itself() -> None:
    stamp = np.full((10, 10), 200, np.uint8)
    opaque = np.zeros((10, 10), np.uint8)
    opaque[:, 5:] = 255
    values = noise()
    plane = Plane(values=values, scale=WHOLE, solid=16, stamp=stamp, stamp_alpha=opaque)
    paint([plane], shape(Over.BOX), Fill.PICTURE)
    assert values[70, 30] == 16
    assert values[70, 110] == 200


def test_views_that_lie_otherwise_are_painted_in_place() -> None:
    stored = noise()
    straight = np.ascontiguousarray(stored.T[::-1])
    paint([Plane(values=straight, scale=WHOLE, solid=0)], shape(), Fill.SOLID)
    paint([Plane(values=stored.T[::-1], scale=WHOLE, solid=0)], shape(), Fill.SOLID)
    assert (stored.T[::-1] == straight).all()


def test_a_frame_that_nobody_has_looked_at_is_covered_wholly() -> None:
    values = noise()
    paint_all([Plane(values=values, scale=WHOLE, solid=128)])
    assert (values == 128).all()
