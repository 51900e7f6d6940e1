"""Formats that other programs read, each read here as its own documentation says."""

import json
import math
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.faces import FrameId
from faceloom.formats.exr import encode_exr
from faceloom.formats.masks import over_frame
from faceloom.formats.record import FaceRecord, FrameRecord, MaskRecord, encode_mask
from faceloom.formats.registry import format_named
from faceloom.geometry.pose import Pose

WIDTH, HEIGHT = 200, 100
POINTS = np.array([[40, 30], [60, 30], [50, 45], [42, 55], [58, 55]], np.float32)


def face(index: int = 0, **changes: Any) -> FaceRecord:
    made = FaceRecord(
        index=index,
        box=np.array([29.5, 19.5, 69.5, 59.5], np.float32),
        score=0.9,
        keypoints=POINTS,
        landmarks=np.arange(136, dtype=np.float32).reshape(68, 2),
        frame_to_chip=np.array([[1.0, 0, 2], [0, 1, 3]]),
        pose=Pose(1.0, -20.5, 3.0),
        quality=0.5,
        person="Ann & Bo",
        chip=f"chips/clip.mp4/000003_{index}.jpg",
    )
    return replace(made, **changes)


OUTSIDE = face(1, box=np.array([180, 80, 260, 140], np.float32), keypoints=None, person=None, score=None)
FRAMES = [
    FrameRecord(id=FrameId("clip.mp4", 3), time=0.1, width=WIDTH, height=HEIGHT, faces=(face(), OUTSIDE)),
    FrameRecord(id=FrameId("deep/empty.jpg", 0), width=WIDTH, height=HEIGHT),
]


def chip_file(path: str) -> bytes:
    return path.encode()


def files_of(name: str, layout: str | None = None, frames: list[FrameRecord] | None = None) -> dict[str, bytes]:
    """What a format writes, by the files' paths."""
    files: dict[str, bytes] = {}
    last = None
    for place, piece in format_named(name).writer(layout)(FRAMES if frames is None else frames, chip_file):
        assert place == last or place not in files, "the pieces of a file come one after the other"
        files[place], last = files.get(place, b"") + piece, place
    return files


def test_yolo_has_the_middle_and_size_of_each_box_as_shares_of_the_frame() -> None:
    files = files_of("yolo")
    assert sorted(files) == ["data.yaml", "labels/clip.mp4#000003.txt", "labels/deep/empty.txt"]
    rows = [[float(n) for n in line.split()] for line in files["labels/clip.mp4#000003.txt"].decode().splitlines()]
    assert rows[0] == pytest.approx([0, 50 / WIDTH, 40 / HEIGHT, 40 / WIDTH, 40 / HEIGHT])
    assert rows[1] == pytest.approx([0, 190.25 / WIDTH, 90.25 / HEIGHT, 19.5 / WIDTH, 19.5 / HEIGHT])
    assert files["labels/deep/empty.txt"] == b""


