"""Writes a folder of inputs that are damaged, misnamed or unusual: `python tests/reliability/bad_inputs.py FOLDER`."""

import io
import os
import random
import shutil
import struct
import sys
import wave
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from PIL import Image as PillowImage

sys.path.insert(0, str(Path(__file__).parents[1]))

from clips import numbered, write_clip
from faceloom.faces import Image
from faceloom.samples import write_samples
from media.picture_files import KINDS

_SEED = 7
_FRAMES = 24
_UNEVEN = (np.random.default_rng(0).integers(1, 120, _FRAMES).cumsum() * 90).tolist()
_EVEN = [3600 * i for i in range(_FRAMES)]
_H264 = {"bf": "3", "g": "8", "preset": "ultrafast"}
_X265 = {"x265-params": "log-level=none:keyint=8:bframes=2:pools=none", "preset": "ultrafast"}
_VPX = {"g": "8", "deadline": "realtime", "cpu-used": "8"}
_ORIENTATION = 0x0112
_LOSSLESS = frozenset(
    ["rgb.png", "interlaced.png", "lossless.webp", "plain.tiff", "lzw.tiff", "plain.bmp", "plain.ppm"]
)
_SAME_NAMES: tuple[bytes, ...] = (
    b"new\nline.png",
    b"caf\xe9.png",
    "日本語 ünï.png".encode(),
    b"\x1b[31mred.png",
    b"-dash.png",
    b" spaces .png",
    b"quote'\".png",
    b"per%cent.png",
    b"colon:semi;.png",
    b".hidden.png",
    b"UPPER.PNG",
    b"x" * 251 + b".png",
)

VIDEOS: Mapping[str, Callable[[Path], Path]] = {
    "b-frames.mp4": partial(write_clip, ticks=_UNEVEN, options=_H264),
    "fragments.mp4": partial(
        write_clip, ticks=_EVEN, options=_H264, container={"movflags": "frag_keyframe+empty_moov"}
    ),
    "faststart.mp4": partial(write_clip, ticks=_EVEN, options=_H264, container={"movflags": "faststart"}),
    "b-frames.mkv": partial(write_clip, ticks=_UNEVEN, options=_H264),
    "h265.mp4": partial(write_clip, ticks=_EVEN, codec="libx265", options=_X265),
    "vp8.webm": partial(write_clip, ticks=_UNEVEN, codec="libvpx", options=_VPX),
    "vp9.webm": partial(write_clip, ticks=_EVEN, codec="libvpx-vp9", options=_VPX),
    "motion.mov": partial(write_clip, ticks=_UNEVEN, codec="mjpeg"),
    "stream.ts": partial(write_clip, ticks=_EVEN, options=_H264),
    "mpeg2.mpg": partial(
        write_clip, ticks=range(_FRAMES), time_base=Fraction(1, 25), codec="mpeg2video", options={"g": "8", "bf": "2"}
    ),
    "mpeg4.avi": partial(write_clip, ticks=range(_FRAMES), time_base=Fraction(1, 25), codec="mpeg4"),
    "raw.h264": partial(write_clip, ticks=range(_FRAMES), time_base=Fraction(1, 25), options=_H264),
    "moving.gif": partial(write_clip, ticks=range(0, 10 * _FRAMES, 10), time_base=Fraction(1, 100), codec="gif"),
}
"""Clips of every container and codec that can be written everywhere."""


@dataclass(kw_only=True)
class Corpus:
    """A folder of inputs, and what has to come of them."""

    folder: Path
    names: set[str] = field(default_factory=set)
    """Of every file that is a source, as they lie below the folder; odd bytes are surrogates."""
    equal: dict[str, str] = field(default_factory=dict)
    """Sources with exactly the faces of another."""
    similar: dict[str, str] = field(default_factory=dict)
    """Sources with nearly the faces of another: what lies between is lossy."""
    whole: set[str] = field(default_factory=set)
    """Undamaged: no frame of them fails."""

    def add(self, name: str | bytes, content: bytes) -> str:
        """Writes a file; its name as text."""
        text = os.fsdecode(name)
        path = self.folder / text
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.names.add(text)
        return text

    def add_whole(self, name: str | bytes, content: bytes) -> str:
        """Writes a file in which nothing is wrong."""
        text = self.add(name, content)
        self.whole.add(text)
        return text


