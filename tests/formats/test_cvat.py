import subprocess
import sys
import textwrap
import tracemalloc
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from faceloom.errors import MediaError, RequestError
from faceloom.faces import FrameId
from faceloom.formats import cvat
from faceloom.formats.cvat import FORMAT
from faceloom.formats.record import FaceRecord, FrameRecord
from formats.records import written

FACE = FaceRecord(
    index=0,
    box=np.array([10, 20, 40, 60], np.float32),
    score=0.9,
    landmarks=np.arange(136, dtype=np.float32).reshape(68, 2),
    keypoints=np.arange(10, dtype=np.float32).reshape(5, 2),
)
FRAMES = [
    FrameRecord(id=FrameId("clip.mp4", 12), time=0.5, width=64, height=48, faces=(FACE, FACE)),
    FrameRecord(id=FrameId("clip.mp4", 13), time=0.54, width=64, height=48),
    FrameRecord(id=FrameId("clip.mp4", 20), time=0.8, width=64, height=48, faces=(FACE,)),
]


def document(inner: str, meta: str = "<source>a & b.mp4</source>".replace("&", "&amp;")) -> str:
    return f"<annotations><version>1.1</version><meta>{meta}</meta>{inner}</annotations>"


def read(path: Path, text: str | bytes) -> list[FrameRecord]:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(FORMAT.read(path))


def test_the_document_is_what_the_format_says(tmp_path: Path) -> None:
    """As another XML reader sees it."""
    folder = written(FORMAT, FRAMES, tmp_path)
    (file,) = folder.iterdir()
    root = ElementTree.parse(file).getroot()
    assert (file.name, root.findtext("version"), root.findtext("meta/source")) == ("clip.mp4.xml", "1.1", "clip.mp4")
    assert [label.findtext("name") for label in root.iter("label")] == ["face", "landmarks", "keypoints"]
    tracks = root.findall("track")
    assert [track.get("label") for track in tracks] == ["face", "landmarks", "keypoints"] * 3
    assert [track.get("id") for track in tracks] == [str(i) for i in range(9)]
    assert [track.get("group_id") for track in tracks] == [*"111222333"]
    box, end = tracks[0].findall("box")
    assert (box.get("frame"), box.get("outside"), end.get("frame"), end.get("outside")) == ("12", "0", "13", "1")
    assert [float(box.get(side, "")) for side in ("xtl", "ytl", "xbr", "ybr")] == [10, 20, 40, 60]
    assert len(tracks[1].find("points").get("points", "").split(";")) == 68  # type: ignore[union-attr]
    # Nobody knows whether a frame follows the last one.
    assert [shape.get("outside") for shape in tracks[-1]] == ["0"]


def test_a_track_of_many_frames_is_a_face_in_each_where_it_is_seen(tmp_path: Path) -> None:
    boxes = "".join(
        f'<box frame="{i}" outside="{int(i == 3)}" occluded="0" keyframe="{int(i in (0, 3))}" xtl="{i}" ytl="2" xbr="9"'
        f' ybr="8" z_order="0"><attribute name="blurred">yes</attribute></box>'
        for i in range(4)
    )
    found = read(tmp_path / "x.xml", document(f'<track id="0" label="face" source="manual">{boxes}</track>'))
    assert [frame.id for frame in found] == [FrameId("a & b.mp4", i) for i in range(3)]
    assert [frame.faces[0].box.tolist() for frame in found] == [[i, 2, 9, 8] for i in range(3)]


def test_boxes_of_other_labels_are_faces_only_where_there_are_no_others(tmp_path: Path) -> None:
    box = '<box frame="0" xtl="1" ytl="2" xbr="3" ybr="4"/>'
    head, car = (f'<track label="{label}">{box}</track>' for label in ("head", "car"))
    assert [len(frame.faces) for frame in read(tmp_path / "x.xml", document(head + car))] == [2]
    face = f'<track label="face">{box}</track>'
    assert [len(frame.faces) for frame in read(tmp_path / "x.xml", document(head + face))] == [1]


def test_points_alone_are_faces(tmp_path: Path) -> None:
    pairs = ";".join(f"{i},{2 * i}" for i in range(68))
    points = f'<points frame="4" points="{pairs}"/><points frame="5" points="1,2;3,4"/>'
    (frame,) = read(tmp_path / "film.xml", document(f"<track>{points}</track>", meta=""))
    assert frame.id == FrameId("film", 4)
    assert frame.faces[0].box.tolist() == [0, 0, 67, 134]


def test_a_folder_is_read_in_the_order_of_its_sources(tmp_path: Path) -> None:
    for name in ("b.mp4", "a/x.jpg", "a.jpg"):
        path = tmp_path / f"{name}.xml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(document('<track><box frame="0" xtl="1" ytl="2" xbr="3" ybr="4"/></track>', meta=""))
    assert [frame.id.source for frame in FORMAT.read(tmp_path)] == ["a.jpg", "a/x.jpg", "b.mp4"]


