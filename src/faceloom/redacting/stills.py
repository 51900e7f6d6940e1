"""Stills: a picture is decoded once more, covered, and written in its own format, page by page if it has several.

Its pixels stay as they lie and its values as they are stored; only what is covered is changed, and what encoding again
costs.
"""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import JpegImagePlugin, UnidentifiedImageError

from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media.headers import look, pages_inside
from faceloom.media.orientations import SIDEWAYS, orientation_of, upright_view
from faceloom.media.pillow import LIFTED_LIMIT, MissingDecoderError, know_format_of
from faceloom.media.sources import Source
from faceloom.redacting.kept_metadata import kept_exif
from faceloom.redacting.painting import Plane
from faceloom.redacting.shapes import Scale2D
from faceloom.redacting.written import THUMBNAIL_PX, OnFrames, PaintFrame, Written
from faceloom.thumbnails import shrink

_WRITTEN = frozenset(["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "PPM", "TGA", "JPEG2000", "PCX"])
_AS_THEY_ARE = frozenset(["L", "RGB", "RGBA", "LA", "CMYK", "I;16"])
_MANY = frozenset(["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
_ANIMATED = frozenset(["GIF", "WEBP", "PNG", "AVIF"])
_APART_S, _MOVING_APART_S = 1000.0, 0.1
"""Seconds between pages that have nothing to do with each other, and between the frames of an animation."""
_WORKING = 6.0
"""Frames that are held while one is written: as it is decoded, as it is painted on, and what its encoder has of it."""
_KEPT = 4 / 3
_HOLD_ALL = frozenset(["WEBP", "AVIF"])
"""Formats of which Pillow's writer makes a list of all frames."""
_JPEG_QUALITY = 95
_PICTURES_QUALITY = 92


class StillWriter:
    """Writes one picture, or an animation that is a picture's."""

    def __init__(self, source: Source, times: NDArray[np.float64] | None = None) -> None:
        """Of a source, with the times of its frames if something else has told them.

        Raises:
            MediaError: it is no picture that can be read.
        """
        self._source = source
        shape = look(source)
        pages = shape.pages if shape else 1
        self._shape = shape
        self._format, self._kept_suffix = _formats(source.path, source.name)
        apart = _MOVING_APART_S if self._format in _ANIMATED else _APART_S
        self._times: NDArray[np.float64] = np.arange(pages, dtype=np.float64) * apart if times is None else times

    @property
    def times(self) -> NDArray[np.float64]:
        return self._times

    @property
    def suffix(self) -> str:
        return self._kept_suffix

    @property
    def needed_bytes(self) -> int:
        if self._shape is None:
            return 0
        frames = _WORKING + (self._shape.pages * _KEPT if self._format in _HOLD_ALL else 0)
        content_bytes = 2 * self._source.path.stat().st_size
        return round(self._shape.frame_bytes * frames) + self._shape.reading_bytes + content_bytes

    def write(self, part: Path, paint: PaintFrame, *, stamp: Image | None, on_frames: OnFrames) -> Written:
        path = self._source.path
        content = path.read_bytes()
        try:
            know_format_of(content[:32])
            with LIFTED_LIMIT, PillowImage.open(io.BytesIO(content)) as picture:
                written = _PageWriter(picture, content, paint, stamp).write(part)
        except (MediaError, MemoryError):
            raise
        except MissingDecoderError as error:
            raise MediaError(str(error), path=path) from error
        except Exception as error:  # Pillow's readers and writers raise what their formats happen to raise
            raise MediaError(f"the picture cannot be written anew: {error}", path=path) from error
        on_frames(written.frames)
        return written


def _formats(path: Path, name: str) -> tuple[str, str]:
    """The format that a picture is written in, and what is added to its name if that is not its own.

    Raises:
        MediaError: it is no picture that can be read.
    """
    with path.open("rb") as file:
        head = file.read(32)
    try:
        know_format_of(head)
        with LIFTED_LIMIT, PillowImage.open(path) as picture:
            written = _format_of(picture)
    except (UnidentifiedImageError, MissingDecoderError, OSError) as error:
        raise MediaError(f"the picture cannot be read to be written anew: {error}", path=path) from error
    return written, "" if written == picture.format or _own(written, picture, name) else ".png"


def _own(written: str, picture: PillowImage.Image, name: str) -> bool:
    return written == "JPEG" and picture.format == "MPO" and PurePosixPath(name).suffix.lower() in {".jpg", ".jpeg"}


def _format_of(picture: PillowImage.Image) -> str:
    if picture.format == "MPO":
        return "JPEG"
    return picture.format if picture.format in _WRITTEN else "PNG"


class _PageWriter:
    def __init__(self, picture: PillowImage.Image, content: bytes, paint: PaintFrame, stamp: Image | None) -> None:
        self._picture = picture
        self._content = content
        self._paint = paint
        self._stamp = stamp
        self._format = _format_of(picture)
        self._orientation = orientation_of(picture)[0]
        self._notes: set[str] = set()
        self._thumbnails: dict[int, Image] = {}
        self._durations: list[int] = []

    def write(self, part: Path) -> Written:
        picture = self._picture
        exif = kept_exif(picture)
        qtables = getattr(picture, "quantization", None)
        sampling = JpegImagePlugin.get_sampling(picture) if qtables else -1
        numbers = self._numbers()
        pages = _LaterPages(self, numbers)
        first = self.page(0, numbers[0])
        told: dict[str, Any] = {"format": self._format, "icc_profile": picture.info.get("icc_profile")}
        if exif and self._format not in {"BMP", "GIF", "PPM", "TGA", "PCX"}:
            told["exif"] = exif
        if "dpi" in picture.info and self._format in {"JPEG", "PNG", "TIFF", "BMP"}:
            told["dpi"] = tuple(float(value) for value in picture.info["dpi"])
        told |= self._encoding(qtables, sampling)
        if len(numbers) > 1:
            told |= {"save_all": True, "append_images": pages}
            if self._format in _ANIMATED:
                told |= self._animation(len(numbers), numbers)
        first.save(part, **{key: value for key, value in told.items() if value is not None})
        return Written(
            frames=len(numbers), codec=self._format, notes=tuple(sorted(self._notes)), thumbnails=self._thumbnails
        )

    def _numbers(self) -> Sequence[int]:
        """The pages to be written, as Pillow counts them."""
        if self._picture.format == "MPO":
            self._notes.add("only the first of its pictures is written")
            return [0]
        numbers = pages_inside(io.BytesIO(self._content)) if self._format != "GIF" else ()
        if self._format == "GIF":
            numbers = tuple(range(getattr(self._picture, "n_frames", 1)))
        if len(numbers) > 1 and self._format not in _MANY:
            self._notes.add("only the first of its pictures is written")
            return [0]
        return numbers or [0]

    def page(self, index: int, number: int) -> PillowImage.Image:
        """One of the pages, which Pillow knows by this number, with its faces covered."""
        page = self._picture
        if number != page.tell():
            page.seek(number)
        page.load()
        mode = page.mode if page.mode in _AS_THEY_ARE else _mode_for(page)
        if mode != page.mode:
            page = page.convert(mode)
        values = np.array(page)
        planes = self._planes(values, mode)
        if self._paint(index, planes):
            self._thumbnails[index] = self._shown(values, mode)
        made = PillowImage.fromarray(values, mode=None if mode != "CMYK" else "CMYK")
        return (
            made.convert("P", palette=PillowImage.Palette.ADAPTIVE) if self._format == "GIF" and mode == "RGB" else made
        )

    def _planes(self, values: NDArray[Any], mode: str) -> list[Plane]:
        height, width = values.shape[:2]
        upright = (width, height) if self._orientation in SIDEWAYS else (height, width)
        scale = Scale2D(x=1.0, y=1.0)
        channels = values[..., None] if values.ndim == 2 else values
        count: int = {"RGBA": 3, "LA": 1}.get(mode) or channels.shape[2]
        planes = []
        for i in range(count):
            view = upright_view(channels[..., i], self._orientation)
            assert view.shape == upright
            solid = 255 if mode == "CMYK" and i == 3 else 0
            planes.append(Plane(values=view, scale=scale, solid=solid, **self._stamp_of(i, count, values.dtype)))
        if mode in {"RGBA", "LA"}:  # what is covered is seen
            view = upright_view(channels[..., count], self._orientation)
            planes.append(Plane(values=view, scale=scale, solid=255))
        return planes

    def _stamp_of(self, channel: int, count: int, dtype: np.dtype[Any]) -> dict[str, Any]:
        if self._stamp is None or count == 4:
            return {}
        grey = count == 1
        value = self._stamp[..., :3].mean(axis=2).astype(np.uint8) if grey else self._stamp[..., channel]
        if dtype == np.uint16:
            return {"stamp": value.astype(np.uint16) * 257, "stamp_alpha": self._stamp[..., 3]}
        return {"stamp": np.ascontiguousarray(value), "stamp_alpha": np.ascontiguousarray(self._stamp[..., 3])}

    def _shown(self, values: NDArray[Any], mode: str) -> Image:
        eight = (values >> 8).astype(np.uint8) if values.dtype == np.uint16 else values
        rgb = np.asarray(PillowImage.fromarray(eight, mode="CMYK" if mode == "CMYK" else None).convert("RGB"))
        return shrink(np.ascontiguousarray(upright_view(rgb, self._orientation)), longest=THUMBNAIL_PX)

    def _encoding(self, qtables: Any, sampling: int) -> dict[str, Any]:
        """How the format is written: a JPEG with the tables it had, so that what is not covered stays what it was."""
        match self._format:
            case "JPEG":
                tables = {"qtables": qtables} if qtables else {"quality": _JPEG_QUALITY}
                kept = {"subsampling": sampling} if sampling >= 0 else {}
                return {**tables, **kept, "progressive": bool(self._picture.info.get("progressive"))}
            case "WEBP":
                is_lossless = b"VP8L" in self._content[:64]
                return {"lossless": is_lossless, "quality": 80 if is_lossless else _PICTURES_QUALITY, "method": 4}
            case "AVIF":
                return {"quality": _PICTURES_QUALITY, "max_threads": 1}
            case "TIFF":
                told = str(self._picture.info.get("compression", "raw"))
                return {"compression": "tiff_lzw" if told in {"jpeg", "tiff_jpeg"} else told}
        return {}

    def _animation(self, count: int, numbers: Sequence[int]) -> dict[str, Any]:
        durations = []
        for number in numbers:
            self._picture.seek(number)
            self._picture.load()  # some plugins tell only then
            durations.append(int(self._picture.info.get("duration", 100)))
        self._picture.seek(numbers[0])
        assert len(durations) == count
        told: dict[str, Any] = {"duration": durations, "loop": self._picture.info.get("loop", 0)}
        return told | ({"disposal": 2} if self._format == "GIF" else {})


class _LaterPages:
    """All pages but the first, each made when it is asked for; some writers of Pillow's go through them twice."""

    def __init__(self, writer: _PageWriter, numbers: Sequence[int]) -> None:
        self._writer = writer
        self._numbers = numbers

    def __iter__(self) -> Iterator[PillowImage.Image]:
        for index, number in enumerate(self._numbers[1:], start=1):
            yield self._writer.page(index, number)


def _mode_for(picture: PillowImage.Image) -> str:
    """In which mode a picture is painted on that has a palette, one bit, or values of another kind."""
    if picture.has_transparency_data:
        return "RGBA"
    if picture.mode in {"1", "L"}:
        return "L"
    return "RGB"
