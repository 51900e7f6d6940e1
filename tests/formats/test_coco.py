import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from faceloom.faces import FrameId
from faceloom.formats.coco import FORMAT
from faceloom.formats.record import FaceRecord, FrameRecord
from formats.records import written

FACE = FaceRecord(
    index=0,
    box=np.array([10, 20, 40, 60], np.float32),
    score=0.9,
    landmarks=np.arange(136, dtype=np.float32).reshape(68, 2),
)
FRAMES = [
    FrameRecord(id=FrameId("a.jpg", 0), width=64, height=64, faces=(FACE,)),
    FrameRecord(id=FrameId("clip.mp4", 12), time=0.5, width=64, height=64),
]


def test_the_document_is_what_the_format_says(tmp_path: Path) -> None:
    content = json.loads(written(FORMAT, FRAMES, tmp_path).read_bytes())
    assert [image["file_name"] for image in content["images"]] == ["a.jpg", "clip.mp4#000012.png"]
    (annotation,) = content["annotations"]
    assert (annotation["bbox"], annotation["area"], annotation["num_keypoints"]) == ([10, 20, 30, 40], 1200, 68)
    assert annotation["keypoints"][:6] == [0, 1, 2, 2, 3, 2]
    assert len(content["categories"][0]["keypoints"]) == 68


def test_boxes_end_where_the_frame_does_and_only_where_its_size_is_known(tmp_path: Path) -> None:
    face = replace(FACE, box=np.array([-10, 20, 40, 90], np.float32))
    frame = replace(FRAMES[0], faces=(face,))
    boxes = []
    for number, one in enumerate((frame, replace(frame, width=None, height=None))):
        (tmp_path / str(number)).mkdir()
        content = json.loads(written(FORMAT, [one], tmp_path / str(number)).read_bytes())
        boxes.append(content["annotations"][0]["bbox"])
    assert boxes == [[-0.5, 20, 40.5, 43.5], [-10, 20, 50, 70]]


def test_the_peers_own_reader_and_evaluation_take_it(tmp_path: Path) -> None:
    peer = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    loaded = peer.COCO(str(written(FORMAT, FRAMES, tmp_path)))
    (annotation,) = loaded.loadAnns(loaded.getAnnIds(imgIds=loaded.getImgIds()[0]))
    assert annotation["bbox"] == [10, 20, 30, 40]


def test_a_file_of_seventeen_keypoints_gives_boxes(tmp_path: Path) -> None:
    annotation = {"image_id": 7, "bbox": [1, 2, 3, 4], "keypoints": [5, 6, 2] * 17}
    content = {"images": [{"id": 7, "file_name": "x/y.jpg"}], "annotations": [annotation]}
    (tmp_path / "some.json").write_text(json.dumps(content))
    (frame,) = FORMAT.read(tmp_path / "some.json")
    assert frame.id == FrameId("x/y.jpg", 0)
    assert frame.faces[0].box.tolist() == [1, 2, 4, 6]
    assert frame.faces[0].landmarks is None
