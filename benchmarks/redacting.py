"""Redaction beside deface: what is still found afterwards, what of each file stays, and CPU-seconds.

    python benchmarks/redacting.py VIDEOS --deface VENV/bin/deface [--out FOLDER] [--clips N]

VIDEOS is a folder of clips. A clip as a phone writes it (turned, HEVC, uneven times, AAC) is made of two of them with
`ffmpeg`. deface is a peer in an environment of its own. The table goes to stdout. What is done stands in FOLDER: called
again, it goes on where it was broken off.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

import faceloom
from faceloom.faces import Face
from faceloom.geometry.boxes import iou
from faceloom.media.sources import SourceKind, find_sources
from faceloom.redacting.proof import least_score, look_at_written

DETECTORS = ("yunet", "centerface")
PHONE = "phone.mp4"
DONE = "done.json"
HARDLY = 8.0
"""Mean change of a pixel, of 255: what encoding anew does."""
SAME_IOU = 0.5
_PHONE_FILTER = (
    "[0:v]setpts=PTS-STARTPTS[a];[1:v]setpts=PTS-STARTPTS[b];[a][b]concat=n=2:v=1[c];"
    "[c]transpose=1,select='not(eq(mod(n\\,7)\\,3))',setpts='PTS+0.004*mod(N\\,3)/TB'[v]"
)


def main() -> None:
    """Does all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("videos", type=Path)
    parser.add_argument("--deface", type=Path)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/out/redacting"))
    parser.add_argument("--clips", type=int, help="so many of the clips alone")
    chosen = parser.parse_args()
    inputs = chosen.out / "inputs"
    if not (chosen.out / DONE).is_file():
        make_inputs(chosen.videos, inputs, chosen.clips)
    bench = Bench(chosen.out)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(
        "| | CPU-s | s | files | frames | frames lost | times that differ | sound that differs | left visible |"
        " found in it |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |", flush=True)
    bench.tell("the clips themselves", inputs, lambda: (0.0, 0.0))
    for name, told in (("bare", ["--proof", "none"]), ("proven", [])):
        out = chosen.out / name
        command = [*our_command(), "redact", str(inputs), "--out", str(out), *told]
        bench.tell(" ".join(["faceloom redact", *told]), out / "redacted", partial(timed, command))
    if chosen.deface is not None:
        peer = chosen.out / "deface"
        bench.tell("deface 1.5.0", peer, partial(deface_all, chosen.deface, inputs, peer))


class Bench:
    """Rows of the table, each made once and kept."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._done: dict[str, str] = json.loads(done.read_text()) if (done := out / DONE).is_file() else {}

    def tell(self, name: str, written: Path, do: Callable[[], tuple[float, float]]) -> None:
        """Prints a row, of what was done before or is done now."""
        if name not in self._done:
            cpu_s, clock_s = do()
            self._done[name] = row(name, (cpu_s, clock_s), self._out / "inputs", written)
            (self._out / DONE).write_text(json.dumps(self._done))
        print(self._done[name], flush=True)


def our_command() -> list[str]:
    """The command."""
    return [sys.executable, "-m", "faceloom"]


def deface_all(command: Path, inputs: Path, out: Path) -> tuple[float, float]:
    """CPU-seconds and seconds of the peer, which keeps sound where it is told to; file by file, so as to go on."""
    out.mkdir(parents=True, exist_ok=True)
    note = out.with_suffix(".json")
    spent: dict[str, tuple[float, float]] = json.loads(note.read_text()) if note.is_file() else {}
    for path in sorted(inputs.iterdir()):
        if path.name not in spent:
            spent[path.name] = timed([str(command), str(path), "--output", str(out / path.name), "--keep-audio"])
            note.write_text(json.dumps(spent))
    return sum(one[0] for one in spent.values()), sum(one[1] for one in spent.values())


def timed(command: Sequence[str]) -> tuple[float, float]:
    """CPU-seconds of a command and all its processes, and seconds."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - began


def make_inputs(videos: Path, inputs: Path, most: int | None) -> None:
    """The clips, and one as a phone writes it."""
    shutil.rmtree(inputs, ignore_errors=True)
    inputs.mkdir(parents=True)
    clips = [one.path for one in find_sources([videos]) if one.kind is SourceKind.VIDEO][:most]
    for clip in clips:
        shutil.copy(clip, inputs / clip.name)
    made = inputs / f"straight-{PHONE}"
    sound = ["-f", "lavfi", "-i", "sine=f=440:r=48000"]
    coding = [
        "-c:v",
        "libx265",
        "-x265-params",
        "log-level=error",
        "-preset",
        "veryfast",
        "-crf",
        "20",
        "-tag:v",
        "hvc1",
    ]
    several = ["-map", "[v]", "-map", "2:a", "-shortest", "-fps_mode", "vfr", *coding, "-c:a", "aac", "-b:a", "96k"]
    first, second = (["-i", str(clip)] for clip in clips[:2])
    begin = ["ffmpeg", "-v", "error", "-y"]
    subprocess.run([*begin, *first, *second, *sound, "-filter_complex", _PHONE_FILTER, *several, made], check=True)
    turned = ["-i", str(made), "-map", "0", "-c", "copy", "-metadata:s:v:0", "rotate=270", str(inputs / PHONE)]
    subprocess.run([*begin, *turned], check=True)
    made.unlink()
    (inputs.parent / DONE).write_text("{}")


