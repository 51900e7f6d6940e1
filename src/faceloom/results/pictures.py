"""Pictures of a result folder as arrays: chips from their files, masks from the store."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import StoreError
from faceloom.faces import Image
from faceloom.formats.record import MaskRecord
from faceloom.store.places import file_below
from faceloom.thumbnails import shrink

_MOST_CHIP_PX = 4096
_MOST_FILE_BYTES = 64 << 20


def read_chip(folder: Path, chip: str) -> Image:
    """The chip (S, S, 3) in a file that a result folder names.

    Raises:
        StoreError: the file is gone, or lies outside the folder.
        MediaError: it is no picture any more.
    """
    from faceloom.media.pictures import read_picture

    path = file_below(folder, chip)
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"the chip {path} cannot be read ({error.strerror}); faceloom derive cuts chips again"
        raise StoreError(message, path=path) from error
    still = read_picture(content, path, raw_colours=True)
    return still.image


def read_small_chip(folder: Path, chip: str, *, longest: int) -> Image:
    """The chip in a file that a result folder names, its longer side of so many pixels, or fewer if it has fewer.

    Raises:
        StoreError, MediaError: as `read_chip`.
    """
    path = file_below(folder, chip)
    small = _small_jpeg(path, longest) if path.suffix == ".jpg" else None
    return shrink(read_chip(folder, chip) if small is None else small, longest=longest)[..., :3]


def _small_jpeg(path: Path, longest: int) -> Image | None:
    """A JPEG decoded at a part of its size, which takes a quarter of the time; None: read it in another way."""
    import simplejpeg

    try:
        if path.stat().st_size > _MOST_FILE_BYTES:
            return None
        content = path.read_bytes()
        height, width, *_ = simplejpeg.decode_jpeg_header(content)
        if max(height, width) > _MOST_CHIP_PX:
            return None
        return np.asarray(simplejpeg.decode_jpeg(content, min_height=longest, min_width=longest), np.uint8)
    except (OSError, ValueError):
        return None


class StoredMasks(Mapping[str, NDArray[np.uint8]]):
    """The masks of a face by name, each decoded when it is asked for."""

    def __init__(self, masks: Mapping[str, MaskRecord]) -> None:
        self._masks = masks

    def __getitem__(self, name: str) -> NDArray[np.uint8]:
        try:
            return self._masks[name].pixels()
        except ValueError as error:
            raise StoreError(f"the store is damaged: {error}") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)

    def __repr__(self) -> str:
        return f"<{len(self)} masks: {', '.join(sorted(self))}>"
