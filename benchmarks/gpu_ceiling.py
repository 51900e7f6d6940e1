"""Whether the ceiling of a card held, by the driver's own word: `python benchmarks/gpu_ceiling.py [--device cuda:0]`.

The first minute of `benchmarks/gpu.py`. `faceloom extract` runs at the smallest budget that has a plan, with one
network and with five, by both engines. Meanwhile NVML is asked every few milliseconds what each of the run's processes
holds of the card: contexts, libraries, kernels, weights and activations together, which no allocator tells. Where the
driver does not name processes (in containers), it is by how much the whole card has been fuller than before.
"""

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from faceloom.choices import EngineName
from faceloom.engines.runtime import has_torch
from faceloom.memory.devices import find_devices
from faceloom.models.catalog import CATALOG
from faceloom.models.weights import WeightCache
from gpu_runs import extract, faceloom, mib, smallest

LOOK_EVERY_S = 0.005
FLOWS = {1: ("--align", "none"), 5: ("--mask", "unet", "--mask", "onnx", "--identify", "dlib")}


@dataclass
class Card:
    """A card as the driver tells of it."""

    nvml: ModuleType
    handle: Any

    @classmethod
    def of(cls, device: str) -> "Card":
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        (uuid,) = (one.uuid for one in find_devices() if one.name == device)
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        found = (handle for handle in handles if str(nvml.nvmlDeviceGetUUID(handle)) == uuid)
        return cls(nvml, next(found, None) or nvml.nvmlDeviceGetHandleByUUID(uuid))

    def used_bytes(self) -> int:
        memory = self.nvml.nvmlDeviceGetMemoryInfo(self.handle)
        return int(memory.total - memory.free)

    def held_bytes(self, pids: set[int]) -> int:
        """By these processes; 0 where the driver names none."""
        processes = self.nvml.nvmlDeviceGetComputeRunningProcesses(self.handle)
        return sum(int(one.usedGpuMemory or 0) for one in processes if one.pid in pids)


@dataclass(frozen=True)
class Watched:
    """A run, and the most of the card that its processes held at a time."""

    summary: dict[str, Any]
    peak_bytes: int
    is_named: bool


def report_ceiling(device: str) -> bool:
    """Prints a line for each run, and whether no ceiling was exceeded."""
    started = time.perf_counter()
    card = Card.of(device)
    unet = WeightCache.of_user().pull(CATALOG["unet"])
    held: list[bool] = []
    print("| engine | networks | budget MiB | predicted | by the driver | by | seconds so far | |")
    print("| --- | ---: | ---: | ---: | ---: | --- | ---: | --- |")
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder, "samples")
        faceloom("samples", samples)
        for engine in [EngineName.ONNX, *([EngineName.TORCH] if has_torch() else [])]:
            for count, flags in FLOWS.items():
                own = ("--weights", f"mask/onnx={unet}") if count > 1 else ()
                asked = [samples, "--device", device, "--engine", engine, *flags, *own]
                extract(asked, Path(folder, f"{engine}{count}"))  # what is measured is measured here
                budget = smallest(asked)
                run = watched(card, [*asked, "--memory", str(budget)], Path(folder, f"{engine}{count}b"))
                if run is None:
                    print(f"| {engine} | {count} | {mib(budget)} | refused | | | | |")
                    continue
                held.append(run.peak_bytes <= budget)
                predicted = run.summary["predicted_peak_bytes"].get(device, 0)
                by = "process" if run.is_named else "card"
                print(
                    f"| {engine} | {count} | {mib(budget)} | {mib(predicted)} | {mib(run.peak_bytes)} | {by} |"
                    f" {time.perf_counter() - started:.0f} | {'held' if held[-1] else 'EXCEEDED'} |",
                    flush=True,
                )
    print(f"\nThe ceiling held in {sum(held)} of {len(held)} runs")
    return all(held) and bool(held)


def watched(card: Card, asked: Sequence[str | Path], out: Path) -> Watched | None:
    """A run of `faceloom extract` while the driver is asked; None if it was refused."""
    command = ["extract", *asked, "--out", out, "--size", "64", "--json", "--quiet"]
    before = card.used_bytes()
    process = subprocess.Popen(
        [sys.executable, "-m", "faceloom.cli.main", *map(str, command)], stdout=subprocess.PIPE, text=True
    )
    most = {"named": 0, "whole": 0}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_EVERY_S):
            most["named"] = max(most["named"], card.held_bytes({process.pid, *descendants(process.pid)}))
            most["whole"] = max(most["whole"], card.used_bytes() - before)

    thread = threading.Thread(target=look)
    thread.start()
    told, _ = process.communicate()
    ended.set()
    thread.join()
    if process.returncode == 3:
        return None
    return Watched(json.loads(told), most["named"] or most["whole"], bool(most["named"]))


def descendants(pid: int) -> Iterator[int]:
    """The processes that a process has started, and those that they have."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has ended
        return
    for child in map(int, children):
        yield child
        yield from descendants(child)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    return 0 if report_ceiling(parser.parse_args().device) else 1


if __name__ == "__main__":
    sys.exit(main())
