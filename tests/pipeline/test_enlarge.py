"""`--enlarge`: small faces in small pictures, in the memory that is planned for larger canvases."""

from collections.abc import Callable
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
from faceloom.canvases import largest_canvas, plain, scratch_bytes
from faceloom.detect.yunet import YuNet
from faceloom.engines.engine import Network
from faceloom.errors import BudgetError, RequestError
from faceloom.events import NO_EFFECT, Event, Notice
from faceloom.faces import FrameId, Image
from faceloom.flow import build_flow
from faceloom.frame import Frame
from faceloom.geometry.affine import apply
from faceloom.geometry.boxes import iou
from faceloom.geometry.letterbox import canvas_shape, lay
from faceloom.orders.flows import make_flow
from faceloom.pipeline.detecting import DetectStep
from faceloom.supervisor.effects import idle_options
from jobs import exported
from turned_pictures import box_around, canvases_of, detected, read, turned, values

Load = Callable[[str], Network]


@pytest.fixture(scope="module")
def crowd(samples: Path) -> Image:
    """A crowd whose faces are too small to be found as they are."""
    image = read(samples / "crowd.jpg")
    return np.asarray(cv2.resize(image, None, fx=0.22, fy=0.22, interpolation=cv2.INTER_AREA), np.uint8)


@given(st.integers(1, 900), st.integers(1, 900), st.integers(32, 700), st.floats(1, 4))
def test_a_frame_is_laid_so_many_times_as_large(height: int, width: int, limit: int, factor: float) -> None:
    shape = canvas_shape(height, width, longest_side=limit, side_multiple=32, enlarge=factor)
    into = np.zeros((*shape, 3), np.uint8)
    canvas_to_frame = lay(np.full((height, width, 3), 255, np.uint8), longest_side=limit, enlarge=factor, into=into)
    seen = np.argwhere(into[..., 0] == 255).max(axis=0)[::-1] + 1.0
    expected = min(1, limit / max(height, width)) * factor * np.array([width, height])
    assert (np.abs(seen - expected) <= 0.5 + 1e-3).all() or min(seen) == 1
    corner = (seen[None] - 0.5).astype(np.float32)  # of the last pixel, whose centre is half a unit from its edge
    corner = apply(canvas_to_frame, corner)[0] + 0.5
    left_over = max(1, *(np.array([width, height]) / seen)) - 1  # what makes no whole square of those that are averaged
    assert (corner < np.array([width, height]) * (1 + 1e-4)).all()
    assert (corner > np.array([width, height]) * (1 - 1e-4) - left_over).all()


def test_faces_are_found_that_are_too_small_otherwise(crowd: Image) -> None:
    (as_it_is,) = faceloom.stream([crowd], align=None)
    (enlarged,) = faceloom.stream([crowd], align=None, enlarge=2)
    assert len(enlarged.faces) > len(as_it_is.faces) + 5
    height, width = crowd.shape[:2]
    larger = np.asarray(cv2.resize(crowd, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR), np.uint8)
    (looked_at,) = faceloom.stream([larger], align=None)
    for face, same in zip(enlarged.faces, looked_at.faces, strict=True):
        np.testing.assert_allclose(2 * face.box + 0.5, same.box, atol=1e-3)  # pixels' centres
        assert face.score == same.score


def test_tiles_and_turned_looks_are_enlarged_too(crowd: Image, network: Load) -> None:
    plugin = YuNet(longest_side=256, tile_px=160, enlarge=2.0, turns=(180.0, 45.0))
    on_its_head, around = turned(crowd, 180)
    (upright,) = detected(replace(plugin, turns=(), tile_px=0), network("yunet"), [crowd], batch=1)
    (tiled,) = detected(replace(plugin, turns=()), network("yunet"), [crowd], batch=1)
    assert len(tiled) > len(upright)
    (lying,) = detected(replace(plugin, tile_px=0), network("yunet"), [on_its_head], batch=1)
    assert lying[0].turned_deg == 180
    assert len(lying) == len(upright)
    for face, there in zip(upright, lying, strict=True):
        assert iou(there.box[None], box_around(face.box, around)[None])[0, 0] > 0.99


