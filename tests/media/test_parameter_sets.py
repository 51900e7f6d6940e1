"""What keyframes say of their size, against what FFmpeg's decoders find."""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import av
import pytest

from clips import write_clip
from faceloom.media.parameter_sets import HEAD_BYTES, CodedSize, sizes_in
from faceloom.media.video_index import index_video

QUIET = "log-level=none:pools=none"
CODECS: Mapping[str, tuple[str, Mapping[str, str], int | None]] = {
    "refs.mp4": ("libx264", {"preset": "ultrafast", "x264-params": "ref=5:bframes=0"}, 5),
    "refs.ts": ("libx264", {"preset": "ultrafast", "x264-params": "ref=3:bframes=0"}, 3),
    "refs.h264": ("libx264", {"preset": "ultrafast", "x264-params": "ref=2:bframes=0"}, 2),
    "h265.mkv": ("libx265", {"preset": "ultrafast", "x265-params": f"{QUIET}:ref=3:bframes=0"}, 4),
    "h265.mp4": ("libx265", {"preset": "ultrafast", "x265-params": f"{QUIET}:ref=5:bframes=0"}, 6),
    "vp8.webm": ("libvpx", {"deadline": "realtime", "cpu-used": "8"}, None),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, None),
    "av1.mkv": ("libsvtav1", {"preset": "12"}, None),
    "mpeg2.mpg": ("mpeg2video", {}, None),
    "motion.avi": ("mjpeg", {}, None),
}


def stated(path: Path) -> set[CodedSize]:
    """What all keyframes state."""
    found: set[CodedSize] = set()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        for packet in container.demux(stream):
            if packet.size and packet.is_keyframe:
                head = bytes(memoryview(packet)[:HEAD_BYTES])
                found.update(sizes_in(context.name, head, context.extradata or b""))
    return found


@pytest.mark.parametrize("name", CODECS)
def test_a_keyframe_states_what_the_decoder_gives(tmp_path: Path, name: str) -> None:
    codec, options, references = CODECS[name]
    path = write_clip(tmp_path / name, range(6), time_base=Fraction(1, 25), codec=codec, options=options)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    (size,) = stated(path)
    assert 0 <= size.height - frame.height < 16
    assert 0 <= size.width - frame.width < 16
    assert size.references == references


@pytest.mark.parametrize("codec", ["h264", "hevc", "vp8", "vp9", "av1", "mpeg2video", "mjpeg", "png"])
@pytest.mark.parametrize("content", [b"", b"\0", b"\0\0\1\x67", b"\0\0\1\x42\x01", b"\xff" * 40, b"\x0a\xff" * 9])
def test_damage_states_no_size_and_no_error(codec: str, content: bytes) -> None:
    assert all(size.height > 0 for size in sizes_in(codec, content, content))


def test_a_video_whose_frames_grow_is_as_large_as_its_largest(tmp_path: Path) -> None:
    parts = []
    for number, shape in enumerate([(96, 128), (720, 1280)]):
        path = tmp_path / f"{number}.h264"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "g": "10"})
            stream.height, stream.width = shape
            for _ in range(20):
                container.mux(stream.encode(av.VideoFrame(shape[1], shape[0], "yuv420p")))
            container.mux(stream.encode(None))
        parts.append(path)
    grown = tmp_path / "grown.h264"
    grown.write_bytes(b"".join(part.read_bytes() for part in parts))
    small, large, both = map(index_video, (*parts, grown))
    assert (both.height, both.width) == (720, 1280)
    assert len(both.keyframes) == 40
    assert small.reading_bytes < large.reading_bytes <= both.reading_bytes
    assert "frames of several sizes" in both.notes
