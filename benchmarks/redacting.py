"""Redaction beside deface: what is still found afterwards, what of each file stays, and CPU-seconds.

    python benchmarks/redacting.py VIDEOS --deface VENV/bin/deface [--out FOLDER]

VIDEOS is a folder of clips. A clip as a phone writes it (turned, HEVC, uneven times, AAC) is made of two of them with
`ffmpeg`. deface is a peer in an environment of its own. The table goes to stdout.
"""

import argparse
import contextlib
import io
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av

from faceloom.media.sources import SourceKind, find_sources
from faceloom.redacting.proof import least_score, look_at_written

DETECTORS = ("yunet", "centerface")
PHONE = "phone.mp4"
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
    chosen = parser.parse_args()
    inputs = chosen.out / "inputs"
    if not inputs.is_dir():
        make_inputs(chosen.videos, inputs)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| | CPU-seconds | files | frames | frames lost | times that differ | sound that differs | still found |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    bare, proven, peer = chosen.out / "bare", chosen.out / "proven", chosen.out / "deface"
    seconds = timed([*faceloom(), "redact", str(inputs), "--out", str(bare), "--proof", "none"])
    tell("faceloom redact --proof none", seconds, inputs, bare / "redacted")
    seconds = timed([*faceloom(), "redact", str(inputs), "--out", str(proven)])
    tell("faceloom redact", seconds, inputs, proven / "redacted")
    if chosen.deface is None:
        return
    peer.mkdir(parents=True, exist_ok=True)
    seconds = sum(deface(chosen.deface, path, peer / path.name) for path in sorted(inputs.iterdir()))
    tell("deface 1.5.0", seconds, inputs, peer)


def faceloom() -> list[str]:
    """The command."""
    return [sys.executable, "-m", "faceloom"]


def deface(command: Path, path: Path, out: Path) -> float:
    """CPU-seconds of the peer, which keeps sound where it is told to."""
    return timed([str(command), str(path), "--output", str(out), "--keep-audio"])


def timed(command: Sequence[str]) -> float:
    """CPU-seconds of a command and all its processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def make_inputs(videos: Path, inputs: Path) -> None:
    """The clips, and one as a phone writes it."""
    inputs.mkdir(parents=True)
    clips = [one.path for one in find_sources([videos]) if one.kind is SourceKind.VIDEO]
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


def tell(name: str, seconds: float, inputs: Path, out: Path) -> None:
    """A row of the table."""
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
    cells = (f"{seconds:.0f}", files, frames, lost, times, sounds, still_found(out))
    print(f"| {name} | {' | '.join(map(str, cells))} |", flush=True)


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
