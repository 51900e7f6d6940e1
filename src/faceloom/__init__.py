"""faceloom finds, aligns, masks and identifies the faces in images and video, inside a stated amount of memory.

Example:
    import faceloom

    faceloom.extract("holiday", "faces")
    for frame in faceloom.stream("holiday/clip.mp4"):
        for face in frame.faces:
            print(frame.id, face.box, face.landmarks)
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faceloom.api import chip as chip
    from faceloom.api import derive as derive
    from faceloom.api import extend as extend
    from faceloom.api import extract as extract
    from faceloom.api import stream as stream
    from faceloom.api import where as where
    from faceloom.errors import BudgetError as BudgetError
    from faceloom.errors import FaceloomError as FaceloomError
    from faceloom.errors import MediaError as MediaError
    from faceloom.errors import RequestError as RequestError
    from faceloom.errors import StageError as StageError
    from faceloom.errors import StoreError as StoreError
    from faceloom.errors import WeightsError as WeightsError
    from faceloom.events import Summary as Summary
    from faceloom.faces import Face as Face
    from faceloom.faces import FrameId as FrameId
    from faceloom.frame import Frame as Frame
    from faceloom.grouping import Person as Person
    from faceloom.grouping import group as group
    from faceloom.media.chip_files import read_chip_metadata as read_chip_metadata
    from faceloom.options import FlowOptions as FlowOptions
    from faceloom.store.forgetting import Forgotten as Forgotten
    from faceloom.store.forgetting import forget as forget
    from faceloom.store.origins import Origin as Origin
    from faceloom.version import VERSION as __version__  # noqa: N811

# ONNX Runtime 1.29 and later tells its maker of every session, file names and hashes of networks included, unless this
# is set before it is imported (microsoft/onnxruntime pull request 27379). Nothing of a run leaves the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_ERRORS = (
    "BudgetError",
    "FaceloomError",
    "MediaError",
    "RequestError",
    "StageError",
    "StoreError",
    "WeightsError",
)
_HOMES = {
    **dict.fromkeys(("FlowOptions", "chip", "derive", "extend", "extract", "stream", "where"), "faceloom.api"),
    **dict.fromkeys(_ERRORS, "faceloom.errors"),
    **dict.fromkeys(("Face", "FrameId"), "faceloom.faces"),
    "Frame": "faceloom.frame",
    "read_chip_metadata": "faceloom.media.chip_files",
    "Summary": "faceloom.events",
    **dict.fromkeys(("Person", "group"), "faceloom.grouping"),
    **dict.fromkeys(("Forgotten", "forget"), "faceloom.store.forgetting"),
    "Origin": "faceloom.store.origins",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that `import faceloom` costs nothing."""
    if name == "__version__":
        return import_module("faceloom.version").VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'faceloom' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