def write_corpus(folder: Path, samples: Path, *, is_long: bool) -> Corpus:
    """Writes everything; the short one has three truncations of each kind and one damaged copy, the long one all."""
    corpus = Corpus(folder=folder)
    tenths = range(1, 10) if is_long else (1, 5, 9)
    face = _face(samples)
    files = {f"pictures/{name}": make(face) for name, make in KINDS.items()}
    files |= {f"videos/{name}": _written(make, folder / "making" / name) for name, make in VIDEOS.items()}
    shutil.rmtree(folder / "making")
    for name, content in files.items():
        corpus.add(name, content) if "cut" in name else corpus.add_whole(name, content)
    corpus.equal |= {f"pictures/{name}": "pictures/rgb.png" for name in _LOSSLESS}
    corpus.similar |= {f"pictures/{name}": "pictures/rgb.png" for name in ("baseline.jpg", "progressive.jpg")}
    _add_damaged(corpus, files, tenths=tenths, copies=8 if is_long else 1)
    _add_misnamed(corpus, files)
    _add_odd_names(corpus, files["pictures/rgb.png"])
    _add_odd_pictures(corpus, face)
    _add_turned(corpus, face)
    _add_odd_videos(corpus, files, samples, folder / "making")
    if is_long:
        _add_bombs(corpus)
    return corpus


def write_traps(folder: Path) -> None:
    """Writes what is no file although its name says so: nothing of it is a source."""
    (folder / "folder.jpg").mkdir(parents=True)
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    (folder / "one.mp4").symlink_to("other.mp4")
    (folder / "other.mp4").symlink_to("one.mp4")
    (folder / "dangling.png").symlink_to("nothing.png")
    (folder / "around").symlink_to(".")
    (folder / "null.jpg").symlink_to(os.devnull)


def _face(samples: Path) -> Image:
    with PillowImage.open(samples / "portrait.png") as portrait:
        return np.asarray(portrait.convert("RGB").crop((128, 16, 320, 208)), np.uint8)


def _written(make: Callable[[Path], Path], path: Path) -> bytes:
    path.parent.mkdir(parents=True, exist_ok=True)
    return make(path).read_bytes()


