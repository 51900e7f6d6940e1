import pickle
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

import faceloom
from faceloom.faces import Face, FrameId
from faceloom.frame import Frame

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def frame(samples: Path) -> Frame:
    (found,) = faceloom.stream(samples / "portrait.png")
    return found


@pytest.fixture(scope="module")
def face(frame: Frame) -> Face:
    return frame.faces[0]


def decoded(content: bytes | None) -> tuple[int, ...]:
    """Height, width and channels of a PNG."""
    assert content is not None
    assert content.startswith(PNG)
    return tuple(np.asarray(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)).shape)


def test_a_face_equals_itself_and_no_copy_of_itself(face: Face) -> None:
    copy = replace(face)
    assert face == face  # numpy fields made this raise once
    assert face != copy
    assert len({face, face, copy}) == 2
    assert [copy, face].index(face) == 1


def test_a_frame_equals_itself_and_no_copy_of_itself(frame: Frame) -> None:
    copy = replace(frame)
    assert frame != copy
    assert len({frame, frame, copy}) == 2
    assert [copy, frame].index(frame) == 1


def test_what_is_printed_of_faces_and_frames_is_one_line_without_their_numbers(frame: Frame, face: Face) -> None:
    for thing in (face, frame, face.patch, replace(frame, time=Fraction(1, 25), problem="it breaks off")):
        assert len(repr(thing)) < 200
        assert "\n" not in repr(thing)
        assert "array(" not in repr(thing)
    assert repr(face).startswith("<Face portrait.png#0 face 0: ")
    assert "1 face" in repr(frame)


def test_faces_and_frames_come_back_from_a_pickle(frame: Frame) -> None:
    back = pickle.loads(pickle.dumps(frame))
    assert (back.id, back.time, back.digest) == (frame.id, frame.time, frame.digest)
    np.testing.assert_array_equal(back.image, frame.image)
    (face,), (same,) = back.faces, frame.faces
    np.testing.assert_array_equal(face.landmarks, same.landmarks)
    np.testing.assert_array_equal(face.patch.pixels, same.patch.pixels if same.patch else None)
    assert {name: mask.sum() for name, mask in face.masks.items()} == {
        name: mask.sum() for name, mask in same.masks.items()
    }
    np.testing.assert_array_equal(faceloom.chip(face, size=64), faceloom.chip(same, size=64))


def test_a_face_without_its_patch_keeps_all_else_and_is_small(face: Face) -> None:
    bare = face.without_patch()
    assert (bare.patch, bare.wide_patch) == (None, None)
    assert (bare.box, bare.landmarks, bare.masks) == (face.box, face.landmarks, face.masks)
    assert face.patch is not None  # it itself is as it was
    assert len(pickle.dumps(replace(bare, masks={}))) < 4096


def test_a_notebook_shows_the_frame_scaled_down(frame: Frame) -> None:
    large = replace(frame, image=np.zeros((1080, 1920, 3), np.uint8))
    assert decoded(large._repr_png_()) == (360, 640, 3)
    assert decoded(frame._repr_png_()) == frame.image.shape  # a smaller one is left as it is


def test_a_notebook_shows_boxes_on_the_frame_and_leaves_the_frame_as_it_was(frame: Frame) -> None:
    before = frame.image.copy()
    plain, boxed = replace(frame, faces=())._repr_png_(), frame._repr_png_()
    assert plain != boxed
    np.testing.assert_array_equal(frame.image, before)


def test_a_notebook_shows_the_chip_of_a_face_and_the_patch_where_there_are_no_landmarks(face: Face) -> None:
    assert decoded(face._repr_png_()) == (160, 160, 3)
    assert face.patch is not None
    height, width, _ = decoded(replace(face, landmarks=None)._repr_png_())
    assert max(height, width) == 160
    assert height / width == pytest.approx(face.patch.pixels.shape[0] / face.patch.pixels.shape[1], abs=0.01)
    flat = np.zeros((68, 2), np.float32)  # of which no chip can be cut
    assert decoded(replace(face, landmarks=flat)._repr_png_()) == (height, width, 3)


def test_a_frame_that_could_not_be_read_shows_its_problem_as_text() -> None:
    frame = Frame(id=FrameId("<a>.png", 0), time=None, image=np.zeros((0, 0, 3), np.uint8), problem="no <b>picture</b>")
    assert frame._repr_png_() is None
    shown = frame._repr_html_()
    assert "<img" not in shown
    assert "&lt;a&gt;.png#0" in shown
    assert "<b>" not in shown


def test_html_holds_the_picture_itself(frame: Frame, face: Face) -> None:
    for shown in (frame._repr_html_(), face._repr_html_()):
        assert re.search(r'<img src="data:image/jpeg;base64,[A-Za-z0-9+/=]+"', shown)
        assert "portrait.png#0" in shown
    assert "<img" not in face.without_patch()._repr_html_()