@pytest.mark.parametrize("source", ["a.jpg", "images/a.jpg", "x/images/y/images/a.b.jpg", "images.jpg"])
def test_yolo_has_labels_where_ultralytics_looks_for_them(source: str) -> None:
    frame = replace(FRAMES[0], id=FrameId(source, 0), time=None)
    # img2label_paths of ultralytics 8.4, of a picture that lies below images/
    expected = "/labels/".join(f"/images/{source}".rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"
    assert expected[1:] in files_of("yolo", frames=[frame])


def test_yolo_pose_has_five_points_of_each_face() -> None:
    files = files_of("yolo-pose")
    assert b"kpt_shape: [5, 3]" in files["data.yaml"]
    one, other = files["labels/clip.mp4#000003.txt"].decode().splitlines()
    points = np.array(one.split()[5:], float).reshape(5, 3)
    assert np.allclose(points[:, :2] * [WIDTH, HEIGHT] - 0.5, POINTS, atol=1e-3)
    assert points[:, 2].tolist() == [2] * 5
    assert [float(n) for n in other.split()[5:]] == [0] * 15


def test_label_studio_has_a_task_for_each_frame_in_per_cent() -> None:
    (content,) = files_of("label-studio").values()
    clip, empty = json.loads(content)
    assert clip["data"] == {"image": "clip.mp4#000003.png", "source": "clip.mp4", "frame": 3, "time_s": 0.1}
    assert empty["predictions"][0]["result"] == []
    result = clip["predictions"][0]["result"]
    boxes = [one for one in result if one["type"] == "rectanglelabels"]
    assert [boxes[0]["value"][key] for key in ("x", "y", "width", "height")] == pytest.approx([15, 20, 20, 40])
    assert boxes[0]["score"] == 0.9
    assert boxes[0]["meta"]["text"] == ["Ann & Bo"]
    assert {(one["original_width"], one["original_height"]) for one in result} == {(WIDTH, HEIGHT)}
    assert len({one["id"] for one in result}) == len(result) == 7
    points = [one for one in result if one["type"] == "keypointlabels"]
    assert {one["parentID"] for one in points} == {boxes[0]["id"]}
    assert points[2]["value"]["keypointlabels"] == ["nose"]
    assert points[2]["value"]["x"] == pytest.approx(100 * 50.5 / WIDTH)


def test_voc_counts_pixels_from_one_and_tells_what_is_cut_off() -> None:
    files = files_of("voc")
    assert sorted(files) == ["Annotations/clip.mp4#000003.xml", "Annotations/deep/empty.xml"]
    root = ElementTree.fromstring(files["Annotations/clip.mp4#000003.xml"])
    assert (root.findtext("filename"), root.findtext("size/width")) == ("clip.mp4#000003.png", str(WIDTH))
    boxes = [
        [int(one.findtext(f"bndbox/{side}") or 0) for side in ("xmin", "ymin", "xmax", "ymax")]
        for one in root.iter("object")
    ]
    assert boxes == [[31, 21, 71, 61], [181, 81, WIDTH, HEIGHT]]
    assert [one.findtext("truncated") for one in root.iter("object")] == ["0", "1"]
    assert ElementTree.fromstring(files["Annotations/deep/empty.xml"]).findtext("folder") == "deep"


def test_via_has_a_rectangle_for_each_face() -> None:
    (content,) = files_of("via").values()
    pictures = json.loads(content)["_via_img_metadata"]
    assert list(pictures) == ["clip.mp4#000003.png-1", "deep/empty.jpg-1"]
    one, other = pictures["clip.mp4#000003.png-1"]["regions"]
    assert one["shape_attributes"] == {"name": "rect", "x": 29.5, "y": 19.5, "width": 40, "height": 40}
    assert one["region_attributes"]["person"] == "Ann & Bo"
    assert other["shape_attributes"]["width"] == 19.5


def test_fiftyone_has_detections_by_the_names_of_pictures() -> None:
    (content,) = files_of("fiftyone").values()
    labels = json.loads(content)["labels"]
    assert labels["deep/empty"] == []
    one = labels["clip.mp4#000003"][0]
    assert one["bounding_box"] == pytest.approx([0.15, 0.2, 0.2, 0.4])
    assert one["attributes"] == {"person": "Ann & Bo", "quality": 0.5, "yaw": -20.5, "pitch": 1.0, "roll": 3.0}


@pytest.mark.parametrize("name", ["yolo", "voc", "label-studio", "fiftyone"])
def test_shares_of_a_frame_of_no_known_size_are_refused(name: str) -> None:
    with pytest.raises(RequestError, match="size"):
        files_of(name, frames=[replace(FRAMES[0], width=None, height=None)])


@pytest.mark.parametrize("name", ["yolo", "voc", "fiftyone"])
def test_pictures_that_differ_in_their_suffix_alone_are_refused(name: str) -> None:
    frames = [replace(FRAMES[1], id=FrameId(f"one{suffix}", 0)) for suffix in (".jpg", ".png")]
    with pytest.raises(RequestError, match="one at a time"):
        files_of(name, frames=frames)


@pytest.mark.parametrize("name", ["yolo", "voc", "landmarks", "masks"])
def test_no_source_leads_out_of_the_folder(name: str) -> None:
    frames = [replace(frame, id=FrameId("../out.jpg", 0)) for frame in frames_with_masks()]
    with pytest.raises(RequestError, match="outside"):
        files_of(name, frames=frames)


def test_chips_lie_as_they_are_asked_for() -> None:
    frames = [
        replace(frame, id=FrameId(name, 0)) for frame, name in zip(FRAMES[:1] * 2, ("a/x.jpg", "b/x.jpg"), strict=True)
    ]
    chip = b"chips/clip.mp4/000003_0.jpg"
    by_source = files_of("chips")
    assert sorted(by_source) == ["clip.mp4/000003_0.jpg", "clip.mp4/000003_1.jpg", "metadata.jsonl"]
    flat = files_of("chips", "flat", frames)
    assert sorted(flat) == [*(f"{one}_x_000000_{i}.jpg" for one in "ab" for i in (0, 1)), "metadata.jsonl"]
    lines = [json.loads(line) for line in flat["metadata.jsonl"].splitlines()]
    assert [line["file_name"] for line in lines] == sorted(flat)[:-1]
    assert flat["a_x_000000_0.jpg"] == chip
    assert files_of("chips", "person", frames) == {
        "Ann & Bo/a_x_000000_0.jpg": chip,
        "Ann & Bo/b_x_000000_0.jpg": chip,
    }
    assert list(files_of("chips", "webdataset")) == ["faces-000000.tar"]


def test_flat_names_are_no_longer_than_names_can_be_and_all_are_different() -> None:
    sources = sorted(f"{folder}/{'漢' * 84}{end}" for folder in ("a", "b") for end in (".jpg", ".png"))
    frames = [replace(FRAMES[0], id=FrameId(source, 0)) for source in sources]
    names = sorted(files_of("chips", "flat", frames))
    assert len(names) == 4 * 2 + 1
    assert all(len(name.encode()) < 256 for name in names)


def test_persons_of_any_name_have_a_folder_of_their_own() -> None:
    names = ["..", "a/b", "a_b", "A_b", "漢" * 90, "漢" * 91, "Zoë"]
    faces = tuple(face(i, person=name) for i, name in enumerate(names))
    folders = [name.split("/")[0] for name in files_of("chips", "person", [replace(FRAMES[0], faces=faces)])]
    assert len({folder.casefold() for folder in folders}) == len(names)
    assert all(len(folder.encode()) < 256 for folder in folders)
    assert folders[0] == "_.."
    assert folders[-1] == "Zoë"


def test_the_hugging_face_folder_has_a_card_and_a_line_for_each_picture() -> None:
    files = files_of("hf")
    assert files["README.md"].startswith(b"---\npretty_name: Faces")
    lines = [json.loads(line) for line in files["train/metadata.jsonl"].splitlines()]
    assert [f"train/{line['file_name']}" for line in lines] == [name for name in files if name.endswith(".jpg")]


def test_landmarks_are_arrays_of_numpy(tmp_path: Path) -> None:
    files = files_of("landmarks")
    assert list(files) == ["clip.mp4.npz"]
    assert files == files_of("landmarks")
    (tmp_path / "one.npz").write_bytes(files["clip.mp4.npz"])
    with np.load(tmp_path / "one.npz", allow_pickle=False) as arrays:
        assert arrays["frame"].tolist() == [3, 3]
        assert arrays["box"].tolist() == [one.box.tolist() for one in FRAMES[0].faces]
        assert arrays["landmarks"].shape == (2, 68, 2)
        assert arrays["pose"].tolist() == [[1, -20.5, 3]] * 2
        assert np.isnan(arrays["score"]).tolist() == [False, True]
        assert np.isnan(arrays["keypoints"][1]).all()


def frames_with_masks() -> list[FrameRecord]:
    """Two masks that cover whole squares: of 16 pixels at (10, 20), and of 16 of half the size that reach out."""
    full = encode_mask(np.full((16, 16), 200, np.uint8))
    one = MaskRecord(size=16, content=full, frame_to_mask=np.array([[1.0, 0, -10], [0, 1, -20]]))
    other = MaskRecord(size=16, content=full, frame_to_mask=np.array([[2.0, 0, -2 * 196 + 0.5], [0, 2, 0.5]]))
    faces = (face(masks={"unet": one}), face(1, masks={"unet": other, "bisenet:hair": other}))
    return [replace(FRAMES[0], faces=faces), FRAMES[1]]


def test_masks_of_a_frame_lie_where_the_faces_are() -> None:
    laid = over_frame(frames_with_masks()[0], "unet")
    assert laid.shape == (HEIGHT, WIDTH)
    assert (laid[20:36, 10:26] == 200).all()
    assert (laid[1:7, 197:] == 200).all()
    is_far = np.ones_like(laid, bool)
    is_far[18:38, 8:28] = is_far[:10, 194:] = False
    assert not laid[is_far].any()


def test_masks_are_pictures_for_each_face_or_frame() -> None:
    frames = frames_with_masks()
    of_faces = files_of("masks", "face", frames)
    assert sorted(of_faces) == [
        "clip.mp4/000003_0.unet.png",
        "clip.mp4/000003_1.bisenet-hair.png",
        "clip.mp4/000003_1.unet.png",
    ]
    pixels = cv2.imdecode(np.frombuffer(of_faces["clip.mp4/000003_0.unet.png"], np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(np.asarray(pixels), np.full((16, 16), 200, np.uint8))
    of_frames = files_of("masks", "frame", frames)
    assert len(of_frames) == 4
    empty = cv2.imdecode(np.frombuffer(of_frames["deep/empty.jpg/000000.unet.png"], np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.asarray(empty).shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("shape", [(1, 1), (16, 7), (33, 50)])
def test_an_exr_holds_the_coverage_as_half_floats(shape: tuple[int, int]) -> None:
    for mask in (np.random.default_rng(0).integers(0, 256, shape, np.uint8), np.full(shape, 255, np.uint8)):
        read = read_exr(encode_exr(mask))
        assert np.array_equal(read, (mask / np.float32(255)).astype(np.float16))


def read_exr(content: bytes) -> NDArray[np.float16]:
    """Reads one channel of half floats with zip compression, as the file layout of OpenEXR has them."""
    assert struct.unpack("<ii", content[:8]) == (20000630, 2)
    attributes, at = {}, 8
    while content[at] != 0:
        name, kind, rest = content[at:].split(b"\0", 2)
        size = struct.unpack("<i", rest[:4])[0]
        attributes[name.decode()] = rest[4 : 4 + size]
        at += len(name) + len(kind) + 2 + 4 + size
    x0, y0, x1, y1 = struct.unpack("<iiii", attributes["dataWindow"])
    width, height = x1 - x0 + 1, y1 - y0 + 1
    at, rows = at + 1, []
    for offset in struct.unpack(f"<{math.ceil(height / 16)}Q", content[at : at + 8 * math.ceil(height / 16)]):
        top, size = struct.unpack("<ii", content[offset : offset + 8])
        count = min(16, height - top)
        rows.append(np.frombuffer(plain_lines(content[offset + 8 : offset + 8 + size], 2 * width * count), "<f2"))
    return np.concatenate(rows).reshape(height, width)


def plain_lines(content: bytes, size: int) -> bytes:
    if len(content) == size:
        return content
    values = list(zlib.decompress(content))
    for i in range(1, size):
        values[i] = (values[i - 1] + values[i] - 128) & 0xFF
    plain = bytearray(size)
    plain[::2], plain[1::2] = bytes(values[: (size + 1) // 2]), bytes(values[(size + 1) // 2 :])
    return bytes(plain)


def test_a_layout_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(RequestError, match="flat"):
        files_of("chips", "flatt")
    with pytest.raises(RequestError, match="it has but one"):
        files_of("yolo", "flat")
