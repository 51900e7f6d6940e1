"""What `cluster_model.py` is told: costs of a run on one core, measured in real runs that are pinned to it."""

import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster_model import Costs
from faceloom.store.rows import ChunkRows

NAMES = 20_000
LISTED = (200, 2_000)
"""Sources that are listed and looked into and not done, twice: the difference is what each takes."""
NO_SHARD = "1/1000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class RealRun:
    """A command that has been run, as it tells of itself."""

    seconds: float
    """By the clock."""
    processor_s: float
    """Of all its processes."""
    told: dict[str, Any]


def start(core: int, *arguments: str) -> "subprocess.Popen[str]":
    """Starts this file on one core."""
    command = ["taskset", "--cpu-list", str(core), sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: "subprocess.Popen[str]") -> RealRun:
    """Waits for it."""
    text, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r} ended with {process.returncode}")
    told = json.loads(text.splitlines()[-1])
    return RealRun(seconds=told.pop("seconds"), processor_s=told.pop("processor_s"), told=told)


def run(core: int, inputs: Path, out: Path, *, shard: str = "1/1", only_list: bool = False) -> "subprocess.Popen[str]":
    """A run with one worker, which is left before its first chunk if it is only to list."""
    return start(core, "list" if only_list else "run", str(inputs), str(out), shard)


def measure(pictures: Path, *, core: int, repeats: int) -> tuple[Costs, list[str]]:
    """Costs by runs over a folder of pictures, and a line on each for who reads them."""
    frame_s: list[float] = []
    points: list[tuple[int, float]] = []
    reports: list[float] = []
    starts, merges, requests, answers, rows_a_s = [], [], [], [], []
    with tempfile.TemporaryDirectory(prefix="cluster-") as place:
        name_s, source_s = _listing(pictures, Path(place), core)
        for number in range(repeats):
            out = Path(place) / f"out-{number}"
            ran = finish(run(core, pictures, out))
            chunks = ran.told["chunks"]
            frame_s += [one["processor_s"] / one["frames"] for one in chunks]
            points += [(one["frames"], one["driver_s"] - one["reports_s"]) for one in chunks[1:]]
            reports.append(sum(one["reports_s"] for one in chunks) / sum(one["reports"] for one in chunks))
            frames = sum(one["frames"] for one in chunks)
            of_chunks = sum(one["processor_s"] + one["driver_s"] for one in chunks)
            starts.append(ran.processor_s - of_chunks - frames * source_s)
            requests.append(sum(one["request_bytes"] for one in chunks) / frames)
            answers.append(sum(one["answer_bytes"] for one in chunks) / frames)
            faces = sum(one["faces"] for one in chunks)
            rows_a_s.append((frames + faces) / sum(one["commit_s"] for one in chunks))
            merged = finish(start(core, "merge", str(Path(place) / f"merged-{number}"), str(out)))
            merges.append(merged.told["merge_s"] / merged.told["sources"])
    slope, base = (max(0.0, value) for value in statistics.linear_regression(*zip(*points, strict=True)))
    costs = Costs(
        frame_s=tuple(frame_s),
        chunk_driver_s=base,
        frame_driver_s=slope,
        report_driver_s=statistics.fmean(reports),
        name_s=name_s,
        source_s=source_s,
        start_s=statistics.fmean(starts),
        merge_source_s=statistics.fmean(merges),
        request_bytes=statistics.fmean(requests),
        answer_bytes=statistics.fmean(answers),
    )
    full = costs.driver_s(64, 64 * statistics.fmean(frame_s))
    return costs, [
        _told("worker, a frame", frame_s, 1e3, "ms"),
        _told("driver, a report of progress", reports, 1e3, "ms"),
        f"| driver, a chunk besides | {1e3 * base:.2f} ms, and {1e3 * slope:.3f} ms a frame | {len(points)} chunks |",
        f"| driver, a chunk of 64 frames, all in all | {1e3 * full:.1f} ms | |",
        _told("rows into the store, a second", rows_a_s, 1, ""),
        f"| driver and prober, a source before its chunk | {1e3 * source_s:.2f} ms | {LISTED[1]:,} less {LISTED[0]} |",
        f"| a name of another shard | {1e6 * name_s:.0f} us | {NAMES:,} |",
        _told("start of a command", starts, 1, "s"),
        _told("merge, a source with its chips", merges, 1e3, "ms"),
        _told("request, a frame", requests, 1, "bytes"),
        _told("answer, a frame", answers, 1, "bytes"),
    ]


def measure_ray(pictures: Path, *, core: int, repeats: int) -> str:
    """A line on what the driver takes where its worker is an actor of Ray."""
    points: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory(prefix="cluster-") as place:
        for number in range(repeats):
            # Ray's processes are started by the command, and have its core too.
            ran = finish(start(core, "ray", str(pictures), str(Path(place) / str(number)), "1/1"))
            points += [(one["frames"], one["driver_s"]) for one in ran.told["chunks"][1:]]
    slope, base = statistics.linear_regression(*zip(*points, strict=True))
    full = 1e3 * (base + 64 * slope)
    return (
        f"| driver over Ray, a chunk | {1e3 * base:.2f} ms, and {1e3 * slope:.3f} ms a frame: {full:.1f} ms for 64"
        f" | {len(points)} chunks |"
    )


