"""faceloom finds, aligns, masks and identifies the faces in images and video, inside a stated amount of memory.

`extract` writes a result folder, `open` reads it, and `stream` gives frames with their faces as they come:

    import faceloom

    faceloom.extract("holiday", "faces", memory="800MiB")
    with faceloom.open("faces") as results:
        for face in results.faces(min_score=0.8, min_size=80):
            print(face.frame, face.box, results.chip(face).shape)

    for frame in faceloom.stream("holiday/clip.mp4"):
        for face in frame.faces:
            print(frame.id, face.box, face.landmarks)

Everything that is raised on purpose is a `FaceloomError`. What is here is loaded when it is first used.
"""

import os

from faceloom.isolation import leave_current_folder, run_as_module

if run_as_module():  # before anything is imported that a file in the current folder could be taken for
    leave_current_folder()

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faceloom.api import chip as chip
    from faceloom.api import derive as derive
    from faceloom.api import extend as extend
    from faceloom.api import extract as extract
    from faceloom.api import passes as passes
    from faceloom.api import plan as plan
    from faceloom.api import profile as profile
    from faceloom.api import stream as stream
    from faceloom.api import where as where
    from faceloom.correcting import Corrections as Corrections
    from faceloom.correcting import corrections as corrections
    from faceloom.diagnosis.findings import Finding as Finding
    from faceloom.diagnosis.findings import Verdict as Verdict
    from faceloom.diagnosis.machine import doctor as doctor
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
    from faceloom.finding import FoundFace as FoundFace
    from faceloom.finding import PicturesFound as PicturesFound
    from faceloom.finding import Verification as Verification
    from faceloom.finding import find as find
    from faceloom.finding import verify as verify
    from faceloom.frame import Frame as Frame
    from faceloom.grouping import Person as Person
    from faceloom.grouping import group as group
    from faceloom.live_runs import PassRun as PassRun
    from faceloom.media.chip_files import read_chip_metadata as read_chip_metadata
    from faceloom.memory.footprints import Footprint as Footprint
    from faceloom.options.calls import ExtractOptions as ExtractOptions
    from faceloom.options.calls import PassesOptions as PassesOptions
    from faceloom.options.calls import StreamOptions as StreamOptions
    from faceloom.options.stages import FlowOptions as FlowOptions
    from faceloom.picking.pick import PickedFaces as PickedFaces
    from faceloom.picking.pick import pick as pick
    from faceloom.picking.sort import SortedFaces as SortedFaces
    from faceloom.picking.sort import sort as sort
    from faceloom.redacting.redact import redact as redact
    from faceloom.redacting.summary import RedactedItem as RedactedItem
    from faceloom.redacting.summary import RedactSummary as RedactSummary
    from faceloom.redacting.summary import StillFound as StillFound
    from faceloom.remaking import Remade as Remade
    from faceloom.remaking import remake as remake
    from faceloom.results.exporting import export as export
    from faceloom.results.faces import ResultFace as ResultFace
    from faceloom.results.faces import ResultFrame as ResultFrame
    from faceloom.results.results import FaceSelection as FaceSelection
    from faceloom.results.results import Results as Results
    from faceloom.results.results import open as open  # noqa: A004
    from faceloom.store.carrying import Carried as Carried
    from faceloom.store.checking import Checked as Checked
    from faceloom.store.checking import Flaw as Flaw
    from faceloom.store.checking import check as check
    from faceloom.store.corrections import Correction as Correction
    from faceloom.store.corrections import FaceAddress as FaceAddress
    from faceloom.store.corrections import Verb as Verb
    from faceloom.store.forgetting import Forgotten as Forgotten
    from faceloom.store.forgetting import forget as forget
    from faceloom.store.merging import Merged as Merged
    from faceloom.store.merging import merge as merge
    from faceloom.store.origins import Origin as Origin
    from faceloom.store.publishing import Published as Published
    from faceloom.store.publishing import publish as publish
    from faceloom.store.tracks import Shot as Shot
    from faceloom.store.tracks import Track as Track
    from faceloom.supervisor.forecast import Forecast as Forecast
    from faceloom.timelines.seen import SeenVideo as SeenVideo
    from faceloom.timelines.stretches import SeenFace as SeenFace
    from faceloom.timelines.stretches import Stretch as Stretch
    from faceloom.timelines.timeline import Timeline as Timeline
    from faceloom.timelines.timeline import timeline as timeline
    from faceloom.tracks import Tracked as Tracked
    from faceloom.tracks import track as track
    from faceloom.version import VERSION as __version__  # noqa: N811
    from faceloom.worker.passes import Pass as Pass

# ONNX Runtime 1.29 and later tells its maker of every session, file names and hashes of networks included, unless this
# is set before it is imported (microsoft/onnxruntime pull request 27379). Nothing of a run leaves the machine.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

_MODULES = {
    "faceloom.api": "chip derive extend extract passes plan profile stream where",
    "faceloom.correcting": "Corrections corrections",
    "faceloom.diagnosis.findings": "Finding Verdict",
    "faceloom.diagnosis.machine": "doctor",
    "faceloom.errors": "BudgetError FaceloomError MediaError RequestError StageError StoreError WeightsError",
    "faceloom.events": "Summary",
    "faceloom.faces": "Face FrameId",
    "faceloom.finding": "FoundFace PicturesFound Verification find verify",
    "faceloom.frame": "Frame",
    "faceloom.grouping": "Person group",
    "faceloom.live_runs": "PassRun",
    "faceloom.media.chip_files": "read_chip_metadata",
    "faceloom.memory.footprints": "Footprint",
    "faceloom.options.calls": "ExtractOptions PassesOptions StreamOptions",
    "faceloom.options.stages": "FlowOptions",
    "faceloom.picking.pick": "PickedFaces pick",
    "faceloom.remaking": "Remade remake",
    "faceloom.picking.sort": "SortedFaces sort",
    "faceloom.redacting.redact": "redact",
    "faceloom.redacting.summary": "RedactSummary RedactedItem StillFound",
    "faceloom.results.exporting": "export",
    "faceloom.results.faces": "ResultFace ResultFrame",
    "faceloom.results.results": "FaceSelection Results open",
    "faceloom.store.carrying": "Carried",
    "faceloom.store.checking": "Checked Flaw check",
    "faceloom.store.corrections": "Correction FaceAddress Verb",
    "faceloom.store.forgetting": "Forgotten forget",
    "faceloom.store.merging": "Merged merge",
    "faceloom.store.origins": "Origin",
    "faceloom.store.publishing": "Published publish",
    "faceloom.store.tracks": "Shot Track",
    "faceloom.supervisor.forecast": "Forecast",
    "faceloom.tracks": "Tracked track",
    "faceloom.timelines.seen": "SeenVideo",
    "faceloom.timelines.stretches": "SeenFace Stretch",
    "faceloom.timelines.timeline": "Timeline timeline",
    "faceloom.worker.passes": "Pass",
}
"""Public names by the module that they are in."""
_HOMES = {name: module for module, names in _MODULES.items() for name in names.split()}
__all__ = ["__version__", *_HOMES]

if not TYPE_CHECKING:  # so that a name that is not there is an error for type checkers too

    def __getattr__(name: str) -> object:
        """Public names are imported when they are first used, so that `import faceloom` costs nothing."""
        if name == "__version__":
            return import_module("faceloom.version").VERSION
        if name not in _HOMES:
            raise AttributeError(f"module 'faceloom' has no attribute {name!r}")
        return getattr(import_module(_HOMES[name]), name)
