"""The promise on a card, by the engine `torch`: `python benchmarks/gpu.py [--device cuda:0]`, under ten minutes.

Five networks, four of them of the size that budgets are for: S3FD, FAN, BiSeNet, a U-Net and an embedding. Their
footprints are measured, plans are made for budgets from the smallest that has one, each plan is run in a process of its
own under the allocator's cap, and what was predicted stands beside what the allocator and the whole card have held.
Checkpoints that are not on this machine are replaced by random values: bytes and seconds do not depend on them.

Its first minute says whether the ceiling held, by what the driver says each process holds: one network, then five, by
both engines (`benchmarks/gpu_ceiling.py`). Then everything else is printed in one go: what the card answers against
ONNX Runtime on the CPU, footprints, budgets, the floor (each network alone at its best batch), what the shared memory
saves, what an out-of-memory costs, and whether all comes back. At the end `faceloom extract` itself runs at these
budgets (`benchmarks/gpu_runs.py`). The driver is asked through `nvidia-ml-py`. Nobody else should be on the card.
"""

import argparse
import importlib
import json
import math
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from faceloom.align.facemesh import FaceMesh
from faceloom.align.fan import Fan
from faceloom.align.pfld import Pfld
from faceloom.choices import EngineName, Precision
from faceloom.detect import Detector
from faceloom.detect.centerface import CenterFace
from faceloom.detect.s3fd import S3fd
from faceloom.detect.yunet import YuNet
from faceloom.engines.engine import Engine, HeldMemory, Network
from faceloom.engines.runtime import CPU, ON_CPU, Runtime
from faceloom.engines.start import start_engine
from faceloom.errors import BudgetError, WeightsError
from faceloom.mask.bisenet import BiSeNet
from faceloom.mask.unet import UNet
from faceloom.memory.devices import find_devices, gpu_problem
from faceloom.memory.footprints import fit
from faceloom.memory.usage import ProcessMemory
from faceloom.models.weights import WeightCache
from faceloom.solver.plan import Plan
from faceloom.solver.problem import Arena, Problem, StageCost
from faceloom.solver.solve import solve
from faceloom.stage import NetworkPlugin, Tensors
from faceloom.units import GIB, MIB, format_bytes
from gpu_ceiling import report_ceiling
from gpu_runs import report_runs

sys.path.append(str(Path(__file__).parents[1] / "tests"))
sys.path.append(str(Path(__file__).parent / "plugins"))
from solver.brute import smallest_budget

EMBEDDING: NetworkPlugin = importlib.import_module("identify_fr_feature").Plugin()

STAGES: Mapping[str, tuple[NetworkPlugin, Sequence[str]]] = {
    "detect/s3fd": (S3fd(), ()),
    "align/fan": (Fan(), ("detect/s3fd",)),
    "mask/bisenet": (BiSeNet(), ("align/fan",)),
    "mask/unet": (UNet(), ("align/fan",)),
    "identify/fr_feature": (EMBEDDING, ("align/fan",)),
}
COMPARED: Sequence[NetworkPlugin] = (YuNet(), CenterFace(), FaceMesh(), Pfld(), UNet(), EMBEDDING)
BUDGETS = (2 * GIB, 3 * GIB, 4 * GIB, 8 * GIB, 16 * GIB)
ROUNDS = 3
MARGIN = 0.04
"""As in faceloom.memory.footprints: what is predicted has it, what is measured has to stay below."""
LOOK_EVERY_S = 0.002