def row(name: str, seconds: tuple[float, float], inputs: Path, out: Path) -> str:
    """Of the table."""
    files = frames = lost = times = sounds = 0
    for path in sorted(inputs.iterdir()):
        written = next((one for one in (out / path.name, out / f"{path.name}.mkv") if one.is_file()), None)
        if written is None:
            continue
        files += 1
        before, after = shown(path), shown(written)
        frames += len(after)
        lost += abs(len(before) - len(after))
        times += before != after
        sounds += heard(path) != heard(written)
    cells = (
        *(f"{one:.0f}" for one in seconds),
        files,
        frames,
        lost,
        times,
        sounds,
        left_visible(inputs, out),
        still_found(out),
    )
    return f"| {name} | {' | '.join(map(str, cells))} |"


def shown(path: Path) -> list[Fraction]:
    """When frames are shown."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        base = Fraction(stream.time_base or 1)
        return sorted((packet.pts or 0) * base for packet in file.demux(stream) if packet.size)


def heard(path: Path) -> list[tuple[int | None, bytes]]:
    """The packets of sound."""
    with av.open(str(path)) as file:
        if not file.streams.audio:
            return []
        return [(packet.pts, bytes(packet)) for packet in file.demux(file.streams.audio[0]) if packet.size]


def left_visible(inputs: Path, out: Path) -> str:
    """How many of the faces that are certain are in what was written as they were.

    Certain is what both detectors find in the clip itself; and visible, of which the middle has hardly changed, in that
    frame or the one before or after it, since a peer's frames are not all where they were. The clip that is stored
    turned is left out.
    """
    sure = certain_faces(inputs)
    left = count = 0
    for path in sorted(inputs.iterdir()):
        written = next((one for one in (out / path.name, out / f"{path.name}.mkv") if one.is_file()), None)
        if written is None or path.name == PHONE:
            continue
        after = list(lumas(written))
        for i, before in enumerate(lumas(path)):
            near = [one for one in after[max(0, i - 1) : i + 2] if one.shape == before.shape]
            for x0, y0, x1, y1 in sure.get((path.name, i), ()):
                across, down = (x1 - x0) // 4, (y1 - y0) // 4
                middle = np.s_[max(0, y0 + down) : y1 - down, max(0, x0 + across) : x1 - across]
                apart = [float(np.abs(one[middle].astype(int) - before[middle]).mean()) for one in near]
                left += bool(apart) and min(apart) < HARDLY
                count += bool(apart)
    return f"{left:,} of {count:,}"


def certain_faces(inputs: Path) -> dict[tuple[str, int], list[list[int]]]:
    """By file and frame the faces that both detectors find, at their own least scores."""
    found: list[Mapping[tuple[str, int], Sequence[Face]]] = []
    for detector in DETECTORS:
        with quiet(), tempfile.TemporaryDirectory() as folder:
            faceloom.extract(inputs, Path(folder) / "out", detect=detector, align=None, mask=(), chips=False)
            with faceloom.open(Path(folder) / "out") as results:
                frames = {(frame.id.source, frame.id.index): list(frame.faces) for frame in results.frames()}
        found.append(frames)
    first, second = found
    return {
        key: [
            [round(value) for value in face.box.tolist()]
            for face in faces
            if any(iou(face.box[None], other.box[None])[0, 0] >= SAME_IOU for other in second.get(key, ()))
        ]
        for key, faces in first.items()
    }


def lumas(path: Path) -> Iterator[NDArray[np.uint8]]:
    """The frames of a video as they are stored, grey."""
    with av.open(str(path)) as file:
        for frame in file.decode(file.streams.video[0]):
            yield np.asarray(frame.to_ndarray(format="gray"), np.uint8)


def still_found(out: Path) -> str:
    """How many faces each detector finds in what was written, as `redact` would look at it."""
    scores = {name: least_score(name, None) for name in DETECTORS}
    with quiet():
        found, _ = look_at_written(
            out,
            out.with_name(f"{out.name}-proof"),
            [out.name],
            detectors=scores,
            options={},
            on_event=lambda event: None,
            should_stop=lambda: False,
        )
    every = [one for some in found.values() for one in some]
    counts = {name: sum(one.detector == name for one in every) for name in DETECTORS}
    frames = len({(name, one.frame) for name, some in found.items() for one in some})
    return f"{', '.join(f'{name} {count:,}' for name, count in counts.items())}; in {frames:,} frames"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what is printed to itself."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


if __name__ == "__main__":
    main()
