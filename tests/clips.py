"""Short clips whose every frame shows its own number."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from faceloom.faces import Image

_PIXELS = {"gif": "rgb8", "mjpeg": "yuvj420p"}
_BLOCK = 16
_BITS = 8
HEIGHT, WIDTH = 2 * _BLOCK, _BITS * _BLOCK


def numbered(number: int) -> Image:
    """A row of blocks that are the bits of a number, white for 1, above a row of their opposites."""
    bits = np.array([number >> i & 1 for i in range(_BITS)], np.bool_)
    blocks = np.where(np.stack([bits, ~bits]), 235, 16).astype(np.uint8)
    return np.repeat(np.kron(blocks, np.ones((_BLOCK, _BLOCK), np.uint8))[..., None], 3, axis=2)


def read_number(image: Image) -> int | None:
    """The number that a picture shows; None if it shows none."""
    if image.shape != (HEIGHT, WIDTH, 3):
        return None
    blocks: NDArray[np.float64] = image[..., 1].reshape(2, _BLOCK, _BITS, _BLOCK)[:, 4:-4, :, 4:-4].mean(axis=(1, 3))
    bits = blocks[0] > 127
    if (bits == (blocks[1] > 127)).any():
        return None
    return int((bits << np.arange(_BITS)).sum())


def write_clip(
    path: Path,
    ticks: Sequence[int],
    *,
    time_base: Fraction = Fraction(1, 90_000),
    codec: str = "libx264",
    options: Mapping[str, str] = {},  # never written to
    container: Mapping[str, str] = {},
    images: Iterable[Image] | None = None,
    rotation: int = 0,
    format: str | None = None,  # noqa: A002  # the name it has in PyAV
) -> Path:
    """Writes a clip with a frame at each of these times; the frames show 0, 1, 2... if no images are given."""
    with av.open(str(path), "w", format=format, options=dict(container)) as file:
        stream = file.add_stream(codec, rate=25, options=dict(options))
        assert isinstance(stream, VideoStream)
        pictures = [numbered(i) for i in range(len(ticks))] if images is None else list(images)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = _PIXELS.get(codec, "yuv420p")
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        if rotation:
            stream.set_display_rotation(rotation)
        for picture, pts in zip(pictures, ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = pts, time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path
