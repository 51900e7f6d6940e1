"""Small faces in pictures that no `--detect-size` reaches: what `--enlarge` finds in them, and what it costs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

import faceloom
from asked import Row, Table
from detect_size import Finder, agreed, small_faces
from faceloom.detect.centerface import CenterFace
from faceloom.detect.yunet import YuNet
from truth import LFW, BoxedPicture, Tally, dlib_faces, load, picture_paths, tally

FACTORS = (1.0, 1.25, 1.5, 2.0)
HEIGHTS_PX = (8, 10, 12, 16, 20, 24)
SHAPE = (576, 1024)
"""Of frames that are looked at as they are, whatever the detect size."""
UHD = (2160, 3840)
DETECTORS = ("yunet", "yunet_n", "centerface")


def enlarging(data: Path) -> Iterator[Table]:
    """Faces marked by people, and portraits scaled down, in frames and in tiles."""
    finders = [Finder.of(YuNet()), Finder.of(CenterFace())]
    portraits = [agreed(finders, load(path)) for path in picture_paths(data / LFW)]
    yield marked(data)
    small = [small_faces(portraits, height_px=px, shape=SHAPE) for px in HEIGHTS_PX]
    yield _by_height("Faces of so many pixels in 1024 x 576", small, tiles=None)
    large = [small_faces(portraits, height_px=px, shape=UHD) for px in HEIGHTS_PX]
    yield _by_height("Faces of so many pixels in 3840 x 2160, --tiles 640", large, tiles=640)


def marked(data: Path) -> Table:
    """Recall and precision on the faces of dlib's examples."""
    pictures = dlib_faces(data)
    rows = []
    for detect in DETECTORS:
        for factor in FACTORS:
            counts = _tally(pictures, detect, factor, tiles=None)
            cells = (detect, f"{factor:g}", str(counts.right), str(counts.wrong))
            rows.append(Row(cells=(*cells, f"{counts.recall:.3f}", f"{counts.precision:.3f}")))
    columns = ("detector", "--enlarge", "found", "false", "recall", "precision")
    return Table(title="Faces of dlib's examples, enlarged", columns=columns, rows=tuple(rows))


def _by_height(title: str, sets: Sequence[Sequence[BoxedPicture]], *, tiles: int | None) -> Table:
    rows = []
    for detect in DETECTORS if tiles is None else DETECTORS[:1]:
        for factor in FACTORS:
            counts = [_tally(pictures, detect, factor, tiles=tiles) for pictures in sets]
            false = str(sum(count.wrong for count in counts))
            rows.append(Row(cells=(detect, f"{factor:g}", *(f"{count.recall:.2f}" for count in counts), false)))
    columns = ("detector", "--enlarge", *(f"{px} px" for px in HEIGHTS_PX), "false, all together")
    return Table(title=title, columns=columns, rows=tuple(rows))


def _tally(pictures: Sequence[BoxedPicture], detect: str, factor: float, *, tiles: int | None) -> Tally:
    images = [picture.image for picture in pictures]
    frames = faceloom.stream(images, detect=detect, align=None, enlarge=factor, tiles=tiles)
    return tally(
        pictures, [np.array([face.box for face in frame.faces], np.float32).reshape(-1, 4) for frame in frames]
    )
