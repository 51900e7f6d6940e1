"""Kills a run at random moments until its results are there, again and again: they have to be those of a run in peace.

python tests/reliability/kill_fuzz.py --rounds 200 --seed 0
"""

import argparse
import io
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from PIL import Image as PillowImage

from faceloom.errors import StoreError
from faceloom.samples import write_samples
from faceloom.store.exports import export
from faceloom.store.summary import read_summary

LONGEST_S = 120
"""A run that goes on for so long hangs."""
_ENDING_S = 10
_TOLD_EVERY = 20
_POLL_S = 0.005
_BY_ITSELF = frozenset([0, 1])
_VARIATIONS = ((), (), ("--memory", "340MiB"), ("--threads", "1"))
"""Flags that results do not depend on, so that a folder is finished under several plans."""


class Kind(StrEnum):
    """What is done to a run."""

    ALL = "SIGKILL to all processes"
    WORKER = "SIGKILL to one worker"
    INTERRUPT = "SIGINT"
    INTERRUPT_TWICE = "SIGINT, and once more"
    TERMINATE = "SIGTERM"


_SHARES = {Kind.ALL: 8, Kind.WORKER: 7, Kind.INTERRUPT: 2, Kind.INTERRUPT_TWICE: 1, Kind.TERMINATE: 3}


