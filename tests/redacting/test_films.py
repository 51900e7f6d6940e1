"""What is written of videos: everything is as it was, but for faces."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from numpy.typing import NDArray

from clips import numbered, read_number, write_clip
from faceloom.faces import FrameId
from faceloom.media.chunks import PendingFrame, cut_chunks
from faceloom.media.reading import FrameReader
from faceloom.media.sources import Source, SourceKind
from faceloom.redacting.films import FilmWriter
from faceloom.redacting.painting import Plane
from faceloom.redacting.written import Written

UNEVEN = [0, 3000, 6100, 6200, 9000, 20_000, 20_001, 23_000]
"""Ticks of 1/90000 s."""


def nothing(_frame: int, _planes: list[Plane]) -> bool:
    return False


def source_of(path: Path) -> Source:
    return Source(name=path.name, path=path, kind=SourceKind.VIDEO)


def rewritten(path: Path, out: Path, paint=nothing) -> Written:  # type: ignore[no-untyped-def]
    return FilmWriter(source_of(path), quality=18).write(out, paint, stamp=None, on_frames=lambda _: None)


def packets(path: Path, kind: str) -> list[tuple[int | None, int]]:
    with av.open(str(path)) as file:
        stream = next(iter(getattr(file.streams, kind)))
        return sorted((packet.pts, packet.size) for packet in file.demux(stream) if packet.size)


def times(path: Path) -> list[Fraction]:
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return [Fraction(frame.pts or 0) * Fraction(stream.time_base or 0) for frame in file.decode(stream)]


def shown(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames as they are read to look for faces: upright, in the colours that players show."""
    writer = FilmWriter(source_of(path), quality=18)
    index = writer._index
    pending = (
        PendingFrame(source=writer._source, index=i, ticks=ticks, seek_ticks=seek)
        for i, (ticks, seek) in enumerate(index.times())
    )
    with FrameReader() as reader:
        for spans in cut_chunks(pending, frames_a_chunk=lambda: 99):
            for read in reader.reads(spans):
                answer = read()
                assert answer.id == FrameId(path.name, answer.id.index)
                yield answer.image  # type: ignore[union-attr]


