"""Still pictures of every kind as upright sRGB, 8 bits a channel.

JPEG goes through TurboJPEG, anything else through Pillow, and what Pillow does not know through OpenCV.
"""

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import UnidentifiedImageError

from faceloom.errors import MediaError
from faceloom.faces import Image
from faceloom.media.headers import look_inside, pages_inside
from faceloom.media.jpegs import JPEG, UnclearError, check_size, decode_jpeg, jpeg_orientation
from faceloom.media.metadata import jpeg_profile, without_metadata
from faceloom.media.notes import Note
from faceloom.media.orientations import SIDEWAYS, as_stored, notes_on, orientation_of, upright
from faceloom.media.pages import TIFF, tiff_pages
from faceloom.media.pillow import LIFTED_LIMIT, MissingDecoderError, know_format_of
from faceloom.media.profiles import Conversion, ProfileError, conversion_from
from faceloom.media.shortage import raise_if_short
from faceloom.media.values import Scale, grey_to_rgb, scale_of, to_grey

_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>")
"""What Pillow calls a file that it has been given as bytes: by a place in memory, another one each time."""
_RADIANCE = (b"#?RADIANCE", b"#?RGBE")
_STRIP_BYTES = 1 << 18
_UNKNOWN_PACKING = 20
"""Bytes that reading may take for each byte of a file whose header tells no shape: a guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A picture as it is shown."""

    image: Image
    problem: str | None = None
    """What was lost in reading it, if anything."""
    notes: tuple[Note, ...] = ()
    """What was done to it."""


