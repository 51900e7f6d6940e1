"""Pillow with what it lacks: decoders of more formats, and no limit of pixels.

Its limit would decide before MAX_PIXELS, and is the whole process's.
"""

import threading
from functools import cache
from types import TracebackType

from PIL import Image as PillowImage

from faceloom.media.shortage import raise_if_short
from faceloom.units import MIB

PillowImage.preinit()
_USUAL = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"BM", *(b"P%d" % number for number in range(1, 7)))
"""How a picture begins that Pillow knows then: JPEG, PNG, GIF, BMP, PPM."""
_OTHERS_BYTES = 4 * MIB
"""More than the rest of its plugins ever takes (measured: 3)."""

JXL = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
"""How a JPEG XL begins: a codestream, or boxes."""


class MissingDecoderError(Exception):
    """A format that nothing installed can read; the message says what to install."""


def know_format_of(head: bytes) -> None:
    """Has Pillow know the format of a picture that begins so, where that takes more than it begins with.

    Raises:
        MissingDecoderError: it takes another package, which is not installed.
        MemoryError: there is too little memory to look for it.
    """
    if not head.startswith(_USUAL):
        know_other_formats()
    if head[4:8] == b"ftyp":
        _know_heif()
    elif head.startswith(JXL):
        _know_jxl()


@cache
def know_other_formats() -> None:
    """Has Pillow know every format that it has a plugin for, which takes as long to import as all the rest of it.

    Pillow would look for them by itself when it meets a file that it does not know, and one that cannot be loaded then,
    for want of memory, would be missing from there on.

    Raises:
        MemoryError: there is too little.
    """
    raise_if_short(_OTHERS_BYTES)
    PillowImage.init()


@cache
def _know_heif() -> None:
    import pi_heif

    pi_heif.options.DECODE_THREADS = 1  # workers share the cores already
    pi_heif.register_heif_opener()


@cache
def _know_jxl() -> None:
    try:
        from pillow_jxl import JpegXLImagePlugin
    except ImportError as error:
        message = "this is JPEG XL, and its decoder is not installed: pip install 'faceloom[jxl]'"
        raise MissingDecoderError(message) from error
    JpegXLImagePlugin.DECODE_THREADS = 0  # workers share the cores already


class _LiftedLimit:
    """Lifts the limit while any thread is inside, and puts back what was there: it belongs to whoever imports us."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._theirs: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._theirs, PillowImage.MAX_IMAGE_PIXELS = PillowImage.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                PillowImage.MAX_IMAGE_PIXELS = self._theirs


LIFTED_LIMIT = _LiftedLimit()
"""`with LIFTED_LIMIT:` around everything that Pillow opens or loads."""
