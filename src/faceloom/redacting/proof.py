"""Proof: detectors look at what was written, and what they find is matched with the faces that are to be seen."""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.api import extract
from faceloom.detect import Detector
from faceloom.errors import RequestError
from faceloom.events import OnEvent, Summary
from faceloom.flow import find_plugin
from faceloom.geometry.boxes import iou
from faceloom.redacting.messages import Box, Redacted
from faceloom.redacting.summary import StillFound
from faceloom.results.results import open as open_results
from faceloom.supervisor.inputs import ShouldStop

_SHARE_OF_SCORE = 0.75
_SAME_IOU = 0.3
"""From which on a face is one that is to be seen."""
PROOF = "proof"


def least_score(detector: str, asked: float | None) -> float:
    """The least score of a face in what was written.

    Raises:
        RequestError: there is no such detector.
    """
    plugin = find_plugin("detect", detector)
    if not issubclass(plugin, Detector):
        raise RequestError(f"{detector} is no detector that could look at what was written")
    return asked if asked is not None else round(_SHARE_OF_SCORE * plugin.min_score, 3)


def look_at_written(
    written: Path,
    proofs: Path,
    keys: Sequence[str],
    *,
    detectors: Mapping[str, float],
    options: Mapping[str, Any],
    on_event: OnEvent,
    should_stop: ShouldStop,
) -> tuple[dict[str, list[StillFound]], list[Summary]]:
    """What each detector finds in the files of a folder, by their names below it.

    Args:
        written: a folder of files.
        proofs: where result folders of the detectors lie; those of other files go.
        keys: which files there are: results of the same are gone on with.
        detectors: with the least score of each.
        options: of `extract`.
        on_event: told how it goes on.
        should_stop: asked now and then.
    """
    name = hashlib.sha256(repr((sorted(keys), sorted(detectors.items()))).encode()).hexdigest()[:12]
    for other in proofs.iterdir() if proofs.is_dir() else ():
        if other.name != name:
            shutil.rmtree(other, ignore_errors=True)
    found: dict[str, list[StillFound]] = {}
    summaries = []
    for detector, score in detectors.items():
        folder = proofs / name / detector
        folder.parent.mkdir(parents=True, exist_ok=True)
        told = {**options, "detect": detector, "min_score": score, "align": None, "chips": False}
        summaries.append(extract(written, folder, on_event=on_event, should_stop=should_stop, **told))
        for source, one in _still_found(folder, detector):
            found.setdefault(source, []).append(one)
    return found, summaries


def _still_found(folder: Path, detector: str) -> Iterator[tuple[str, StillFound]]:
    """The faces of a detector's result folder, each with the file that it is in."""
    with open_results(folder, raw=True) as results:
        for face in results.faces():
            x0, y0, x1, y1 = (float(value) for value in face.box)
            yield (
                face.frame.source,
                StillFound(
                    frame=face.frame.index,
                    time_s=None if face.time is None else float(face.time),
                    box=(x0, y0, x1, y1),
                    score=float(face.score),
                    detector=detector,
                ),
            )


def unexpected(found: Iterable[StillFound], redacted: Redacted) -> list[StillFound]:
    """Faces that were found but for those that are to be seen; frames are those of the original."""
    seen: dict[int, list[Box]] = {}
    for frame, box in redacted.seen:
        seen.setdefault(frame, []).append(box)
    return [one for one in _with_frames_of_original(found, redacted.lost) if not _is_among(one, seen.get(one.frame))]


def _is_among(one: StillFound, boxes: list[Box] | None) -> bool:
    if not boxes:
        return False
    others = np.array(boxes, np.float32)
    x, y = (one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2
    inside = (others[:, 0] <= x) & (x <= others[:, 2]) & (others[:, 1] <= y) & (y <= others[:, 3])
    return bool((inside & (iou(np.array([one.box], np.float32), others)[0] >= _SAME_IOU)).any())


def _with_frames_of_original(found: Iterable[StillFound], lost: Sequence[int]) -> Iterable[StillFound]:
    for one in found:
        frame = one.frame
        for gone in sorted(lost):
            frame += gone <= frame
        yield one if frame == one.frame else _at(one, frame)


def _at(one: StillFound, frame: int) -> StillFound:
    return StillFound(frame=frame, time_s=one.time_s, box=one.box, score=one.score, detector=one.detector)
