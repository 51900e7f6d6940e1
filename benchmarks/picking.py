"""What `faceloom pick` takes of a clip, against every n-th face and the best faces: `python benchmarks/picking.py`.

The faces are those of clips of people who turn their heads. Each way takes the same number. The tables say in how many
cells of a grid over yaw and pitch there is one of its faces, of all cells in which there is any; the median and the
least quality; and how many of its faces are near duplicates of another one. `--sheets DIR` writes a contact sheet for
each way. `--hashes` has the table by which near duplicates are told: how many bits of the hash differ between chips of
LFW and their copies, and between different pictures.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import faceloom
from faceloom.media.chip_files import encode_jpeg
from faceloom.picking.choosing import bin_of, edges_of
from faceloom.picking.columns import FaceColumns, read_chips, read_columns
from faceloom.picking.looks import differing_bits, look_at
from faceloom.picking.pick import SAME_BITS
from faceloom.results.filters import EVERY, FaceFilter
from faceloom.results.sheets import tiled
from faceloom.store.view import connect_corrected
from truth import SHARED_DATA, markdown, picture_paths

CLIPS = ("preview/head-pose-face-detection-female-and-male.gif", "asl_gestures/sister.mkv", "asl_gestures/learn.mkv")
LFW = SHARED_DATA / "lfw_subset_krasserm/images"
COUNTS = (12, 24)
GRID = {"yaw": 7, "pitch": 5}
ACROSS, SIZE = 12, 64
COPIES: Mapping[str, str] = {
    "JPEG of quality 40": "q40.jpg",
    "60 % of the side": "small.png",
    "15 % more contrast, edges cut off": "cut.jpg",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--hashes", action="store_true")
    parser.add_argument("--folder", type=Path, help="a result folder, in place of the clips")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if chosen.hashes:
            print(hash_table(Path(scratch)))
            return
        folder = chosen.folder or extracted(Path(scratch))
        for source in sources_of(folder):
            compare(folder, source, Path(scratch), chosen.sheets)


def extracted(scratch: Path) -> Path:
    clips = [SHARED_DATA / "intel_sample_videos" / clip for clip in CLIPS]
    faceloom.extract(clips, scratch / "faces", size=256, mask=[], identify="dlib")
    return scratch / "faces"


def sources_of(folder: Path) -> tuple[str, ...]:
    with faceloom.open(folder) as results:
        return results.sources


def compare(folder: Path, source: str, scratch: Path, sheets: Path | None) -> None:
    with connect_corrected(folder) as db:
        columns = read_columns(db, FaceFilter(sources=(source,)))
        chips = list(read_chips(db, columns.ids))
    looks = look_at(folder, chips, count=len(columns))
    cells = cells_of(columns)
    rows = []
    for count in COUNTS:
        for name, places in ways(folder, source, columns, count, scratch).items():
            quality = columns.numbers["quality"][places]
            covered = f"{len(set(cells[places].tolist()))} of {len(set(cells.tolist()))}"
            copies = sum(
                bool((differing_bits(looks.hashes[places[:i]], looks.hashes[row]) <= SAME_BITS).any())
                for i, row in enumerate(places)
            )
            rows.append([str(count), name, covered, f"{np.median(quality):.2f}", f"{quality.min():.2f}", str(copies)])
            if sheets is not None and count == COUNTS[1]:
                sheets.mkdir(exist_ok=True)
                sheet = tiled(folder, [chips[i] for i in places], across=ACROSS, size=SIZE)
                stem = f"{Path(source).stem}-{name.split(',')[0].replace(' ', '-')}.jpg"
                (sheets / stem).write_bytes(encode_jpeg(sheet))
    head = ["faces", "taken", "cells of yaw and pitch", "median quality", "least", "near duplicates"]
    print(markdown(f"{source}, {len(columns):,} faces", head, rows))


def cells_of(columns: FaceColumns) -> NDArray[np.intp]:
    """The cell of the grid in which each face is: over the poses that there are, as wide as each other."""
    cells = np.zeros(len(columns), np.intp)
    for key, number in GRID.items():
        values = columns.numbers[key]
        cells = cells * (number + 1) + bin_of(values, edges_of(values, number))
    return cells


def ways(folder: Path, source: str, columns: FaceColumns, count: int, scratch: Path) -> dict[str, NDArray[np.intp]]:
    """The rows of faces that each way takes."""
    every = np.unique(np.linspace(0, len(columns) - 1, count).round().astype(np.intp))
    best = np.argsort(-columns.numbers["quality"], kind="stable")[:count]
    return {
        "every n-th face": every,
        "best quality": best,
        "pick": picked(folder, source, columns, count, scratch, {}),
        "pick, bins of yaw and pitch": picked(folder, source, columns, count, scratch, dict(GRID)),
        "the same with duplicates": picked(folder, source, columns, count, scratch, dict(GRID), duplicates=True),
    }


def picked(
    folder: Path,
    source: str,
    columns: FaceColumns,
    count: int,
    scratch: Path,
    bins: dict[str, int],
    *,
    duplicates: bool = False,
) -> NDArray[np.intp]:
    out = scratch / f"{Path(source).stem}-{count}-{len(bins)}-{duplicates}.jsonl"
    faceloom.pick(folder, out, best=count, each="source", as_="list", bins=bins, duplicates=duplicates)
    places = {
        place: row for row, place in enumerate(zip(columns.frames.tolist(), columns.indexes.tolist(), strict=True))
    }
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return np.array([places[one["frame"], one["index"]] for one in lines if one["source"] == source], np.intp)


def hash_table(scratch: Path) -> str:
    """Bits of the hash that differ between chips of LFW and their copies, and between different pictures."""
    (scratch / "pictures").mkdir()
    for path in picture_paths(LFW):
        write_copies(path, scratch / "pictures")
    faceloom.extract(scratch / "pictures", scratch / "faces", size=256, mask=[], max_faces=1)
    with connect_corrected(scratch / "faces") as db:
        columns = read_columns(db, EVERY)
        looks = look_at(scratch / "faces", read_chips(db, columns.ids), count=len(columns))
    pictures = [columns.source_names[code].split(".")[0] for code in columns.sources.tolist()]
    kinds = [columns.source_names[code].split(".", 1)[1] for code in columns.sources.tolist()]
    bits: dict[str, list[int]] = {name: [] for name in (*COPIES, "different pictures")}
    for row, (picture, kind) in enumerate(zip(pictures, kinds, strict=True)):
        for other, apart in enumerate(differing_bits(looks.hashes[:row], looks.hashes[row]).tolist()):
            if picture != pictures[other]:
                bits["different pictures"].append(apart)
            elif "png" in (kind, kinds[other]):
                same = {kind, kinds[other]} - {"png"}
                bits[next(name for name, suffix in COPIES.items() if suffix in same)].append(apart)
    rows = [
        [name, f"{len(some):,}", *(f"{np.percentile(some, q):.0f}" for q in (0, 50, 90, 100)), within(some)]
        for name, some in bits.items()
    ]
    return markdown("Bits of 256 that differ", ["", "pairs", "least", "median", "90 %", "most", "found"], rows)


def within(bits: list[int]) -> str:
    return f"{np.mean(np.array(bits) <= SAME_BITS):.1%}"


def write_copies(path: Path, folder: Path) -> None:
    image = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR))
    cv2.imwrite(str(folder / f"{path.stem}.png"), image)
    cv2.imwrite(str(folder / f"{path.stem}.q40.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 40])
    small = cv2.resize(image, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / f"{path.stem}.small.png"), small)
    cut = cv2.convertScaleAbs(image, alpha=1.15, beta=10)[10:-5, 8:-12]
    cv2.imwrite(str(folder / f"{path.stem}.cut.jpg"), cut)


if __name__ == "__main__":
    main()