def test_no_call_is_larger_than_what_is_planned_and_the_batch_changes_nothing(crowd: Image, network: Load) -> None:
    shapes: list[tuple[int, ...]] = []

    def infer(inputs: Any) -> Any:
        shapes.append(canvases_of(inputs))
        return network("yunet")(inputs)

    plugin = YuNet(longest_side=256, tile_px=160, enlarge=1.7, turns=(90.0, 180.0, 45.0))
    images = [crowd, crowd[:100], np.full((300, 200, 3), 90, np.uint8)]
    DetectStep("detect/yunet", plugin, infer, 2).run(
        [Frame(id=FrameId("call", i), time=None, image=image) for i, image in enumerate(images)]
    )
    most = [np.prod(largest_canvas(plugin, *image.shape[:2])) for image in images]
    assert max(np.prod(shape[2:]) for shape in shapes) == max(most)
    alone, together = (detected(plugin, network("yunet"), images, batch=batch) for batch in (1, 3))
    assert list(map(values, alone)) == list(map(values, together))


def test_larger_canvases_are_planned() -> None:
    usual, large = YuNet(turns=(90.0,)), YuNet(turns=(90.0,), enlarge=1.5)
    assert largest_canvas(large, 576, 1024) == (864, 1536)
    assert largest_canvas(large, 2160, 3840) == (864, 1536)
    assert scratch_bytes(large, 3 * 576 * 1024) > 2 * scratch_bytes(usual, 3 * 576 * 1024)
    assert largest_canvas(plain(large, (864, 1536)), 864, 1536) == (864, 1536)
    assert "enlarge" not in make_flow({}).describe()["detect/yunet"]


def test_enlarging_stays_within_the_smallest_budget_with_the_same_faces(crowd: Image, tmp_path: Path) -> None:
    media = tmp_path / "crowd.png"
    assert cv2.imwrite(str(media), crowd[..., ::-1])
    with pytest.raises(BudgetError) as refused:
        extract(media, tmp_path / "refused", size=64, memory="120MiB", enlarge=2.5, rotate="45,180")
    assert refused.value.needed_bytes is not None
    memory = refused.value.needed_bytes + (4 << 20)
    tight = extract(media, tmp_path / "tight", size=64, memory=memory, enlarge=2.5, rotate="45,180")
    extract(media, tmp_path / "ample", size=64, enlarge=2.5, rotate="45,180")
    assert tight.failed == 0
    assert tight.peak_bytes <= memory
    assert exported(tmp_path / "tight") == exported(tmp_path / "ample")


def test_a_network_of_one_canvas_refuses_to_enlarge() -> None:
    with pytest.raises(RequestError, match="nothing is enlarged"):
        build_flow(["detect/yunet"], {"detect/yunet": {"canvas": [320, 320], "enlarge": 1.5}})


@pytest.mark.parametrize(
    ("options", "shapes", "idle"),
    [
        ({"tile_px": 640}, {(768, 1024)}, ["--tiles 640"]),
        ({"tile_px": 640}, {(768, 1024), (1080, 1920)}, []),
        ({"longest_side": 2048}, {(768, 1024), (100, 100)}, ["--detect-size 2048"]),
        ({"longest_side": 2048}, {(768, 1025)}, []),
        ({"longest_side": 640}, {(480, 640)}, ["--detect-size 640"]),
        ({"longest_side": 640}, {(480, 641)}, []),
        ({"longest_side": 2048, "tile_px": 640}, {(1080, 1920)}, ["--tiles 640"]),
        ({"enlarge": 1.5}, {(10, 10)}, []),
    ],
)
def test_an_option_that_changes_nothing_says_so(
    options: dict[str, int], shapes: set[tuple[int, int]], idle: list[str]
) -> None:
    told = list(idle_options(replace(YuNet(), **options), shapes))  # type: ignore[arg-type]
    assert [text.partition(" changes nothing")[0] for text in told] == idle


def test_a_run_and_a_plan_tell_once_what_changes_nothing(samples: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    options = {"tiles": 640, "align": None, "on_event": told.append}
    extract(samples / "portrait.png", tmp_path / "faces", **options)  # type: ignore[arg-type]
    faceloom.plan(samples / "portrait.png", **options)  # type: ignore[arg-type]
    notices = [event.text for event in told if isinstance(event, Notice) and event.kind == NO_EFFECT]
    assert len(notices) == 2
    assert all(text.startswith("--tiles 640 changes nothing") for text in notices)
