"""Pillow without its limit of pixels, which would decide before MAX_PIXELS and is the whole process's."""

import threading
from types import TracebackType

from PIL import Image as PillowImage

# Pillow looks for its plugins when it meets a file that the usual ones do not know, and one that cannot be loaded then,
# for want of memory, is missing from there on.
PillowImage.preinit()
PillowImage.init()


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