@dataclass(frozen=True)
class Setting:
    """What the command line asks for, the same for every process."""

    device: str
    precision: str
    canvas: int
    frames: int
    faces: int
    batches: tuple[int, ...]
    folder: str
    """Of checkpoints with random values."""

    @property
    def runtime(self) -> Runtime:
        return Runtime(engine=EngineName.TORCH, device=self.device, precision=Precision(self.precision))

    def items(self, stage: str) -> int:
        """Of the whole job."""
        return self.frames * (1 if isinstance(STAGES[stage][0], Detector) else self.faces)

    def inputs(self, plugin: NetworkPlugin, batch: int) -> Tensors:
        """Noise of the shape that the network gets."""
        side = getattr(plugin, "input_size", None)
        shape = (side, side) if side else (self.canvas * 9 // 16 // 32 * 32, self.canvas)
        noise = np.random.default_rng(batch).integers(0, 256, (batch, *shape, 3), np.uint8)
        return plugin.prepare(noise)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--precision", default="fp32", choices=list(Precision))
    parser.add_argument("--canvas", type=int, default=1024, help="width of the detector's canvases, 16:9")
    parser.add_argument("--frames", type=int, default=200, help="of the job that every plan does")
    parser.add_argument("--faces", type=int, default=2, help="in each frame")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="that are tried")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(as_child(json.loads(chosen.child))))
        return
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(
            chosen.device, chosen.precision, chosen.canvas, chosen.frames, chosen.faces, tuple(chosen.batches), folder
        )
        report(setting)
    print(f"\n{time.perf_counter() - started:.0f} s in all")


def report(setting: Setting) -> None:
    """Prints everything, the most important first."""
    if setting.device != CPU:
        print("Did the ceiling hold? By the driver's word, at the smallest budgets that have a plan:\n")
        report_ceiling(setting.device)
        print()
    made_up = make_checkpoints(setting)
    about = in_child(setting, "about")
    print(f"{about['version']} on {about['device']}, {format_bytes(about['total_bytes'])}; {platform.platform()}")
    print(f"precision {setting.precision}; random values in place of {', '.join(made_up) or 'nothing'}\n")
    print("Largest difference to ONNX Runtime on the CPU, of the largest value or 1, batches 1 to 3:")
    for name, apart in in_child(setting, "compare").items():
        print(f"  {name:<12} {apart:.1e}")
    measured = in_child(setting, "measure")
    costs = [cost(setting, name, one) for name, one in measured["stages"].items()]
    print(f"\nContext and libraries: {format_bytes(measured['base_bytes'])}\n")
    report_footprints(costs)
    report_budgets(setting, costs, base_bytes=measured["base_bytes"])
    report_recovery(setting, costs, base_bytes=measured["base_bytes"])
    if setting.device != CPU:
        files = {name: Path(setting.folder) / STAGES[name][0].weights.file for name in made_up}
        report_runs(setting.device, {name: file for name, file in files.items() if not name.startswith("detect/")})


