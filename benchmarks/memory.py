"""What sharing memory between networks, and giving it back, is worth: `python benchmarks/memory.py`.

Three tables: one arena for five networks against an arena each; what a switch of phases costs; what it is worth to
decode each frame once instead of once a phase. Every measurement is a process of its own, started with the settings
of a worker. Bytes are peaks of resident memory over what the process held after imports and a first call of another
network. Seconds are CPU-seconds of one thread, since other programs share the cores. Writes `out/memory.md`.
"""

import argparse
import gc
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

import faceloom
import five
from faceloom.detect import Detector
from faceloom.engines.onnx import OnnxEngine
from faceloom.faces import Image
from faceloom.flow import build_flow
from faceloom.frame import Frame
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.chips import patch_bounds
from faceloom.media.chunks import Span
from faceloom.media.reading import FrameReader
from faceloom.media.sources import SourceKind, find_sources, kind_of
from faceloom.media.video_index import index_video
from faceloom.memory.usage import held_bytes, peak_bytes, reset_peak
from faceloom.models.weights import WeightCache
from faceloom.stage import Infer, NetworkPlugin, Stage, Tensors
from faceloom.supervisor.survey import EXPECTED_FACES, EXPECTED_PATCH_BYTES
from media import SHAPE, write_pictures, write_video

