import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import faceloom


def boxes(frames: Sequence[faceloom.Frame]) -> list[list[list[float]]]:
    return [[face.box.tolist() for face in frame.faces] for frame in frames]


def alone(path: Path) -> list[list[float]]:
    (frame,) = faceloom.stream(path, align=None)
    return [face.box.tolist() for face in frame.faces]


@pytest.fixture(scope="module")
def namesakes(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders with a picture of the same file name each: a portrait and a crowd."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "two")]
    for folder, picture in zip(folders, ("portrait.png", "crowd.jpg"), strict=True):
        shutil.copyfile(samples / picture, folder / "same.png")
    return folders


def test_pictures_of_one_file_name_in_two_folders_keep_their_own_faces(namesakes: list[Path]) -> None:
    each = [alone(folder / "same.png") for folder in namesakes]
    assert len(each[0]) != len(each[1])
    assert boxes(list(faceloom.stream(namesakes, align=None))) == each


def test_a_picture_named_twice_gives_its_faces_twice(samples: Path) -> None:
    path = samples / "portrait.png"
    assert boxes(list(faceloom.stream([path, path], align=None))) == [alone(path)] * 2


def test_a_video_named_twice_gives_its_faces_twice(samples: Path) -> None:
    told = boxes(list(faceloom.stream([samples / "clip.mp4"] * 2, align=None, end="3f")))
    assert told[:3] == told[3:]
    assert all(told)


def test_namesakes_that_cannot_be_read_say_so_each(tmp_path: Path, samples: Path) -> None:
    (tmp_path / "portrait.png").write_bytes(b"no picture")
    broken, whole = faceloom.stream([tmp_path / "portrait.png", samples / "portrait.png"], align=None)
    assert (broken.problem is None, len(broken.faces)) == (False, 0)
    assert (whole.problem, len(whole.faces)) == (None, 1)


def test_faces_name_the_frame_that_they_are_in(namesakes: list[Path]) -> None:
    images = [np.zeros((64, 64, 3), np.uint8)]
    frames = list(faceloom.stream([*namesakes, *images], align=None))
    assert [str(frame.id) for frame in frames] == ["same.png#0", "same.png#0", "array#0"]
    assert all(face.frame is frame.id for frame in frames for face in frame.faces)