@dataclass(kw_only=True)
class Tally:
    """What was done, and what was found wrong."""

    rounds: int = 0
    kills: Counter[Kind] = field(default_factory=Counter)
    moments: Counter[str] = field(default_factory=Counter)
    """Kills by what the run had got to."""
    codes: Counter[str] = field(default_factory=Counter)
    """How often each disturbance ended with each exit code."""
    finished: int = 0
    tracebacks: int = 0
    """Runs that ended as they should, but with a traceback on stderr."""
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.rounds} rounds, {sum(self.kills.values())} disturbances, {self.finished} finished runs"]
        lines += [f"  {number:5} {kind}" for kind, number in self.kills.most_common()]
        lines += [f"  {number:5} while {moment}" for moment, number in self.moments.most_common()]
        lines += [f"  {number:5} ended: {how}" for how, number in sorted(self.codes.items())]
        lines += [f"  {self.tracebacks:5} tracebacks", f"  {len(self.problems):5} differences"]
        return "\n".join([*lines, *(f"    {problem}" for problem in self.problems)])


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A run in peace."""

    code: int
    faces: str
    frames: str
    files: Mapping[str, bytes]
    first_s: float
    """Seconds of a run that had to measure its stages."""
    whole_s: float
    """Seconds of a run that had not."""
    idle_s: float
    """Seconds of a run that found everything done."""

    @property
    def total(self) -> int:
        return len(self.frames.splitlines())


def write_media(samples: Path, folder: Path) -> Path:
    """Some 60 frames: the sample clip whole and cut off, pictures whole, cut off and broken, in nested folders."""
    clip, crowd = (samples / "clip.mp4").read_bytes(), (samples / "crowd.jpg").read_bytes()
    for name, content in {
        "a/clip.mp4": clip,
        "b/c/clip.mp4": clip,
        "b/broken.mp4": clip[: len(clip) // 2],
        "crowd.jpg": crowd,
        "cut.jpg": crowd[: len(crowd) * 2 // 3],
        "a/portrait.png": (samples / "portrait.png").read_bytes(),
        "broken.png": b"no picture at all",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    with PillowImage.open(samples / "portrait.png") as portrait:
        for i in range(4):
            portrait.convert("RGB").rotate(4 * i + 2).save(folder / "b" / f"turned-{i}.jpg", quality=90)
    return folder


class Fuzz:
    """One folder of media, its reference, and the result folders that are disturbed one after another."""

    def __init__(
        self, media: Path, folder: Path, *, seed: int, flags: Sequence[str] = (), say: Callable[[str], None] = print
    ) -> None:
        self.tally = Tally()
        self._flags = flags
        self._media = media
        self._folder = folder
        self._random = random.Random(seed)
        self._say = say
        self._cache = folder / "cache"
        self._errors = folder / "stderr.txt"
        mirrors = [os.environ.get("FACELOOM_WEIGHTS", ""), str(Path(os.environ.get("FACELOOM_CACHE", "")) / "files")]
        self._environment = {
            **os.environ,
            "FACELOOM_CACHE": str(self._cache),
            "FACELOOM_WEIGHTS": os.pathsep.join(filter(None, mirrors)),
        }
        self._out = folder / "out-0"
        self._done = 0
        self.reference = self._run_in_peace()

    def run(self, rounds: int, *, least_kills: int = 0) -> Tally:
        """Disturbs runs so many times, or up to three times as many until so many were killed in time, and lets the
        last folder be finished."""
        for number in range(3 * rounds):
            if number >= rounds and sum(self.tally.kills.values()) >= least_kills:
                break
            self.tally.rounds = number + 1
            if number % _TOLD_EVERY == _TOLD_EVERY - 1:
                self._say(f"{number} rounds, {self.tally.finished} finished runs")
            code = self._disturb()
            if code is None:
                self._check_unfinished()
            else:
                self._check_finished(code)
        process = self._start()
        self._check_finished(self._wait(process))
        return self.tally

    # --- runs --------------------------------------------------------------------------------------

    def _run_in_peace(self) -> Reference:
        out = self._folder / "reference"
        seconds = []
        for folder in (out, self._folder / "warm", out):
            started = time.monotonic()
            code = self._wait(self._start(folder))
            seconds.append(time.monotonic() - started)
        shutil.rmtree(self._folder / "warm")
        self._say(f"in peace: {', '.join(f'{s:.1f} s' for s in seconds)} (cold, warm, nothing to do); exit code {code}")
        assert code in _BY_ITSELF
        first_s, whole_s, idle_s = seconds
        return Reference(
            code=code,
            faces=exported(out, frames=False),
            frames=exported(out, frames=True),
            files=files_below(out / "chips"),
            first_s=first_s,
            whole_s=whole_s,
            idle_s=idle_s,
        )

    def _start(self, out: Path | None = None, *flags: str) -> subprocess.Popen[bytes]:
        """The command in a process group of its own."""
        command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(self._media)]
        command += ["--out", str(out or self._out), "--size", "64", *self._flags, *flags]
        with self._errors.open("wb") as errors:
            return subprocess.Popen(
                command,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=self._environment,
            )

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        try:
            code = process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            self._problem(f"the run hangs; its last words: {self._words()[-300:]}")
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()
        if "Traceback" in self._words():
            self.tally.tracebacks += 1
            self._say(f"exit code {code} with a traceback:\n{self._words()[-1500:]}")
        if _is_left(process.pid):
            self._problem(f"processes were left behind by a run that ended with exit code {code}")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        return code

    def _words(self) -> str:
        return self._errors.read_text(encoding="utf-8", errors="replace")

    # --- disturbing --------------------------------------------------------------------------------

    def _disturb(self) -> int | None:
        """One round; the exit code of a run that came to its end, None if it was ended."""
        kind = self._random.choices(list(_SHARES), list(_SHARES.values()))[0]
        is_cold = self._chill()
        moment_s = self._moment_s(is_cold=is_cold)
        process = self._start(None, *self._random.choice(_VARIATIONS))
        is_over = _sleep(process, moment_s)
        if kind is Kind.WORKER and not is_over:
            is_over = self._kill_a_worker(process)
            if is_over or self._random.random() < 0.4:
                return self._wait(process)
            kind, is_over = Kind.ALL, _sleep(process, self._random.uniform(0, self.reference.whole_s / 2))
        if is_over:
            return self._wait(process)
        self._note(kind)
        match kind:
            case Kind.ALL:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return None
            case Kind.INTERRUPT:
                self._signal(process, signal.SIGINT)
            case Kind.INTERRUPT_TWICE:
                self._signal(process, signal.SIGINT)
                if not _sleep(process, self._random.uniform(0, 0.5)):
                    self._signal(process, signal.SIGINT)
            case Kind.TERMINATE:
                self._signal(process, signal.SIGTERM)
        return self._judge(kind, self._wait(process))

    def _judge(self, kind: Kind, code: int) -> int | None:
        number = signal.SIGTERM if kind is Kind.TERMINATE else signal.SIGINT
        self.tally.codes[f"{kind}: exit code {code}" if code >= 0 else f"{kind}: by the signal, at start-up"] += 1
        if code in (128 + number, -number):
            return None
        if code != self.reference.code:
            self._problem(f"{kind}: exit code {code}; its last words: {self._words()[-300:]}")
            return None
        return code  # it had come to its end already

    def _chill(self) -> bool:
        """Now and then the run has to measure, or even to prepare its networks, again."""
        draw = self._random.random()
        if draw < 0.1:
            shutil.rmtree(self._cache / "footprints", ignore_errors=True)
        if draw < 0.04:
            shutil.rmtree(self._cache / "prepared", ignore_errors=True)
        return draw < 0.1

    def _moment_s(self, *, is_cold: bool) -> float:
        """Any moment from the start to a little after the expected end; the first and the last part more often."""
        reference = self.reference
        work_s = (reference.whole_s - reference.idle_s) * (1 - self._done / reference.total)
        expected_s = reference.idle_s + work_s + (reference.first_s - reference.whole_s) * is_cold
        where = self._random.random()
        if where < 0.25:
            return self._random.uniform(0, 4 * reference.idle_s)
        if where < 0.4:
            return self._random.uniform(0.8, 1.1) * expected_s
        return self._random.uniform(0, 1.05) * expected_s

    def _kill_a_worker(self, process: subprocess.Popen[bytes]) -> bool:
        """Waits for a worker and kills it; whether the run ended before there was one."""
        while process.poll() is None:
            workers = workers_of(process.pid)
            if workers:
                self._note(Kind.WORKER)
                with suppress(ProcessLookupError):
                    os.kill(self._random.choice(workers), signal.SIGKILL)
                return False
            time.sleep(_POLL_S)
        return True

    def _signal(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        """To all processes, as a terminal does it, or to the command alone, as a service does."""
        with suppress(ProcessLookupError):
            if self._random.random() < 0.5:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)

    def _note(self, kind: Kind) -> None:
        self.tally.kills[kind] += 1
        self.tally.moments[moment_of(self._out)] += 1

    # --- checking ----------------------------------------------------------------------------------

    def _problem(self, text: str) -> None:
        self.tally.problems.append(f"round {self.tally.rounds}, {self._out.name}: {text}")
        self._say(self.tally.problems[-1])

    def _check_unfinished(self) -> None:
        """What is there is whole, and nothing that was there before is gone; looked at in a copy, as a reader would."""
        copy = self._folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for path in self._out.glob("faceloom.sqlite*"):
            shutil.copy(path, copy)
        if not (copy / "faceloom.sqlite").exists():
            return
        try:
            self._check_file(copy)
            faces, frames = exported(copy, frames=False), exported(copy, frames=True)
        except StoreError as error:
            if "first run has only begun" not in str(error):
                self._problem(str(error))
            return
        if set(faces.splitlines()) - set(self.reference.faces.splitlines()):
            self._problem("an unfinished run has other faces")
        if set(frames.splitlines()) - set(self.reference.frames.splitlines()):
            others = sorted(set(frames.splitlines()) - set(self.reference.frames.splitlines()))
            self._problem(f"an unfinished run has other frames: {others[:2]}")
        done = len(frames.splitlines())
        if done < self._done:
            self._problem(f"{self._done - done} frames that were done are done no more")
        self._done = done

    def _check_finished(self, code: int) -> None:
        """Everything is as in the reference; then a new folder begins."""
        self.tally.finished += 1
        if code != self.reference.code:
            self._problem(f"exit code {code}; its last words: {self._words()[-300:]}")
        before = len(self.tally.problems)
        try:
            self._check_file(self._out)
            for problem in differences(self._out, self.reference):
                self._problem(problem)
        except StoreError as error:
            self._problem(str(error))
        if len(self.tally.problems) == before:
            shutil.rmtree(self._out, ignore_errors=True)
        self._out = self._folder / f"out-{self.tally.finished}"
        self._done = 0

    def _check_file(self, folder: Path) -> None:
        with closing(sqlite3.connect(folder / "faceloom.sqlite")) as db:
            answers = db.execute("PRAGMA integrity_check").fetchall()
            if answers != [("ok",)]:
                self._problem(f"the store is damaged: {answers[:3]}")
            if broken := db.execute("PRAGMA foreign_key_check").fetchall():
                self._problem(f"rows without their parents: {broken[:3]}")


def differences(out: Path, reference: Reference) -> list[str]:
    """What a finished result folder has otherwise than the reference."""
    problems = []
    for what, here, expected in (
        ("faces", exported(out, frames=False), reference.faces),
        ("frames", exported(out, frames=True), reference.frames),
    ):
        if here != expected:
            ours, theirs = here.splitlines(), expected.splitlines()
            lost, other = sorted(set(theirs) - set(ours)), sorted(set(ours) - set(theirs))
            examples = [line[:300] for line in (lost + other)[:3]]
            problems.append(f"{what}: {len(lost)} lost, {len(other)} other: {examples}")
    files = files_below(out / "chips")
    if files != reference.files:
        names = sorted(name for name in {*files, *reference.files} if files.get(name) != reference.files.get(name))
        problems.append(f"{len(names)} files differ: {names[:3]}")
    with closing(sqlite3.connect(out / "faceloom.sqlite")) as db:
        named = {path for (path,) in db.execute("SELECT chip FROM face WHERE chip IS NOT NULL")}
    there = {f"chips/{name}" for name in files}
    if named != there:
        problems.append(f"files that the store does not name, or the reverse: {sorted(named ^ there)[:3]}")
    if unknown := {path.name for path in out.iterdir()} - {"faceloom.sqlite", "faceloom.lock", "chips"}:
        problems.append(f"left in the result folder: {sorted(unknown)}")
    if (outcome := read_summary(out)["runs"][-1]["outcome"]) != "done":
        problems.append(f"the last run is noted as {outcome}")
    return problems


def exported(folder: Path, *, frames: bool) -> str:
    """What `faceloom export DIR --to jsonl` prints."""
    text = io.StringIO()
    export(folder, text, to="jsonl", frames=frames)
    return text.getvalue()


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path there."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def workers_of(pid: int) -> list[int]:
    """The worker processes of a run."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        lines = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    except OSError:  # one of them has just ended
        return []
    return [child for child, line in lines.items() if b"faceloom.worker" in line]