OUT = Path(__file__).parent / "out"
MIB = 2**20
SETTINGS = {"MALLOC_MMAP_THRESHOLD_": str(1 * MIB), "MALLOC_TRIM_THRESHOLD_": str(256 * MIB), "MALLOC_ARENA_MAX": "1"}
"""Those with which a worker is started."""
FIVE = ("detect/centerface", "align/facemesh", "mask/unet", "mask/retina", "identify/fr_feature")
SPLITS = {
    "five": (FIVE[:1], FIVE[1:]),
    "default": (("detect/yunet",), ("align/facemesh",)),
}
"""The stages of each flow's two phases."""
FLAGS = {"five": five.FLAGS, "default": ()}
WARM_UP = "detect/yunet"
CANVAS = (576, 1024)  # of a 1080p frame
CANVASES = [(-(-width * 9 // 16 // 32) * 32, width) for width in range(256, 1025, 128)]
ROUNDS = 3
SWITCHES = 7
FRAMES = 150

READING = """\
The budgets are the smallest with one worker and these two phases, and the one with the longest chunk. *With these
patches*: the frames after which as many bytes wait as the plan expected of its whole chunk, until it is planned again.
*Saved* is a decoding less a copy, a write and a read of the patches; a switch is there and back, once a chunk."""

GROWN, RESERVED, PRIVATE, DEFAULTS = "grown", "reserved", "private", "defaults"
WAYS = {
    GROWN: "shared arena, as it grows",
    RESERVED: "shared arena, reserved",
    PRIVATE: "an arena each, as the runtime grows it",
    DEFAULTS: "an arena each, the runtime's defaults",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    child = parser.parse_args().child
    if child:
        request = json.loads(child)
        print(json.dumps(TASKS[request.pop("task")](**request)))
        return
    inputs = [write_pictures(OUT / "1080p-300", frames=300), write_video(OUT / "1080p-600.mp4", frames=600)]
    with five.environment() as env:
        env = {**env, **SETTINGS}
        reserves = {name: arenas_of(inputs, FLAGS[name], env) for name in SPLITS}
        switches = measure_switches(reserves, env)
        tables = [
            describe_arenas(reserves["five"], env),
            describe_switches(switches),
            describe_decoding(inputs, switches, env),
        ]
    text = "\n\n".join(tables)
    (OUT / "memory.md").write_text(text + "\n", encoding="utf-8")
    print(text)


def arenas_of(inputs: Sequence[Path], flags: Sequence[str], env: dict[str, str]) -> dict[str, int]:
    """Bytes to reserve for one item of each stage: what a run would."""
    found = json.loads(command("-m", "faceloom.cli.main", "profile", *map(str, inputs), *flags, "--json", env=env))
    return {stage: one["arena_fixed_bytes"] + one["arena_item_bytes"] for stage, one in found.items()}


def in_child(task: str, env: dict[str, str], **values: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(command(__file__, "--child", json.dumps({"task": task, **values}), env=env))
    return answer


def command(*arguments: str, env: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(done.stderr)
    return done.stdout


def describe_arenas(arenas: dict[str, int], env: dict[str, str]) -> str:
    def held(way: str, stages: Sequence[str] = FIVE, canvases: Sequence[tuple[int, int]] = (CANVAS,)) -> dict[str, int]:
        reserve = max(arenas[stage] for stage in stages) if way == RESERVED else 0
        return in_child("arenas", env, way=way, stages=stages, canvases=canvases, reserve_bytes=reserve)

    alone = [held(GROWN, [stage]) for stage in FIVE]
    summed = {name: sum(one[name] for one in alone) for name in ("weights", "activations")}
    found = {WAYS[way]: held(way) for way in WAYS}
    found["shared arena, as it grows, smallest network first"] = held(GROWN, sorted(FIVE, key=arenas.__getitem__))
    found["an arena each, grown by what is asked (sum of five processes)"] = summed
    sizes = f"centerface, {len(CANVASES)} canvases of 256 to 1024"
    growing = {f"{sizes}: {WAYS[way]}": held(way, FIVE[:1], CANVASES) for way in WAYS}
    lines = [
        "## One arena for all networks",
        "",
        "| five networks, a batch of 1 | weights MiB | activations MiB | total MiB | ratio |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for rows, base in ((found, found[WAYS[RESERVED]]), (growing, growing[f"{sizes}: {WAYS[RESERVED]}"])):
        lines += [arena_row(name, one, sum(base.values())) for name, one in rows.items()]
    largest = ", ".join(f"{stage} {size / MIB:.1f}" for stage, size in arenas.items())
    return "\n".join([*lines, "", f"Footprints say, of the arena, MiB: {largest}."])


def arena_row(name: str, held: dict[str, int], base_bytes: int) -> str:
    sizes = (held["weights"], held["activations"], sum(held.values()))
    cells = [name, *(f"{size / MIB:.1f}" for size in sizes), f"{sum(held.values()) / base_bytes:.2f}"]
    return "| " + " | ".join(cells) + " |"


def measure_switches(reserves: dict[str, dict[str, int]], env: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """For each flow, what the switch to each of its phases costs."""
    found: dict[str, list[dict[str, Any]]] = {}
    for flow, phases in SPLITS.items():
        reserve = [max(reserves[flow][stage] for stage in phase) for phase in phases]
        switched = in_child("switches", env, phases=phases, reserve_bytes=reserve, times=SWITCHES + 1)["phases"]
        fresh = [
            in_child("switches", env, phases=[phase], reserve_bytes=[size], times=1)["phases"][0]
            for phase, size in zip(phases, reserve, strict=True)
        ]
        found[flow] = [{**after, "fresh": alone["held"]} for after, alone in zip(switched, fresh, strict=True)]
    return found


def describe_switches(switches: dict[str, list[dict[str, Any]]]) -> str:
    lines = [
        "## A switch of phases",
        "",
        "| flow | to | drop and shrink ms | load ms | reserve ms | all ms | held MiB | in a fresh process MiB | beyond MiB |",  # noqa: E501
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for flow, phases in switches.items():
        for number, one in enumerate(phases):
            names = ", ".join(stage.partition("/")[2] for stage in SPLITS[flow][number])
            seconds = [one["drop_s"], one["load_s"], one["reserve_s"], one["all_s"]]
            sizes = [one["held"], one["fresh"], one["held"] - one["fresh"]]
            cells = [flow, names, *(f"{s * 1e3:.1f}" for s in seconds), *(f"{size / MIB:.1f}" for size in sizes)]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def describe_decoding(inputs: Sequence[Path], switches: dict[str, list[dict[str, Any]]], env: dict[str, str]) -> str:
    lines = [
        "## Decoding once instead of once a phase",
        "",
        "| input | decode ms a frame | patches MiB a frame | copy ms | write ms | read ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    worth = [
        "| flow | input | budget MiB | frames a chunk, as planned | with these patches | saved s in 1,000 frames | switches s in 1,000 frames, as planned | with these patches | chunk that breaks even |",  # noqa: E501
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for path in inputs:
        one = in_child("decoding", env, path=str(path), frames=FRAMES)
        name = "video" if kind_of(path) is SourceKind.VIDEO else "JPEGs"
        seconds = [one[part] * 1e3 for part in ("copy_s", "write_s", "read_s")]
        cells = [name, f"{one['decode_s'] * 1e3:.2f}", f"{one['bytes'] / MIB:.2f}", *(f"{s:.2f}" for s in seconds)]
        lines.append("| " + " | ".join(cells) + " |")
        saved_s = one["decode_s"] - one["copy_s"] - one["write_s"] - one["read_s"]
        for flow, phases in switches.items():
            switch_s = sum(phase["all_s"] for phase in phases)  # there, and back for the next chunk
            for budget, chunk in two_phase_plans(path, flow, env):
                expected = chunk * EXPECTED_FACES * EXPECTED_PATCH_BYTES
                chunks = [chunk, min(chunk, math.ceil(expected / one["bytes"]))]  # the bound is looked at after a frame
                cells = [flow, name, f"{budget / MIB:.0f}", *map(str, chunks), f"{1000 * saved_s:.1f}"]
                cells += [*(f"{1000 * switch_s / frames:.1f}" for frames in chunks), f"{switch_s / saved_s:.0f}"]
                worth.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *worth, "", READING])


def two_phase_plans(path: Path, flow: str, env: dict[str, str]) -> list[tuple[int, int]]:
    """Budget and frames a chunk of the first plan that has the flow's two phases, and of that with most frames."""
    plan = ("-m", "faceloom.cli.main", "plan", str(path), *FLAGS[flow], "--json", "--what-if")
    smallest = json.loads(command(*plan, "1MiB", env=env))["plans"][0]["needed_bytes"]
    budgets = [smallest + i * 2 * MIB for i in range(48)]
    plans = json.loads(command(*plan, ",".join(map(str, budgets)), env=env))["plans"]
    found = [
        (one["budget_bytes"], one["chunk_frames"])
        for one in plans
        if one["workers"] == 1 and [len(phase["stages"]) for phase in one["phases"]] == list(map(len, SPLITS[flow]))
    ]
    return sorted({*found[:1], *sorted(found, key=lambda one: (-one[1], one[0]))[:1]})


# What follows runs in the children.


def arenas(way: str, stages: Sequence[str], canvases: Sequence[tuple[int, int]], reserve_bytes: int) -> dict[str, int]:
    """Bytes that the networks' weights take, and their calls besides, at most."""
    engine = OnnxEngine()
    load = {PRIVATE: load_private, DEFAULTS: load_with_defaults}.get(way, engine.load)
    feeds = {name: [feed(one, shape) for shape in canvases] for name, one in networks_of(stages).items()}
    base = warm_up(engine, load)
    networks = {name: load(weights_of(one)) for name, one in networks_of(stages).items()}
    engine.shrink()
    weights = held_bytes() - base
    reset_peak()
    if reserve_bytes:
        engine.reserve(reserve_bytes)
    for _ in range(ROUNDS):
        run_all(networks, feeds)
    return {"weights": weights, "activations": peak_bytes() - base - weights}


def switches(phases: Sequence[Sequence[str]], reserve_bytes: Sequence[int], times: int) -> dict[str, Any]:
    """Median seconds of the switch to each phase, and the bytes held after the last one, when all have run."""
    engine = OnnxEngine()
    stages = [networks_of(phase) for phase in phases]
    weights = {name: weights_of(stage) for phase in stages for name, stage in phase.items()}
    feeds = {name: [feed(stage, CANVAS)] for phase in stages for name, stage in phase.items()}
    base = warm_up(engine, engine.load)
    networks: dict[str, Infer] = {}
    seconds: list[list[tuple[float, ...]]] = [[] for _ in phases]
    held = [0 for _ in phases]
    for _ in range(times):
        for number, phase in enumerate(stages):
            moments = [time.process_time()]
            networks = {}
            engine.shrink()
            moments.append(time.process_time())
            networks = {name: engine.load(weights[name]) for name in phase}
            moments.append(time.process_time())
            engine.reserve(reserve_bytes[number])
            moments.append(time.process_time())
            run_all(networks, feeds)
            held[number] = held_bytes() - base
            seconds[number].append((*np.diff(moments), moments[-1] - moments[0]))
    names = ("drop_s", "load_s", "reserve_s", "all_s")
    medians = [[median(column) for column in zip(*(rows[1:] or rows), strict=True)] for rows in seconds]
    return {
        "phases": [
            {**dict(zip(names, map(float, row), strict=True)), "held": size}
            for row, size in zip(medians, held, strict=True)
        ]
    }


def decoding(path: str, frames: int) -> dict[str, float]:
    """CPU-seconds a frame of decoding, and of what is done with the patches of its faces instead."""
    cv2.setNumThreads(1)
    found = islice(faceloom.stream(path, mask=(), threads=1), frames)
    boxes = [np.array([face.box for face in frame.faces], np.float32).reshape(-1, 4) for frame in found]
    spent = dict.fromkeys(("decode_s", "copy_s", "write_s", "read_s"), 0.0)
    patches: list[Image] = []
    with FrameReader() as reader:
        reads = reader.reads(spans_of(Path(path), frames))
        for faces in boxes:
            frame, decode_s = timed(next(reads))
            assert isinstance(frame, Frame)
            views = views_of(frame.image, faces)
            copies, copy_s = timed(lambda views=views: [view.copy() for view in views])  # type: ignore[misc]
            patches += copies
            spent["decode_s"] += decode_s
            spent["copy_s"] += copy_s
    # As in a worker after its first chunk: the room is there, and has been touched.
    room, back = ([np.ones_like(patch) for patch in patches] for _ in range(2))
    _, spent["write_s"] = timed(lambda: copy_into(room, patches))
    _, spent["read_s"] = timed(lambda: copy_into(back, room))
    a_frame = {name: seconds / len(boxes) for name, seconds in spent.items()}
    return {**a_frame, "bytes": sum(patch.nbytes for patch in patches) / len(boxes)}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {"arenas": arenas, "switches": switches, "decoding": decoding}


def networks_of(names: Sequence[str]) -> dict[str, Stage]:
    """The stages of these names, without those that they need."""
    every = {name for phases in SPLITS.values() for phase in phases for name in phase}
    stages = {stage.name: stage for stage in build_flow(sorted(every)).networks}
    return {name: stages[name] for name in names}


def plugin_of(stage: Stage) -> NetworkPlugin:
    assert isinstance(stage.plugin, NetworkPlugin)
    return stage.plugin


def weights_of(stage: Stage) -> Path:
    return WeightCache.of_user().prepare(plugin_of(stage).weights)


def feed(stage: Stage, canvas: Sequence[int]) -> Tensors:
    """What goes into the network for one item of noise; canvases are for detectors."""
    plugin = plugin_of(stage)
    height, width = canvas if isinstance(plugin, Detector) else (plugin.input_size,) * 2  # type: ignore[attr-defined]
    return plugin.prepare(np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8))


def warm_up(engine: OnnxEngine, load: Callable[[Path], Infer]) -> int:
    """Runs a network that is dropped again, since libraries keep what they take at first; the bytes held then."""
    cv2.setNumThreads(1)
    stage = networks_of([WARM_UP])[WARM_UP]
    load(weights_of(stage))(feed(stage, (64, 64)))
    gc.freeze()  # as a worker does: collections need not look at what has been imported
    engine.shrink()
    return held_bytes()


def run_all(networks: dict[str, Infer], feeds: dict[str, list[Tensors]]) -> None:
    for name, network in networks.items():
        for tensors in feeds[name]:
            network(tensors)


def load_private(path: Path) -> Infer:
    """A network as the engine loads it, but with an arena of its own, whose growth cannot be set from Python."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    return session(path, options)


def load_with_defaults(path: Path) -> Infer:
    import onnxruntime

    return session(path, onnxruntime.SessionOptions())


def session(path: Path, options: Any) -> Infer:
    import onnxruntime

    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    loaded = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in loaded.get_outputs()]
    return lambda inputs: dict(zip(names, loaded.run(names, dict(inputs)), strict=True))


def spans_of(path: Path, frames: int) -> list[Span]:
    sources = list(islice(find_sources([path]), frames))
    if kind_of(path) is not SourceKind.VIDEO:
        return [Span(source=source, first=0, count=1) for source in sources]
    index = index_video(path)
    assert index.ticks is not None
    ticks = tuple(map(int, index.ticks[:frames]))
    return [Span(source=sources[0], first=0, count=len(ticks), ticks=ticks, seek_ticks=ticks[0])]


def views_of(image: Image, boxes: Boxes) -> list[Image]:
    assert image.shape[:2] == SHAPE
    bounds = [patch_bounds(box, height=SHAPE[0], width=SHAPE[1]) for box in boxes]
    return [image[y0:y1, x0:x1] for x0, y0, x1, y1 in bounds]


def copy_into(room: Sequence[Image], patches: Sequence[Image]) -> None:
    for to, patch in zip(room, patches, strict=True):
        np.copyto(to, patch)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    answer = call()
    return answer, time.process_time() - started


if __name__ == "__main__":
    main()
