"""What is gained, and lost, by looking at every K-th frame of a video and following faces between them.

    python benchmarks/sparse.py CLIP_OR_FOLDER [...] [--every 2,5,10,30] [--no-chips] [--no-align] [--detect NAME]

Each run is compared with one that looks at every frame: the seconds of the processor a frame, of all processes; the
share of its faces that are there (IoU of boxes at least 0.5), split by how long they are seen in a row; boxes that it
does not have; and how far landmarks of the same faces lie apart, as a share of the distance of the outer eye corners.
"""

import argparse
import os
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

import faceloom
from clock import processor_s
from faceloom.faces import Face, FrameId
from faceloom.geometry.boxes import iou
from faceloom.geometry.landmarks import outer_eye_distance

BRIEF_FRAMES = 12
"""A face that is seen in fewer frames in a row is brief."""
LEAST_IOU = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run over a clip."""

    faces: Mapping[FrameId, Sequence[Face]]
    frames: int
    looks: int
    seconds: float
    clock_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--every", default="2,5,10,30")
    parser.add_argument("--detect", default="yunet")
    parser.add_argument("--no-chips", action="store_true")
    parser.add_argument("--no-align", action="store_true", help="boxes alone")
    chosen = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n")
    print(
        "| clip | K | looks | CPU-ms a frame | times as fast | by the clock | recall | of brief faces | more boxes |"
        " landmarks moved, median | p95 |"
    )
    print("| --- " + "| ---: " * 10 + "|")
    for clip in chosen.clips:
        asked = {"detect": chosen.detect, "chips": not chosen.no_chips and not chosen.no_align}
        asked |= {"align": None, "mask": ()} if chosen.no_align else {}
        whole = run(clip, 1, asked)
        report(clip, 1, whole, whole)
        for every in map(int, chosen.every.split(",")):
            report(clip, every, run(clip, every, asked), whole)
    print(f"\nload {os.getloadavg()[0]:.1f}")


def run(clip: Path, every: int, asked: Mapping[str, Any]) -> Run:
    """Extracts into a folder that goes again."""
    with tempfile.TemporaryDirectory() as folder:
        before, began = processor_s(), monotonic()
        found = faceloom.extract(clip, Path(folder) / "out", detect_every=every, **asked)
        seconds, clock_s = processor_s() - before, monotonic() - began
        faces = {frame.id: frame.faces for frame in faceloom.open(Path(folder) / "out").frames()}
    looks = found.images.get(f"detect/{asked['detect']}", 0)
    return Run(faces=faces, frames=found.frames, looks=looks, seconds=seconds, clock_s=clock_s)


def report(clip: Path, every: int, one: Run, whole: Run) -> None:
    """Prints one row."""
    brief = brief_faces(whole.faces)
    there: dict[bool, list[bool]] = defaultdict(list)
    more, moved = 0, []
    for frame, truth in whole.faces.items():
        found = one.faces.get(frame, ())
        overlap = iou(boxes_of(truth), boxes_of(found)) if truth and found else np.zeros((len(truth), len(found)))
        more += int((overlap.max(axis=0, initial=0) < LEAST_IOU).sum())
        for i, face in enumerate(truth):
            best = int(overlap[i].argmax()) if len(found) else -1
            is_there = best >= 0 and overlap[i, best] >= LEAST_IOU
            there[(frame, i) in brief].append(is_there)
            ours, theirs = face.landmarks, found[best].landmarks if is_there else None
            if ours is not None and theirs is not None:
                apart = np.linalg.norm(ours - theirs, axis=1).mean()
                moved.append(float(apart / outer_eye_distance(ours[None])[0]))
    every_one = [*there[True], *there[False]]
    recall = f"{np.mean(every_one):.3f}" if every_one else "-"
    of_brief = f"{np.mean(there[True]):.3f} of {len(there[True])}" if there[True] else "-"
    median, p95 = np.percentile(moved, [50, 95]) if moved else (np.nan, np.nan)
    ms = 1000 * one.seconds / one.frames
    faster = (whole.seconds / whole.frames) / (one.seconds / one.frames)
    by_clock = whole.clock_s / one.clock_s
    print(
        f"| {clip.name} | {every} | {one.looks} | {ms:.1f} | {faster:.2f} | {by_clock:.2f} | {recall} | {of_brief} |"
        f" {more} | {median:.1%} | {p95:.1%} |",
        flush=True,
    )


def boxes_of(faces: Sequence[Face]) -> np.ndarray:
    """(N, 4)"""
    return np.stack([face.box for face in faces])


def brief_faces(faces: Mapping[FrameId, Sequence[Face]]) -> set[tuple[FrameId, int]]:
    """The faces that are seen in fewer than `BRIEF_FRAMES` frames in a row, by overlap from frame to frame."""
    runs: list[list[tuple[FrameId, int]]] = []
    open_runs: dict[tuple[FrameId, int], list[tuple[FrameId, int]]] = {}
    for frame in sorted(faces):
        before = type(frame)(frame.source, frame.index - 1)
        now = {}
        for i, face in enumerate(faces[frame]):
            others = faces.get(before, ())
            overlap = iou(face.box[None], boxes_of(others))[0] if others else np.zeros(0)
            best = int(overlap.argmax()) if len(overlap) else -1
            run = open_runs.get((before, best)) if best >= 0 and overlap[best] >= LEAST_IOU else None
            if run is None:
                run = []
                runs.append(run)
            run.append((frame, i))
            now[(frame, i)] = run
        open_runs |= now
    return {one for run in runs if len(run) < BRIEF_FRAMES for one in run}


if __name__ == "__main__":
    main()
