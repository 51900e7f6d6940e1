"""Runs on a real cluster of Ray whose nodes are raylets of this machine: `python benchmarks/cluster_runs.py INPUT`.

`--ways` compares exports and chips of a run by itself with those of two nodes, alike and unlike, of one that comes in
the middle, and of one that does not see the result folder. `--kills N` ends an actor, a worker process, a raylet or the
command itself in each round, at a moment drawn at random, and has the same command go on. `--speed N` has the cluster
and this machine by itself take turns on the same cores. What nodes hold is looked up from outside, 20 times a second.
"""

import argparse
import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faceloom.isolation import module_command, module_environment
from faceloom.memory.usage import held_bytes
from faceloom.store.exports import export
from faceloom.units import GIB, MIB

OPTIONS = ("--size", "128", "--device", "cpu", "--quiet", "--json")
_LONGEST_S = 300
_PORT = 6411
_SEEN_S = 0.05
_CHILD = """
import json, os, sys, time
from faceloom.api import extract
from faceloom.events import Progress
seen = []
def on_event(event):
    if isinstance(event, Progress) and event.frames >= 150:
        seen.append((time.perf_counter(), event.frames, time.process_time()))
options = json.loads(sys.argv[3])
summary = extract(sys.argv[1], sys.argv[2], on_event=on_event, **options)
(begin, first, cpu), (end, last, used) = seen[0], seen[-1]
print(json.dumps({"frames_s": (last - first) / (end - begin), "cpu_s": used - cpu, "frames": last - first,
                  "start_s": begin - float(sys.argv[4]), "seconds": summary.seconds}))
"""


@dataclass
class RayNodes:
    """Raylets of this machine; the first is the head, which does no work and holds the command's connection."""

    folder: Path
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What the command runs under."""
        own = {"RAY_ADDRESS": f"127.0.0.1:{_PORT}", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token"}
        return {**os.environ, **module_environment(), **own, "RAY_AUTH_TOKEN": "of-a-benchmark-" + "0" * 32}

    def start(self, name: str, *, cores: int = 1, memory_bytes: int = 2 * GIB, hides: Path | None = None) -> None:
        """Starts a node; it does not see a folder that it `hides`."""
        where = ["--head", f"--port={_PORT}", "--ray-client-server-port=22411", "--include-dashboard=false"]
        told = [*(where if name == "head" else [f"--address=127.0.0.1:{_PORT}"]), f"--num-cpus={cores}"]
        told += [f"--memory={memory_bytes}", f"--node-name={name}", "--object-store-memory=83886080", "--block"]
        command = [str(Path(sys.executable).with_name("ray")), "start", *told]
        if name == "head":
            command.append(f"--temp-dir={self.folder}")
        if hides is not None:
            hidden = f'mount -t tmpfs none "{hides}" && exec "$@"'
            command = ["unshare", "-m", "sh", "-c", hidden, "sh", *command]
        place = self.folder.parent / f"{name}.log"
        with place.open("wb") as log:
            self.nodes[name] = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        _wait(lambda: "Ray runtime started" in place.read_text())

    def raylet(self, name: str) -> int | None:
        """The process of a node's raylet."""
        for pid in _descendants(self.nodes[name].pid):
            if _command(pid)[:1] and _command(pid)[0].endswith("/raylet"):
                return pid
        return None

    def end(self, name: str) -> None:
        """Ends a node as a power cut does."""
        doomed = [*_descendants(self.nodes[name].pid), self.nodes[name].pid]
        for pid in doomed:
            _kill(pid)
        self.nodes.pop(name).wait()

    def relays(self, name: str) -> list[int]:
        """The actors of a node."""
        return [
            pid for pid in _descendants(self.nodes[name].pid) if _command(pid)[:1] == ["ray::Relay"] or _is_relay(pid)
        ]

    def workers(self, name: str) -> list[int]:
        """The worker processes of a node."""
        return [pid for pid in _descendants(self.nodes[name].pid) if "faceloom.worker" in _command(pid)]

    def __enter__(self) -> "RayNodes":
        self.start("head", cores=0)
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.nodes)[::-1]:
            self.end(name)


