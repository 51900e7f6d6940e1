"""Whether anything grows, slows or leaks: `python benchmarks/load.py [--frames 20000]`.

One run over small frames with six faces each, half of them in a video and half in pictures, is watched from outside:
what its processes hold, their descriptors and threads; and from inside: when each chunk was committed, how long that
took and how large the store was then. Told by tenths of the run. Then `show` and `export` over the whole store.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

SHAPE = (360, 640)
HEADS = 6
SCENES = 100
EVERY_S = 0.5
TENTHS = 10
GROWTH = 1.05
COMING_AND_GOING = 3
"""Descriptors, threads or MiB that may be there at one look and not at another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A chunk that has just been committed."""

    at_s: float
    took_s: float
    frames: int
    faces: int
    store_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A process at one moment."""

    at_s: float
    is_supervisor: bool
    held_mib: float
    descriptors: int
    threads: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=20000)
    parser.add_argument("--run", nargs=2, metavar=("INPUTS", "OUT"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.run:
        supervise(*map(Path, chosen.run))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        inputs, out = Path(folder) / "in", Path(folder) / "out"
        write_inputs(inputs, chosen.frames)
        samples, told = watch([sys.executable, __file__, "--run", str(inputs), str(out)])
        commits = [Commit(**commit) for commit in told["commits"]]
        is_flat = report(commits, samples, told["summary"])
        report_reading(out, faces=told["summary"]["faces"])
    return 0 if is_flat else 1


def write_inputs(folder: Path, frames: int) -> None:
    """A video of half of the frames, and as many pictures; both go through the same scenes again and again."""
    import av

    from faceloom.media.chip_files import encode_jpeg

    folder.mkdir()
    scenes = list(_scenes())
    jpegs = [encode_jpeg(scene) for scene in scenes]
    for i in range(frames // 2):
        (folder / f"{i // 1000:03}").mkdir(exist_ok=True)
        (folder / f"{i // 1000:03}" / f"{i:06}.jpg").write_bytes(jpegs[i % SCENES])
    with av.open(str(folder / "video.mp4"), "w") as container:
        video = container.add_stream("libx264", rate=30, options={"crf": "23", "preset": "ultrafast", "g": "60"})
        video.height, video.width = SHAPE
        video.pix_fmt = "yuv420p"
        for i in range(frames - frames // 2):
            frame = av.VideoFrame.from_ndarray(scenes[i % SCENES], "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 30)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


def _scenes() -> Iterator[Any]:
    import cv2
    import numpy as np

    from faceloom.models.catalog import CATALOG
    from faceloom.models.weights import WeightCache
    from faceloom.samples import Head, compose

    path = WeightCache.of_user().pull(CATALOG["astronaut"])
    portrait = np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)
    for scene in range(SCENES):
        phase = 2 * np.pi * scene / SCENES
        heads = [
            Head(
                x=SHAPE[1] * (0.18 + 0.32 * (i % 3)) + 10 * np.sin(phase + i),
                y=SHAPE[0] * (0.27 + 0.48 * (i // 3)) + 8 * np.cos(phase + 2 * i),
                scale=0.5,
                angle_deg=12 * np.sin(phase + i),
                mirrored=i % 2 == 1,
                light=0.8 + 0.06 * i,
            )
            for i in range(HEADS)
        ]
        yield compose(portrait, heads, shape=SHAPE)


def supervise(inputs: Path, out: Path) -> None:
    """The run itself, with a look at each commit; prints what was seen as JSON."""
    import faceloom
    from faceloom.store.rows import ChunkRows
    from faceloom.store.store import Store

    commits: list[Commit] = []
    commit = Store.commit

    def watched(store: Store, rows: ChunkRows) -> None:
        started = time.monotonic()
        commit(store, rows)
        ended = time.monotonic()
        size = sum(path.stat().st_size for path in out.glob("faceloom.sqlite*"))
        counts = {"frames": len(rows.frames), "faces": len(rows.faces)}
        commits.append(Commit(at_s=ended, took_s=ended - started, store_bytes=size, **counts))

    Store.commit = watched  # type: ignore[assignment,method-assign]
    summary = faceloom.extract(inputs, out, size=64, mask_size=64)
    print(json.dumps({"commits": [asdict(commit) for commit in commits], "summary": summary.to_json()}))


def watch(command: Sequence[str]) -> tuple[list[Sample], dict[str, Any]]:
    """Looks at a command and its children until it ends; what it prints."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    samples: list[Sample] = []
    is_over = threading.Event()

    def look() -> None:
        while not is_over.wait(EVERY_S):
            samples.extend(_look(process.pid))

    watcher = threading.Thread(target=look)
    watcher.start()
    text, _ = process.communicate()
    is_over.set()
    watcher.join()
    if process.returncode:
        sys.exit(f"the run ended with {process.returncode}")
    told: dict[str, Any] = json.loads(text)
    return samples, told


def _look(pid: int) -> Iterator[Sample]:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    now = time.monotonic()
    try:
        pids = [pid, *map(int, children.read_text().split())]
    except OSError:
        return
    for one in pids:
        try:
            status = Path(f"/proc/{one}/status").read_text()
            yield Sample(
                at_s=now,
                is_supervisor=one == pid,
                held_mib=int(status.partition("VmRSS:")[2].split()[0]) / 1024,
                descriptors=len(list(Path(f"/proc/{one}/fd").iterdir())),
                threads=int(status.partition("Threads:")[2].split()[0]),
            )
        except (OSError, IndexError):  # it has just ended
            continue


def report(commits: Sequence[Commit], samples: Sequence[Sample], summary: dict[str, Any]) -> bool:
    """Prints the tenths; whether memory, descriptors and threads were the same in the second and the last."""
    print(f"{summary['frames']} frames, {summary['faces']} faces, {summary['failed']} failed,", end=" ")
    print(f"{summary['seconds']:.0f} s; sum of peaks {summary['peak_bytes']['cpu'] / 2**20:.0f} MiB\n")
    print("| tenth | frames | ms a frame | insert ms a face | store bytes a face", end=" ")
    print("| supervisor MiB | descriptors | threads | workers MiB | descriptors | threads |")
    print("| ---: " * 11 + "|")
    tenths = min(TENTHS, len(commits) - 1)  # the first chunk only tells when the second began
    ends = [(i + 1) * (len(commits) - 1) // tenths for i in range(tenths)]
    highest = []
    for number, (first, last) in enumerate(pairwise([0, *ends]), start=1):
        part, before, after = commits[first + 1 : last + 1], commits[first], commits[last]
        faces = sum(commit.faces for commit in part)
        frames = sum(commit.frames for commit in part)
        within = [sample for sample in samples if before.at_s < sample.at_s <= after.at_s]
        figures = [*_highest(within, is_supervisor=True), *_highest(within, is_supervisor=False)]
        highest.append(figures)
        cells = [number, frames, f"{1e3 * (after.at_s - before.at_s) / frames:.1f}"]
        cells += [f"{1e3 * sum(commit.took_s for commit in part) / faces:.2f}"]
        cells += [round((after.store_bytes - before.store_bytes) / faces), *map(round, figures)]
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)
    pairs = zip(highest[1], highest[-1], strict=True)
    has_grown = any(last > GROWTH * early + COMING_AND_GOING for early, last in pairs)
    print("\nsomething has grown" if has_grown else "\nthe last tenth holds no more than the second")
    return not has_grown


def _highest(samples: Sequence[Sample], *, is_supervisor: bool) -> list[float]:
    """Most MiB, descriptors and threads of one process."""
    ours = [sample for sample in samples if sample.is_supervisor is is_supervisor]
    return [
        max((getattr(sample, name) for sample in ours), default=0) for name in ("held_mib", "descriptors", "threads")
    ]


def report_reading(out: Path, *, faces: int) -> None:
    faceloom = str(Path(sys.executable).with_name("faceloom"))
    print("\n| command | seconds | seconds for 100,000 faces | MiB printed |\n| --- | ---: | ---: | ---: |")
    for arguments in (["show", str(out)], ["export", str(out), "--to", "jsonl"]):
        started = time.monotonic()
        printed = subprocess.run([faceloom, *arguments], check=True, capture_output=True).stdout
        seconds = time.monotonic() - started
        cells = [f"`{arguments[0]}`", f"{seconds:.2f}", f"{seconds * 1e5 / faces:.2f}", f"{len(printed) / 2**20:.1f}"]
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    sys.exit(main())
