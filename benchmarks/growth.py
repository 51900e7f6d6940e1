"""Whether memory grows with the job: `python benchmarks/growth.py [--frames 200,2000]`.

The same pictures and the same clip, repeated until there are so many frames of each; the peak is the sum of the most
bytes that each process of the run ever held, as `extract --json` reports it.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from faceloom.samples import write_samples

OUT = Path(__file__).parent / "out"
TOLERANCE = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", default="200,2000", help="numbers of frames, the smallest first")
    numbers = [int(number) for number in parser.parse_args().frames.split(",")]
    samples = OUT / "samples"
    write_samples(samples, on_bytes=lambda *_: None)
    print("| input | frames | faces | seconds | ms a frame | peak MiB | store bytes a face |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    grown = False
    for kind, write in (("pictures", write_pictures), ("video", write_video)):
        peaks = []
        for frames in numbers:
            with tempfile.TemporaryDirectory() as folder:
                path = write(Path(folder) / "in", samples, frames)
                summary = run(path, Path(folder) / "out")
                store_bytes = (Path(folder) / "out/faceloom.sqlite").stat().st_size
            peaks.append(summary["peak_bytes"]["cpu"])
            seconds, faces = summary["seconds"], summary["faces"]
            cells = [kind, frames, faces, f"{seconds:.1f}", f"{seconds / frames * 1e3:.1f}", f"{peaks[-1] / 2**20:.0f}"]
            print("| " + " | ".join(map(str, [*cells, round(store_bytes / faces)])) + " |", flush=True)
        grown |= max(peaks) > (1 + TOLERANCE) * peaks[0]
    print("\nmemory grows with the job" if grown else f"\nevery peak is within {TOLERANCE:.0%} of the smallest job's")
    return int(grown)


def write_pictures(folder: Path, samples: Path, frames: int) -> Path:
    """Copies of the portrait and the crowd under many names; every tenth is the crowd."""
    folder.mkdir()
    for i in range(frames):
        name = "crowd.jpg" if i % 10 == 0 else "portrait.png"
        shutil.copy(samples / name, folder / f"{i:06}-{name}")
    return folder


def write_video(path: Path, samples: Path, frames: int) -> Path:
    """The clip again and again in one file, without encoding it again."""
    import av

    path = path.with_suffix(".mp4")
    with av.open(str(samples / "clip.mp4")) as clip, av.open(str(path), "w") as container:
        source = clip.streams.video[0]
        packets = [packet for packet in clip.demux(source) if packet.size]
        times = [(packet.pts or 0, packet.dts or 0, packet.duration or 0) for packet in packets]
        length = max(pts + duration for pts, _, duration in times)
        target = container.add_stream_from_template(source)
        for number in range(-(-frames // len(packets))):
            for packet, (pts, dts, duration) in zip(packets, times, strict=True):
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts, copy.duration = pts + number * length, dts + number * length, duration
                copy.time_base, copy.is_keyframe, copy.stream = packet.time_base, packet.is_keyframe, target
                container.mux(copy)
    return path


def run(path: Path, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(path), "--out", str(out), "--json", "--quiet"]
    summary: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return summary


if __name__ == "__main__":
    sys.exit(main())
