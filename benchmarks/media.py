"""Media for benchmarks: a 1080p video and a folder of 1080p JPEGs with three moving heads over a grained background."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from faceloom.choices import Subsampling
from faceloom.faces import Image
from faceloom.geometry.boxes import Boxes
from faceloom.media.chip_files import encode_jpeg
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.samples import Head, compose

SHAPE = (1080, 1920)
PHOTO = (3024, 4032)
PHOTO_SCALE = PHOTO[1] / SHAPE[1]
RATE = 30
HEADS = 3
_GRAIN = 5.0  # standard deviation: without it the codec has nothing to do


def write_video(path: Path, *, frames: int) -> Path:
    """An H.264 file of this many frames, made once."""
    import av

    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part.mp4")
    with av.open(str(temporary), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "23", "preset": "veryfast", "g": "60"})
        video.height, video.width = SHAPE
        video.pix_fmt = "yuv420p"
        for i, image in enumerate(_images(frames)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return temporary.replace(path)


def write_pictures(
    folder: Path,
    *,
    frames: int,
    heads: int = HEADS,
    subsampling: Subsampling = Subsampling.NONE,
    is_photo: bool = False,
) -> Path:
    """A folder of this many JPEGs with so many heads in each, made once; photos have 12 megapixels."""
    folder.mkdir(parents=True, exist_ok=True)
    if len(list(folder.glob("*.jpg"))) < frames:
        for i, image in enumerate(_images(frames, heads)):
            content = encode_jpeg(_as_photo(image) if is_photo else image, subsampling)
            (folder / f"{i:06}.jpg").write_bytes(content)
    return folder


def _as_photo(image: Image) -> Image:
    """The picture enlarged to the width of a photo, and grain below it."""
    large = cv2.resize(image, (PHOTO[1], round(SHAPE[0] * PHOTO_SCALE)), interpolation=cv2.INTER_CUBIC)
    below = np.random.default_rng(0).normal(128, _GRAIN, (PHOTO[0] - len(large), PHOTO[1], 1))
    return np.concatenate([large, np.repeat(np.clip(below, 0, 255).astype(np.uint8), 3, axis=2)])


def true_boxes(frame: int) -> Boxes:
    """(HEADS, 4) the faces of a frame, known by construction."""
    return np.array([head.box for head in _heads(frame)], np.float32)


def _images(frames: int, heads: int = HEADS) -> Iterator[Image]:
    path = WeightCache.of_user().pull(CATALOG["astronaut"])
    portrait = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)
    grain = np.random.default_rng(0).normal(0, _GRAIN, (SHAPE[0] + 64, SHAPE[1] + 64, 1))
    for i in range(frames):
        scene = compose(portrait, _heads(i)[:heads], shape=SHAPE)
        shift = np.random.default_rng(i).integers(0, 64, 2)
        noise = grain[shift[0] : shift[0] + SHAPE[0], shift[1] : shift[1] + SHAPE[1]]
        yield np.clip(scene + noise, 0, 255).astype(np.uint8)


def _heads(frame: int) -> list[Head]:
    phase = 2 * np.pi * frame / 120
    return [
        Head(
            x=SHAPE[1] * (0.2 + 0.3 * i + 0.06 * np.sin(phase + i)),
            y=SHAPE[0] * (0.45 + 0.1 * np.cos(phase + 2 * i)),
            scale=1.0 + 0.5 * i,
            angle_deg=15 * np.sin(phase + i),
            mirrored=i % 2 == 1,
            light=0.9 + 0.1 * i,
        )
        for i in range(HEADS)
    ]
