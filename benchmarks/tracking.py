"""Tracks, gaps and cuts on clips of real faces whose truth is known: `python benchmarks/tracking.py --peer PYTHON`.

Faces of `lfw_subset_krasserm` move over a background as each clip says: they cross, leave and come back, pass behind a
pillar, and there are cuts at which others are where they were. The truth is where the detector finds each face in its
own picture, moved along; a face counts where at least half of it is seen. `--peer` names the Python of an environment
with supervision 0.26, which still has ByteTrack, and motmetrics (benchmarks/peer_scripts/bytetrack.py).

Gaps: of the faces of the first clip a tenth is dropped at random, and runs of up to 12 frames of single tracks; what
comes back, and its overlap with what was dropped.
"""

import argparse
import json
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

import faceloom
from faceloom.faces import Image
from faceloom.geometry.boxes import iou
from truth import LFW, SHARED_DATA, markdown

HEIGHT, WIDTH, FPS = 360, 640, 25
Place = Callable[[int], tuple[float, float, float] | None]
"""Middle and side of a picture in a frame; None: it is not there."""
PEER_SCRIPT = Path(__file__).parent / "peer_scripts/bytetrack.py"


@dataclass(frozen=True)
class Actor:
    """Somebody in a clip."""

    picture: Image
    box: NDArray[np.float32]
    """Of the face, as shares of the picture."""
    place: Place


@dataclass(frozen=True)
class Shot:
    """What a camera shows for a while; later actors stand in front of earlier ones, and pillars before all."""

    frames: int
    ground: int
    actors: Sequence[Actor]
    pillars: Sequence[tuple[int, int]] = ()


def people(count: int) -> list[tuple[Image, NDArray[np.float32]]]:
    """A picture of each of so many people, and the face in it."""
    found = []
    paths = [sorted(folder.glob("*.jpg"))[0] for folder in sorted((SHARED_DATA / LFW).iterdir())]
    for frame in faceloom.stream(paths, align=None, mask=None):
        if frame.faces:
            height, width = frame.image.shape[:2]
            found.append((frame.image, frame.faces[0].box / np.array([width, height, width, height])))
    return [found[i % len(found)] for i in range(count)]


def line(x: float, y: float, dx: float, dy: float = 0, *, side: float = 170) -> Place:
    return lambda i: (x + dx * i, y + dy * i, side)


def there(place: Place, gone: range) -> Place:
    return lambda i: None if i in gone else place(i)


def turning(x: float, y: float, dx: float, at: int) -> Place:
    return lambda i: (x + dx * (i if i < at else 2 * at - i), y, 170)


def clips() -> dict[str, list[Shot]]:
    """The clips by name."""
    who = people(10)

    def cast(*places: Place, first: int = 0) -> list[Actor]:
        return [Actor(*who[(first + i) % len(who)], place) for i, place in enumerate(places)]

    crossing = cast(line(60, 120, 5), line(580, 140, -5), line(60, 250, 4), line(580, 240, -4.5))
    leaving = cast(
        line(100, 120, 7),
        lambda i: (560 - 10 * min(i, 130 - i), 240, 170),
        there(line(300, 110, 0.5), range(40, 60)),
    )
    behind = cast(line(40, 110, 5), turning(100, 250, 5.2, 44), turning(540, 250, -5.2, 44))
    shots = [
        Shot(40, 90, cast(line(150, 180, 1), line(450, 180, -1))),
        Shot(40, 150, cast(line(190, 180, 1), line(410, 180, -1), first=2)),
        Shot(40, 100, cast(line(150, 180, 1.5), line(450, 180, 0), first=4)),
    ]
    return {
        "crossing": [Shot(110, 110, crossing)],
        "leaving": [Shot(130, 130, leaving)],
        "behind a pillar": [Shot(100, 120, behind, pillars=((280, 360),))],
        "cuts": shots,
    }


def background(value: int) -> Image:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([value + x / 20, value + y / 10, value + (x + y) / 30], axis=2).astype(np.uint8)


def drawn(shot: Shot, index: int) -> tuple[Image, dict[int, NDArray[np.float32]]]:
    """A frame, and the faces of which at least half is seen, by the places of their actors."""
    image = background(shot.ground)
    owner = np.full((HEIGHT, WIDTH), -1)
    boxes = {}
    for number, actor in enumerate(shot.actors):
        place = actor.place(index)
        if place is None:
            continue
        x, y, side = place
        scale = side / actor.picture.shape[0]
        matrix = np.array([[scale, 0, x - side / 2], [0, scale, y - side / 2]])
        mask = cv2.warpAffine(np.full(actor.picture.shape[:2], 255, np.uint8), matrix, (WIDTH, HEIGHT)) > 127
        image[mask] = cv2.warpAffine(actor.picture, matrix, (WIDTH, HEIGHT))[mask]
        owner[mask] = number
        boxes[number] = (actor.box * side + np.array([x, y, x, y]) - side / 2).astype(np.float32)
    for left, right in shot.pillars:
        image[:, left:right] = 60
        owner[:, left:right] = -2
    return image, {number: box for number, box in boxes.items() if seen_share(owner, number, box) >= 0.5}


def seen_share(owner: NDArray[np.intp], number: int, box: NDArray[np.float32]) -> float:
    x0, y0, x1, y1 = np.rint(box).astype(int)
    part = owner[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)]
    return int((part == number).sum()) / max(1, int((x1 - x0) * (y1 - y0)))


