"""Pictures of a result folder as arrays: chips from their files, masks from the store."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceloom.errors import StoreError
from faceloom.faces import Image
from faceloom.formats.record import MaskRecord
from faceloom.store.places import file_below


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
