import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from faceloom.errors import MediaError, RequestError
from faceloom.faces import FrameId
from faceloom.formats.pts import FORMAT
from faceloom.formats.record import FaceRecord, FrameRecord
from formats.records import frames, plain, read_back

BOX = np.zeros(4, np.float32)
POINTS = np.arange(136, dtype=np.float32).reshape(68, 2)


def test_the_first_pixel_is_one() -> None:
    found = [FrameRecord(id=FrameId("a.jpg", 0), faces=(FaceRecord(index=0, box=BOX, landmarks=POINTS),))]
    ((name, content),) = FORMAT.write(found)
    assert name == "a.jpg/000000_0.pts"
    assert content.decode().splitlines()[:5] == ["version: 1", "n_points: 68", "{", "1.000 2.000", "3.000 4.000"]


@settings(max_examples=30)
@given(found=frames())
def test_landmarks_come_back_and_their_box(found: list[FrameRecord]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        back = {
            (frame.id, face.index): face for frame in read_back(FORMAT, found, Path(folder)) for face in frame.faces
        }
    sent = {(frame.id, face.index): face for frame in found for face in frame.faces if face.landmarks is not None}
    assert plain({str(key): face.landmarks for key, face in back.items()}) == plain(
        {str(key): face.landmarks for key, face in sent.items()}
    )


def test_a_file_of_the_set_is_named_by_its_picture(tmp_path: Path) -> None:
    text = "version: 1\r\nn_points:  68\r\n{\r\n" + "10.5 20.5\r\n" * 68 + "}"
    (tmp_path / "indoor_001.pts").write_text(text)
    (frame,) = FORMAT.read(tmp_path)
    assert frame.id == FrameId("indoor_001", 0)
    assert frame.faces[0].box.tolist() == [9.5, 19.5, 9.5, 19.5]


@pytest.mark.parametrize(
    "text", ["", "version: 1\nn_points: 68\n{\n1 2\n}", "version: 1\nn_points: 68\n{" + "nan " * 136 + "}"]
)
def test_another_text_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.pts").write_text(text)
    with pytest.raises(MediaError, match="300-W"):
        list(FORMAT.read(tmp_path / "a.pts"))


@pytest.mark.parametrize("source", ["../a.jpg", "/a.jpg", "b/../../a.jpg"])
def test_a_source_outside_the_folder_is_not_written(source: str) -> None:
    found = [FrameRecord(id=FrameId(source, 0), faces=(FaceRecord(index=0, box=BOX, landmarks=POINTS),))]
    with pytest.raises(RequestError, match="outside"):
        list(FORMAT.write(found))
