"""faceloom beside other programs: `python benchmarks/peers.py [--frames N] [--rounds N] [--only NAME]`.

Each of them in a virtual environment of its own that this script makes, on the same files, with the same weights. The
programs of a contest run in turns, a round after another, and a ratio is the median of the ratios in each round. A peer
that is one process is also run as two side by side, each on half of the pictures and on a core of its own. Then what
each of them finds of faces that are known.

Seconds are those of a whole command, start-up included; what ours has to measure once on a machine is measured before.
Memory is that of all processes together, a page that several share counted once, in a run of its own. Needs
`../shared` (or `--data`), Linux, and the package index at the first run.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contests import PLUGINS, Contest, Input, contests
from costs import Cost, measure
from faceloom.memory.cores import usable_cores
from faceloom.units import MIB
from five import environment
from picture_sets import PORTRAITS, KnownFaces, empty, jpegs, jpegs_420, many, one_of, photos, sets, video
from programs import Found, Program
from truth import SHARED_DATA, Tally, markdown

OUT = Path(__file__).resolve().parent / "out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One program in a contest."""

    program: Program
    rounds: tuple[Cost, ...]
    peak_bytes: int
    one_s: float
    """Seconds for a single picture, from start to end."""
    found: int
    """Faces in the input."""
    tallies: Mapping[str, Tally]
    """What it finds, by the name of the set; empty for a split program, which finds the same."""

    @property
    def wall_s(self) -> float:
        return statistics.median(cost.wall_s for cost in self.rounds)

    @property
    def cpu_s(self) -> float:
        return statistics.median(cost.cpu_s for cost in self.rounds)

    def times(self, peer: "Result") -> list[float]:
        """How many times as fast as a peer, in each round."""
        return [theirs.wall_s / mine.wall_s for mine, theirs in zip(self.rounds, peer.rounds, strict=True)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--frames", type=int, default=300, help="pictures; a third of them where a peer is slow")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--only", action="append", metavar="NAME", help="a contest; may be repeated")
    arguments.add_argument("--data", type=Path, default=SHARED_DATA, help="the folder of the shared pictures")
    chosen = arguments.parse_args()
    print(f"{usable_cores()} cores, a load of {os.getloadavg()[0]:.1f} before the first run\n")
    known = sets(chosen.data)
    verdicts: list[Sequence[str]] = []
    seen: dict[str, Tally] = {}
    OUT.mkdir(exist_ok=True)
    # All results stay until the end: ext4 is slow to make files where others have just been removed.
    with environment(PLUGINS) as env, tempfile.TemporaryDirectory(dir=OUT) as place:
        for contest in contests(env):
            if chosen.only and contest.key not in chosen.only:
                continue
            contest.environment.make()
            shown = input_of(contest, chosen.frames, known, chosen.data)
            print(f"## {contest.title}: {shown.name}\n\n`--only {contest.key}`. {contest.leaves_out}\n")
            print(f"{', '.join(contest.environment.packages)}\n", flush=True)
            results = compete(contest, shown, Path(place), rounds=chosen.rounds, known=known, seen=seen)
            print(f"{speed(contest, results, shown)}\n{accuracy(results)}", flush=True)
            verdicts += verdict(contest, results)
    columns = ("contest", "peer", "faceloom", "times as fast", "asked", "peak MiB", "peer's", "recall", "holds")
    print(markdown("In short", columns, verdicts))