class Watcher:
    """Looks up what the actors and workers of each node hold together."""

    def __init__(self, nodes: RayNodes) -> None:
        self._nodes = nodes
        self.peaks: defaultdict[str, int] = defaultdict(int)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(_SEEN_S):
            for name in list(self._nodes.nodes):
                with contextlib.suppress(KeyError):
                    pids = [*self._nodes.relays(name), *self._nodes.workers(name)]
                    self.peaks[name] = max(self.peaks[name], sum(map(held_bytes, pids)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path)
    parser.add_argument("--ways", action="store_true")
    parser.add_argument("--kills", type=int, default=0, metavar="N")
    parser.add_argument("--speed", type=int, default=0, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fc-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        bench = Bench(chosen.input.resolve(), Path(folder))
        (Path(folder) / "ray").mkdir()
        with RayNodes(Path(folder) / "ray") as nodes:
            if chosen.ways:
                bench.ways(nodes)
            if chosen.kills:
                bench.kills(nodes, chosen.kills, random.Random(chosen.seed))
            if chosen.speed:
                bench.speed(nodes, chosen.speed)
    return int(bench.differences > 0)


class Bench:
    """What is compared."""

    def __init__(self, source: Path, folder: Path) -> None:
        self._source = source
        self._folder = folder
        self.differences = 0
        self._alone: tuple[str, str] | None = None

    @property
    def alone(self) -> tuple[str, str]:
        """What one run on this machine by itself finds."""
        if self._alone is None:
            out = self._folder / "alone"
            _run(self._source, out, ["--memory", "4GiB"], dict(os.environ))
            self._alone = _sums(out)
        return self._alone

    def ways(self, nodes: RayNodes) -> None:
        """The table of identity, and what nodes held."""
        print("| way | frames a node | ceiling, planned, told, seen from outside (MiB) | export | chips |")
        print("| --- | --- | --- | --- | --- |")
        print(f"| by itself | | | {self.alone[0][:12]} | {self.alone[1][:12]} |", flush=True)
        nodes.start("a")
        self._way("a node that comes in the middle", nodes, ["--memory", "1GiB"], joins="b")
        self._way("two nodes", nodes, ["--memory", "1GiB"])
        self._way("two nodes, by ray://", nodes, ["--memory", "1GiB"], address="ray://127.0.0.1:22411")
        nodes.end("b")
        nodes.start("c", memory_bytes=560 * MIB)
        self._way("unequal nodes", nodes, ["--memory", "1GiB"])
        nodes.end("c")
        hidden = self._folder / "hidden"
        hidden.mkdir()
        nodes.start("d", hides=hidden)
        self._way("a node that does not see the result folder", nodes, ["--memory", "1GiB"], below=hidden)
        for name in ("a", "d"):
            nodes.end(name)

    def _way(
        self,
        name: str,
        nodes: RayNodes,
        options: Sequence[str],
        *,
        address: str = "auto",
        joins: str = "",
        below: Path | None = None,
    ) -> None:
        out = (below or self._folder) / "way"
        shutil.rmtree(out, ignore_errors=True)
        later = threading.Thread(target=self._join, args=(nodes, joins, out))
        if joins:
            later.start()
        with Watcher(nodes) as watcher:
            told = _run(self._source, out, [*options, "--cluster", address], nodes.environment)
        if joins:
            later.join()
        sums = _sums(out)
        self.differences += sums != self.alone
        held = "; ".join(
            f"{name}: " + ", ".join(f"{size / MIB:.0f}" for size in (*_sizes(one), watcher.peaks[name]))
            for name, one in told["nodes"].items()
        )
        frames = ", ".join(f"{name} {one['frames']}" for name, one in told["nodes"].items())
        print(f"| {name} | {frames} | {held} | {sums[0][:12]} | {sums[1][:12]} |", flush=True)

    def _join(self, nodes: RayNodes, name: str, out: Path) -> None:
        """Starts a node when a run has begun."""
        _wait(out.is_dir)
        nodes.start(name)

    def kills(self, nodes: RayNodes, rounds: int, dice: random.Random) -> None:
        """Rounds in each of which something is ended at a random moment."""
        nodes.start("a")
        nodes.start("b")
        killed: Counter[str] = Counter()
        ended: Counter[str] = Counter()
        for number in range(rounds):
            out = self._folder / f"killed-{number}"
            kind = dice.choice(["actor", "worker", "raylet", "command"])
            killed[kind] += 1
            code = self._disturbed(out, nodes, kind, dice)
            runs = 1
            while code not in (0, 1) and runs < 5:
                code = _command_of(self._source, out, nodes).wait(_LONGEST_S)
                runs += 1
            ended[f"{kind}: {runs} run{'s' * (runs > 1)}"] += 1
            if code not in (0, 1) or _sums(out) != self.alone:
                self.differences += 1
                print(f"round {number}, {kind}: exit code {code}, another result", flush=True)
            shutil.rmtree(out, ignore_errors=True)
            if nodes.raylet("b") is None:
                nodes.end("b")
                nodes.start("b")
        print(f"\n{rounds} rounds, {self.differences} differences: {dict(killed)}; {dict(ended)}", flush=True)
        nodes.end("a")
        nodes.end("b")

    def _disturbed(self, out: Path, nodes: RayNodes, kind: str, dice: random.Random) -> int:
        """A run in which something is ended, and how it ended itself."""
        run = _command_of(self._source, out, nodes)
        _wait(lambda: run.poll() is not None or bool(nodes.workers("a") or nodes.workers("b")))
        time.sleep(dice.uniform(0, 4))
        doomed = {
            "actor": lambda: nodes.relays("a") + nodes.relays("b"),
            "worker": lambda: nodes.workers("a") + nodes.workers("b"),
            "raylet": lambda: [pid for pid in [nodes.raylet("b")] if pid],
            "command": lambda: [run.pid],
        }[kind]()
        if doomed:
            _kill(dice.choice(doomed))
        try:
            return run.wait(_LONGEST_S)
        except subprocess.TimeoutExpired:
            print(f"{kind}: hangs", flush=True)
            run.kill()
            return run.wait()

    def speed(self, nodes: RayNodes, times: int) -> None:
        """Two nodes of a core each against this machine with both cores, in turn, from the 150th frame on."""
        nodes.start("a")
        nodes.start("b")
        found: defaultdict[str, list[dict[str, float]]] = defaultdict(list)
        for _ in range(times):
            for name, more in (("alone", {}), ("cluster", {"cluster": "auto"})):
                out = self._folder / "speed"
                shutil.rmtree(out, ignore_errors=True)
                options = json.dumps({"size": 128, "device": "cpu", "memory": "4GiB", "threads": 2} | more)
                command = [sys.executable, "-c", _CHILD, str(self._source), str(out), options, str(time.perf_counter())]
                told = subprocess.run(command, env=nodes.environment, check=True, capture_output=True, text=True).stdout
                found[name].append(json.loads(told.splitlines()[-1]))
                print(name, told.splitlines()[-1], flush=True)
        for name, runs in found.items():
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            each = 1000 * middle["cpu_s"] / middle["frames"]
            print(f"{name}: {middle['frames_s']:.1f} frames/s, begins after {middle['start_s']:.1f} s,", end=" ")
            print(f"{each:.2f} CPU-ms of the command a frame", flush=True)
        ratio = [
            one["frames_s"] / other["frames_s"] for one, other in zip(found["cluster"], found["alone"], strict=True)
        ]
        print(f"cluster against alone: {statistics.median(ratio):.2f} ({min(ratio):.2f} to {max(ratio):.2f})")


def _command_of(source: Path, out: Path, nodes: RayNodes) -> subprocess.Popen[bytes]:
    options = [*OPTIONS, "--memory", "1GiB", "--cluster", "auto"]
    command = [*module_command("faceloom"), "extract", str(source), "--out", str(out), *options]
    return subprocess.Popen(command, env=nodes.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _run(source: Path, out: Path, options: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    command = [*module_command("faceloom"), "extract", str(source), "--out", str(out), *OPTIONS, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_LONGEST_S)
    if done.returncode not in (0, 1) or not done.stdout.startswith("{"):
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _sums(out: Path) -> tuple[str, str]:
    """The sha256 of what is exported, and of all chips with their names."""
    told = io.StringIO()
    for frames in (False, True):
        export(out, told, to="jsonl", frames=frames)
    chips = hashlib.sha256()
    for path in sorted(path for path in (out / "chips").rglob("*") if path.is_file()):
        chips.update(f"{path.relative_to(out)}\0".encode() + path.read_bytes())
    return hashlib.sha256(told.getvalue().encode()).hexdigest(), chips.hexdigest()


def _sizes(node: Mapping[str, int]) -> tuple[int, int, int]:
    return node["budget_bytes"], node["predicted_peak_bytes"], node["peak_bytes"]


def _wait(is_so: Any, within_s: float = 90) -> None:
    """Waits until something is so."""
    end = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


def _children() -> dict[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                found[parent].append(int(folder.name))
    return found


def _descendants(pid: int) -> list[int]:
    children = _children()
    return list(_below(pid, children))


def _below(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    for child in children.get(pid, []):
        yield from _below(child, children)
        yield child


def _command(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0 ").split("\0")
    return []


def _is_relay(pid: int) -> bool:
    return _command(pid)[:1] != [] and _command(pid)[0].startswith("ray::Relay")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    raise SystemExit(main())
