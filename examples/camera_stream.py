"""Camera stream: faces of frames as they come, from a generator that need never end.

    python examples/camera_stream.py             the first camera, until Ctrl-C
    python examples/camera_stream.py clip.mp4    a file in a camera's place

Frames are yielded in order, up to eight at a time, and nothing of them is kept: memory stays what it was.
"""

import sys
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

import faceloom


def camera(device: str | int) -> Iterator[NDArray[np.uint8]]:
    """Yields pictures as (H, W, 3) uint8 RGB; anything that does can stand in its place."""
    capture = cv2.VideoCapture(device)
    try:
        while True:
            is_there, picture = capture.read()
            if not is_there:
                return
            yield np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)
    finally:
        capture.release()


def main(device: str | int = 0) -> None:
    """Says who looks at the camera."""
    for frame in faceloom.stream(camera(device), mask=[], max_faces=4, detect_size=640):
        looking = [face for face in frame.faces if face.pose and abs(face.pose.yaw) < 15 and abs(face.pose.pitch) < 15]
        print(f"frame {frame.id.index}: {len(looking)} of {len(frame.faces)} faces look here", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