class PictureFile:
    """The content of a picture's file, to be read page by page."""

    def __init__(self, content: bytes, path: Path, *, raw_colours: bool = False) -> None:
        """What is in a file; `raw_colours`: values stay as they are stored, whatever a profile says they mean."""
        self._content = content
        self._path = path
        self._raw_colours = raw_colours
        self._numbers: tuple[int, ...] | None = None
        self._sequence: PillowImage.Image | None = None
        """Of an animation whose frames are made one from another: open between them."""

    def close(self) -> None:
        """Gives back what is held between pages."""
        if self._sequence is not None:
            self._sequence.close()
            self._sequence = None

    def read(self, page: int = 0) -> Still:
        """One of the pictures in the file.

        Raises:
            MediaError: nothing can be recovered; the message is the reason.
            MemoryError: there is too little memory to tell; the same call can be made again.
        """
        if not self._content:
            raise MediaError("the file is empty", path=self._path)
        try:
            know_format_of(self._content[:32])
            return self._read(page)
        except MissingDecoderError as error:
            raise MediaError(str(error), path=self._path) from error
        except UnclearError as error:
            raise_if_short(_reading_bytes(self._content))
            raise MediaError(str(error), path=self._path) from error.__cause__

    def _read(self, page: int) -> Still:
        if self._content.startswith(JPEG) and page == 0 and (still := self._read_jpeg()):
            return still
        try:
            return self._read_pillow(self._content, page)
        except UnidentifiedImageError as error:
            bare = without_metadata(self._content)
            if len(bare) == len(self._content):
                return self._read_opencv(page)
            problem: Exception = error
        except UnclearError as error:
            bare = without_metadata(self._content)
            if page or len(bare) == len(self._content):
                raise
            problem = error
        try:
            still = self._read_pillow(bare, page)
        except (UnidentifiedImageError, UnclearError):
            raise UnclearError(f"the picture is damaged: {_in_words(problem)}") from problem
        return replace(still, notes=(*still.notes, Note.BARE))

    def _read_jpeg(self) -> Still | None:
        decoded = decode_jpeg(self._content, self._path)
        if decoded is None:
            return None
        image, problem = decoded
        orientation, is_whole = jpeg_orientation(self._content)
        conversion, notes = self._conversion(jpeg_profile(self._content), "RGB")
        if conversion is None and Note.PROFILE_IGNORED in notes:  # TurboJPEG gives three channels of grey too
            conversion, notes = self._conversion(jpeg_profile(self._content), "L")
        if conversion is not None:
            _convert(image, conversion)
        told = (*notes_on(orientation), *notes, *([] if is_whole else [Note.BARE]))
        return Still(image=upright(image, orientation), problem=problem, notes=told)

    def _conversion(self, profile: bytes | None, mode: str) -> tuple[Conversion | None, tuple[Note, ...]]:
        if not profile or self._raw_colours:
            return None, ()
        try:
            conversion = conversion_from(profile, mode)
        except ProfileError:
            return None, (Note.PROFILE_IGNORED,)
        return conversion, (Note.COLOURS,) if conversion else ()

    def _read_pillow(self, content: bytes, page: int) -> Still:
        try:
            with LIFTED_LIMIT:
                picture = self._opened(content, page)
                try:
                    check_size(picture.height, picture.width, self._path)
                    orientation, is_whole = orientation_of(picture)
                    picture.load()
                    conversion, notes = self._conversion(picture.info.get("icc_profile"), picture.mode)
                    still = _to_rgb(picture, orientation, conversion)
                finally:
                    if picture is not self._sequence:
                        picture.close()
        except (UnidentifiedImageError, MediaError, MemoryError):
            self.close()
            raise
        except Exception as error:  # Pillow's readers raise what their formats' parsers happen to raise
            self.close()
            raise UnclearError(f"the picture is damaged: {_in_words(error)}") from error
        told = (*notes_on(orientation), *notes, *still.notes, *([] if is_whole else [Note.BARE]))
        return replace(still, notes=told)

    def _opened(self, content: bytes, page: int) -> PillowImage.Image:
        """The picture at a page, not yet loaded."""
        picture = self._sequence or PillowImage.open(io.BytesIO(content))
        if not page and self._sequence is None:
            return picture
        if picture.format in {"WEBP", "PNG"}:
            self._sequence = picture
        picture.seek(self._number_of(page))
        return picture

    def _number_of(self, page: int) -> int:
        if self._numbers is None:
            self._numbers = pages_inside(io.BytesIO(self._content))
        return self._numbers[page]

    def _read_opencv(self, page: int) -> Still:
        is_tiff = self._content.startswith(TIFF)
        try:
            array = np.frombuffer(self._content, np.uint8)
            if not is_tiff:
                is_file = self._content.startswith(_RADIANCE)
                image = _read_file(self._content) if is_file else cv2.imdecode(array, cv2.IMREAD_COLOR_RGB)
            else:
                number = self._number_of(page)
                _, images = cv2.imdecodemulti(array, cv2.IMREAD_UNCHANGED, range=(number, number + 1))
                image = images[0] if images else None
        except cv2.error as error:
            raise UnclearError(f"the picture cannot be decoded: {error.err}") from error
        except OSError as error:
            message = f"it has to be in the folder of temporary files to be decoded: {error.strerror}"
            raise MediaError(message, path=self._path) from error
        if image is None:
            raise UnclearError("this is no picture that Pillow or OpenCV can read")
        if not is_tiff:
            return Still(image=np.asarray(image, np.uint8))
        orientation = tiff_pages(io.BytesIO(self._content))[page].orientation
        return _from_tiff(np.asarray(image), orientation)


def read_picture(content: bytes, path: Path, *, page: int = 0, raw_colours: bool = False) -> Still:
    """One of the pictures in a file's content, upright; see `PictureFile.read`."""
    file = PictureFile(content, path, raw_colours=raw_colours)
    try:
        return file.read(page)
    finally:
        file.close()


def _reading_bytes(content: bytes) -> int:
    shape = look_inside(io.BytesIO(content), len(content))
    return len(content) * _UNKNOWN_PACKING if shape is None else shape.frame_bytes + shape.reading_bytes