def moment_of(out: Path) -> str:
    """What the last run in a folder has got to, as far as its store tells."""
    try:
        with closing(sqlite3.connect(f"file:{out / 'faceloom.sqlite'}?mode=ro", uri=True)) as db:
            (plan,) = db.execute("SELECT plan FROM run ORDER BY id DESC LIMIT 1").fetchone() or (None,)
            states = dict(db.execute("SELECT status, count(*) FROM frame GROUP BY status").fetchall())
            (ended,) = db.execute("SELECT max(id) FROM run WHERE finished_at IS NOT NULL").fetchone()
            (last,) = db.execute("SELECT max(id) FROM run").fetchone()
    except sqlite3.Error:
        return "the store did not exist"
    if not states:
        return "no source had been taken up"
    if not states.get("pending"):
        return "everything was done"
    if plan is None or ended == last:
        return "starting, counting or planning"
    return "frames were pending under a plan"


def _sleep(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Waits; whether the run ended meanwhile."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _is_left(group: int) -> bool:
    """Whether a process group still has a process that is no zombie, after some patience."""
    deadline = time.monotonic() + _ENDING_S
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(_POLL_S)
    return True


def main() -> int:
    """Runs as the command line says; exit code 1 where anything differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder if left out")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (chosen.folder or Path(temporary)).absolute()
        write_samples(folder / "samples", on_bytes=lambda *_: None)
        media = write_media(folder / "samples", folder / "media")
        fuzz = Fuzz(media, folder, seed=chosen.seed)
        with suppress(KeyboardInterrupt):  # what has been found until then counts
            fuzz.run(chosen.rounds)
        print(fuzz.tally, flush=True)
    return 1 if fuzz.tally.problems else 0


if __name__ == "__main__":
    sys.exit(main())