def write(path: Path, shots: Sequence[Shot]) -> list[str]:
    """Writes a clip; its truth as lines of MOTChallenge, in which each actor of each shot is a track."""
    lines: list[str] = []
    frame, first = 0, 0
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS, options={"crf": "18"})
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for shot in shots:
            for index in range(shot.frames):
                image, boxes = drawn(shot, index)
                picture = av.VideoFrame.from_ndarray(image, "rgb24")
                picture.pts, picture.time_base = frame, Fraction(1, FPS)
                file.mux(stream.encode(picture))
                for number, (x0, y0, x1, y1) in boxes.items():
                    lines.append(f"{frame + 1},{first + number + 1},{x0 + 1},{y0 + 1},{x1 - x0},{y1 - y0},1,-1,-1,-1")
                frame += 1
            first += len(shot.actors)
        file.mux(stream.encode(None))
    return lines


def tracks_of(folder: Path) -> str:
    """What was found and what is in tracks, as MOTChallenge has it; faces that nobody saw are left out."""
    out = folder / "mot"
    faceloom.export(folder, "mot", out=out, found_only=True)
    (text,) = (path.read_text() for path in out.iterdir())
    shutil.rmtree(out)
    return text


def compare(work: Path, peer: str) -> Iterator[list[str]]:
    for name, shots in clips().items():
        clip = work / f"{name.replace(' ', '_')}.mp4"
        (work / "truth.txt").write_text("\n".join(write(clip, shots)) + "\n")
        told = {}
        for identify in (None, "arcface"):
            folder = work / f"{clip.stem}-{identify}"
            faceloom.extract(
                clip, folder, chips=False, mask=None, identify=identify, track=True, weights=weights(identify)
            )
            told[f"ours{f', {identify}' if identify else ''}"] = tracks_of(folder)
            if name == "cuts":
                crossed = across_cuts(folder, shots)
        cells = (line.split(",") for line in told["ours"].splitlines())
        bare = [",".join([some[0], "-1", *some[2:]]) for some in cells]
        (work / "bare.txt").write_text("\n".join(bare) + "\n")
        subprocess.run([peer, str(PEER_SCRIPT), str(work / "bare.txt"), str(work / "peer.txt")], check=True)
        told["ByteTrack"] = (work / "peer.txt").read_text()
        for whose, text in told.items():
            (work / "told.txt").write_text(text)
            command = [peer, str(PEER_SCRIPT), "--judge", str(work / "truth.txt"), str(work / "told.txt")]
            judged = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            yield [name, whose, f"{judged['idf1']:.3f}", f"{judged['num_switches']:.0f}", f"{judged['num_misses']:.0f}"]
    print(f"tracks across a cut: {crossed}")


def weights(identify: str | None) -> dict[str, Path]:
    return {"identify/arcface": SHARED_DATA.parent / "weights/fr_feature.onnx"} if identify == "arcface" else {}


def across_cuts(folder: Path, shots: Sequence[Shot]) -> int:
    starts = np.cumsum([shot.frames for shot in shots])[:-1]
    with faceloom.open(folder) as results:
        return sum(any(track.first < start <= track.last for start in starts) for track in results.tracks())


def gaps(folder: Path) -> list[list[str]]:
    """What comes back of faces that are dropped."""
    with faceloom.open(folder) as results:
        faces = [face for face in results if face.mark is None]
    rng = random.Random(1)
    dropped = {(face.frame.index, face.index): face for face in faces if rng.random() < 0.1}
    last = max(face.frame.index for face in faces)
    for track in sorted({face.track for face in faces if face.track}):
        first, length = rng.randrange(5, last - 20), rng.randint(3, 12)
        run = [face for face in faces if face.track == track and first <= face.frame.index < first + length]
        dropped |= {(face.frame.index, face.index): face for face in run}
    with closing(sqlite3.connect(folder / "faceloom.sqlite")) as db:
        db.execute("PRAGMA foreign_keys = ON")
        db.executemany("DELETE FROM face WHERE frame_idx = ? AND idx = ?", list(dropped))
        db.commit()
    faceloom.track(folder)
    with faceloom.open(folder) as results:
        made = [face for face in results if face.mark is not None]
    rows = []
    for mark in ("filled", "interpolated", "both"):
        some = [face for face in made if mark in {face.mark, "both"}]
        of_frames = {face.frame: [one.box for one in some if one.frame == face.frame] for face in dropped.values()}
        best = [overlap(face.box, of_frames[face.frame]) for face in dropped.values()]
        good = [value for value in best if value >= 0.5]
        rows.append(
            [mark, str(len(dropped)), f"{len(good) / len(dropped):.3f}", f"{np.mean(good):.3f}" if good else "-"]
        )
    return rows


def overlap(box: NDArray[np.float32], others: Sequence[NDArray[np.float32]]) -> float:
    return float(iou(box[None], np.array(others, np.float32))[0].max()) if others else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True, help="Python with supervision and motmetrics")
    parser.add_argument("--work", type=Path, required=True, help="a folder for clips and results")
    chosen = parser.parse_args()
    chosen.work.mkdir(parents=True)
    rows = list(compare(chosen.work, chosen.peer))
    print(markdown("Tracks", ["clip", "tracks", "IDF1", "switches", "misses"], rows))
    columns = ["comes back as", "dropped", "share at IoU 0.5", "mean IoU"]
    print(markdown("Gaps", columns, gaps(chosen.work / "crossing-None")))


if __name__ == "__main__":
    main()