def _told(what: str, values: Sequence[float], factor: float, unit: str) -> str:
    mean, deviation = statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0
    return f"| {what} | {factor * mean:,.4g} {unit} | sd {deviation / mean:.0%} of {len(values)} |"


def _listing(pictures: Path, place: Path, core: int) -> tuple[float, float]:
    """Seconds for a name that is another shard's, and for a source that is taken up and not done."""
    names = place / "names"
    names.mkdir()
    for number in range(NAMES):
        (names / f"{number:06}.jpg").touch()
    few = place / "few"
    few.mkdir()
    (few / "0.jpg").touch()
    took = [finish(run(core, folder, place / f"of-{folder.name}", shard=NO_SHARD)) for folder in (few, names)]
    name_s = max(0.0, took[1].processor_s - took[0].processor_s) / NAMES
    listed: list[float] = []
    for count in LISTED:
        folder = place / f"listed-{count}"
        folder.mkdir()
        originals = sorted(pictures.iterdir())
        for number in range(count):
            (folder / f"{number:06}.jpg").hardlink_to(originals[number % len(originals)])
        listed.append(finish(run(core, folder, place / f"of-{count}", only_list=True)).processor_s)
    return name_s, max(0.0, listed[1] - listed[0]) / (LISTED[1] - LISTED[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commit:
    """A chunk that has been committed; the seconds of reports are those since the start."""

    at: float
    took_s: float
    reports: int
    reports_s: float
    rows: ChunkRows


class _Left(Exception):  # noqa: N818
    """The run is left before its first chunk."""


def _run(inputs: Path, out: Path, shard: str, *, only_list: bool = False, cluster: str | None = None) -> dict[str, Any]:
    """The run itself, with a look at each commit."""
    import faceloom
    from faceloom.messages import Answer, Do, Reading, Request
    from faceloom.store.store import Store
    from faceloom.supervisor.scheduler import Scheduler
    from faceloom.supervisor.workers import PooledWorker

    seen: list[_Commit] = []
    sent: dict[int, Request] = {}
    commit, send, do, hear = Store.commit, PooledWorker.send, Scheduler.do, Scheduler._hear
    begun, reports, reports_s = 0.0, 0, 0.0

    def heard(scheduler: Scheduler, *, within_s: float | None = None) -> tuple[PooledWorker, Answer]:
        nonlocal reports, reports_s
        started = time.thread_time()
        answer = hear(scheduler, within_s=within_s)
        if isinstance(answer[1], Reading):
            reports += 1
            reports_s += time.thread_time() - started
        return answer

    def watched(store: Store, rows: ChunkRows) -> None:
        started = time.thread_time()
        commit(store, rows)
        took = time.thread_time() - started
        seen.append(_Commit(at=time.process_time(), took_s=took, reports=reports, reports_s=reports_s, rows=rows))

    def noted(worker: PooledWorker, request: Request) -> None:
        if isinstance(request, Do):
            sent[request.chunk.number] = request
        send(worker, request)

    def done(scheduler: Scheduler) -> None:
        nonlocal begun
        if only_list:
            raise _Left
        begun = time.process_time()
        do(scheduler)

    Store.commit, PooledWorker.send, Scheduler.do = watched, noted, done  # type: ignore[method-assign,assignment]
    Scheduler._hear = heard  # type: ignore[method-assign,assignment]
    try:
        faceloom.extract(inputs, out, size=64, threads=1, shard=shard, cluster=cluster)
    except _Left:
        return {}
    if not seen:  # a shard without a source
        return {"chunks": []}
    before = [_Commit(at=begun, took_s=0, reports=0, reports_s=0, rows=seen[0].rows), *seen[:-1]]
    return {"chunks": [_chunk(last, one, sent[one.rows.number]) for last, one in zip(before, seen, strict=True)]}


def _chunk(last: "_Commit", one: "_Commit", request: object) -> dict[str, float]:
    """What a chunk took, since the last one was committed."""
    return {
        "frames": len(one.rows.frames),
        "faces": len(one.rows.faces),
        "processor_s": one.rows.processor_s,
        "driver_s": one.at - last.at,
        "reports": one.reports - last.reports,
        "reports_s": one.reports_s - last.reports_s,
        "commit_s": one.took_s,
        "request_bytes": len(pickle.dumps(request)),
        "answer_bytes": len(pickle.dumps(one.rows)),
    }


def _merge(out: Path, *parts: Path) -> dict[str, Any]:
    from faceloom.store.merging import merge

    begun = time.process_time()
    merged = merge(parts, out)
    return {"sources": merged.sources, "merge_s": time.process_time() - begun}


def main() -> None:
    started = time.monotonic()
    what, first, *rest = sys.argv[1:]
    if what == "merge":
        told = _merge(Path(first), *map(Path, rest))
    else:
        cluster = "local" if what == "ray" else None
        told = _run(Path(first), Path(rest[0]), rest[1], only_list=what == "list", cluster=cluster)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    told["processor_s"] = sum(one.ru_utime + one.ru_stime for one in used)
    told["seconds"] = time.monotonic() - started
    print(json.dumps(told), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