def _add_damaged(corpus: Corpus, files: Mapping[str, bytes], *, tenths: Iterable[int], copies: int) -> None:
    chance = random.Random(_SEED)
    for name, content in files.items():
        path = Path(name)
        for tenth in tenths:
            corpus.add(f"cut/{path.stem}-{tenth}{path.suffix}", content[: len(content) * tenth // 10])
        for copy in range(copies):
            corpus.add(f"flipped/{path.stem}-{copy}{path.suffix}", _flipped(content, chance))
        corpus.add(f"blank/{path.name}", content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
        corpus.add(f"empty/{path.name}", b"")
        corpus.add(f"zeros/{path.name}", bytes(64))


def _flipped(content: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        # Half of the flips hit the first kilobyte, where headers are.
        end = len(damaged) if chance.random() < 0.5 else min(1024, len(damaged))
        damaged[chance.randrange(end)] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _add_misnamed(corpus: Corpus, files: Mapping[str, bytes]) -> None:
    jpeg, png = files["pictures/baseline.jpg"], files["pictures/rgb.png"]
    clip = files["videos/b-frames.mp4"]
    corpus.similar[corpus.add_whole("misnamed/jpeg.png", jpeg)] = "pictures/rgb.png"
    corpus.equal[corpus.add_whole("misnamed/png.jpg", png)] = "pictures/rgb.png"
    corpus.equal[corpus.add_whole("misnamed/png.webp", png)] = "pictures/rgb.png"
    corpus.add_whole("misnamed/mkv.mp4", files["videos/b-frames.mkv"])
    corpus.add("misnamed/clip.jpg", clip)
    corpus.add("misnamed/jpeg.mp4", jpeg)
    corpus.add("misnamed/text.mp4", b"no video at all\n" * 50)
    corpus.add("misnamed/text.jpg", b"no picture at all\n" * 50)
    corpus.add("misnamed/script.mkv", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n")
    corpus.add("misnamed/list.mp4", b"ffconcat version 1.0\nfile b-frames.mp4\n")
    corpus.add(
        "misnamed/session.mp4",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 50004 RTP/AVP 96\n",
    )
    corpus.add(
        "misnamed/remote.mp4",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
    )
    corpus.add("misnamed/picture.svg.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>")


def _add_odd_names(corpus: Corpus, content: bytes) -> None:
    for name in _SAME_NAMES:
        corpus.equal[corpus.add_whole(b"names/" + name, content)] = "pictures/rgb.png"
    deep = "/".join(f"level-{i}" for i in range(40))
    corpus.equal[corpus.add_whole(f"names/{deep}/deep.png", content)] = "pictures/rgb.png"


def _add_odd_pictures(corpus: Corpus, face: Image) -> None:
    for height, width in ((1, 1), (1, 20_000), (20_000, 1), (2, 3000), (7, 5)):
        for suffix, kind in ((".png", "PNG"), (".jpg", "JPEG"), (".bmp", "BMP")):
            grey = PillowImage.new("RGB", (width, height), (90, 120, 150))
            corpus.add_whole(f"sizes/{width}x{height}{suffix}", _saved(grey, kind))
    for side in (20_000, 60_000):
        corpus.add(f"declared/{side}.png", _png_header(side, side))
        corpus.add(f"declared/{side}.jpg", _jpeg_declaring(face, side))
        corpus.add(f"declared/{side}.bmp", _bmp_declaring(face, side))
        corpus.add(f"declared/{side}.ppm", b"P6\n%d %d\n255\n" % (side, side) + bytes(100))
        corpus.add(f"declared/{side}.gif", declaring_gif(side))
        corpus.add(f"declared/{side}.hdr", b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (side, side))
    corpus.add("declared/zero.png", _png_header(0, 0))
    picture = PillowImage.fromarray(face)
    turned = picture.transpose(PillowImage.Transpose.ROTATE_180)
    for name, kind in (("animated.webp", "WEBP"), ("animated.apng", "PNG"), ("animated.png", "PNG")):
        lossless = {"lossless": True} if kind == "WEBP" else {}
        content = io.BytesIO()
        picture.save(content, kind, save_all=True, append_images=[turned, picture], duration=100, **lossless)
        corpus.equal[corpus.add_whole(f"odd/{name}", content.getvalue())] = "pictures/rgb.png"
    corpus.equal[corpus.add_whole("odd/trailing.png", _saved(picture, "PNG") + b"more" * 500)] = "pictures/rgb.png"
    wide = cv2.imencode(".png", np.dstack([face[..., ::-1], np.full(face.shape[:2], 255, np.uint8)]))[1].tobytes()
    corpus.equal[corpus.add_whole("odd/opaque.png", wide)] = "pictures/rgb.png"


def _add_turned(corpus: Corpus, face: Image) -> None:
    """Pictures stored turned, with the orientation that says so: upright they are all the same."""
    undo: dict[int, Callable[[Image], Image]] = {
        1: lambda image: image,
        2: lambda image: image[:, ::-1],
        3: lambda image: image[::-1, ::-1],
        4: lambda image: image[::-1],
        5: lambda image: image.transpose(1, 0, 2),
        6: lambda image: image[:, ::-1].transpose(1, 0, 2),
        7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
        8: lambda image: image[::-1].transpose(1, 0, 2),
    }
    upright = np.vstack([face, face[:64]])  # no square: sides that are mixed up are seen
    for orientation, store in undo.items():
        exif = PillowImage.Exif()
        exif[_ORIENTATION] = orientation
        stored = PillowImage.fromarray(np.ascontiguousarray(store(upright)))
        for suffix, kind in ((".png", "PNG"), (".tiff", "TIFF"), (".jpg", "JPEG")):
            options = {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
            content = io.BytesIO()
            stored.save(content, kind, exif=exif, **options)
            name = corpus.add_whole(f"turned/{orientation}{suffix}", content.getvalue())
            same = corpus.similar if kind == "JPEG" else corpus.equal
            same[name] = "turned/1.png"


def _add_odd_videos(corpus: Corpus, files: Mapping[str, bytes], samples: Path, making: Path) -> None:
    making.mkdir(parents=True)
    clip = (samples / "clip.mp4").read_bytes()
    corpus.add_whole("clips/clip.mp4", clip)
    for suffix in (".mkv", ".mov"):
        remuxed = _remuxed(samples / "clip.mp4", making / f"clip{suffix}")
        corpus.equal[corpus.add_whole(f"clips/remuxed{suffix}", remuxed)] = "clips/clip.mp4"
    stream = files["videos/stream.ts"]
    corpus.add("odd/no-keyframe.ts", stream[len(stream) * 3 // 10 // 188 * 188 :])
    corpus.add("odd/off-by-some.ts", stream[len(stream) // 3 + 77 :])
    corpus.add("odd/twice.ts", stream + stream)
    corpus.add("odd/twice.mp4", files["videos/b-frames.mp4"] * 2)
    raw = files["videos/raw.h264"]
    other = _raw([np.ascontiguousarray(np.tile(numbered(i), (2, 2, 1))) for i in range(8)], making / "other.h264")
    corpus.add("odd/size-change.h264", raw + other)
    corpus.add("odd/size-change-back.h264", other + raw + other)
    for turn in (90, 180, 270):
        corpus.add_whole(
            f"odd/rotated-{turn}.mp4",
            write_clip(making / f"{turn}.mp4", _EVEN, options=_H264, rotation=turn).read_bytes(),
        )
    corpus.add_whole("odd/one-frame.mp4", write_clip(making / "one.mp4", [0], options=_H264).read_bytes())
    corpus.add_whole("odd/one-frame.gif", _saved(PillowImage.new("RGB", (64, 48)), "GIF"))
    corpus.add("odd/sound.mp4", _sound(making / "sound.mp4"))
    corpus.add("odd/sound.mkv", _sound_wave(making / "sound.wav"))
    corpus.add("odd/no-frames.mkv", _no_frames(making / "none.mkv"))
    corpus.add("odd/no-frames.mp4", _no_frames(making / "none.mp4"))
    shutil.rmtree(making)


def _add_bombs(corpus: Corpus) -> None:
    """A small file whose many pixels are really there, below the limit."""
    rows = zlib.compressobj(9)
    packed = b"".join(rows.compress(bytes(1 + 3 * 15_000)) for _ in range(15_000)) + rows.flush()
    corpus.add("bombs/black.png", _png(15_000, 15_000, packed))


def _saved(picture: PillowImage.Image, kind: str) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind)
    return content.getvalue()


def _png_header(height: int, width: int) -> bytes:
    return _png(height, width, zlib.compress(bytes(1000)))


def _png(height: int, width: int, packed: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part)) for name, part in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _jpeg_declaring(face: Image, side: int) -> bytes:
    content = bytearray(KINDS["baseline.jpg"](face))
    place = content.index(b"\xff\xc0") + 5
    content[place : place + 4] = struct.pack(">HH", side, side)
    return bytes(content)


def _bmp_declaring(face: Image, side: int) -> bytes:
    content = bytearray(KINDS["plain.bmp"](face))
    content[18:26] = struct.pack("<ii", side, side)
    return bytes(content)


def declaring_gif(side: int) -> bytes:
    """An animation of one small picture on a canvas that is said to be this large."""
    content = bytearray(_saved(PillowImage.new("P", (32, 32)), "GIF"))
    content[6:10] = struct.pack("<HH", side, side)
    return bytes(content)


def _raw(pictures: list[Image], path: Path) -> bytes:
    return write_clip(
        path, range(len(pictures)), time_base=Fraction(1, 25), options=_H264, images=pictures
    ).read_bytes()


def _remuxed(source: Path, target: Path) -> bytes:
    with av.open(str(source)) as inside, av.open(str(target), "w") as outside:
        stream = outside.add_stream_from_template(inside.streams.video[0])
        packets = [packet for packet in inside.demux(video=0) if packet.size]
        assert packets
        for packet in packets:
            packet.stream = stream
            outside.mux(packet)
    return target.read_bytes()


def _sound(path: Path) -> bytes:
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path.read_bytes()


def _sound_wave(path: Path) -> bytes:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16_000))
    return path.read_bytes()


def _no_frames(path: Path) -> bytes:
    """A container that has a video stream, and no packet in it."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=25)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        file.start_encoding()
    return path.read_bytes()


def main() -> None:
    """Writes the long corpus, traps included, into the folder that the command line names."""
    folder = Path(sys.argv[1])
    samples = folder.with_name(folder.name + "-samples")
    write_samples(samples, on_bytes=lambda *_: None)
    corpus = write_corpus(folder, samples, is_long=True)
    write_traps(folder / "traps")
    print(f"{len(corpus.names)} sources, {len(corpus.whole)} of them undamaged, and traps in {folder}")


if __name__ == "__main__":
    main()
