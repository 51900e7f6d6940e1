"""Whether reading results stays fast and flat as they grow: `python benchmarks/large.py [--faces 10000,100000]`.

Makes result folders of so many faces below `out/large` (`large_stores.py`; a million faces take 5 GB), and has a
process of its own read each in every way. CPU-seconds are those of that process, imports and all (an empty
`faceloom.open` shows how much that is); the peak is the most that it ever held at once, by the kernel's account.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

OUT = Path(__file__).parent / "out" / "large"
SET = Path(__file__).parents[2] / "shared/data/lfw_subset_krasserm/images"
WEIGHTS = Path(__file__).parents[2] / "shared/weights/fr_feature.onnx"
VIDEO = "videos/00000.mp4"
PICTURE = "pictures/0001/0001234.jpg"
PERSON = "person 7"
CHIP_EVERY = 20
"""Of so many faces one has a chip file."""
_INTERVAL_S = 0.01
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)
_OPEN = "import faceloom, sys\nwith faceloom.open(sys.argv[1]) as results:\n    "


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One way to read a result folder."""

    name: str
    arguments: tuple[str, ...]
    """Of `faceloom`; `DIR` is the folder, and a chip in it `CHIP`."""
    most: int = 10**9
    """Of more faces it is not asked."""

    @classmethod
    def script(cls, name: str, line: str) -> "Reading":
        """A line of Python over open results."""
        return cls(name=name, arguments=("-c", _OPEN + line, "DIR"))

    def command(self, folder: Path, chip: Path) -> list[str]:
        """What is run."""
        given = [{"DIR": str(folder), "CHIP": str(chip)}.get(word, word) for word in self.arguments]
        return [sys.executable, *([] if given[0] == "-c" else ["-m", "faceloom"]), *given]


READINGS = (
    Reading.script("open", "pass"),
    Reading.script("a picture's faces", f"print(len(list(results.faces(source='{PICTURE}'))))"),
    Reading.script("the first face of a video", f"print(next(iter(results.faces(source='{VIDEO}'))))"),
    Reading.script("the faces of a video (5,000)", f"print(sum(1 for _ in results.faces(source='{VIDEO}')))"),
    Reading.script("the first face of a person", f"print(next(iter(results.faces(person='{PERSON}'))))"),
    Reading.script("how many faces a person has", f"print(len(results.faces(person='{PERSON}')))"),
    Reading(name="where CHIP", arguments=("where", "CHIP")),
    Reading(name="show", arguments=("show", "DIR")),
    Reading(name="correct: a face", arguments=("correct", "DIR", "reject", f"{PICTURE}#0/0")),
    Reading(name="correct: a person's name", arguments=("correct", "DIR", "name", PERSON, "Ann")),
    Reading(name="show, corrected", arguments=("show", "DIR")),
    Reading.script("the first face of Ann, corrected", "print(next(iter(results.faces(person='Ann'))))"),
    Reading(name="correct: undo", arguments=("correct", "DIR", "undo")),
    Reading(name="correct: undo again", arguments=("correct", "DIR", "undo")),
    Reading.script("every face", "print(sum(1 for _ in results.faces()))"),
    Reading.script("every frame", "print(sum(1 for _ in results.frames()))"),
    Reading(name="check", arguments=("check", "DIR")),
    Reading(name="export --to csv", arguments=("export", "DIR", "--to", "csv")),
    Reading(name="export --frames --to jsonl", arguments=("export", "DIR", "--to", "jsonl", "--frames")),
    Reading(name="export --to jsonl", arguments=("export", "DIR", "--to", "jsonl")),
    Reading(name="group", arguments=("group", "DIR"), most=100_000),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", default="10000,100000,1000000", help="numbers of faces, the smallest first")
    parser.add_argument("--only", default="", help="a part of the names of what is measured")
    parser.add_argument("--out", type=Path, default=OUT, help="where the folders are made, and kept")
    chosen = parser.parse_args()
    numbers = [int(number) for number in chosen.faces.split(",")]
    folders = [made(chosen.out, number) for number in numbers]
    print(f"| CPU-s, peak MiB | {' | '.join(f'{number:,} faces' for number in numbers)} |")
    print(f"| --- |{' ---: |' * len(numbers)}")
    for reading in READINGS:
        if chosen.only in reading.name:
            cells = [
                measured(reading, folder) if number <= reading.most else "-"
                for number, folder in zip(numbers, folders, strict=True)
            ]
            print(f"| {reading.name} | {' | '.join(cells)} |", flush=True)
    return 0


def made(out: Path, faces: int, *, chip_every: int = CHIP_EVERY) -> Path:
    """A result folder of so many faces, made once."""
    seed, folder = out / "seed", out / (str(faces) if chip_every == CHIP_EVERY else f"{faces}-{chip_every}")
    if not seed.exists():
        extract = ["extract", str(SET), "--out", str(seed), "--identify", "arcface", "--size", "128", "--quiet"]
        given = ["--weights", f"identify/arcface={WEIGHTS}"]
        subprocess.run([sys.executable, "-m", "faceloom", *extract, *given], check=True, stdout=sys.stderr)
    if not folder.exists():
        part = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        script = Path(__file__).with_name("large_stores.py")
        subprocess.run([sys.executable, str(script), str(seed), str(part), str(faces), str(chip_every)], check=True)
        part.rename(folder)
    return folder


def measured(reading: Reading, folder: Path) -> str:
    """CPU-seconds and peak memory of it."""
    chip = next(_chips(folder / "chips"))
    cpu_s, peak_bytes = cost_of(reading.command(folder, chip))
    return f"{cpu_s:.2f}, {peak_bytes / 2**20:.0f}"


def cost_of(command: Sequence[str]) -> tuple[float, int]:
    """CPU-seconds and the most bytes that a command held.

    Raises:
        RuntimeError: it failed.
    """
    peak = 0
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        while True:
            try:  # what this has seen stays: the kernel's account never falls
                found = _PEAK.search(Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8"))
                peak = max(peak, int(found[1]) * 1024 if found else 0)
            except OSError:
                pass
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                process.returncode = os.waitstatus_to_exitcode(status)
                break
            time.sleep(_INTERVAL_S)
    if process.returncode:
        raise RuntimeError(f"{command} ended with {process.returncode}")
    return used.ru_utime + used.ru_stime, peak


def _chips(folder: Path) -> Iterator[Path]:
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _chips(Path(entry.path))
        else:
            yield Path(entry.path)


if __name__ == "__main__":
    raise SystemExit(main())