def _read_file(content: bytes) -> NDArray[Any] | None:
    """Decodes what OpenCV reads from files alone.

    Given bytes, it would write them to a file that everybody may read, and leave that behind where it fails. The file
    here has no name, where the system knows such (Linux), so that not even a process that is killed leaves it.
    """
    nameless = Path("/proc/self/fd")
    with TemporaryFile() if nameless.exists() else NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        return cv2.imread(str(nameless / str(file.fileno())) if nameless.exists() else file.name, cv2.IMREAD_COLOR_RGB)


def _convert(image: Image, conversion: Conversion) -> None:
    """Changes the colours of a picture in place."""
    rows = max(1, _STRIP_BYTES // (4 * image.shape[1]))
    for top in range(0, len(image), rows):
        strip = PillowImage.fromarray(image[top : top + rows])
        image[top : top + rows] = np.asarray(conversion.apply(strip))


def _to_rgb(picture: PillowImage.Image, orientation: int, conversion: Conversion | None) -> Still:
    """Upright RGB, made strip by strip: whole copies of a picture would be most of what reading it takes."""
    size = (picture.height, picture.width)
    image = np.empty((*(size[::-1] if orientation in SIDEWAYS else size), 3), np.uint8)
    stored = as_stored(image, orientation)
    is_wide = picture.mode.startswith("I") or picture.mode == "F"
    scale = scale_of(np.asarray(strip) for _, strip in _strips(picture)) if is_wide else None
    for rows, strip in _strips(picture):
        stored[rows] = _strip_to_rgb(strip, conversion) if scale is None else _wide_to_rgb(strip, scale)
    return Still(image=image, notes=(Note.SCALED,) if scale is not None and scale.is_guess else ())


def _strips(picture: PillowImage.Image) -> Iterator[tuple[slice, PillowImage.Image]]:
    rows = max(1, _STRIP_BYTES // (4 * picture.width))
    for top in range(0, picture.height, rows):
        bottom = min(top + rows, picture.height)
        yield slice(top, bottom), picture.crop((0, top, picture.width, bottom))


def _wide_to_rgb(strip: PillowImage.Image, scale: Scale) -> Image:
    return grey_to_rgb(to_grey(np.asarray(strip), scale))


def _strip_to_rgb(strip: PillowImage.Image, conversion: Conversion | None) -> Image:
    if strip.has_transparency_data:
        layers = strip.convert("RGBA")
        if conversion is not None:
            alpha = layers.getchannel("A")
            layers = conversion.apply(layers.convert("RGB")).convert("RGBA")
            layers.putalpha(alpha)
        paper = PillowImage.new("RGBA", strip.size, "white")
        strip = PillowImage.alpha_composite(paper, layers)
    elif conversion is not None:
        strip = conversion.apply(strip)
    return np.asarray(strip.convert("RGB"))


def _from_tiff(values: NDArray[np.generic], orientation: int) -> Still:
    """What OpenCV gives of a TIFF that Pillow does not know: blue first, of any depth, as stored."""
    if values.ndim == 3:
        values = values[..., 2::-1] if values.shape[2] >= 3 else values[..., 0]
    height, width = values.shape[:2]
    image = np.empty((*((width, height) if orientation in SIDEWAYS else (height, width)), 3), np.uint8)
    stored = as_stored(image, orientation)
    rows = max(1, _STRIP_BYTES // (4 * width))
    parts = [slice(top, top + rows) for top in range(0, height, rows)]
    is_deep = values.dtype != np.uint8
    scale = scale_of(values[part] for part in parts) if is_deep else Scale(0, 255)
    for part in parts:
        shades = to_grey(values[part], scale)
        stored[part] = shades if shades.ndim == 3 else grey_to_rgb(shades)
    return Still(image=image, notes=(*notes_on(orientation), *([Note.SCALED] if scale.is_guess else [])))


def _in_words(error: Exception) -> str:
    """An error as it is told, the same each time."""
    return _OBJECT.sub("as it stands", str(error))
