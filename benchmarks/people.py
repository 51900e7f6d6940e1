"""Whether groups of faces can be trusted, and who is found: `python benchmarks/people.py [--only doubt]`.

Takes the 100 pictures of `lfw_subset_krasserm` as they are, and scaled so that the longer side of the face's box has 12
to 64 pixels, 25 of a size in one frame; and every second one made harder in the ways of `quality.py`. Prints the tables
of docs/people.md:

- doubt: of pairs of two strangers' faces that are of one quality, how many pass for one person's at the identifier's
  own threshold, and of faces and clean pictures of their person how many.
- groups: what grouping makes of them, every face counting, and with the faces that say too little left to nobody.
  BCubed (Bagga and Baldwin 1998): purity is the mean, over the faces that have a person, of the share of their group
  that is of their person; recall the mean, over all faces, of the share of their person's faces that are in their
  group. Faces of nobody count nothing for recall.
- pairs: what `faceloom verify` says of all pairs of portraits, and `faceloom find` of each portrait among the others:
  how often the person with the highest score is the right one.
- search: what it costs to look through result folders of so many faces (`--faces`), made by `large.py`, for one face:
  CPU seconds and peak memory of a process of its own, and of the same process that looks through none.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

import faceloom
from faceloom.faces import Face, Image
from faceloom.geometry.linkage import average_linkage
from faceloom.options.calls import LEAST_QUALITY
from faceloom.people.doubt import is_doubtful
from faceloom.people.searching import GallerySearch
from faceloom.people.thresholds import same_person_of
from faceloom.store.embeddings import EmbeddedFaces
from large import OUT, cost_of, made
from quality import found_by, probes_of
from truth import LFW, SHARED_DATA, load, markdown, picture_paths

SIZES_PX = (12, 14, 16, 18, 20, 24, 28, 32, 36, 40, 48, 64)
MOST_SMALL_PX = 40
LEAST_SMALL_PX = 12
PUPILS_PX = 18
ROW = 5
"""Pictures that are side by side in a frame of small ones, and rows of them."""
ROOM = 2.6
"""Of a picture in such a frame, in sides of its face."""
EDGES = (0, 0.2, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.01)

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Identification:
    """An identifier, and how it is called in tables."""

    told: str
    name: str
    options: Mapping[str, Any]


IDENTIFIERS = (
    Identification("dlib", "dlib", {}),
    Identification(
        "fr_feature", "arcface", {"weights": {"identify/arcface": SHARED_DATA.parent / "weights/fr_feature.onnx"}}
    ),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """Faces of known people, one row each."""

    embeddings: NDArray[np.float32]
    people: NDArray[np.str_]
    pictures: NDArray[np.int_]
    wanted_px: NDArray[np.int_]
    """How large each was made; 0: as it is; -1: made harder in another way."""
    qualities: Floats

    @cached_property
    def cosines(self) -> NDArray[np.float32]:
        return np.asarray(self.embeddings @ self.embeddings.T)

    @cached_property
    def strangers(self) -> Flags:
        return np.asarray(self.people[:, None] != self.people)

    @cached_property
    def mates(self) -> Flags:
        """(N, N) whether the second is a clean picture of the first one's person, and another picture."""
        same = ~self.strangers & (self.pictures[:, None] != self.pictures)
        return np.asarray(same & (self.wanted_px == 0))


def seen_by(one: Identification) -> Seen:
    """The faces that are found, with embeddings."""
    paths = picture_paths(SHARED_DATA / LFW)
    images = [load(path) for path in paths]
    boxes = np.stack([_nearest(frame).box for frame in faceloom.stream(images, mask=(), align=None)])
    rows: list[tuple[str, int, int, Face]] = []
    clean = faceloom.stream(images, mask=(), identify=one.name, **one.options)
    rows += [
        (path.parent.name, i, 0, _nearest(frame)) for i, (path, frame) in enumerate(zip(paths, clean, strict=True))
    ]
    frames, places = _small_frames(images, boxes)
    for found, (side, there) in zip(
        faceloom.stream(frames, mask=(), identify=one.name, **one.options), places, strict=True
    ):
        for i, middle in there:
            near = [face for face in found.faces if np.linalg.norm(_middle(face) - middle) < side / 2]
            rows += [(paths[i].parent.name, i, side, min(near, key=lambda face: -face.score))] if near else []
    harder = found_by(probes_of(SHARED_DATA), ("facemesh",), one.name, one.options)
    rows += [
        (probe.person, probe.number, -1, face)
        for probe, face, is_clean in zip(harder.probes, harder.faces, harder.is_clean, strict=True)
        if not is_clean
    ]
    return Seen(
        embeddings=np.stack([np.asarray(face.embedding) for *_, face in rows]),
        people=np.array([person for person, *_ in rows]),
        pictures=np.array([number for _, number, *_ in rows]),
        wanted_px=np.array([side for _, _, side, _ in rows]),
        qualities=np.array([face.quality for *_, face in rows], np.float64),
    )


