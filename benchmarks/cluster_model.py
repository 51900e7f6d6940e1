"""A model of many machines: a discrete-event simulation of one driver with its nodes, and of shards that are merged.

Numbers in, numbers out. What things cost is measured by `cluster.py`. There is one event for each chunk: its answer
comes to the driver, which takes answers in their order, commits them and deals the next chunk.
"""

import heapq
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

CHUNK_FRAMES, SHORTEST_CHUNK_FRAMES, CHUNKS_A_WORKER, AHEAD = 64, 8, 4, 2
"""As in `supervisor/planning.py`, `queue.py` and `scheduler.py`."""
REPORTS_A_S = 5
"""Of progress, by each worker, as in `worker/main.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What was measured; seconds are those of one core."""

    frame_s: tuple[float, ...]
    """Of a worker, for a frame: the mean of each chunk that was measured."""
    chunk_driver_s: float
    """Of the driver, for a chunk: dealing it out, hearing its answer, its transaction."""
    frame_driver_s: float
    """Of the driver, for a frame more in a chunk: its rows are read from the answer and written into the store."""
    report_driver_s: float
    """Of the driver, for a report of progress."""
    name_s: float
    """Of the driver, for a source that only its name is looked at of, since it is in another shard."""
    source_s: float
    """Of driver and prober, for a source of its own before any chunk: its row, and its header."""
    start_s: float
    """From the start of a command to the first frame, without that."""
    merge_source_s: float
    """Of `merge`, for a source with its rows and chips."""
    request_bytes: float
    """Of a chunk, on its way to a worker, a frame."""
    answer_bytes: float
    """Of its rows, on their way back, a frame."""

    def driver_s(self, frames: int, seconds: float) -> float:
        """Of the driver, for a chunk that takes a worker so many seconds."""
        return self.chunk_driver_s + self.frame_driver_s * frames + self.report_driver_s * REPORTS_A_S * seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What was not measured, since there is one machine: the way between driver and workers."""

    latency_s: float = 0.001
    link_bytes_a_s: float = 1.25e9
    """Of the driver."""


LOCAL = Network(latency_s=0.0, link_bytes_a_s=math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job went."""

    seconds: float
    work_s: float
    """Until the last chunk is committed, from the start of the first."""
    driver_busy: float
    """The share of that in which the driver had work."""
    workers_busy: float


def one_driver(
    costs: Costs, frames: int, *, workers: int, seed: int = 0, network: Network = LOCAL, one_core: bool = False
) -> Outcome:
    """One driver that lists everything, and deals out chunks to so many workers.

    Args:
        costs: as measured.
        frames: of pictures; each is a source.
        workers: with a core each.
        seed: of what is drawn: the seconds of each chunk.
        network: between the driver and all workers.
        one_core: whether the driver has the core of its only worker, and no other.
    """
    draw = random.Random(seed)
    begun = costs.start_s + costs.source_s * frames
    left, free_at, busy_s = frames, 0.0, 0.0
    busy_until = [0.0] * workers
    worked = [0.0] * workers
    answers: list[tuple[float, int, int, float]] = []

    def deal(worker: int) -> None:
        nonlocal left, free_at
        size = _chunk_frames(left, frames, workers)
        if not size:
            return
        left -= size
        arrives = free_at + network.latency_s + size * costs.request_bytes / network.link_bytes_a_s
        seconds = size * draw.choice(costs.frame_s)
        busy_until[worker] = max(busy_until[worker], arrives) + seconds
        worked[worker] += seconds
        heapq.heappush(answers, (busy_until[worker] + network.latency_s, worker, size, seconds))

    for _ in range(AHEAD):
        for worker in range(workers):
            deal(worker)
    while answers:
        at, worker, size, seconds = heapq.heappop(answers)
        cost = max(costs.driver_s(size, seconds), size * costs.answer_bytes / network.link_bytes_a_s)
        free_at = max(at, free_at) + cost
        busy_s += cost
        if one_core:
            busy_until[worker] = max(busy_until[worker], at) + cost
        deal(worker)
    return Outcome(
        seconds=begun + free_at,
        work_s=free_at,
        driver_busy=busy_s / free_at,
        workers_busy=statistics.fmean(worked) / free_at,
    )


def _chunk_frames(left: int, frames: int, workers: int) -> int:
    """The frames of the next chunk: short ones first, and towards the end."""
    planned = max(1, min(CHUNK_FRAMES, -(-frames // workers // CHUNKS_A_WORKER)))
    if left == frames:
        return min(left, planned, SHORTEST_CHUNK_FRAMES)
    return min(left, planned, max(SHORTEST_CHUNK_FRAMES, left // (CHUNKS_A_WORKER * workers)))


def shards(
    costs: Costs,
    frames: int,
    *,
    drivers: int,
    workers: int,
    seed: int = 0,
    network: Network = LOCAL,
    one_core: bool = False,
    size: int | None = None,
) -> Outcome:
    """So many drivers with so many workers each; a source is in the shard that its name's hash says.

    The largest shard is simulated, since all others end before it; it has to look at all names. Its size is drawn if it
    is not known.
    """
    size = largest_shard(frames, drivers, seed) if size is None else size
    of_one = one_driver(costs, size, workers=workers, seed=seed, network=network, one_core=one_core)
    names_s = costs.name_s * (frames - size)
    return replace(of_one, seconds=of_one.seconds + names_s)


def largest_shard(frames: int, drivers: int, seed: int) -> int:
    """How many of the sources the fullest of the shards has, where each goes to any of them alike.

    Counts of shards are near to a normal distribution where they are large; the largest of N is drawn from that.
    """
    mean = frames / drivers
    spread = math.sqrt(mean * (1 - 1 / drivers))
    draw = random.Random(seed)
    return min(frames, round(max(draw.gauss(mean, spread) for _ in range(drivers))))


def merge_s(costs: Costs, frames: int) -> float:
    """Of one `merge` of all shards, which is one process."""
    return costs.merge_source_s * frames


def spread(values: Sequence[float]) -> float:
    """The standard deviation of a few values; 0 of one."""
    return statistics.stdev(values) if len(values) > 1 else 0.0
