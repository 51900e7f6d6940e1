"""How far one driver goes, and what shards give beyond it: `python benchmarks/cluster.py`.

Costs are measured in real runs, each pinned to one core of this machine. A discrete-event simulation
(`cluster_model.py`) is checked against other runs, of one node and of two, where a node is a command on one core; then
it goes from 1 to 2,000 nodes. Seconds are those of the processor, since other programs take their part of the clock's.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster_costs import RealRun, finish, measure, measure_ray, run, start
from cluster_model import LOCAL, SHORTEST_CHUNK_FRAMES, Costs, Network, Outcome, merge_s, one_driver, shards, spread
from faceloom.media.shards import Shard
from media import write_pictures
from plot import write_chart

OUT = Path(__file__).parent / "out"
PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "cluster.svg"
NODES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
SEEDS = (1, 2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is simulated."""

    frames: int
    cores: int
    """Of each node."""
    price: float
    """Of a node for an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to do the job: so many drivers, and then one merge if there are several."""

    drivers: int
    outcomes: tuple[Outcome, ...]
    """One for each seed."""
    merge_s: float

    @property
    def seconds(self) -> float:
        """From the first command to the one result."""
        return statistics.fmean(one.seconds for one in self.outcomes) + self.merge_s

    @property
    def deviation(self) -> float:
        """Of the seconds, as a share of them."""
        return spread([one.seconds for one in self.outcomes]) / self.seconds

    def cost(self, job: Job, nodes: int) -> float:
        """Of a million frames; one node stays for the merge."""
        node_s = nodes * (self.seconds - self.merge_s) + self.merge_s
        return node_s / 3600 * job.price / job.frames * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=float, default=5e6, help="of the simulated job")
    parser.add_argument("--cores", type=int, default=8, help="of a simulated node")
    parser.add_argument("--price", type=float, default=0.40, help="of a node for an hour, in any currency")
    parser.add_argument("--measured", type=int, default=160, help="pictures of the runs that costs are taken from")
    parser.add_argument("--checked", type=int, default=240, help="pictures of the runs that predictions are held to")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--costs", type=Path, help="a file of costs: read if it is there, written if it is not")
    parser.add_argument(
        "--ray", action="store_true", help="also measure the driver over Ray, which has to be installed"
    )
    parser.add_argument("--svg", type=Path, default=PICTURE)
    chosen = parser.parse_args()
    costs = take_costs(chosen.costs, chosen.measured, chosen.repeats)
    if chosen.ray:
        pictures = write_pictures(OUT / f"1080p-{chosen.measured}", frames=chosen.measured)
        print(measure_ray(pictures, core=0, repeats=chosen.repeats), flush=True)
    if chosen.ray and chosen.checked:
        check_ray(costs, write_pictures(OUT / f"1080p-{chosen.checked}", frames=chosen.checked), chosen.repeats)
    if chosen.checked:
        check(costs, write_pictures(OUT / f"1080p-{chosen.checked}", frames=chosen.checked), chosen.repeats)
    report(costs, Job(frames=int(chosen.frames), cores=chosen.cores, price=chosen.price), chosen.svg)


def take_costs(file: Path | None, pictures: int, repeats: int) -> Costs:
    """Measures, and tells of it; or takes what was measured."""
    if file is not None and file.exists():
        told = json.loads(file.read_text())
        return Costs(**told | {"frame_s": tuple(told["frame_s"])})
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores\n\n| what | measured | of |\n| --- | ---: | --- |")
    costs, lines = measure(write_pictures(OUT / f"1080p-{pictures}", frames=pictures), core=0, repeats=repeats)
    print("\n".join(lines), flush=True)
    if file is not None:
        file.write_text(json.dumps(asdict(costs)))
    return costs


