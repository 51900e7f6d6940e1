"""Kills `faceloom merge` at random moments until it has ended: the result has to be that of a merge in peace.

python tests/reliability/kill_merge.py --rounds 100 --seed 0
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from faceloom.errors import StoreError
from faceloom.faces import FrameId
from faceloom.media.shards import Shard
from faceloom.media.sources import Source, SourceKind
from faceloom.store.checking import check
from faceloom.store.folder import DATABASE, write_file
from faceloom.store.rows import ChunkRows, FrameRow, Status
from faceloom.store.store import Store
from reliability.kill_fuzz import exported, files_below
from store.made_results import CONFIG, chip_of, digest, face_of

LONGEST_S = 300
_MOST_KILLS = 4


@dataclass(kw_only=True)
class MergeTally:
    """What was done to merges, and what was found wrong."""

    rounds: int = 0
    kills: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    """Kills by what there was of the new folder."""
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.rounds} rounds, {self.kills} kills, {len(self.problems)} differences"]
        lines += [f"  {number:5} {moment}" for moment, number in self.moments.most_common()]
        return "\n".join([*lines, *(f"  {problem}" for problem in self.problems[:8])])


def write_shard(folder: Path, shard: Shard, *, sources: int) -> Path:
    """The result folder of a shard of so many pictures with three faces each, made without a run."""
    media, out = folder / "media", folder / f"shard-{shard.number}"
    names = [f"{i % 7}/{i:04}.png" for i in range(sources)]
    with Store(out) as store:
        store.configuration.use({**CONFIG, "shard": str(shard), "overlay": False})
        store.begin_run(versions={"faceloom": "0.1.0"})
        for number, name in enumerate(name for name in names if name in shard):
            (media / name).parent.mkdir(parents=True, exist_ok=True)
            (media / name).write_bytes(name.encode())
            source = Source(name=name, path=media / name, kind=SourceKind.PICTURE)
            with store.sources.adding():
                store.sources.add(source, other_names=())
                store.sources.add_picture(source)
            faces = tuple(face_of(FrameId(name, 0), i) for i in range(3))
            for face in faces:
                assert face.chip
                write_file(store.files_of(number) / face.chip, chip_of(face))
            frame = FrameRow(
                id=FrameId(name, 0), height=480, width=640, status=Status.DONE, sha256=digest(media / name)
            )
            store.commit(ChunkRows(number=number, frames=(frame,), faces=faces, seconds=0.1))
        store.end_run(outcome="done", summary={})
    return out


def _flaws_of(folder: Path) -> list[object]:
    """What is wrong with a store; nothing if there are no tables in it yet, which is said so."""
    try:
        return [flaw for flaw in check(folder).flaws if flaw.kind in {"database", "schema"}]
    except StoreError as error:
        if "its first run has only begun" in str(error):
            return []
        raise


class MergeFuzz:
    """Shards, the folder that a merge in peace makes of them, and merges that are killed."""

    def __init__(
        self, folder: Path, *, seed: int, shards: int = 3, sources: int = 300, say: Callable[[str], None] = print
    ) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._say = say
        numbers = range(1, shards + 1)
        self._shards = [write_shard(folder, Shard(number=i, count=shards), sources=sources) for i in numbers]
        self._errors = folder / "stderr.txt"
        for _ in range(2):  # the first reads libraries from the disk
            shutil.rmtree(folder / "peace", ignore_errors=True)
            started = time.monotonic()
            assert self._start(folder / "peace").wait(LONGEST_S) == 0
            self._seconds = time.monotonic() - started
        self._expected = results_of(folder / "peace")

    def run(self, rounds: int, *, least_kills: int = 0) -> MergeTally:
        """So many folders, each merged with some kills; up to three times as many until so many came in time."""
        tally = MergeTally()
        for number in range(3 * rounds):
            if number >= rounds and tally.kills >= least_kills:
                break
            tally.rounds = number + 1
            out = self._folder / "out"
            shutil.rmtree(out, ignore_errors=True)
            for _ in range(self._random.randint(1, _MOST_KILLS)):
                if not self._kill(out, tally):
                    break
            code = self._start(out).wait(LONGEST_S)
            if code:
                words = self._errors.read_text(encoding="utf-8", errors="replace")[-300:]
                tally.problems.append(f"round {number}: exit code {code}: {words}")
            elif results_of(out) != self._expected:
                tally.problems.append(f"round {number}: the results differ")
        self._say(str(tally))
        return tally

    def _kill(self, out: Path, tally: MergeTally) -> bool:
        """Whether a kill came in time; what is there after it is whole."""
        process = self._start(out)
        with suppress(subprocess.TimeoutExpired):
            process.wait(self._random.uniform(0.2, 1) * self._seconds)
            return False
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        tally.kills += 1
        tally.moments[_moment_of(out)] += 1
        if (out / DATABASE).exists() and (out / DATABASE).stat().st_size:
            copy = self._folder / "copy"  # as a reader would see it, who may have to mend the log
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(out, copy, symlinks=True)
            tally.problems += [f"round {tally.rounds}: {flaw}" for flaw in _flaws_of(copy)]
        return True

    def _start(self, out: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "faceloom.cli.main", "merge", *map(str, self._shards), "--out", str(out)]
        with self._errors.open("wb") as errors:
            return subprocess.Popen(
                [*command, "--quiet"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=errors
            )


def results_of(out: Path) -> tuple[object, ...]:
    """All that a result folder is compared by, and what there is in it that has no row."""
    flaws = check(out).flaws
    return exported(out, frames=False), exported(out, frames=True), files_below(out / "chips"), flaws


def _moment_of(out: Path) -> str:
    if not (out / DATABASE).exists():
        return "while the folders were looked at"
    if any((out / ".pending").glob("*/chips")):
        return "while files were copied or moved"
    return "while rows were written, or between transactions"


def main() -> int:
    """Runs as the command line says; exit code 1 where anything differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sources", type=int, default=300)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = MergeFuzz(Path(folder), seed=chosen.seed, sources=chosen.sources).run(chosen.rounds)
    return int(bool(tally.problems))


if __name__ == "__main__":
    sys.exit(main())
