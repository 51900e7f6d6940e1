"""Tracks of the ByteTrack of `supervision` on the same detections, and what all tracks are worth by py-motmetrics.

    python bytetrack.py DETECTIONS.txt OUT.txt              (MOTChallenge lines; tracks instead of -1)
    python bytetrack.py --judge TRUTH.txt TRACKS.txt        prints IDF1, switches, misses and false positives as JSON

Runs in an environment of its own: pip install "supervision<0.27" motmetrics (later ones have no ByteTrack).
"""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np


def lines_of(path: Path) -> np.ndarray:
    return np.array([[float(cell) for cell in line.split(",")[:7]] for line in path.read_text().splitlines()])


def track(detections: Path, out: Path) -> None:
    supervision = import_module("supervision")
    lines = lines_of(detections)
    tracker = supervision.ByteTrack(frame_rate=25, lost_track_buffer=25)
    written = []
    for frame in range(1, int(lines[:, 0].max()) + 1):
        of_frame = lines[lines[:, 0] == frame]
        boxes = np.hstack([of_frame[:, 2:4], of_frame[:, 2:4] + of_frame[:, 4:6]])
        found = supervision.Detections(
            xyxy=boxes.reshape(-1, 4), confidence=of_frame[:, 6], class_id=np.zeros(len(of_frame), int)
        )
        tracked = tracker.update_with_detections(found)
        for box, number in zip(tracked.xyxy, tracked.tracker_id, strict=True):
            x0, y0, x1, y1 = box
            written.append(f"{frame},{number},{x0},{y0},{x1 - x0},{y1 - y0},1,-1,-1,-1")
    out.write_text("\n".join(written) + "\n")


def judge(truth: Path, tracks: Path) -> None:
    vars(np)["asfarray"] = np.asarray  # py-motmetrics 1.4 asks for it, and NumPy 2 has it no more
    motmetrics = import_module("motmetrics")
    real, found = lines_of(truth), lines_of(tracks)
    accumulator = motmetrics.MOTAccumulator(auto_id=True)
    for frame in range(1, int(max(real[:, 0].max(), found[:, 0].max())) + 1):
        one, other = real[real[:, 0] == frame], found[found[:, 0] == frame]
        distances = motmetrics.distances.iou_matrix(one[:, 2:6], other[:, 2:6], max_iou=0.5)
        accumulator.update(one[:, 1].astype(int), other[:, 1].astype(int), distances)
    names = ["idf1", "num_switches", "num_misses", "num_false_positives", "num_fragmentations"]
    summary = motmetrics.metrics.create().compute(accumulator, metrics=names)
    print(json.dumps({name: float(summary[name].iloc[0]) for name in names}))


if __name__ == "__main__":
    if sys.argv[1] == "--judge":
        judge(Path(sys.argv[2]), Path(sys.argv[3]))
    else:
        track(Path(sys.argv[1]), Path(sys.argv[2]))
