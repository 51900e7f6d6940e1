"""Kills every command at random moments and calls it again: what is there in the end has to be as without kills.

python tests/reliability/kill_commands.py --rounds 30 --seed 0
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
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from faceloom.models.weights import WeightCache
from faceloom.samples import write_samples
from identify_stand_ins import write_sface
from reliability.kill_fuzz import exported, files_below

LONGEST_S = 300
_MOST_KILLS = 2
_MOST_TRIES = 20
"""How often a first kill may come too late before something is wrong."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command, what it makes, and what is compared in the end."""

    arguments: Callable[[Path], list[str]]
    """Of the folder that a round works in."""
    makes: str | None = None
    """What may be there only when it is whole, below that folder."""
    compared: Callable[[Path], object]


@dataclass(kw_only=True)
class CommandTally:
    """What was done to one command, and what was found wrong."""

    rounds: int = 0
    kills: int = 0
    halves: int = 0
    """How often something unfinished had its final name."""
    problems: list[str] = field(default_factory=list)


def tree_of(folder: Path) -> dict[str, bytes]:
    """Files and links below a folder, with their contents and where they lead."""
    links = {str(path.relative_to(folder)): bytes(path.readlink()) for path in folder.rglob("*") if path.is_symlink()}
    return files_below(folder) | links


def results_of(out: Path) -> tuple[object, ...]:
    """All that a result folder is compared by."""
    return exported(out, frames=False), exported(out, frames=True), tree_of(out / "chips"), (out / ".pending").exists()


def _without_mark(tree: Mapping[str, bytes]) -> dict[str, bytes]:
    """The identity of a folder is another each time."""
    return {name: content for name, content in tree.items() if Path(name).name != ".faceloom"}


def _traces(work: Path) -> int:
    """How often the name of the forgotten source stands anywhere."""
    places = [path for path in work.rglob("*") if "media" not in path.relative_to(work).parts]
    contents = (path.read_bytes() for path in places if path.is_file() and not path.is_symlink())
    return sum(b"crowd.jpg" in content for content in contents) + sum("crowd.jpg" in str(path) for path in places)


def _prepared(work: Path) -> object:
    folder = work / "cache"
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.parent.name != "footprints")


CASES: Mapping[str, Case] = {
    "export": Case(
        arguments=lambda work: ["export", str(work / "out"), "--to", "jsonl", "--out", str(work / "faces.jsonl")],
        makes="faces.jsonl",
        compared=lambda work: (work / "faces.jsonl").read_bytes(),
    ),
    "export-folder": Case(
        arguments=lambda work: ["export", str(work / "out"), "--to", "pts", "--out", str(work / "points")],
        makes="points",
        compared=lambda work: tree_of(work / "points"),
    ),
    "group": Case(
        arguments=lambda work: ["group", str(work / "out"), "--threshold", "0.9", "--folders", str(work / "people")],
        makes="people",
        compared=lambda work: (results_of(work / "out"), _without_mark(tree_of(work / "people"))),
    ),
    "derive": Case(
        arguments=lambda work: ["derive", str(work / "out"), "--out", str(work / "small"), "--size", "64", "--quiet"],
        compared=lambda work: (results_of(work / "out"), results_of(work / "small")),
    ),
    "extend": Case(
        arguments=lambda work: ["extend", str(work / "out"), "--mask", "extended", "--quiet"],
        compared=lambda work: results_of(work / "out"),
    ),
    "forget": Case(
        arguments=lambda work: ["forget", str(work / "out"), "--source", "crowd.jpg"],
        compared=lambda work: (results_of(work / "out"), _traces(work)),
    ),
    "check": Case(
        arguments=lambda work: ["check", str(work / "out"), "--json"],
        compared=lambda work: results_of(work / "out"),
    ),
    "pull": Case(arguments=lambda work: ["pull", "detect/yunet"], compared=_prepared),
}