def input_of(contest: Contest, frames: int, known: Sequence[KnownFaces], data: Path) -> KnownFaces:
    """What the programs of a contest are given, made if it is not there."""
    match contest.input:
        case Input.JPEGS:
            return jpegs(frames)
        case Input.JPEGS_420:
            return jpegs_420(frames)
        case Input.PHOTOS:
            return photos(max(1, frames // 3))
        case Input.EMPTY:
            return empty(frames)
        case Input.FEW_JPEGS:
            return jpegs(max(1, frames // 3))
        case Input.VIDEO:
            return video(frames)
        case Input.FEW_FRAMES:
            return video(max(1, frames // 3))
        case Input.PORTRAITS:
            (portraits,) = (one for one in known if one.name == PORTRAITS)
            return many(portraits, data, count=3 * frames)


def compete(
    contest: Contest,
    shown: KnownFaces,
    place: Path,
    *,
    rounds: int,
    known: Sequence[KnownFaces],
    seen: dict[str, Tally],
) -> list[Result]:
    """Every program of a contest on its input, in turns; then what each finds in the known sets.

    Args:
        place: where results are written, each into a folder of its own.
        seen: what has been found in known sets before, by command; is added to.
    """
    programs = [*contest.peers, *contest.ours]
    single = one_of(shown) if shown.source.is_dir() else jpegs(1).source
    for program in programs:
        run(program, single, place)  # what is read, and what ours measures, for the first time
    singles = [run(program, single, place)[0] for program in programs]
    turns = [[run(program, shown.source, place) for program in programs] for _ in range(rounds)]
    peaks = [run(program, shown.source, place, memory=True)[0].peak_bytes for program in programs]
    found = [run_found for _, run_found in turns[0]]
    tallies = {
        program.name: {shown.name: shown.tally(here)} | {one.name: look(program, one, place, seen) for one in known}
        for program, here in zip(programs, found, strict=True)
        if program.finder is program and program.parts == 1
    }
    return [
        Result(
            program=program,
            rounds=tuple(turn[i][0] for turn in turns),
            peak_bytes=peaks[i] or 0,
            one_s=singles[i].wall_s,
            found=sum(map(len, found[programs.index(program.finder)].values())),
            tallies=tallies.get(program.finder.name, {}),
        )
        for i, program in enumerate(programs)
    ]


def look(program: Program, known: KnownFaces, place: Path, seen: dict[str, Tally]) -> Tally:
    """What a program finds in a known set, unless the same command has been there before."""
    command = str(program.commands(known.source, Path()))
    if command not in seen:
        _, found = run(program, known.source, place)
        seen[command] = known.tally(found)
    return seen[command]


def run(program: Program, source: Path, place: Path, *, memory: bool = False) -> tuple[Cost, Found]:
    """What one run costs and finds; how much memory it holds, if asked."""
    out = Path(tempfile.mkdtemp(dir=place))
    cost = measure(program.commands(source, out), env=program.env, memory=memory)
    return cost, program.found(out)


def speed(contest: Contest, results: Sequence[Result], shown: KnownFaces) -> str:
    """A line a program; of ours, how many times as fast as each way to run the peer."""
    peers = [result for result in results if result.program in contest.peers]
    rows = []
    for result in results:
        cells = (
            f"{len(shown.truth) / result.wall_s:.1f}",
            f"{result.found / result.wall_s:.0f}",
            f"{1000 * result.cpu_s / len(shown.truth):.1f}",
            f"{result.peak_bytes / MIB:.0f}",
            f"{result.one_s:.2f}",
        )
        times = [_range(result.times(peer)) if result not in peers else "" for peer in peers]
        rows.append((result.program.name, *cells, *times))
    columns = ("program", "frames/s", "faces/s", "CPU ms a frame", "peak MiB", "one picture s")
    return markdown("Speed", (*columns, *(f"times {peer.program.name}" for peer in peers)), rows)


def accuracy(results: Sequence[Result]) -> str:
    """Recall and precision of each program that finds something of its own."""
    rows = [
        (result.program.name, *(f"{count.recall:.3f} / {count.precision:.3f}" for count in result.tallies.values()))
        for result in results
        if result.program.finder is result.program and result.tallies
    ]
    counts = results[0].tallies.items()
    return markdown(
        "Recall / precision", ("program", *(f"{name} ({count.there} faces)" for name, count in counts)), rows
    )


def verdict(contest: Contest, results: Sequence[Result]) -> Iterator[Sequence[str]]:
    """Ours against the peer as it is usually run, and as it is fastest; whether what was asked holds."""
    peers = [result for result in results if result.program in contest.peers]
    usual, fastest = peers[0], min(peers, key=lambda peer: peer.wall_s)
    for peer in [usual] if usual is fastest else [usual, fastest]:
        for mine in (result for result in results if result not in peers):
            times = mine.times(peer)
            lower = [
                f"{name} {count.recall:.2f} against {usual.tallies[name].recall:.2f}"
                for name, count in mine.tallies.items()
                if count.recall < usual.tallies[name].recall
            ]
            misses = [
                *["speed"] * (statistics.median(times) < (contest.goal or 0)),
                *["memory"] * (mine.peak_bytes > peer.peak_bytes),
                *["recall"] * bool(lower),
            ]
            yield (
                contest.key,
                peer.program.name,
                mine.program.name,
                _range(times),
                f"{contest.goal or ''}",
                f"{mine.peak_bytes / MIB:.0f}",
                f"{peer.peak_bytes / MIB:.0f}",
                "; ".join(lower) or "no lower",
                "" if contest.goal is None else f"not {', '.join(misses)}" if misses else "yes",
            )


def _range(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"


if __name__ == "__main__":
    main()
