import io
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image as PillowImage

from clips import write_clip
from faceloom.media.sniffing import Content, sniff, what_it_is
from faceloom.media.sources import PassedOver, Source, SourceKind, find_inputs, kind_of
from faceloom.media.video_index import index_video

CONTAINERS: dict[str, dict[str, Any]] = {
    "mp4": {},
    "mov": {},
    "matroska": {},
    "webm": {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "avi": {"codec": "mpeg4"},
    "mpegts": {},
    "vob": {"codec": "mpeg2video"},
    "mpeg2video": {"codec": "mpeg2video"},
    "asf": {"codec": "mpeg4"},
    "flv": {},
    "ogg": {"codec": "libtheora"},
    "nut": {},
    "mxf": {"codec": "mpeg2video"},
    "h264": {},
    "hevc": {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none"}},
    "ivf": {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "rm": {"codec": "rv20"},
    "yuv4mpegpipe": {"codec": "wrapped_avframe"},
    "gif": {"codec": "gif", "time_base": Fraction(1, 100)},
    "wtv": {"codec": "mpeg2video"},
    "3gp": {"codec": "mpeg4"},
    "m4v": {"codec": "mpeg4"},
}
NAMES = ["clip", "clip.insv", "clip.lrv", "clip.mod", "clip.tod", "clip.264", "clip.bin", "clip.jpg"]


def written(folder: Path, container: str, name: str) -> Path:
    options = {"time_base": Fraction(1, 25), **CONTAINERS[container]}
    try:
        return write_clip(folder / name, range(6), format=container, **options)
    except (av.FFmpegError, ValueError) as error:
        pytest.skip(f"this build writes no such clip: {error}")


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_video_is_a_video_whatever_its_name(tmp_path: Path, container: str) -> None:
    content = written(tmp_path, container, "whole").read_bytes()
    for name in NAMES:
        path = tmp_path / name
        path.write_bytes(content)
        assert kind_of(path) is SourceKind.VIDEO, name
        assert len(index_video(path).keyframes) in {5, 6}  # some containers lose the first, or the last


PICTURES = ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "JPEG2000", "PPM", "ICO", "DDS", "QOI", "SGI", "AVIF"]


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("suffix", ["", ".dat", ".mp4", ".txt"])
def test_a_picture_is_a_picture_whatever_its_name(tmp_path: Path, kind: str, suffix: str) -> None:
    content = io.BytesIO()
    PillowImage.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(content, kind)
    (tmp_path / f"a{suffix}").write_bytes(content.getvalue())
    assert kind_of(tmp_path / f"a{suffix}") is SourceKind.PICTURE


OTHERS = {
    Content.EMPTY: b"",
    Content.TEXT: b"Dear all,\nhere are the pictures.\n",
    Content.SOUND: b"ID3\x03\0\0\0\0\0\0",
    Content.DOCUMENT: b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    Content.ARCHIVE: b"PK\x03\x04\x14\0\0\0",
    Content.PROGRAM: b"\x7fELF\x02\x01\x01\0",
    Content.UNKNOWN: b"\x00\x01\x02\x03whatever\xff\xfe",
}


@pytest.mark.parametrize("content", OTHERS)
def test_what_is_neither_is_told_apart(content: Content) -> None:
    assert sniff(OTHERS[content]) is content


@pytest.mark.parametrize(
    "text", ["#EXTM3U\n", "ffconcat version 1.0\n", "P1 is the first\n", "# a comment\n", "\ufeffa"]
)
def test_texts_are_texts(text: str) -> None:
    assert sniff(text.encode()) is Content.TEXT


@pytest.mark.parametrize(
    ("suffix", "content"), [(".jpg", Content.PICTURE), (".mp4", Content.VIDEO), (".md", Content.TEXT)]
)
def test_a_suffix_counts_where_content_tells_nothing(suffix: str, content: Content) -> None:
    assert what_it_is(b"not what it says\n", suffix) is content


def test_everything_in_a_folder_is_a_source_or_passed_over_for_a_reason(tmp_path: Path) -> None:
    (tmp_path / "in/sub").mkdir(parents=True)
    (tmp_path / "in/__MACOSX").mkdir()
    (tmp_path / "in/results").mkdir()
    for name in ("a.jpg", "sub/notes.txt", "sub/._b.jpg", "Thumbs.db", "__MACOSX/c.jpg", "results/faceloom.sqlite"):
        (tmp_path / "in" / name).write_bytes(b"text")
    (tmp_path / "in/nowhere.jpg").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "in/pipe")
    found = list(find_inputs([tmp_path / "in"]))
    assert {one.name for one in found if isinstance(one, Source)} == {"a.jpg"}
    assert {one.name: one.why for one in found if isinstance(one, PassedOver)} == {
        "Thumbs.db": "left there by another program",
        "__MACOSX": "left there by another program",
        "sub/._b.jpg": "left there by another program",
        "sub/notes.txt": "text",
        "results": "results of faceloom",
        "nowhere.jpg": "link that leads nowhere",
        "pipe": "neither file nor folder",
    }
