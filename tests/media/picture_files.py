"""Pictures of every kind that is read in a way of its own."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageCms

from faceloom.faces import Image

_ORIENTATION = 0x0112


def shaded(height: int, width: int) -> Image:
    """A picture with slopes, waves and a little noise, so that it packs about as well as a photograph."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    slopes = np.stack([x * 255 / width, y * 255 / height, (np.sin(x / 37) * np.cos(y / 23) + 1) * 127], axis=2)
    noise = np.random.default_rng(0).integers(0, 24, (height, width, 1), np.uint8)
    shades: Image = np.clip(slopes + noise, 0, 255).astype(np.uint8)
    return shades


def _saved(kind: str, mode: str = "RGB", *, orientation: int = 1, **options: Any) -> Callable[[Image], bytes]:
    def save(image: Image) -> bytes:
        picture = PillowImage.fromarray(image)
        if mode == "P":
            picture = picture.quantize(64)
        elif mode in ("RGBA", "LA"):
            picture = PillowImage.merge(mode, [*picture.split()[: len(mode) - 1], picture.getchannel(1)])
        else:
            picture = picture.convert(mode)
        exif = PillowImage.Exif()
        exif[_ORIENTATION] = orientation
        content = io.BytesIO()
        picture.save(content, kind, **options, **({"exif": exif} if orientation != 1 else {}))
        return content.getvalue()

    return save


def _by_opencv(suffix: str, change: Callable[[Image], NDArray[Any]]) -> Callable[[Image], bytes]:
    return lambda image: cv2.imencode(suffix, change(image))[1].tobytes()


