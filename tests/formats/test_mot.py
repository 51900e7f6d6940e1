from pathlib import Path

import numpy as np
import pytest

from faceloom.errors import MediaError
from faceloom.faces import FrameId
from faceloom.formats.mot import FORMAT
from faceloom.formats.record import FaceRecord, FrameRecord


def test_frames_and_pixels_are_counted_from_1() -> None:
    """As py-motmetrics reads them, which takes 1 from both sides of the corner."""
    face = FaceRecord(index=0, box=np.array([9, 19, 29, 49], np.float32), score=0.5, track=3)
    bare = FaceRecord(index=1, box=np.array([0, 0, 1, 1], np.float32))
    frames = [FrameRecord(id=FrameId("a/clip.mp4", 6), faces=(face, bare))]
    assert list(FORMAT.write(frames)) == [
        ("a/clip.mp4.txt", b"7,3,10.000,20.000,20.000,30.000,0.5000,-1,-1,-1\n"),
        ("a/clip.mp4.txt", b"7,-1,1.000,1.000,1.000,1.000,1.0000,-1,-1,-1\n"),
    ]


def test_ground_truth_that_is_sorted_by_track_comes_back_by_frame(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("1,1,1,1,10,10,1,1,1\n2,1,2,1,10,10,1,1,1\n1,2,31,1,10,10,1,1,1\n")
    found = list(FORMAT.read(tmp_path / "gt.txt"))
    assert [(frame.id.index, [face.track for face in frame.faces]) for frame in found] == [(0, [1, 2]), (1, [1])]
    assert found[1].faces[0].box.tolist() == [1, 0, 11, 10]


@pytest.mark.parametrize("line", ["1,2,3", "0,1,1,1,1,1,1", "a,b,c,d,e,f,g", "1,1,1,1,-5,1,1", "1,-7,1,1,1,1,1"])
def test_what_is_no_such_line_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "clip.txt").write_text(line)
    with pytest.raises(MediaError):
        list(FORMAT.read(tmp_path))
