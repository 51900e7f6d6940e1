"""What it takes to begin: `python benchmarks/startup.py [--rounds 9]`.

Every command, and the least that a program of one detector would take, one after another, again and again; medians of
wall and CPU seconds of all processes of each. Footprints are measured and the caches warm before the first round.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from faceloom.detect.yunet import YuNet
from faceloom.models.weights import WeightCache
from faceloom.samples import write_samples

OUT = Path(__file__).parent / "out"
# The picture's detector alone, without faceloom: import, load, read, run.
BARE = """
import sys, cv2, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
image = cv2.imread(sys.argv[2])
canvas = numpy.zeros((-(-image.shape[0] // 32) * 32, -(-image.shape[1] // 32) * 32, 3), numpy.uint8)
canvas[: image.shape[0], : image.shape[1]] = image
session.run(None, {"pixels": canvas.reshape(1, 1, canvas.shape[0], -1)})
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    samples = OUT / "samples"
    write_samples(samples, on_bytes=lambda *_: None)
    picture, clip = samples / "portrait.png", samples / "clip.mp4"
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "out"
        commands = {
            "`faceloom --help`": faceloom("--help"),
            "`faceloom --version`": faceloom("--version"),
            "`faceloom plan`, one picture": faceloom("plan", picture),
            "`faceloom plan`, a clip of 75 frames": faceloom("plan", clip),
            "`faceloom extract`, one picture": faceloom("extract", picture, "--out", results, "--quiet"),
            "Python": [sys.executable, "-c", "pass"],
            "Python, NumPy": [sys.executable, "-c", "import numpy"],
            "Python, NumPy, OpenCV, ONNX Runtime; load YuNet, one picture": [
                *(sys.executable, "-c", BARE),
                *map(str, (WeightCache.of_user().prepare(YuNet.weights), picture)),
            ],
        }
        for path in (picture, clip):
            subprocess.run(faceloom("profile", path), check=True, capture_output=True)
        taken = defaultdict(list)
        for number in range(-1, rounds):
            for name, command in commands.items():
                shutil.rmtree(results, ignore_errors=True)
                seconds = measure(command)
                if number >= 0:
                    taken[name].append(seconds)
    print("| command | wall s | CPU s |\n| --- | ---: | ---: |")
    for name, pairs in taken.items():
        wall_s, cpu_s = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"| {name} | {wall_s:.2f} | {cpu_s:.2f} |")


def faceloom(*arguments: object) -> list[str]:
    """The command as it is installed: what `python -m` looks up besides is not counted."""
    return [str(Path(sys.executable).with_name("faceloom")), *map(str, arguments)]


def measure(command: Sequence[str]) -> tuple[float, float]:
    """Wall and CPU seconds of a command and all that it starts."""
    before, started = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall_s, after = time.perf_counter() - started, os.times()
    return wall_s, sum(after[2:4]) - sum(before[2:4])


if __name__ == "__main__":
    main()