def _cut(save: Callable[[Image], bytes]) -> Callable[[Image], bytes]:
    def cut(image: Image) -> bytes:
        content = save(image)
        return content[: len(content) * 2 // 3]

    return cut


# PNG specification, 8.2: first row and column of each pass, and the steps from one to the next.
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def _interlaced(image: Image) -> bytes:
    rows = b""
    for top, left, down, across in _ADAM7:
        part = image[top::down, left::across]
        if part.size:
            flat = part.reshape(len(part), -1)
            rows += np.hstack([np.zeros((len(part), 1), np.uint8), flat]).tobytes()
    header = struct.pack(">IIBBBBB", image.shape[1], image.shape[0], 8, 2, 0, 0, 1)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _scan_by_scan(*samplings: tuple[int, int]) -> Callable[[Image], bytes]:
    """A sequential JPEG with a scan for each channel: three grey ones in one frame, each with its sampling factors."""
    return lambda image: _join_scans(image, samplings)


def _join_scans(image: Image, samplings: tuple[tuple[int, int], ...]) -> bytes:
    most_across, most_down = (max(factors) for factors in zip(*samplings, strict=True))
    channels = [image[:: most_down // down, :: most_across // across, i] for i, (across, down) in enumerate(samplings)]
    greys = [_saved("JPEG", "L", quality=90)(np.stack([channel] * 3, axis=2)) for channel in channels]
    frame, scan = greys[0].index(b"\xff\xc0"), greys[0].index(b"\xff\xda")
    components = b"".join(bytes([i + 1, across << 4 | down, 0]) for i, (across, down) in enumerate(samplings))
    height, width = image.shape[:2]
    header = b"\xff\xc0" + struct.pack(">HBHHB", 17, 8, height, width, 3) + components
    tables = greys[0][frame + 2 + 11 : scan]
    scans = [
        b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, i + 1, 0, 0, 63, 0) + grey[grey.index(b"\xff\xda") + 10 : -2]
        for i, grey in enumerate(greys)
    ]
    return greys[0][:frame] + header + tables + b"".join(scans) + b"\xff\xd9"


def _several(kind: str, **options: Any) -> Callable[[Image], bytes]:
    """Three pages, each brighter than the one before."""

    def save(image: Image) -> bytes:
        first, *others = (PillowImage.fromarray(image // 4 + 40 * i) for i in range(3))
        content = io.BytesIO()
        first.save(content, kind, save_all=True, append_images=others, **options)
        return content.getvalue()

    return save


def wide_profile() -> bytes:
    """A profile of colours that are not those of sRGB: its red and its blue change places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = (profile.index(name) for name in (b"rXYZ", b"bXYZ"))
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


def _deep(image: Image) -> NDArray[np.uint16]:
    return image.astype(np.uint16) * 257


def _pam(image: Image) -> bytes:
    head = f"P7\nWIDTH {image.shape[1]}\nHEIGHT {image.shape[0]}\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
    return head.encode() + image.tobytes()


KINDS: dict[str, Callable[[Image], bytes]] = {
    "baseline.jpg": _saved("JPEG", quality=90),
    "grey.jpg": _saved("JPEG", "L", quality=90),
    "plain.pam": _pam,
    "progressive.jpg": _saved("JPEG", quality=90, progressive=True),
    "progressive-444.jpg": _saved("JPEG", quality=95, progressive=True, subsampling=0),
    "scans.jpg": _scan_by_scan((1, 1), (1, 1), (1, 1)),
    "unnamed.jpg": _scan_by_scan((2, 2), (2, 1), (1, 1)),
    "turned.jpg": _saved("JPEG", quality=90, orientation=6),
    "turned-progressive.jpg": _saved("JPEG", quality=90, progressive=True, orientation=8),
    "cmyk.jpg": _saved("JPEG", "CMYK", quality=90),
    "cmyk-progressive.jpg": _saved("JPEG", "CMYK", quality=90, progressive=True),
    "cut.jpg": _cut(_saved("JPEG", quality=90)),
    "cut-progressive.jpg": _cut(_saved("JPEG", quality=90, progressive=True)),
    "rgb.png": _saved("PNG", compress_level=1),
    "rgba.png": _saved("PNG", "RGBA", compress_level=1),
    "turned.png": _saved("PNG", "RGBA", compress_level=1, orientation=5),
    "grey-alpha.png": _saved("PNG", "LA", compress_level=1),
    "palette.png": _saved("PNG", "P"),
    "palette-transparent.png": _saved("PNG", "P", transparency=3),
    "bits.png": _saved("PNG", "1"),
    "deep-grey.png": _by_opencv(".png", lambda image: _deep(image)[..., 0]),
    "deep.png": _by_opencv(".png", _deep),
    "interlaced.png": _interlaced,
    "lossy.webp": _saved("WEBP", quality=80, method=0),
    "lossless.webp": _saved("WEBP", lossless=True, quality=0, method=0),
    "alpha.webp": _saved("WEBP", "RGBA", quality=80, method=0),
    "turned.webp": _saved("WEBP", quality=80, method=0, orientation=7),
    "plain.tiff": _saved("TIFF"),
    "lzw.tiff": _saved("TIFF", compression="tiff_lzw"),
    "turned.tiff": _saved("TIFF", orientation=6),
    "cmyk.tiff": _saved("TIFF", "CMYK"),
    "float.tiff": _saved("TIFF", "F"),
    "plain.bmp": _saved("BMP"),
    "plain.ppm": _saved("PPM"),
    "plain.tga": _saved("TGA"),
    "plain.sgi": _saved("SGI"),
    "plain.dds": _saved("DDS"),
    "plain.jp2": _saved("JPEG2000", irreversible=True),
    "colours.jpg": _saved("JPEG", quality=90, icc_profile=wide_profile()),
    "colours.png": _saved("PNG", "RGBA", compress_level=1, icc_profile=wide_profile()),
    "float-colours.tif": _by_opencv(".tif", lambda image: image.astype(np.float32) / 255),
    "pages.tif": _several("TIFF"),
    "pages-packed.tif": _several("TIFF", compression="tiff_lzw"),
    "pages.webp": _several("WEBP", quality=80, method=0),
    "pages.png": _several("PNG", compress_level=1),
    "pages.mpo": _several("MPO", quality=90),
    "light.hdr": _by_opencv(".hdr", lambda image: image.astype(np.float32) / 255),
    "light.pfm": _by_opencv(".pfm", lambda image: image.astype(np.float32) / 255),
}


def write_picture(folder: Path, name: str, *, height: int, width: int) -> Path:
    """Writes a picture of one of the kinds."""
    path = folder / name
    path.write_bytes(KINDS[name](shaded(height, width)))
    return path