def check(costs: Costs, pictures: Path, repeats: int) -> None:
    """One node, and two at once with a merge, as predicted and as they really ran."""
    names = [path.name for path in sorted(pictures.iterdir())]
    largest = max(sum(name in Shard(number, 2) for name in names) for number in (1, 2))
    seeds = range(20)
    alone = [one_driver(costs, len(names), workers=1, seed=seed, one_core=True).seconds for seed in seeds]
    halves = [
        shards(costs, len(names), drivers=2, workers=1, seed=seed, one_core=True, size=largest).seconds
        for seed in seeds
    ]
    real = [both(pictures) for _ in range(repeats)]
    rows = {
        "1 node": (alone, [[one] for one, _, _ in real]),
        f"2 nodes, the larger shard ({largest} of {len(names)})": (halves, [[*two] for _, two, _ in real]),
    }
    print(f"\nload {os.getloadavg()[0]:.1f}\n")
    print("| | predicted s | sd | measured s | sd | off | by the clock s |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, (predicted, runs) in rows.items():
        measured = [max(one.processor_s for one in group) for group in runs]
        clock = [max(one.seconds for one in group) for group in runs]
        print(f"| {name} | {_row(predicted, measured)} | {statistics.fmean(clock):.1f} |")
    merged = [float(one.told["merge_s"]) for _, _, one in real]
    print(f"| merge of both | {_row([merge_s(costs, len(names))], merged)} | |", flush=True)


def check_ray(costs: Costs, pictures: Path, repeats: int) -> None:
    """One driver with one and with two nodes of Ray, each of one core, as predicted and as they really ran.

    From the first commit to the last. Other programs make chunks longer by the clock than by the processor; the clock's
    seconds are divided by how much.
    """
    frames = len(list(pictures.iterdir()))
    print(f"\nload {os.getloadavg()[0]:.1f}\n")
    print("| nodes of Ray | predicted s | sd | measured s | sd | off | by the clock s |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for nodes in (1, 2):
        real = [over_ray(pictures, nodes) for _ in range(repeats)]
        # The first chunk, which has been committed when the clock is started.
        left = frames - SHORTEST_CHUNK_FRAMES
        predicted = [one_driver(costs, left, workers=nodes, seed=seed, network=Network()).work_s for seed in range(20)]
        measured = [one["span_s"] * one["processor_s"] / one["clock_s"] for one in real]
        clock = statistics.fmean(one["span_s"] for one in real)
        print(f"| {nodes} | {_row(predicted, measured)} | {clock:.1f} |", flush=True)


def over_ray(pictures: Path, nodes: int) -> dict[str, float]:
    """A run of `cluster_ray.py`."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
        command = [sys.executable, str(Path(__file__).with_name("cluster_ray.py")), str(pictures), f"{folder}/out"]
        text = subprocess.run([*command, str(nodes)], check=True, capture_output=True, text=True).stdout
    told: dict[str, float] = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
    return told


def _row(predicted: list[float], measured: list[float]) -> str:
    off = statistics.fmean(predicted) / statistics.fmean(measured) - 1
    told = f"{statistics.fmean(predicted):.2f} | {spread(predicted):.2f} | {statistics.fmean(measured):.2f}"
    return f"{told} | {spread(measured):.2f} | {off:+.0%}"


def both(pictures: Path) -> tuple[RealRun, tuple[RealRun, RealRun], RealRun]:
    """A run on one core; two shards at once on two; and their merge."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as folder:
        place = Path(folder)
        one = finish(run(0, pictures, place / "one"))
        begun = [run(core, pictures, place / f"part-{core}", shard=f"{core + 1}/2") for core in (0, 1)]
        first, second = map(finish, begun)
        merged = finish(start(0, "merge", str(place / "out"), str(place / "part-0"), str(place / "part-1")))
        return one, (first, second), merged


def report(costs: Costs, job: Job, svg: Path) -> None:
    """The table from 1 to 2,000 nodes, and its plot."""
    chunk_s = 64 * statistics.fmean(costs.frame_s)
    full = costs.driver_s(64, chunk_s)
    print(f"\na chunk of 64 takes a worker {chunk_s:.2f} s and the driver {1e3 * full:.1f} ms: one driver has work for")
    print(f"{chunk_s / full:.0f} workers; {job.frames:,} frames, nodes of {job.cores} cores\n")
    print("| nodes | one driver | driver busy | workers busy | cost a million", end=" ")
    print("| fastest with shards | then merge | in all | cost a million |")
    print("| ---: " * 9 + "|")
    alone, split, unmerged = [], [], []
    deviations = []
    for nodes in NODES:
        single, best = one_way(costs, job, nodes, 1), best_way(costs, job, nodes)
        deviations += [single.deviation, best.deviation]
        busy = [statistics.fmean(values) for values in zip(*map(_busy, single.outcomes), strict=True)]
        told = f"{_clock(single.seconds)} | {busy[0]:.0%} | {busy[1]:.0%} | {single.cost(job, nodes):.2f}"
        parts = f"{_clock(best.seconds - best.merge_s)} with {best.drivers:,} | {_clock(best.merge_s)}"
        print(f"| {nodes:,} | {told} | {parts} | {_clock(best.seconds)} | {best.cost(job, nodes):.2f} |", flush=True)
        alone.append((float(nodes), job.frames / single.seconds))
        split.append((float(nodes), job.frames / best.seconds))
        unmerged.append((float(nodes), job.frames / (best.seconds - best.merge_s)))
    print(f"\nsd over {len(SEEDS)} draws at most {max(deviations):.1%}")
    lines = {"one driver": alone, "shards, merged": split, "shards, not merged": unmerged}
    title = f"Frames a second from start to result, {job.frames / 1e6:g} million frames"
    write_chart(svg, lines, title=title, x=f"nodes of {job.cores} cores", y="frames a second", is_logarithmic=True)


def _busy(outcome: Outcome) -> tuple[float, float]:
    return outcome.driver_busy, outcome.workers_busy


def one_way(costs: Costs, job: Job, nodes: int, drivers: int) -> Way:
    """So many drivers that share the nodes."""
    workers = job.cores * nodes // drivers
    # Where a node has its driver to itself, nothing crosses a network.
    network = LOCAL if drivers == nodes else Network()
    several = drivers > 1
    outcomes = tuple(
        shards(costs, job.frames, drivers=drivers, workers=workers, seed=seed, network=network)
        if several
        else one_driver(costs, job.frames, workers=workers, seed=seed, network=network)
        for seed in SEEDS
    )
    return Way(drivers=drivers, outcomes=outcomes, merge_s=merge_s(costs, job.frames) if several else 0.0)


def best_way(costs: Costs, job: Job, nodes: int) -> Way:
    """The fewest drivers that are nearly as fast as any number of them, without the merge; several, if there can be."""
    ways = [one_way(costs, job, nodes, drivers) for drivers in _divisions(nodes)]
    fastest = min(way.seconds for way in ways)
    return next(way for way in ways if way.seconds <= 1.01 * fastest)


def _divisions(nodes: int) -> Iterator[int]:
    """Numbers of drivers, from few to one a node."""
    if nodes == 1:
        yield 1
    yield from (count for count in (2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000) if nodes % count == 0)


def _clock(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60}:{minutes % 60:02}"


if __name__ == "__main__":
    main()