def report_footprints(costs: Sequence[StageCost]) -> None:
    print("| stage | weights | loading | fixed | an item | ms an item, by batch |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for one in costs:
        sizes = (one.weights_bytes, one.spike_bytes, one.fixed_bytes, one.item_bytes)
        times = ", ".join(f"{batch}: {1e3 * seconds / batch:.2f}" for batch, seconds in one.batch_s.items())
        print(f"| {one.stage} | {' | '.join(mib(size) for size in sizes)} | {times} |")


def report_budgets(setting: Setting, costs: Sequence[StageCost], *, base_bytes: int) -> None:
    whole = Problem(
        frames=setting.frames,
        budget_bytes=0,
        base_bytes=base_bytes,
        arena=Arena.SHARED,
        overlap=False,
        decode_s=0.0,
        patch_read_s=0.0,
        patch_write_s=0.0,
        switch_s=0.05,
        stages=tuple(costs),
    )
    floor_s = sum(
        min(one.calls(setting.frames, batch) * seconds for batch, seconds in one.batch_s.items()) for one in costs
    )
    print(f"\nFloor, each network alone at its best batch: {setting.frames / floor_s:.1f} frames/s")
    print(f"{setting.frames} frames of {setting.faces} faces:\n")
    print("| budget | phases | batches | predicted | allocator | whole card | frames/s | of the floor | left behind |")
    print("| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    over = 0
    for budget_bytes in [smallest_budget(whole), *BUDGETS]:
        try:
            plan = solve(replace(whole, budget_bytes=budget_bytes), device=setting.device)
        except BudgetError as error:
            print(f"| {mib(budget_bytes)} | does not fit, needs {mib(error.needed_bytes)} | | | | | | | |")
            continue
        ran = in_child(setting, "run", plan=plan_of(plan), arena_bytes=budget_bytes - base_bytes)
        batches = ", ".join(str(one.batch) for phase in plan.phases for one in phase.placements)
        most = base_bytes + ran["peak_bytes"]
        over += most > budget_bytes or ran["refused"] > 0
        speed = setting.frames / ran["seconds"]
        print(
            f"| {mib(budget_bytes)} | {len(plan.phases)} | {batches} | {mib(plan.peak_bytes)} | {mib(most)} |"
            f" {mib(ran['device_peak_bytes'])} | {speed:.1f} | {speed * floor_s / setting.frames:.2f} |"
            f" {mib(ran['left_bytes'])} |"
        )
    print(f"\n{over} budgets exceeded or short")
    biggest = [max(one.held_bytes(batch) for batch in one.batch_s) for one in costs]
    print(f"Activations at the largest batches: shared {mib(max(biggest))}, each network's own {mib(sum(biggest))} MiB")


def report_recovery(setting: Setting, costs: Sequence[StageCost], *, base_bytes: int) -> None:
    """What a batch that does not fit costs: refused, shrunk, and done in halves."""
    largest = max(costs, key=lambda one: one.held_bytes(max(one.batch_s)))
    batch = max(largest.batch_s)
    if batch < 2 or setting.device == CPU:
        print("\nNo cap to run into here: what a refusal costs is left out")
        return
    arena_bytes = largest.weights_bytes + largest.held_bytes(batch) * 3 // 4
    told = in_child(setting, "starve", stage=largest.stage, batch=batch, arena_bytes=arena_bytes)
    spent = {name: 1e3 * told[f"{name}_s"] for name in ("refused", "shrink", "halves", "warm")}
    print(
        f"\n{largest.stage}, batch {batch}, under a cap of {mib(base_bytes + arena_bytes)} MiB: refused after"
        f" {spent['refused']:.0f} ms, shrunk in {spent['shrink']:.0f}, done in halves in {spent['halves']:.0f},"
        f" when all is warm in {spent['warm']:.0f}; {'it was refused' if told['goes_on'] else 'IT WAS NOT REFUSED'}"
    )


def cost(setting: Setting, name: str, measured: Mapping[str, Any]) -> StageCost:
    """A stage in the planner's words."""
    fixed, item = fit({int(batch): size for batch, size in measured["held"].items()})
    return StageCost(
        stage=name,
        needs=frozenset(STAGES[name][1]),
        reads_frames=isinstance(STAGES[name][0], Detector),
        weights_bytes=round(measured["weights_bytes"] * (1 + MARGIN)),
        load_spike=measured["load_spike"],
        load_s=measured["load_s"],
        fixed_bytes=fixed,
        item_bytes=item,
        items_per_frame=setting.items(name) / setting.frames,
        batch_s={int(batch): seconds for batch, seconds in measured["batch_s"].items()},
    )


def plan_of(plan: Plan) -> list[list[tuple[str, int]]]:
    return [[(one.stage, one.batch) for one in phase.placements] for phase in plan.phases]


def mib(size: int) -> str:
    return f"{size / MIB:,.0f}"


def make_checkpoints(setting: Setting) -> list[str]:
    """Random values for the checkpoints that are not on this machine; their names."""
    missing = [name for name, (plugin, _) in STAGES.items() if plugin.network and not on_this_machine(plugin)]
    for name in missing:
        in_child(setting, "make", stage=name)
    return missing


def on_this_machine(plugin: NetworkPlugin) -> bool:
    return WeightCache.of_user().find(plugin.weights) is not None


def in_child(setting: Setting, task: str, **details: Any) -> Any:
    """What a task answers in a process of its own, so that nothing of another's memory is in its figures."""
    request = json.dumps({"setting": vars(setting), "task": task, **details})
    done = subprocess.run(
        [sys.executable, __file__, "--child", request], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{task} ended with exit code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


# What follows runs in the children.


def as_child(request: dict[str, Any]) -> Any:
    values = request.pop("setting")
    setting = Setting(**{**values, "batches": tuple(values["batches"])})
    tasks: Mapping[str, Callable[..., Any]] = {
        "about": about,
        "compare": compare,
        "make": make,
        "measure": measure,
        "run": run,
        "starve": starve,
    }
    return tasks[request.pop("task")](setting, **request)


def about(setting: Setting) -> dict[str, Any]:
    import torch

    engine = start_engine(setting.runtime)
    is_card = engine.memory is not None
    name = torch.cuda.get_device_name(torch.device(setting.device)) if is_card else setting.device
    total = engine.memory.total_bytes if engine.memory else 0
    return {"version": engine.version, "device": name, "total_bytes": total}


def make(setting: Setting, stage: str) -> None:
    import torch

    from faceloom.engines.checkpoints import empty_network

    plugin = STAGES[stage][0]
    state = empty_network(plugin.network).to_empty(device="cpu").state_dict()
    for name, values in state.items():
        if not values.is_floating_point():
            values.zero_()
        elif name.endswith("running_var"):
            values.fill_(1)
        else:
            values.normal_(0, 0.02)
    torch.save(dict(state), Path(setting.folder) / plugin.weights.file)


def weights_of(setting: Setting, plugin: NetworkPlugin) -> Path:
    made_up = Path(setting.folder) / plugin.weights.file
    return made_up if made_up.is_file() else WeightCache.of_user().prepare(plugin.weights)


def load(setting: Setting, engine: Engine, stage: str) -> Network:
    plugin = STAGES[stage][0]
    return engine.load(weights_of(setting, plugin), plugin.network)


def compare(setting: Setting) -> dict[str, float]:
    """Largest difference of each network's answers, in the unit of the largest value or 1."""
    ours, theirs = start_engine(setting.runtime), start_engine(ON_CPU)
    apart: dict[str, float] = {}
    for plugin in COMPARED:
        try:
            path = WeightCache.of_user().prepare(plugin.weights)
        except WeightsError:
            continue
        networks = ours.load(path), theirs.load(path)
        worst = 0.0
        for batch in (1, 2, 3):
            inputs = setting.inputs(plugin, batch)
            answers, wanted = networks[0](inputs), networks[1](inputs)
            for name, values in wanted.items():
                worst = max(worst, float(np.abs(answers[name] - values).max() / max(1.0, np.abs(values).max())))
        apart[plugin.weights.name] = worst
    return apart


def measure(setting: Setting) -> dict[str, Any]:
    """Bytes and seconds of every stage, and what the device holds besides."""
    free_bytes = free_before(setting)
    engine = start_engine(setting.runtime)
    memory = engine.memory or ProcessMemory()
    load(setting, engine, "mask/unet")(setting.inputs(STAGES["mask/unet"][0], 1))
    engine.shrink()
    process_bytes = memory.held_bytes
    stages = {name: measure_stage(setting, engine, memory, name) for name in STAGES}
    if engine.memory:  # last, since libraries load kernels when they are called for
        process_bytes = free_bytes - engine.memory.free_bytes - memory.held_bytes
    return {"base_bytes": max(0, process_bytes), "stages": stages}


def free_before(setting: Setting) -> int:
    """Bytes of the device that are free before this process has made itself known to it."""
    if setting.device == CPU:
        return 0
    found = [device.free_bytes for device in find_devices() if device.name == setting.device]
    return found[0] if found else sys.exit(f"{setting.device}: {gpu_problem() or 'there is no such card'}")


def measure_stage(setting: Setting, engine: Engine, memory: HeldMemory, name: str) -> dict[str, Any]:
    plugin = STAGES[name][0]
    engine.shrink()
    before = memory.held_bytes
    memory.reset_peak()
    started = time.perf_counter()
    network = load(setting, engine, name)
    load_s = time.perf_counter() - started
    spike = memory.peak_bytes - before
    engine.shrink()
    weights = max(1, memory.held_bytes - before)
    held: dict[int, int] = {}
    batch_s: dict[int, float] = {}
    for batch in setting.batches:
        inputs = setting.inputs(plugin, batch)
        engine.shrink()
        resident = memory.held_bytes
        memory.reset_peak()
        try:
            for _ in range(2):
                network(inputs)
            if batch <= 2:
                held[batch] = max(0, memory.peak_bytes - resident)
            batch_s[batch] = median(timed(network, inputs) for _ in range(ROUNDS))
        except MemoryError:
            break
    del network
    engine.shrink()
    return {
        "weights_bytes": weights,
        "load_spike": max(0, spike - weights) / weights,
        "load_s": load_s,
        "held": held,
        "batch_s": batch_s,
    }


def timed(network: Network, inputs: Tensors) -> float:
    started = time.perf_counter()
    network(inputs)
    return time.perf_counter() - started


def run(setting: Setting, plan: Sequence[Sequence[tuple[str, int]]], arena_bytes: int) -> dict[str, Any]:
    """Does the whole job by a plan, under the allocator's cap."""
    free_bytes = free_before(setting)
    engine = start_engine(setting.runtime, arena_bytes=arena_bytes)
    memory = engine.memory or ProcessMemory()
    before = memory.held_bytes
    refused, seconds = 0, 0.0
    with watched(engine, free_bytes) as device_peak:
        memory.reset_peak()
        for phase in plan:
            inputs = {name: setting.inputs(STAGES[name][0], batch) for name, batch in phase}
            started = time.perf_counter()
            networks = {name: load(setting, engine, name) for name, _ in phase}
            for name, batch in sorted(phase, key=lambda one: -one[1]):
                for _ in range(math.ceil(setting.items(name) / batch)):
                    try:
                        networks[name](inputs[name])
                    except MemoryError:
                        refused += 1
                        engine.shrink()
            networks.clear()
            engine.shrink()
            seconds += time.perf_counter() - started
        peak = memory.peak_bytes - before
    return {
        "peak_bytes": peak,
        "device_peak_bytes": device_peak(),
        "left_bytes": max(0, memory.held_bytes - before),
        "refused": refused,
        "seconds": seconds,
    }


@contextmanager
def watched(engine: Engine, free_bytes: int) -> Iterator[Callable[[], int]]:
    """Looks at the whole device now and then; gives the most that has gone of what was free, by whomever."""
    memory = engine.memory
    if memory is None:
        yield lambda: ProcessMemory().peak_bytes
        return
    least = [memory.free_bytes]
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(LOOK_EVERY_S):
            least[0] = min(least[0], memory.free_bytes)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: free_bytes - least[0]
    finally:
        stop.set()
        thread.join()


def starve(setting: Setting, stage: str, batch: int, arena_bytes: int) -> dict[str, Any]:
    """Seconds of a batch that is refused, of giving memory back, and of its halves."""
    engine = start_engine(setting.runtime, arena_bytes=arena_bytes)
    plugin = STAGES[stage][0]
    network = load(setting, engine, stage)
    network(setting.inputs(plugin, 1))
    whole, half = setting.inputs(plugin, batch), setting.inputs(plugin, batch // 2)
    moments = [time.perf_counter()]
    try:
        network(whole)
        goes_on = False  # it was not refused, and there is nothing to see
    except MemoryError:
        goes_on = True
    moments.append(time.perf_counter())
    engine.shrink()
    moments.append(time.perf_counter())
    for _ in range(2):
        network(half)
        network(half)
        moments.append(time.perf_counter())
    refused_s, shrink_s, halves_s, warm_s = np.diff(moments).tolist()
    return {
        "refused_s": refused_s,
        "shrink_s": shrink_s,
        "halves_s": halves_s,
        "warm_s": warm_s,
        "goes_on": goes_on,
    }


if __name__ == "__main__":
    main()
