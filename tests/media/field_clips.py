"""Clips and pictures of the kinds that cameras, discs and recorders make, whose every frame tells what it is."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from clips import numbered, write_clip
from faceloom.faces import Image
from faceloom.frame import Frame
from faceloom.media.chunks import PendingFrame, cut_chunks
from faceloom.media.reading import FrameReader
from faceloom.media.sources import Source, SourceKind, VideoIndex
from faceloom.media.video_index import index_video

PATCHES = np.array(
    [[220, 20, 20], [20, 200, 20], [20, 20, 220], [225, 172, 140], [128, 128, 128], [235, 235, 235], [20, 20, 20]],
    np.uint8,
)
"""Colours that a conversion has to hit."""
_SIDE = 64


def patches(*, height: int = _SIDE, side: int = _SIDE) -> Image:
    """The colours side by side."""
    return np.repeat(np.repeat(PATCHES[None], side, axis=1), height, axis=0)


def read_patches(image: Image) -> list[list[int]]:
    """What a picture shows where the colours are, in their middles."""
    side = image.shape[1] // len(PATCHES)
    middle = image.shape[0] // 2
    middles = [image[middle - 4 : middle + 4, side * i + side // 2 - 4 : side * i + side // 2 + 4] for i in range(7)]
    return [part.reshape(-1, 3).mean(axis=0).round().astype(int).tolist() for part in middles]


def lettered() -> Image:
    """A picture none of whose eight orientations looks like another, of odd proportions."""
    y, x = np.mgrid[:48, :80] // 16
    return np.stack([x * 50 + 20, y * 90 + 20, np.where((x == 0) & (y == 0), 230, 20)], axis=2).astype(np.uint8)


def source_of(path: Path) -> tuple[Source, VideoIndex]:
    """A video as a source, and its index."""
    index = index_video(path)
    source = Source(name=path.name, path=path, kind=SourceKind.VIDEO, time_base=str(index.time_base), notes=index.notes)
    return source, index


def pending(path: Path) -> list[PendingFrame]:
    """Every frame of a video, still to be done."""
    source, index = source_of(path)
    return [
        PendingFrame(source=source, index=i, ticks=ticks, seek_ticks=seek)
        for i, (ticks, seek) in enumerate(index.times())
    ]


def frames_of(path: Path, *, chunk: int = 16, backwards: bool = False, wanted: slice = slice(None)) -> list[Frame]:
    """The frames of a video, all of which have to come, by their index."""
    chunks = list(cut_chunks(pending(path)[wanted], frames_a_chunk=lambda: chunk))
    found = []
    with FrameReader() as reader:
        for spans in reversed(chunks) if backwards else chunks:
            found += [read() for read in reader.reads(spans)]
    frames = [frame for frame in found if isinstance(frame, Frame)]
    assert len(frames) == len(found), [answer for answer in found if not isinstance(answer, Frame)]
    return sorted(frames, key=lambda frame: frame.id.index)


def write_frames(
    path: Path,
    images: Iterable[Image],
    *,
    codec: str,
    pixels: str,
    options: Mapping[str, str] = {},  # never written to
    tags: Mapping[str, int] = {},
    aspect: Fraction | None = None,
    rate: int = 25,
) -> Path:
    """Writes a video with the stream's facts as they are given."""
    pictures = list(images)
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=rate, options=dict(options))
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pixels
        context = stream.codec_context
        context.thread_count = 1
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        for name, value in tags.items():
            setattr(context, name, value)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = i, Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def join(path: Path, parts: Sequence[Path]) -> Path:
    """Puts files end to end, as `cat` does."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def write_part(path: Path, numbers: Sequence[int], *, codec: str, options: Mapping[str, str], scale: int = 1) -> Path:
    """A clip whose frames show these numbers, each pixel several pixels wide and high."""
    images = [np.kron(numbered(i), np.ones((scale, scale, 1), np.uint8)) for i in numbers]
    return write_clip(path, range(len(numbers)), time_base=Fraction(1, 25), codec=codec, options=options, images=images)
