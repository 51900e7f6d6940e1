"""The inputs of `ceiling.py`: what people have, what is large, and what says less of itself than it takes."""

import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from PIL import Image as PillowImage

from faceloom.faces import Image

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PORTRAITS = DATA / "dlib_examples"
_FRAMES = 24
_X264 = {"preset": "ultrafast", "g": "12", "refs": "2"}
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:bframes=3:keyint=12"}
_UHD, _HD, _QHD = (2160, 3840), (1080, 1920), (1440, 2560)


def make(name: str, folder: Path) -> Path:
    """The input of this name, made below the folder unless it is there."""
    path = folder / name
    if not path.exists():
        part = folder / f"{name}.part"
        part.mkdir(parents=True, exist_ok=True)
        INPUTS[name](part)
        part.rename(path)
    return path


def faces() -> list[Image]:
    """Pictures with faces."""
    found = sorted(PORTRAITS.rglob("*.jpg"))
    if not found:
        raise SystemExit(f"there are no pictures in {PORTRAITS}")
    return [np.asarray(PillowImage.open(path).convert("RGB")) for path in found[:12]]


def scene(height: int, width: int, *, cell: int = 400) -> Image:
    """A picture of this size, filled with faces in cells of so many pixels."""
    tiles = [cv2.resize(image, (cell, cell), interpolation=cv2.INTER_AREA) for image in faces()]
    rows = [
        np.concatenate([tiles[(7 * y + x) % len(tiles)] for x in range(-(-width // cell))], axis=1)
        for y in range(-(-height // cell))
    ]
    return np.ascontiguousarray(np.concatenate(rows)[:height, :width])


def backdrop(height: int, width: int) -> Image:
    """A picture of this size with one face in it."""
    across = np.linspace(60, 180, width, dtype=np.float32)[None, :, None]
    down = np.linspace(0, 60, height, dtype=np.float32)[:, None, None]
    image = np.broadcast_to(across + down, (height, width, 3)).astype(np.uint8)
    side = min(height, width) // 2
    image[side // 2 : side // 2 + side, side // 2 : side // 2 + side] = cv2.resize(faces()[0], (side, side))
    return image


def moving(shape: tuple[int, int], count: int = _FRAMES) -> Iterator[Image]:
    """Frames in which everything moves."""
    large = backdrop(shape[0] + 2 * count, shape[1])
    for step in range(count):
        yield large[2 * step : 2 * step + shape[0]]


def video(
    path: Path,
    shape: tuple[int, int],
    codec: str,
    *,
    pixels: str = "yuv420p",
    options: Mapping[str, str] | None = None,
    count: int = _FRAMES,
    rate: int = 25,
) -> None:
    """Writes a video of moving frames."""
    with av.open(str(path), "w") as container:
        stream: VideoStream = container.add_stream(codec, rate=rate, options=dict(options or {}))  # type: ignore[assignment]
        stream.height, stream.width, stream.pix_fmt = shape[0], shape[1], pixels
        stream.time_base = Fraction(1, rate)
        for image in moving(shape, count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode(None))


def _videos(name: str, shape: tuple[int, int], codec: str, **how: Any) -> Callable[[Path], None]:
    return lambda folder: video(folder / name, shape, codec, **how)


def _growing(folder: Path) -> None:
    """What `cat small.h264 large.h264` gives."""
    parts = []
    for part, shape in (("small", (240, 320)), ("large", _QHD)):
        path = folder / f"{part}.h264"
        video(path, shape, "libx264", options=_X264, count=30)
        parts.append(path.read_bytes())
        path.unlink()
    (folder / "growing.h264").write_bytes(b"".join(parts))


def _pictures(name: str, shape: tuple[int, int], **how: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        PillowImage.fromarray(backdrop(*shape)).save(folder / name, **how)

    return write


def _portraits(folder: Path) -> None:
    for number, image in enumerate(faces()):
        PillowImage.fromarray(image).save(folder / f"{number:02}.jpg", quality=92)


def _mixed(folder: Path) -> None:
    for number, shape in enumerate([(480, 640), (1080, 1920), (2160, 3840), (3000, 4000), (600, 400), (4320, 7680)]):
        PillowImage.fromarray(backdrop(*shape)).save(folder / f"{number}.jpg", quality=90)


def _photos(folder: Path) -> None:
    """Photos of 12 megapixels, every third full of large faces and the others with three of different sizes."""
    for number in range(18):
        if number % 3 == 0:
            image = scene(3024, 4032, cell=1000)
        else:
            image = np.full((3024, 4032, 3), 90 + 5 * number, np.uint8)
            for i, side in enumerate((700, 1000, 1300)):
                face = cv2.resize(faces()[(number + i) % 12], (side, side), interpolation=cv2.INTER_CUBIC)
                image[400 + 20 * number :, 100 + 1300 * i :][:side, :side] = face[: 3024 - 400 - 20 * number]
        PillowImage.fromarray(image).save(folder / f"{number:02}.jpg", quality=90)


def _pam(folder: Path) -> None:
    image = backdrop(3400, 5000)
    head = "P7\nWIDTH 5000\nHEIGHT 3400\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
    (folder / "large.pam").write_bytes(head.encode() + image.tobytes())


def _deep(folder: Path) -> None:
    image = backdrop(3000, 4000).astype(np.uint16) * 257
    cv2.imwrite(str(folder / "deep.png"), image[:, :, ::-1])


def _gif_bomb(folder: Path) -> None:
    """43 bytes that declare 15,000 x 15,000."""
    size = struct.pack("<HH", 15000, 15000)
    content = b"GIF89a" + size + b"\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00"
    (folder / "bomb.gif").write_bytes(content + size + b"\x00\x02\x02D\x01\x00;")


def _png_in_mov(folder: Path) -> None:
    """A few kilobytes that decode to 12,000 x 12,000."""
    side = 12_000
    row = b"\0" + b"\x80" * (3 * side)
    packer = zlib.compressobj(9)
    data = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks)
    with av.open(str(folder / "bomb.mov"), "w") as container:
        stream: VideoStream = container.add_stream("png", rate=25)
        stream.height, stream.width, stream.pix_fmt = side, side, "rgb24"
        for number in range(3):
            packet = av.Packet(png)
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            packet.is_keyframe = True
            container.mux(packet)


def _png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _crowd(folder: Path) -> None:
    """About 322 faces a frame."""
    for number in range(4):
        image = np.roll(scene(2300, 1400, cell=100), number * 50, axis=0)
        PillowImage.fromarray(image).save(folder / f"{number}.jpg", quality=92)


def _tiny(folder: Path) -> None:
    images = faces()
    for number in range(5000):
        PillowImage.fromarray(cv2.resize(images[number % len(images)], (96, 96))).save(folder / f"{number:04}.jpg")


def _animated(folder: Path) -> None:
    first, *others = [PillowImage.fromarray(image) for image in moving((480, 640), 12)]
    first.save(folder / "moving.gif", save_all=True, append_images=others, duration=40)


INPUTS: Mapping[str, Callable[[Path], None]] = {
    "portraits": _portraits,
    "mixed": _mixed,
    "photos": _photos,
    "jpeg-8k": _pictures("8k.jpg", (4320, 7680), quality=90),
    "avif-8k": _pictures("8k.avif", (4320, 7680), quality=60, speed=10),
    "tiff-8k": _pictures("8k.tif", (4320, 7680)),
    "jpeg-100mp": _pictures("100mp.jpg", (8660, 11548), quality=85),
    "png-16": _deep,
    "gif": _animated,
    "crowd": _crowd,
    "tiny": _tiny,
    "pam": _pam,
    "h264-1080p": _videos("clip.mp4", _HD, "libx264", options=_X264, count=100),
    "h264-4k": _videos("clip.mp4", _UHD, "libx264", options=_X264),
    "hevc10-4k": _videos("clip.mp4", _UHD, "libx265", options=_X265, pixels="yuv420p10le"),
    "av1-4k": _videos("clip.mp4", _UHD, "libsvtav1", options={"preset": "12", "crf": "40"}),
    "vp9-4k": _videos(
        "clip.webm", _UHD, "libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8", "row-mt": "1"}
    ),
    "vp9-10-4k": _videos(
        "clip.webm",
        _UHD,
        "libvpx-vp9",
        options={"deadline": "realtime", "cpu-used": "8", "row-mt": "1", "profile": "2"},
        pixels="yuv420p10le",
    ),
    "prores-4k": _videos("clip.mov", _UHD, "prores_ks", options={"profile": "2"}, pixels="yuv422p10le"),
    "growing": _growing,
    "one-gop": _videos("clip.mp4", _HD, "libx264", options={"preset": "ultrafast", "g": "1000"}, count=60, rate=1),
    "gif-bomb": _gif_bomb,
    "png-bomb": _png_in_mov,
}
"""Each writes its files into a folder."""
BOMBS: Sequence[str] = ("gif-bomb", "png-bomb")
"""Inputs that are to fail, or to be refused; whatever they do, they do it within the budget."""
