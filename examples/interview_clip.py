"""Interview clip: the landmarks of the largest face of each frame over time, as CSV, without any other file.

    python examples/interview_clip.py interview.mp4 > landmarks.csv

The first columns are the exact time in seconds, the score, and how far the mouth is open, in eye distances.
"""

import csv
import sys

import numpy as np

import faceloom

LEFT_EYE, RIGHT_EYE, UPPER_LIP, LOWER_LIP = slice(36, 42), slice(42, 48), 62, 66  # of the 68 points of iBUG


def width(face: faceloom.Face) -> float:
    """The width of a face's box in pixels."""
    return float(face.box[2] - face.box[0])


def main(video: str) -> None:
    """Prints a row for each frame in which there is a face."""
    rows = csv.writer(sys.stdout)
    rows.writerow(["time_s", "score", "mouth", *(f"{axis}{i}" for i in range(68) for axis in "xy")])
    for frame in faceloom.stream(video, mask=[]):
        face = max(frame.faces, key=width, default=None)
        if face is None or face.landmarks is None or frame.time is None:
            continue
        points = face.landmarks
        eyes = np.linalg.norm(points[LEFT_EYE].mean(axis=0) - points[RIGHT_EYE].mean(axis=0))
        mouth = np.linalg.norm(points[UPPER_LIP] - points[LOWER_LIP]) / eyes
        rows.writerow([f"{float(frame.time):.3f}", f"{face.score:.3f}", f"{mouth:.3f}", *points.ravel().round(2)])


if __name__ == "__main__":
    main(*sys.argv[1:])
