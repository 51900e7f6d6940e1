"""Faces that are followed between looks."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from PIL import Image as PillowImage

import faceloom
from faceloom.events import NO_EFFECT, Event, Notice
from faceloom.faces import Face, FrameId, Image
from faceloom.frame import Frame
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import iou
from faceloom.pipeline.following import Follower
from faceloom.samples import PORTRAIT_BOX
from jobs import exported, files_below

HEIGHT, WIDTH = 240, 320


@pytest.fixture(scope="module")
def portrait(samples: Path) -> Image:
    """A face, 80 pixels wide."""
    image = np.asarray(PillowImage.open(samples / "portrait.png").convert("RGB"))
    x0, y0, x1, y1 = map(round, PORTRAIT_BOX)
    return np.asarray(cv2.resize(image[y0:y1, x0:x1], (80, 100), interpolation=cv2.INTER_AREA), np.uint8)


@dataclass
class Scene:
    """A face that moves over a background, and a detector that knows where it is and counts its looks."""

    face: Image
    boxes: list[tuple[float, float, float, float]]
    frames: list[Frame] = field(default_factory=list)
    looks: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        ground = np.random.default_rng(1).integers(90, 120, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
        ground = cv2.resize(ground, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        for i, (x0, y0, x1, y1) in enumerate(self.boxes):
            height, width = self.face.shape[:2]
            map_ = np.array([[(x1 - x0) / width, 0, x0], [0, (y1 - y0) / height, y0]])
            image = np.array(ground, np.uint8)
            cv2.warpAffine(self.face, map_, (WIDTH, HEIGHT), dst=image, borderMode=cv2.BORDER_TRANSPARENT)
            self.frames.append(Frame(id=FrameId("v.mp4", i), time=None, image=image))

    def look(self, frames: Sequence[Frame]) -> list[Sequence[Face]]:
        """The face of each frame."""
        self.looks += [frame.id.index for frame in frames]
        return [
            [Face(frame=frame.id, index=0, box=np.array(self.boxes[frame.id.index], np.float32), score=0.9)]
            for frame in frames
        ]

    def overlaps(self, found: Sequence[Sequence[Face]]) -> list[float]:
        """IoU of what was found in each frame with the truth."""
        return [
            float(iou(faces[0].box[None], np.array([box], np.float32))[0, 0])
            for faces, box in zip(found, self.boxes, strict=True)
        ]


def moving(count: int) -> list[tuple[float, float, float, float]]:
    """Boxes of a face that goes to the right and down, and comes nearer."""
    return [(40 + 5 * i, 50 + 2 * i, 120 + 6.5 * i, 150 + 4 * i) for i in range(count)]


def test_a_face_that_moves_and_grows_is_followed(portrait: Image) -> None:
    scene = Scene(portrait, moving(20))
    found = Follower(10).find(scene.frames, scene.look)
    assert scene.looks == [0, 10]
    assert min(scene.overlaps(found)) > 0.9
    assert [faces[0].frame.index for faces in found] == list(range(20))
    assert not np.allclose(found[9][0].box, found[0][0].box, atol=20)


def test_keypoints_go_with_the_face(portrait: Image) -> None:
    scene = Scene(portrait, moving(8))

    def look(frames: Sequence[Frame]) -> list[Sequence[Face]]:
        return [[replace(face, keypoints=_five(face.box)) for face in faces] for faces in scene.look(frames)]

    for faces, box in zip(Follower(8).find(scene.frames, look), scene.boxes, strict=True):
        assert faces[0].keypoints is not None
        assert np.abs(faces[0].keypoints - _five(np.array(box, np.float32))).max() < 4


def _five(box: NDArray[np.float32]) -> Points:
    shares = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]], np.float32)
    return np.asarray(box[:2] + shares * (box[2:] - box[:2]), np.float32)


def test_the_detector_looks_where_a_face_is_covered(portrait: Image) -> None:
    scene = Scene(portrait, moving(10))
    x0, y0, x1, y1 = map(round, scene.boxes[6])
    scene.frames[6].image[y0:y1, x0 : (x0 + 2 * x1) // 3] = 30
    Follower(10).find(scene.frames, scene.look)
    assert 6 in scene.looks
    assert len(scene.looks) < 5


def test_the_detector_looks_at_another_scene(portrait: Image) -> None:
    scene = Scene(portrait, moving(10))
    for frame in scene.frames[5:]:
        frame.image[:] = 255 - frame.image
    Follower(10).find(scene.frames, scene.look)
    assert scene.looks == [0, 5]


def test_a_scene_with_nobody_costs_one_look_a_block() -> None:
    frames = [Frame(id=FrameId("v.mp4", i), time=None, image=np.zeros((48, 64, 3), np.uint8)) for i in range(25)]
    looks: list[int] = []

    def look(some: Sequence[Frame]) -> list[Sequence[Face]]:
        looks.extend(frame.id.index for frame in some)
        return [[] for _ in some]

    assert Follower(10).find(frames, look) == [[]] * 25
    assert looks == [0, 10, 20]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(1, 4), min_size=20, max_size=20), st.integers(0, 11))
def test_what_is_found_depends_on_the_block_alone(every: int, batches: list[int], first: int) -> None:
    face = np.random.default_rng(2).integers(0, 255, (25, 20, 3), np.uint8)
    scene = Scene(np.array(cv2.resize(face, (80, 100), interpolation=cv2.INTER_CUBIC), np.uint8), moving(12))
    whole = Follower(every).find(scene.frames, scene.look)
    begin = first // every * every
    follower, parts, at = Follower(every), [], begin
    for size in batches:
        parts += follower.find(scene.frames[at : at + size], scene.look) if at < 12 else []
        at += size
    for one, other in zip(whole[begin:], parts, strict=True):
        assert np.array_equal(one[0].box, other[0].box)
        assert one[0].frame == other[0].frame


def test_a_run_follows_alike_under_any_plan_and_after_a_restart(samples: Path, tmp_path: Path) -> None:
    clip = samples / "clip.mp4"
    options = {"detect_every": 7, "size": 64, "threads": 1}
    looked = faceloom.extract(clip, tmp_path / "one", **options)  # type: ignore[arg-type]
    assert looked.images["detect/yunet"] < looked.frames / 2
    assert looked.faces > looked.frames
    for name, more in (("two", {"threads": 2}), ("small", {"passes": "separate"})):
        faceloom.extract(clip, tmp_path / name, **{**options, **more})  # type: ignore[arg-type]
        assert exported(tmp_path / name) == exported(tmp_path / "one")
        assert files_below(tmp_path / name) == files_below(tmp_path / "one")
    with sqlite3.connect(tmp_path / "two" / "faceloom.sqlite") as db:  # as if they had never been done
        db.execute("DELETE FROM face WHERE frame_idx IN (5, 6, 12)")
        db.execute("UPDATE frame SET status = 'pending' WHERE idx IN (5, 6, 12)")
    assert exported(tmp_path / "two") != exported(tmp_path / "one")
    again = faceloom.extract(clip, tmp_path / "two", **options)  # type: ignore[arg-type]
    assert (again.skipped, again.frames) == (looked.frames - 3, looked.frames)
    assert exported(tmp_path / "two") == exported(tmp_path / "one")


def test_streams_follow_as_runs_do(samples: Path, tmp_path: Path) -> None:
    faceloom.extract(samples / "clip.mp4", tmp_path / "out", detect_every=7, chips=False)
    run = [face.box for frame in faceloom.open(tmp_path / "out").frames() for face in frame.faces]
    stream = [face.box for frame in faceloom.stream(samples / "clip.mp4", detect_every=7) for face in frame.faces]
    assert len(run) == len(stream) > 0
    assert np.abs(np.array(run) - np.array(stream)).max() < 1e-3


def test_pictures_are_all_looked_at_and_it_is_said_that_the_option_is_idle(samples: Path, tmp_path: Path) -> None:
    told: list[Event] = []
    options = {"align": None, "mask": (), "chips": False, "on_event": told.append}
    found = faceloom.extract(samples / "portrait.png", tmp_path / "out", detect_every=5, **options)  # type: ignore[arg-type]
    assert found.faces == 1
    assert [event.text for event in told if isinstance(event, Notice) and event.kind == NO_EFFECT] == [
        "--detect-every 5 changes nothing here: faces are followed in videos, and there is none"
    ]