BOX = '<track><box frame="{}" xtl="{}" ytl="2" xbr="3" ybr="4"/></track>'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotations>", "no XML"),
        ("<html></html>", "root"),
        (document("<image/>"), "CVAT for video"),
        (document(BOX.format("-1", "1")), "frame"),
        (document(BOX.format("x", "1")), "int"),
        (document(BOX.format("1", "nan")), "finite"),
        (document(BOX.format("1", "inf")), "finite"),
        (document(BOX.format("1", "9")), "negative"),
        (document(BOX.format("1", "-1e9")), "away"),
        (document(BOX.format("9" * 5000, "1")), "digits"),
        (document(BOX.format("9" * 30, "1")), "whole"),
        (document("<track><box frame='1'/></track>"), "xtl"),
        (document("", meta=f"<source>{'x' * 5000}</source>"), "characters"),
        (document("<x>" * 40 + "</x>" * 40), "deep"),
        (document(f'<track><points frame="1" points="{"1,2;" * 300_000}"/></track>'), "element of more"),
        ("<!DOCTYPE annotations><annotations/>", "document type"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>', "document type"),
        ('<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><annotations/>', "document type"),
        ("<annotations>&x;</annotations>", "no XML"),
        ("<?xml version='1.0' encoding='no-such'?><annotations/>", "encoding"),
    ],
)
def test_what_is_not_of_the_format_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(MediaError, match=words):
        read(tmp_path / "x.xml", text)


def bomb() -> str:
    """A billion laughs."""
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    return f"<!DOCTYPE annotations [{entities}]><annotations><meta><source>&a9;</source></meta></annotations>"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_that_multiply_are_refused_before_the_first(tmp_path: Path, encoding: str) -> None:
    tracemalloc.start()
    with pytest.raises(MediaError, match="document type"):
        read(tmp_path / "x.xml", bomb().encode(encoding))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 << 20


def test_more_shapes_than_the_limit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cvat, "_MAX_SHAPES", 10)
    with pytest.raises(MediaError, match="more than 10 "):
        read(tmp_path / "x.xml", document(BOX.format(1, 1) * 11))


def test_a_name_that_xml_cannot_hold_is_refused() -> None:
    for name in ("a\x07.jpg", "../a.jpg", " a.jpg"):
        with pytest.raises(RequestError):
            list(FORMAT.write([FrameRecord(id=FrameId(name, 0), faces=(FACE,))]))


def test_a_file_of_the_most_shapes_stays_below_its_limit(tmp_path: Path) -> None:
    """In a process of its own, whose peak is seen."""
    path = tmp_path / "x.xml"
    shape = '  <box frame="{}" xtl="1" ytl="2" xbr="3" ybr="4"/>\n'
    with path.open("w") as file:
        file.write("<annotations><track>")
        file.writelines(shape.format(i) for i in range(50_000))
        file.write("</track></annotations>")
    code = f"""
        import resource
        from pathlib import Path
        from faceloom.formats.cvat import FORMAT
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert sum(1 for frame in FORMAT.read(Path({str(path)!r}))) == 50_000
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 1.2 * 2**30 * 50_000 / 1_000_000


def tracked(*shown: tuple[int, int, float]) -> list[FrameRecord]:
    """Frames of a clip in which faces of tracks are shown: frame, track, left edge."""
    frames: dict[int, list[FaceRecord]] = {}
    for index, track, x in shown:
        of_frame = frames.setdefault(index, [])
        box = np.array([x, 5, x + 10, 25], np.float32)
        of_frame.append(FaceRecord(index=len(of_frame), box=box, track=track))
    return [FrameRecord(id=FrameId("clip.mp4", i), faces=tuple(faces)) for i, faces in sorted(frames.items())]


def test_a_track_is_one_track_that_says_where_its_face_is_gone(tmp_path: Path) -> None:
    frames = tracked((0, 1, 3), (0, 2, 50), (1, 2, 51), (2, 2, 52), (5, 1, 8), (5, 2, 55))
    tree = ElementTree.fromstring(b"".join(piece for _, piece in FORMAT.write(frames)))
    told = {
        track.findtext("box/attribute[@name='track']"): [
            (int(box.attrib["frame"]), int(box.attrib["outside"])) for box in track.iter("box")
        ]
        for track in tree.iter("track")
    }
    assert told == {"1": [(0, 0), (1, 1), (5, 0)], "2": [(0, 0), (1, 0), (2, 0), (3, 1), (5, 0)]}
    (tmp_path / "clip.mp4.xml").write_bytes(b"".join(piece for _, piece in FORMAT.write(frames)))
    back = list(FORMAT.read(tmp_path))
    assert [[face.track for face in frame.faces] for frame in back] == [[1, 2], [2], [2], [1, 2]]


def test_a_face_that_was_gone_for_long_has_a_track_of_its_own() -> None:
    content = b"".join(piece for _, piece in FORMAT.write(tracked((0, 1, 3), (500, 2, 3), (1000, 1, 3))))
    assert content.count(b"<track ") == 3