def _middle(face: Face) -> Floats:
    return np.asarray(face.box.reshape(2, 2).mean(axis=0), np.float64)


def _nearest(frame: faceloom.Frame) -> Face:
    """The face nearest to the middle."""
    middle = np.array(frame.image.shape[1::-1]) / 2
    return min(frame.faces, key=lambda face: float(np.linalg.norm(_middle(face) - middle)))


_Places = tuple[int, list[tuple[int, Floats]]]


def _small_frames(images: Sequence[Image], boxes: NDArray[np.float32]) -> tuple[list[Image], list[_Places]]:
    """Frames of pictures that are scaled; the size of their faces, and which picture's face is where."""
    frames, places = list[Image](), list[_Places]()
    for side in SIZES_PX:
        room = round(ROOM * side)
        for start in range(0, len(images), ROW * ROW):
            frame = np.full((ROW * room, ROW * room, 3), 110, np.uint8)
            there: list[tuple[int, Floats]] = []
            for place, i in enumerate(range(start, min(start + ROW * ROW, len(images)))):
                scale = side / float((boxes[i, 2:] - boxes[i, :2]).max())
                small = cv2.resize(images[i], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:room, :room]
                corner = np.array([place % ROW, place // ROW]) * room
                frame[corner[1] : corner[1] + small.shape[0], corner[0] : corner[0] + small.shape[1]] = small
                there.append((i, boxes[i].reshape(2, 2).mean(axis=0) * scale + corner))
            frames.append(frame)
            places.append((side, there))
    return frames, places


def doubt_rows(told: str, seen: Seen, threshold: float) -> Iterator[tuple[str, ...]]:
    """By quality: faces, their size, and which shares of pairs pass for one person."""
    for low, high in pairwise(EDGES):
        kept = (seen.qualities >= low) & (seen.qualities < high)
        among = seen.cosines[np.ix_(kept, kept)][seen.strangers[np.ix_(kept, kept)]]
        against = seen.cosines[kept][seen.strangers[kept] & (seen.wanted_px == 0)]
        own = seen.cosines[kept][seen.mates[kept]]
        small = seen.wanted_px[kept & (seen.wanted_px > 0)]
        yield (
            told,
            f"{low:g} to {min(high, 1):g}",
            str(kept.sum()),
            f"{np.median(small):.0f}",
            *(f"{100 * float((some >= threshold).mean()):.2f}" for some in (among, against)),
            f"{100 * float((own >= threshold).mean()):.1f}",
        )


def sets_of(seen: Seen) -> Mapping[str, Flags]:
    """Faces that are grouped together, by what they are."""
    is_clean = seen.wanted_px == 0
    is_small = (seen.wanted_px >= LEAST_SMALL_PX) & (seen.wanted_px <= MOST_SMALL_PX)
    random = np.random.default_rng(1)
    one_each = np.zeros(len(seen.people), np.bool_)
    for picture in sorted(set(seen.pictures.tolist())):
        one_each[random.choice(np.flatnonzero(is_small & (seen.pictures == picture)))] = True
    pupils = is_small & (seen.wanted_px <= PUPILS_PX)
    front = np.isin(seen.people, sorted(set(seen.people.tolist()))[::2])
    return {
        "100 portraits": is_clean,
        "100 portraits, each at a size of 12 to 40 px": one_each,
        "both": is_clean | one_each,
        "all at 12 to 18 px": pupils,
        "five people large, five others at 12 to 18 px": (is_clean & front) | (pupils & ~front),
        "all at 12 to 40 px": is_small,
    }


def bcubed(people: NDArray[np.str_], labels: NDArray[np.intp]) -> tuple[float, float]:
    """Purity of the faces that have a label, recall of all; a label of -1 is none."""
    is_named = labels >= 0
    is_same = (labels[:, None] == labels) & is_named
    right = (is_same & (people[:, None] == people)).sum(axis=1)
    recall = float((right / (people[:, None] == people).sum(axis=1)).mean())
    purity = float((right[is_named] / is_same.sum(axis=1)[is_named]).mean()) if is_named.any() else 1.0
    return purity, recall


def group_rows(told: str, seen: Seen, threshold: float) -> Iterator[tuple[str, ...]]:
    """By set: of every face, and of those that say enough, the groups, purity, recall and how many have a person."""
    for what, kept in sets_of(seen).items():
        cells = []
        for least in (0.0, LEAST_QUALITY):
            labels = _grouped(seen.embeddings[kept], seen.qualities[kept], threshold=threshold, least=least)
            purity, recall = bcubed(seen.people[kept], labels)
            cells += [f"{purity:.3f}", f"{recall:.3f}", f"{100 * float((labels >= 0).mean()):.0f}"]
        yield told, what, str(kept.sum()), *cells


def _grouped(embeddings: NDArray[np.float32], qualities: Floats, *, threshold: float, least: float) -> NDArray[np.intp]:
    """(N,) labels as `faceloom group` makes groups of faces that are alone in their frames; -1: nobody's yet."""
    kept = ~is_doubtful(qualities, np.zeros(len(qualities)), least=least)
    labels = np.full(len(embeddings), -1)
    labels[kept] = average_linkage(embeddings[kept], threshold=threshold)
    return labels


def pair_rows(told: str, seen: Seen, threshold: float) -> Iterator[tuple[str, ...]]:
    """Shares of pairs that verify tells right, and of portraits that find names right."""
    clean = np.flatnonzero(seen.wanted_px == 0)
    cosines, people = seen.cosines[np.ix_(clean, clean)], seen.people[clean]
    upper = np.triu(np.ones_like(cosines, np.bool_), 1)
    same = people[:, None] == people
    right, wrong = cosines[same & upper] >= threshold, cosines[~same & upper] >= threshold
    ranked = [_named(seen.embeddings[clean], people, i, threshold) for i in range(len(clean))]
    shares = [f"{100 * float(np.mean([one == name for one, name in zip(ranked, people, strict=True)])):.1f}"]
    shares += [f"{100 * float(np.mean([one is None for one in ranked])):.1f}"]
    yield told, f"{100 * right.mean():.2f} of {len(right)}", f"{100 * wrong.mean():.2f} of {len(wrong)}", *shares


def _named(embeddings: NDArray[np.float32], people: NDArray[np.str_], i: int, threshold: float) -> str | None:
    """Whom `faceloom find` takes a face for, with all other faces in a result folder."""
    others = np.arange(len(people)) != i
    block = EmbeddedFaces(ids=np.flatnonzero(others), embeddings=embeddings[others], persons=people[others].tolist())
    search = GallerySearch(embeddings[i : i + 1], most=1)
    search.look_through(Path("others"), [block])
    (answer,) = search.answers()
    return answer.persons[0].person if answer.persons[0].score >= threshold else None


_SEARCH = """
import numpy as np, sys
from pathlib import Path
from faceloom.people.searching import GallerySearch
from faceloom.store.embeddings import read_embedded
search = GallerySearch(np.eye(1, 512, dtype=np.float32), most=5)
folders = [Path(name) for name in sys.argv[1:]]
print(sum(search.look_through(one, read_embedded(one, numbers=512)) for one in folders), list(search.answers()))
"""


def search_rows(faces: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """By number of faces CPU-seconds, seconds and peak memory, first of none."""
    for number in (0, *faces):
        folders = [str(made(OUT, number))] if number else []
        started = time.monotonic()
        cpu_s, peak_bytes = cost_of([sys.executable, "-c", _SEARCH, *folders])
        yield f"{number:,}", f"{cpu_s:.2f}", f"{time.monotonic() - started:.1f}", f"{peak_bytes / 2**20:.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["doubt", "groups", "pairs", "search"])
    parser.add_argument("--faces", default="10000,100000,1000000")
    chosen = parser.parse_args()
    if chosen.only in {None, "search"}:
        rows = search_rows([int(number) for number in chosen.faces.split(",")])
        print(markdown("Search", ("faces", "CPU-s", "seconds", "peak MiB"), list(rows)))
    if chosen.only == "search":
        return
    found = [(one.told, seen_by(one), same_person_of(f"identify/{one.name}") or 0.0) for one in IDENTIFIERS]
    if chosen.only in {None, "doubt"}:
        columns = "embedding, quality, faces, px (if small), strangers as one %, a stranger's clean face as theirs %"
        print(
            markdown(
                "Doubt",
                (*columns.split(", "), "their own as theirs %"),
                [row for one in found for row in doubt_rows(*one)],
            )
        )
    if chosen.only in {None, "pairs"}:
        columns = "embedding, one person's pairs accepted %, strangers' accepted %, found %, left to nobody %"
        print(markdown("Pairs", columns.split(", "), [row for one in found for row in pair_rows(*one)]))
    if chosen.only in {None, "groups"}:
        columns = "embedding, faces, number, purity if every face counts, recall, named %, purity, recall, named %"
        print(markdown("Groups", columns.split(", "), [row for one in found for row in group_rows(*one)]))


if __name__ == "__main__":
    main()