class CommandFuzz:
    """A result folder, and rounds in copies of it."""

    def __init__(self, folder: Path, *, seed: int, say: Callable[[str], None] = print) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._say = say
        self._base = folder / "base"
        self._errors = folder / "stderr.txt"
        self._seconds = 0.0
        """What the command in hand takes in peace."""
        self._make_base()

    def run(self, name: str, rounds: int) -> CommandTally:
        """Rounds of one command."""
        case, tally = CASES[name], CommandTally()
        for _ in range(2):  # the first reads libraries from the disk, and takes longer than those that are killed
            work = self._fresh("reference")
            started = time.monotonic()
            code = self._wait(self._start(case, work))
            self._seconds = time.monotonic() - started
        expected = case.compared(work)
        if name == "forget" and _traces(work):
            tally.problems.append("in peace: something is left of the source")
        if code:
            tally.problems.append(f"in peace: exit code {code}: {self._words()}")
        for number in range(rounds):
            tally.rounds = number + 1
            work = self._killed(case)
            tally.kills += 1
            for _ in range(self._random.randrange(_MOST_KILLS)):
                tally.halves += _is_half(case, work, expected)
                tally.kills += self._kill(case, work)
            tally.halves += _is_half(case, work, expected)
            if not (case.makes and (work / case.makes).exists()):  # else a kill came too late
                code = self._wait(self._start(case, work))
                # What had been forgotten to its end is not there to be forgotten.
                if code not in ({0, 2} if name == "forget" else {0}):
                    tally.problems.append(f"round {number}: exit code {code}: {self._words()}")
            if not _is_same(case, work, expected):
                tally.problems.append(f"round {number}: the results differ")
            left = [str(path.relative_to(work)) for path in work.rglob("*part") if path.name != "part"]
            if left:
                tally.problems.append(f"round {number}: left behind: {left}")
        self._say(
            f"{name:<14}{tally.rounds:4} rounds {tally.kills:4} kills {len(tally.problems):4} differences"
            f" {tally.halves:4} half files"
        )
        for problem in tally.problems[:5]:
            self._say(f"  {problem}")
        return tally

    def _make_base(self) -> None:
        samples = self._folder / "samples"
        write_samples(samples, on_bytes=lambda *_: None)
        media = self._folder / "media"
        media.mkdir()
        for name in ("crowd.jpg", "portrait.png"):
            shutil.copy(samples / name, media)
        sface = write_sface(self._folder / "sface.onnx")
        command = ["extract", str(media), "--out", str(self._base), "--size", "96", "--mask", "components", "--quiet"]
        command += ["--identify", "sface", "--weights", f"identify/sface={sface}"]
        subprocess.run([sys.executable, "-m", "faceloom.cli.main", *command], check=True, timeout=LONGEST_S)

    def _fresh(self, name: str) -> Path:
        work = self._folder / name
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        shutil.copytree(self._base, work / "out")
        return work

    def _start(self, case: Case, work: Path) -> subprocess.Popen[bytes]:
        user = WeightCache.of_user()
        mirrors = [str(user.folder / "files"), *map(str, user.mirrors)]
        own = {"FACELOOM_CACHE": str(work / "cache")} if case is CASES["pull"] else {}
        command = [sys.executable, "-m", "faceloom.cli.main", *case.arguments(work)]
        with self._errors.open("wb") as errors:
            return subprocess.Popen(
                command,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, "FACELOOM_WEIGHTS": os.pathsep.join(mirrors), **own},
            )

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        return process.wait(LONGEST_S)

    def _killed(self, case: Case) -> Path:
        """A folder in which the command was killed before it ended."""
        for _ in range(_MOST_TRIES):
            work = self._fresh("work")
            if self._kill(case, work):
                return work
        raise TimeoutError(f"no kill came in time in {_MOST_TRIES} runs of {self._seconds:.1f} s")

    def _kill(self, case: Case, work: Path) -> int:
        """How many kills came in time: 1, or 0 where the command had ended."""
        started = time.monotonic()
        process = self._start(case, work)
        try:
            process.wait(self._random.uniform(0.1, 1) * self._seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return 1
        self._seconds = min(self._seconds, time.monotonic() - started)
        return 0

    def _words(self) -> str:
        return self._errors.read_text(encoding="utf-8", errors="replace")[-300:]


def _is_half(case: Case, work: Path, expected: object) -> bool:
    """Whether what the command makes has its final name and is not whole."""
    return bool(case.makes and (work / case.makes).exists() and not _is_same(case, work, expected))


def _is_same(case: Case, work: Path, expected: object) -> bool:
    try:
        return case.compared(work) == expected
    except OSError:
        return False


def main(names: Iterable[str] = tuple(CASES)) -> int:
    """Runs as the command line says; exit code 1 where anything differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", action="append", choices=list(names), help="all if left out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fuzz = CommandFuzz(Path(folder), seed=chosen.seed, say=lambda text: print(text, flush=True))
        tallies = [fuzz.run(name, chosen.rounds) for name in chosen.command or names]
    return int(any(tally.problems or tally.halves for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