def with_sound(path: Path, *, suffix: str = ".mp4", cover: bool = False) -> Path:
    """A clip of uneven times with a sine of AAC, and on demand a cover picture."""
    made = path.with_suffix(suffix)
    with av.open(str(made), "w") as file:
        video = file.add_stream("libx264", rate=25)
        assert isinstance(video, VideoStream)
        video.width, video.height, video.pix_fmt = 128, 32, "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, 90_000)
        sound = file.add_stream("aac", rate=44_100)
        assert isinstance(sound, AudioStream)
        if cover:
            file.add_attachment("cover.jpg", "image/jpeg", b"\xff\xd8 of somebody's face")
        file.metadata["title"] = "Christmas"
        wave = np.sin(np.arange(44_100 // 2) / 20).astype(np.float32)[None]
        for begin in range(0, wave.shape[1], 1024):
            part = av.AudioFrame.from_ndarray(np.ascontiguousarray(wave[:, begin : begin + 1024]), "fltp", "mono")
            part.sample_rate, part.pts = 44_100, begin
            file.mux(sound.encode(part))
        file.mux(sound.encode(None))
        for i, pts in enumerate(UNEVEN):
            frame = av.VideoFrame.from_ndarray(numbered(i), "rgb24")
            frame.pts, frame.time_base = pts, Fraction(1, 90_000)
            file.mux(video.encode(frame))
        file.mux(video.encode(None))
    return made


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_frames_times_and_sound_are_as_they_were(tmp_path: Path, suffix: str) -> None:
    clip, out = with_sound(tmp_path / "clip", suffix=suffix), tmp_path / f"out{suffix}"
    written = rewritten(clip, out)
    assert written.frames == len(UNEVEN)
    assert times(out) == times(clip)
    assert packets(out, "audio") == packets(clip, "audio")
    assert [read_number(image) for image in shown(out)] == list(range(len(UNEVEN)))
    with av.open(str(out)) as file:
        title = {key.lower(): value for key, value in file.metadata.items()}.get("title")
    assert title == "Christmas"


def test_the_same_bytes_come_out_again(tmp_path: Path) -> None:
    clip = with_sound(tmp_path / "clip", suffix=".mkv")
    rewritten(clip, tmp_path / "a.mkv")
    rewritten(clip, tmp_path / "b.mkv")
    assert (tmp_path / "a.mkv").read_bytes() == (tmp_path / "b.mkv").read_bytes()


def test_attachments_which_may_be_covers_are_left_out_and_named(tmp_path: Path) -> None:
    clip = with_sound(tmp_path / "clip", suffix=".mkv", cover=True)
    written = rewritten(clip, tmp_path / "out.mkv")
    assert b"somebody's face" in clip.read_bytes()
    assert b"somebody's face" not in (tmp_path / "out.mkv").read_bytes()
    assert any("cover picture" in note for note in written.notes)


def test_planes_stand_upright_where_the_clip_is_turned_and_the_copy_is_turned_likewise(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", [0, 3600, 7200], rotation=90)
    sizes = []

    def corner(_frame: int, planes: list[Plane]) -> bool:
        sizes.append(planes[0].values.shape)
        planes[0].values[:16, :16] = 255
        return False

    rewritten(clip, tmp_path / "out.mp4", corner)
    (before, *_), (after, *_) = list(shown(clip)), list(shown(tmp_path / "out.mp4"))
    assert sizes[0] == before.shape[:2] == after.shape[:2] == (128, 32)
    changed = np.abs(before.astype(int) - after.astype(int)).max(axis=2) > 60
    y, x = np.nonzero(changed)
    assert y.max() < 18
    assert x.max() < 18


def test_colours_and_pixels_of_another_shape_are_told_as_they_were(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        context = stream.codec_context
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        context.sample_aspect_ratio = Fraction(4, 3)
        context.color_primaries, context.color_trc, context.colorspace, context.color_range = 1, 1, 1, 1
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), "rgb24")
            frame.pts = i
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    rewritten(clip, tmp_path / "out.mp4")
    told = []
    for path in (clip, tmp_path / "out.mp4"):
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            frame = next(file.decode(stream))
            context = stream.codec_context
            tags = (context.color_primaries, context.color_trc, int(frame.colorspace), int(frame.color_range))
            told.append((stream.sample_aspect_ratio, tags))
    assert told[0] == told[1] == (Fraction(4, 3), (1, 1, 1, 1))


def test_ten_bits_stay_ten_bits(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv422p10le"
        for i in range(2):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20_000, np.uint16), "rgb48le")
            frame.pts = i
            file.mux(stream.encode(frame.reformat(format="yuv422p10le")))
        file.mux(stream.encode(None))
    depths = []

    def look(_frame: int, planes: list[Plane]) -> bool:
        depths.append((planes[0].values.dtype.name, planes[0].solid))
        return False

    written = rewritten(clip, tmp_path / "out.mkv", look)
    assert written.codec == "libx265"
    assert depths == [("uint16", 64)] * 2
    with av.open(str(tmp_path / "out.mkv")) as made:
        assert made.streams.video[0].codec_context.pix_fmt == "yuv420p10le"
    assert any("yuv422p10le is converted" in note for note in written.notes)


def test_an_odd_side_is_made_even_and_said(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    with av.open(str(clip), "w") as file:
        stream = file.add_stream("ffv1", rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = 65, 49, "yuv444p"
        frame = av.VideoFrame.from_ndarray(np.full((49, 65, 3), 90, np.uint8), "rgb24")
        frame.pts = 0
        file.mux(stream.encode(frame.reformat(format="yuv444p")))
        file.mux(stream.encode(None))
    written = rewritten(clip, tmp_path / "out.mkv")
    (image,) = shown(tmp_path / "out.mkv")
    assert image.shape == (50, 66, 3)
    assert any("odd side" in note for note in written.notes)


def test_frames_without_times_come_at_even_steps(tmp_path: Path) -> None:
    raw = write_clip(tmp_path / "clip.h264", [0, 3600, 7200, 10_800], format="h264")
    writer = FilmWriter(source_of(raw), quality=18)
    assert writer.suffix == ".mp4"
    assert np.diff(writer.times) == pytest.approx([0.04] * 3)
    writer.write(tmp_path / "out.mp4", nothing, stamp=None, on_frames=lambda _: None)
    assert times(tmp_path / "out.mp4") == [Fraction(i, 25) for i in range(4)]
    assert [read_number(image) for image in shown(tmp_path / "out.mp4")] == [0, 1, 2, 3]
