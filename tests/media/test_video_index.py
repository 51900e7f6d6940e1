from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from clips import numbered, read_number, write_clip
from faceloom.errors import MediaError
from faceloom.media import decoding
from faceloom.media.notes import Note
from faceloom.media.video_index import index_video
from media.field_clips import frames_of

OPEN = {"preset": "veryfast", "crf": "18", "x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0"}
HEVC_OPEN = {
    "preset": "ultrafast",
    "x265-params": "log-level=none:open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0:pools=none",
}


def cut_at_the_second_keyframe(whole: Path, path: Path) -> Path:
    """The packets from the second keyframe on, as a cutter copies them."""
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        given = source.streams.video[0]
        stream = target.add_stream_from_template(given)
        keys = 0
        for packet in source.demux(given):
            keys += packet.is_keyframe
            if packet.size and keys >= 2:
                packet.stream = stream
                target.mux(packet)
    return path


@pytest.mark.parametrize(("codec", "options"), [("libx264", OPEN), ("libx265", HEVC_OPEN)])
@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_a_cut_in_an_open_group_gives_what_a_decoder_gives(
    tmp_path: Path, codec: str, options: Mapping[str, str], suffix: str
) -> None:
    whole = write_clip(tmp_path / f"whole{suffix}", range(40), time_base=Fraction(1, 25), codec=codec, options=options)
    path = cut_at_the_second_keyframe(whole, tmp_path / f"cut{suffix}")
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(0)
        decoded = [frame for frame in container.decode(stream) if not frame.is_corrupt]
    frames = frames_of(path)
    assert [frame.time for frame in frames] == [frame.pts * base for frame in decoded if frame.pts is not None]
    shown = [read_number(frame.image) for frame in frames]
    assert shown == list(range(40 - len(frames), 40))
    for one, other in zip(frames, frames_of(path, chunk=5, backwards=True), strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def write_streams(path: Path, *, default: int, covers: bool = False) -> Path:
    """Two streams, the first of small pictures; the given one is the default."""
    with av.open(str(path), "w") as file:
        streams = []
        for i, shape in enumerate([(16, 32), (32, 128)]):
            stream = file.add_stream("libx264", rate=25, options={"preset": "veryfast"})
            assert isinstance(stream, VideoStream)
            stream.height, stream.width = shape
            stream.pix_fmt = "yuv420p"
            stream.disposition = av.stream.Disposition.default if i == default else av.stream.Disposition(0)
            if covers and not i:
                stream.disposition = av.stream.Disposition.attached_pic
            streams.append(stream)
        for i in range(5):
            for stream in streams:
                picture = np.ascontiguousarray(numbered(i)[: stream.height, : stream.width])
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 25)
                file.mux(stream.encode(frame))
        for stream in streams:
            file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("default", [0, 1])
def test_the_default_stream_is_the_one_that_is_read(tmp_path: Path, default: int) -> None:
    index = index_video(write_streams(tmp_path / "clip.mkv", default=default))
    assert (index.height, index.width) == [(16, 32), (32, 128)][default]
    assert Note.CHOSEN in index.notes


@pytest.mark.parametrize("release", ["18.1.0", "19.0.0"])
def test_each_release_of_pyav_is_asked_only_what_it_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    path = write_clip(tmp_path / "clip.mp4", range(3), time_base=Fraction(1, 25))
    theirs = av.open
    given: list[Mapping[str, Any]] = []

    def opened(file: str, **options: Any) -> Any:
        given.append({name: value for name, value in options.items() if name != "format"})
        return theirs(file)

    monkeypatch.setattr(av, "__version__", release)
    monkeypatch.setattr(av, "open", opened)
    with decoding.open_video(path):
        assert given == [{} if release == "19.0.0" else {"metadata_errors": "replace"}]


@pytest.mark.parametrize("name", ["list.mp4", "list.m3u8", "list"])
@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\nclip.ts\n", "ffconcat version 1.0\nfile 'clip.ts'\n"])
def test_a_text_that_names_other_files_is_no_video(tmp_path: Path, name: str, text: str) -> None:
    write_clip(tmp_path / "clip.ts", range(3), time_base=Fraction(1, 25))
    (tmp_path / name).write_text(text)
    with pytest.raises(MediaError, match="text"):
        index_video(tmp_path / name)
