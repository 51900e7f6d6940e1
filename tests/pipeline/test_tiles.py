"""`--tiles`: small faces in large frames, and nothing else changed."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import faceloom
from faceloom.api import extract
from faceloom.canvases import largest_canvas, looks_a_frame, plain, tile_starts
from faceloom.detect.centerface import CenterFace
from faceloom.detect.yunet import YuNet
from faceloom.engines.engine import Network
from faceloom.errors import BudgetError, RequestError
from faceloom.faces import Face, FrameId, Image
from faceloom.frame import Frame
from faceloom.geometry.boxes import Boxes, area, covered, iou
from faceloom.orders.flows import make_flow
from faceloom.pipeline.detecting import DetectStep
from faceloom.pipeline.looking import EDGE_PX, Place
from jobs import exported
from turned_pictures import canvases_of

Load = Callable[[str], Network]
UHD = (2160, 3840)
sides = st.integers(128, 5000)


def read(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def scaled(image: Image, factor: float) -> Image:
    flag = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, None, fx=factor, fy=factor, interpolation=flag), np.uint8)


def boxes_of(faces: Sequence[Face]) -> Boxes:
    return np.array([face.box for face in faces], np.float32).reshape(-1, 4)


def values(faces: Sequence[Face]) -> list[tuple[Any, ...]]:
    return [(face.box.tobytes(), face.score, np.asarray(face.keypoints).tobytes(), face.index) for face in faces]


def recall(truth: Boxes, found: Boxes) -> float:
    return float((iou(truth, found).max(axis=1, initial=0) >= 0.5).mean())


@pytest.fixture(scope="module")
def far_crowd(samples: Path) -> tuple[Image, Boxes]:
    """Crowds far away in a large frame, and the true boxes of their heads, 24 pixels and less."""
    (truth,) = json.loads((samples / "truth.json").read_text())["crowd.jpg"]
    boxes = np.array(truth if isinstance(truth[0], list) else [truth], np.float32)
    factor = 24 / float((boxes[:, 3] - boxes[:, 1]).max())
    crowd = scaled(read(samples / "crowd.jpg"), factor)
    rows, columns = crowd.shape[:2]
    image = np.full((*UHD, 3), 120, np.uint8)
    there = []
    for y in range(0, UHD[0] - rows, rows + 7):
        for x in range(0, UHD[1] - columns, columns + 5):
            image[y : y + rows, x : x + columns] = crowd
            there.append(boxes * factor + np.array([x, y, x, y], np.float32))
    return image, np.concatenate(there)


@given(sides, sides, st.integers(128, 2000))
def test_tiles_lie_in_the_frame_cover_it_and_overlap_by_a_quarter(height: int, width: int, side: int) -> None:
    plugin = YuNet(tile_px=side, longest_side=100)
    for length, starts in zip((height, width), tile_starts(plugin, height, width), strict=True):
        ends = [min(start + side, length) for start in starts]
        assert starts[0] == 0
        assert ends[-1] == length
        assert all(end - start >= side // 4 for end, start in zip(ends, starts[1:], strict=False))
        assert len(starts) == 1 or starts[-1] + side == length


@given(sides, sides, st.integers(128, 1000), st.data())
def test_what_is_smaller_than_the_overlap_is_within_a_tile_wherever_it_is(
    height: int, width: int, side: int, data: st.DataObject
) -> None:
    plugin = YuNet(tile_px=side, longest_side=100)
    rows, columns = tile_starts(plugin, height, width)
    most = side // 4 - 2 * EDGE_PX
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = np.array([[x, y, min(x + most, width), min(y + most, height)]], np.float32)
    places = [
        Place(x=left, y=top, side=side, inner=(left > 0, top > 0, left + side < width, top + side < height))
        for left in columns
        for top in rows
    ]
    assert any(place.holds(box)[0] for place in places)


@given(st.lists(st.tuples(*[st.integers(0, 12)] * 4), max_size=4), st.lists(st.tuples(*[st.integers(0, 12)] * 4)))
def test_the_covered_share_is_that_of_painted_pixels(
    first: list[tuple[int, ...]], second: list[tuple[int, ...]]
) -> None:
    def ordered(items: list[tuple[int, ...]]) -> Boxes:
        corners = np.array(items, np.float32).reshape(-1, 2, 2)
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    def painted(box: Any) -> Any:
        canvas = np.zeros((12, 12), np.bool_)
        x0, y0, x1, y1 = box.astype(int)
        canvas[y0:y1, x0:x1] = True
        return canvas

    boxes, others = ordered(first), ordered(second)
    for box, share in zip(boxes, covered(boxes, others), strict=True):
        own = painted(box)
        most = max(((own & painted(other)).sum() for other in others), default=0)
        assert share == pytest.approx(most / own.sum() if area(box[None])[0] else 0)


@pytest.mark.parametrize(("detect", "least_px", "share"), [("yunet", 14, 0.9), ("centerface", 21, 0.5)])
def test_small_faces_in_a_large_frame_are_found(
    far_crowd: tuple[Image, Boxes], detect: str, least_px: int, share: float
) -> None:
    image, truth = far_crowd
    visible = truth[truth[:, 3] - truth[:, 1] >= least_px]
    (whole,) = faceloom.stream([image], detect=detect, align=None)
    (tiled,) = faceloom.stream([image], detect=detect, align=None, tiles=640)
    found = boxes_of(tiled.faces)
    assert recall(visible, boxes_of(whole.faces)) < 0.01
    assert recall(visible, found) > share
    others = iou(found, found) - np.eye(len(found), dtype=np.float32)
    assert others.max() <= CenterFace().max_iou
    assert recall(found, truth) > 0.95  # nothing else is


@pytest.mark.parametrize("tiles", [300, 640, 1024])
def test_large_faces_are_found_once(shared: Path, tiles: int) -> None:
    collage = scaled(read(shared / "dlib_examples/examples/faces/bald_guys.jpg"), 1.5)  # 24 faces of 180 px and more
    portrait = scaled(read(sorted((shared / "ibug_lfpw5").rglob("*.png"))[0]), 4)
    for image in (collage, portrait):
        (whole,) = faceloom.stream([image], align=None, min_size=80)
        (tiled,) = faceloom.stream([image], align=None, min_size=80, tiles=tiles)
        first, second = boxes_of(whole.faces), boxes_of(tiled.faces)
        assert len(first) == len(second)
        assert (iou(first, second).max(axis=1) > 0.8).all()


def test_a_frame_that_is_not_scaled_down_is_looked_at_once(samples: Path) -> None:
    media = [samples / "portrait.png", samples / "clip.mp4"]
    for before, after in zip(
        faceloom.stream(media, align=None), faceloom.stream(media, align=None, tiles=256), strict=True
    ):
        assert max(before.image.shape) <= YuNet().longest_side
        assert values(before.faces) == values(after.faces)


def test_the_batch_changes_nothing_and_no_call_is_larger(far_crowd: tuple[Image, Boxes], network: Load) -> None:
    crowd = far_crowd[0]
    images = [
        crowd[:1100, :1300],
        np.full((1100, 1300, 3), 90, np.uint8),
        crowd[500:1600, 900:2200],
        crowd[:1110, :1300],
    ]
    plugin = YuNet(tile_px=480, longest_side=512, turns=(90.0,))
    frames = [Frame(id=FrameId("batch", i), time=None, image=image) for i, image in enumerate(images)]
    shapes: list[tuple[int, ...]] = []

    def infer(inputs: Any) -> Any:
        shapes.append(canvases_of(inputs))
        return network("yunet")(inputs)

    def found(batch: int) -> list[list[tuple[Any, ...]]]:
        step = DetectStep("detect/yunet", plugin, infer, batch)
        items = [item for i in range(0, len(frames), batch) for item in step.run(frames[i : i + batch])]
        faces = [item for item in items if isinstance(item, Face)]
        return [values([face for face in faces if face.frame == frame.id]) for frame in frames]

    alone = found(1)
    assert [bool(faces) for faces in alone] == [True, False, True, True]
    for batch in (2, 3, 4):
        shapes.clear()
        assert found(batch) == alone
        assert max(shape[0] for shape in shapes) == batch
        most = max(np.prod(largest_canvas(plugin, *image.shape[:2])) for image in images)
        assert max(np.prod(shape[2:]) for shape in shapes) == most


def test_a_frame_takes_as_many_looks_as_it_has_tiles_and_the_largest_canvas_is_any_of_them() -> None:
    plugin = YuNet(tile_px=640)
    rows, columns = tile_starts(plugin, *UHD)
    whole, tile = 576 * 1024, 640 * 640
    assert (len(rows), len(columns)) == (5, 8)
    assert largest_canvas(plugin, *UHD) == (576, 1024)
    assert looks_a_frame(plugin, *UHD) == pytest.approx(1 + len(rows) * len(columns) * tile / whole)
    large = replace(plugin, tile_px=1500)
    assert largest_canvas(large, *UHD) == (1504, 1504)
    assert largest_canvas(plain(large, (1504, 1504)), 1504, 1504) == (1504, 1504)
    assert largest_canvas(large, 1080, 1920) == (1088, 1504)
    assert looks_a_frame(large, 500, 500) == 1


def test_tiles_stay_within_the_smallest_budget_with_the_same_faces(
    far_crowd: tuple[Image, Boxes], samples: Path, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    cv2.imwrite(str(media / "far.png"), far_crowd[0][:1200, :2000, ::-1])
    (media / "crowd.jpg").write_bytes((samples / "crowd.jpg").read_bytes())
    options: Any = {"size": 64, "tiles": 1200, "align": None}
    with pytest.raises(BudgetError) as refused:
        extract(media, tmp_path / "refused", memory="150MiB", **options)
    assert refused.value.needed_bytes is not None
    memory = refused.value.needed_bytes + (4 << 20)
    ample = extract(media, tmp_path / "ample", **options)
    tight = extract(media, tmp_path / "tight", memory=memory, **options)
    assert ample.failed == tight.failed == 0
    assert tight.peak_bytes <= memory
    assert exported(tmp_path / "tight") == exported(tmp_path / "ample")


@pytest.mark.parametrize("tiles", [0, 127, 9000])
def test_tiles_of_no_use_are_refused(tiles: int, samples: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        extract(samples / "portrait.png", tmp_path / "out", tiles=tiles)


def test_only_folders_made_with_tiles_know_of_them() -> None:
    assert "tile_px" not in make_flow({}).describe()["detect/yunet"]
    assert make_flow({"tiles": 640}).describe()["detect/yunet"]["tile_px"] == 640
