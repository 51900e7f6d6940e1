"""What the work must cost at least, and what it costs: `python benchmarks/floor.py [--frames N] [INPUT...]`.

Each part is measured alone, on one thread, in CPU-seconds, on frames and faces of the input: bare decoding, bare
network calls at the planned batches, cuts, encodings, store inserts; in as many processes at once as there are cores,
with a worker's settings, since in a run every core is at work. Their sum over the cores is the floor: no arrangement of
the same parts can be faster. The same parts once more, frame after frame in turns, are what they cost where each finds
the caches as the others leave them: a loop that does nothing else, over as many frames. Then the run itself, as a
command, and where what is left of its time goes. Parts and runs alternate, and medians are compared, since other users
of a machine come and go: a part is no moment's least, or the gap would be what the machine did meanwhile. The share of
start and end is that of the input's length: with few frames it is most of the gap.

Without inputs it makes its own: a 1080p video and a folder of 1080p JPEGs with three faces in every frame, and a folder
of such JPEGs without any, which should cost nothing but decoding, scaling and the detector's network.
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count, cycle, islice
from pathlib import Path
from statistics import median
from typing import Any

import av
import cv2
import numpy as np
import simplejpeg

import faceloom
from faceloom.align.facemesh import FaceMesh
from faceloom.detect.yunet import YuNet
from faceloom.early import WORKER_SETTINGS
from faceloom.engines.heap import keep_freed
from faceloom.engines.onnx import OnnxEngine
from faceloom.faces import Face, FrameId, Image
from faceloom.frame import Frame
from faceloom.geometry.chips import STANDARD, box_to_chip, cut, eye_angle, in_patch, patch_bounds
from faceloom.geometry.letterbox import canvas_shape, lay
from faceloom.media.chip_files import encode_jpeg
from faceloom.media.sources import SourceKind, find_sources, kind_of
from faceloom.memory.cores import usable_cores
from faceloom.models.weights import WeightCache
from faceloom.orders.flows import make_flow
from faceloom.pipeline.finishing import mask_records
from faceloom.stage import NetworkPlugin, Tensors
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, Status
from faceloom.store.store import Store
from media import write_pictures, write_video
from plot import write_bars

OUT = Path(__file__).parent / "out"
SAMPLE_FRAMES, IN_TURNS_FRAMES = 40, 300
CHIP_SIZE, MASK_SIZE = 512, 256
_FILES = ("hash the file", "chip: file")
_IN_TURNS = "all of them, in turns"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the work: how often it is done in a frame, and what once costs."""

    name: str
    a_frame: float
    cpu_s: float
    in_floor: bool = True
    """False for what has to be done too, but could be done otherwise."""

    @property
    def frame_s(self) -> float:
        return self.a_frame * self.cpu_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a command cost."""

    frames: int
    faces: int
    wall_s: float
    cpu_s: float
    detect_batch: int
    align_batch: int
    looks: float
    """How often the aligner's network looked at a face, on the mean."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", type=Path, help="videos, or folders of JPEGs")
    parser.add_argument("--frames", type=int, default=1800, help="of the media that it makes itself")
    parser.add_argument("--rounds", type=int, default=3, help="how often parts and run are measured")
    parser.add_argument("--parts", nargs=4, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.parts:
        cv2.setNumThreads(1)
        keep_freed()  # as workers do where there is room
        path, detect_batch, align_batch, looks = chosen.parts
        parts = measure_parts(
            Path(path), detect_batch=int(detect_batch), align_batch=int(align_batch), looks=float(looks)
        )
        print(json.dumps([asdict(part) for part in parts]))
        return
    inputs = chosen.inputs or [
        write_video(OUT / f"1080p-{chosen.frames}.mp4", frames=chosen.frames),
        write_pictures(OUT / f"1080p-{chosen.frames // 2}", frames=chosen.frames // 2),
        write_pictures(OUT / f"1080p-{chosen.frames // 2}-empty", frames=chosen.frames // 2, heads=0),
    ]
    bars = {path.name: report(path, rounds=chosen.rounds) for path in inputs}
    write_bars(
        Path(__file__).with_name("floor.svg"), bars, title="CPU-ms a frame: the floor's parts, then the gap", unit="ms"
    )


def report(path: Path, *, rounds: int) -> dict[str, float]:
    """Prints the floor of one input, the run, and the gap by name; all of it in CPU-milliseconds a frame."""
    cores = usable_cores()
    measured, runs, starts = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        # All results stay until the end: ext4 is slow to make files where others have just been removed (4 %).
        outs = (Path(folder) / f"out{number}" for number in count())
        first = _first_frame(path, Path(folder) / "first")
        measure_run(first, next(outs))  # which measures footprints, where that has not been done
        for _ in range(rounds):
            runs.append(measure_run(path, next(outs)))
            measured += _parts_on_all_cores(path, cores, runs[0])
            starts.append(measure_run(first, next(outs)))
    parts = [_median_part(same) for same in zip(*measured, strict=True)]
    in_turns_ms = 1e3 * parts.pop().frame_s
    run, start_s = min(runs, key=lambda one: abs(one.wall_s - median(each.wall_s for each in runs))), starts
    frame_ms = cores * run.wall_s / run.frames * 1e3
    floor_ms = 1e3 * sum(part.frame_s for part in parts if part.in_floor)
    besides_ms = {
        name: 1e3 * sum(part.frame_s for part in parts if not part.in_floor and (part.name in _FILES) is files)
        for name, files in (("scaling and tensors", False), ("hashing and files", True))
    }
    start_ms = 1e3 * median(cores * one.wall_s for one in start_s) / run.frames
    idle_ms = (
        frame_ms
        - 1e3 * run.cpu_s / run.frames
        - 1e3 * median(cores * one.wall_s - one.cpu_s for one in start_s) / run.frames
    )
    print(f"\n## {path.name}: {run.frames} frames, {run.faces} faces, {cores} cores\n")
    print("| part | a frame | CPU-ms once | CPU-ms a frame | in the floor |\n| --- | ---: | ---: | ---: | --- |")
    for part in parts:
        cells = f"{part.a_frame:.1f} | {part.cpu_s * 1e3:.2f} | {part.frame_s * 1e3:.2f}"
        print(f"| {part.name} | {cells} | {'yes' if part.in_floor else ''} |")
    gap = {
        **{name: value for name, value in besides_ms.items() if value},
        "start and end": start_ms,
        "idle": idle_ms,
        "everything else": frame_ms - floor_ms - sum(besides_ms.values()) - start_ms - idle_ms,
    }
    print(f"\nfloor {floor_ms:.1f} CPU-ms a frame, {cores * 1e3 / floor_ms:.0f} frames/s")
    print(f"run   {frame_ms:.1f} CPU-ms a frame, {cores * 1e3 / frame_ms:.0f} frames/s ({run.wall_s:.1f} s)")
    print(f"ratio {floor_ms / frame_ms:.2f}; without start and end {floor_ms / (frame_ms - start_ms):.2f}")
    of_turns = f"{in_turns_ms / frame_ms:.2f}; without start and end {in_turns_ms / (frame_ms - start_ms):.2f}"
    print(f"{_IN_TURNS} {in_turns_ms:.1f} CPU-ms a frame, {of_turns} of the run")
    print("gap   " + ", ".join(f"{name} {value:.1f}" for name, value in gap.items()))
    return {part.name: part.frame_s * 1e3 for part in parts if part.in_floor} | gap


def _first_frame(path: Path, folder: Path) -> Path:
    """A folder with the first frame of an input, in a file of its kind: a run of start and end, and little else."""
    folder.mkdir()
    if kind_of(path) is SourceKind.VIDEO:
        with av.open(str(path)) as video, av.open(str(folder / f"one{path.suffix}"), "w") as one:
            stream = one.add_stream_from_template(video.streams.video[0])
            packet = next(video.demux(video.streams.video[0]))
            packet.stream = stream
            one.mux(packet)
        return folder
    (frame,) = islice(faceloom.stream(path), 1)
    (folder / "one.jpg").write_bytes(encode_jpeg(frame.image))
    return folder


def _parts_on_all_cores(path: Path, cores: int, run: Run) -> list[list[Part]]:
    told = (run.detect_batch, run.align_batch, run.looks)
    command = [sys.executable, __file__, "--parts", str(path), *map(str, told)]
    environment = {**os.environ, **WORKER_SETTINGS}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(cores)]
    answers = [process.communicate()[0] for process in processes]
    return [[Part(**part) for part in json.loads(answer)] for answer in answers]


def _median_part(same: Sequence[Part]) -> Part:
    return replace(same[0], cpu_s=median(part.cpu_s for part in same))


def measure_run(path: Path, out: Path) -> Run:
    """Wall and CPU seconds of the command."""
    command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(path), "--out", str(out), "--json", "--quiet"]
    before, started = _children_cpu_s(), time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    wall_s, cpu_s = time.perf_counter() - started, _children_cpu_s() - before
    summary = json.loads(done.stdout)
    batches = {stage["stage"]: stage["batch"] for phase in summary["plan"]["phases"] for stage in phase["stages"]}
    return Run(
        frames=summary["frames"],
        faces=summary["faces"],
        wall_s=wall_s,
        cpu_s=cpu_s,
        detect_batch=batches["detect/yunet"],
        align_batch=batches["align/facemesh"],
        looks=summary["images"].get("align/facemesh", 0) / max(1, summary["faces"]),
    )


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_parts(path: Path, *, detect_batch: int, align_batch: int, looks: float) -> Iterator[Part]:
    """Every part of the default flow, on the input's first frames."""
    frames = list(islice(faceloom.stream(path), SAMPLE_FRAMES))
    faces = [face for frame in frames for face in frame.faces]
    images = [frame.image for frame in frames]
    yield Part(name="decode to RGB", a_frame=1, cpu_s=decode_s(path))
    if kind_of(path) is not SourceKind.VIDEO:
        yield Part(name="hash the file", a_frame=1, in_floor=False, cpu_s=each_s(_digest, _some_files(path)))

    detector = YuNet()
    canvases = [_canvas(detector, image) for image in images]
    yield Part(
        name="scale to the canvas", a_frame=1, in_floor=False, cpu_s=each_s(lambda i: _canvas(detector, i), images)
    )
    yield Part(
        name="detect: to tensors",
        a_frame=1,
        in_floor=False,
        cpu_s=each_s(lambda c: detector.prepare(c[None]), canvases),
    )
    tensors = [detector.prepare(canvas[None]) for canvas in canvases]
    yield Part(name="detect: network", a_frame=1, cpu_s=network_s(detector, tensors, batch=detect_batch))
    if faces:
        yield from _parts_of_faces(frames, align_batch=align_batch, looks=looks)
    yield Part(name=_IN_TURNS, a_frame=1, in_floor=False, cpu_s=in_turns_s(path, frames, looks=looks))


def _parts_of_faces(frames: Sequence[Frame], *, align_batch: int, looks: float) -> Iterator[Part]:
    """The parts that each face costs, of frames with faces."""
    aligner = FaceMesh()
    faces = [face for frame in frames for face in frame.faces]
    a_frame = len(faces) / len(frames)
    pairs = [(frame.image, face) for frame in frames for face in frame.faces]
    yield Part(name="patch", a_frame=a_frame, cpu_s=each_s(_copy_patch, pairs))
    chips = [_align_chip(aligner, face) for face in faces]
    yield Part(name="align: cut", a_frame=looks * a_frame, cpu_s=each_s(lambda f: _align_chip(aligner, f), faces))
    inputs = [aligner.prepare(chip[None]) for chip in chips]
    yield Part(
        name="align: to tensors",
        a_frame=looks * a_frame,
        in_floor=False,
        cpu_s=each_s(lambda c: aligner.prepare(c[None]), chips),
    )
    yield Part(name="align: network", a_frame=looks * a_frame, cpu_s=network_s(aligner, inputs, batch=align_batch))
    yield Part(name="chip: cut", a_frame=a_frame, cpu_s=each_s(lambda face: faceloom.chip(face, size=CHIP_SIZE), faces))
    crops = [faceloom.chip(face, size=CHIP_SIZE) for face in faces]
    yield Part(name="chip: JPEG", a_frame=a_frame, cpu_s=each_s(encode_jpeg, crops))
    yield Part(name="chip: file", a_frame=a_frame, in_floor=False, cpu_s=write_s([encode_jpeg(crop) for crop in crops]))
    yield Part(name="store", a_frame=a_frame, cpu_s=store_s(faces))


def in_turns_s(path: Path, frames: Sequence[Frame], *, looks: float) -> float:
    """CPU-seconds a frame of all parts but the store, frame after frame, with the faces of the first over and over."""
    detector, aligner = YuNet(), FaceMesh()
    see, align = (OnnxEngine().load(WeightCache.of_user().prepare(one.weights)) for one in (detector, aligner))
    with tempfile.TemporaryDirectory() as folder:
        files, looked, done = (Path(folder) / str(number) for number in count()), 0.0, 0
        started = time.thread_time()
        for image, frame in zip(islice(_decoded(path), IN_TURNS_FRAMES), cycle(frames), strict=False):
            see(detector.prepare(_canvas(detector, image)[None]))
            for face in frame.faces:
                _copy_patch((image, face))
                looked += looks
                while looked >= 1:
                    align(aligner.prepare(_align_chip(aligner, face)[None]))
                    looked -= 1
                next(files).write_bytes(encode_jpeg(faceloom.chip(face, size=CHIP_SIZE)))
            done += 1
        return (time.thread_time() - started) / done


def _decoded(path: Path) -> Iterator[Image]:
    """The frames of an input; of pictures with the sha256 of each file."""
    if kind_of(path) is not SourceKind.VIDEO:
        for file in (source.path for source in find_sources([path])):
            _digest(file)
            yield simplejpeg.decode_jpeg(file.read_bytes(), colorspace="RGB")
        return
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            yield np.asarray(frame.to_ndarray(format="rgb24", threads=1), np.uint8)


def network_s(plugin: NetworkPlugin, inputs: Sequence[Tensors], *, batch: int) -> float:
    """CPU-seconds an item of calls with so many items."""
    network = OnnxEngine().load(WeightCache.of_user().prepare(plugin.weights))
    together = [inputs[i : i + batch] for i in range(0, len(inputs) - batch + 1, batch)]
    calls = [{name: np.concatenate([one[name] for one in some]) for name in inputs[0]} for some in together]
    return each_s(network, calls) / batch


def each_s(call: Callable[[Any], object], items: Sequence[Any]) -> float:
    """CPU-seconds of one call on this thread, over the items once all of them have been seen."""
    for _ in range(2):
        started = time.thread_time()
        for item in items:
            call(item)
    return (time.thread_time() - started) / len(items)


def decode_s(path: Path) -> float:
    """CPU-seconds a frame of nothing but decoding, one thread, into an RGB array."""
    if kind_of(path) is SourceKind.VIDEO:
        return _decode_video_s(path)
    return each_s(lambda file: simplejpeg.decode_jpeg(file.read_bytes(), colorspace="RGB"), _some_files(path))


def _some_files(path: Path) -> list[Path]:
    return [source.path for source in islice(find_sources([path]), SAMPLE_FRAMES)]


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_s(contents: Sequence[bytes]) -> float:
    """CPU-seconds of making a file of each, in one folder."""
    with tempfile.TemporaryDirectory() as folder:
        numbers = count()
        return each_s(lambda content: (Path(folder) / str(next(numbers))).write_bytes(content), contents)


def _decode_video_s(path: Path) -> float:
    started, decoded = time.thread_time(), 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in islice(container.decode(stream), IN_TURNS_FRAMES):
            frame.to_ndarray(format="rgb24", threads=1)
            decoded += 1
    return (time.thread_time() - started) / decoded


def store_s(faces: Sequence[Face]) -> float:
    """CPU-seconds a face of committing rows with the drawings of their masks, in one transaction."""
    flow = make_flow({})
    rows = [
        FaceRow(
            frame=FrameId("a.jpg", 0),
            index=i,
            box=face.box,
            score=face.score,
            keypoints=face.keypoints,
            landmarks=face.landmarks,
            confidence=face.confidence,
            frame_to_chip=np.zeros((2, 3)),
            masks=mask_records(face, flow, size=MASK_SIZE, framing=STANDARD),
        )
        for i, face in enumerate(faces)
    ]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "out") as store:
        (Path(folder) / "a.jpg").touch()
        store.begin_run(versions={})
        with store.sources.adding():
            (source,) = find_sources([Path(folder) / "a.jpg"])
            store.sources.add(source, other_names=())
            store.sources.add_picture(source)
        frame = FrameRow(id=FrameId("a.jpg", 0), status=Status.DONE)
        started = time.thread_time()
        store.commit(ChunkRows(number=0, frames=(frame,), faces=tuple(rows), seconds=0))
        return (time.thread_time() - started) / len(rows)


def _canvas(detector: YuNet, image: Image) -> Image:
    size, multiple = detector.longest_side, detector.side_multiple
    canvas = np.zeros((*canvas_shape(*image.shape[:2], longest_side=size, side_multiple=multiple), 3), np.uint8)
    lay(image, longest_side=size, into=canvas)
    return canvas


def _copy_patch(pair: tuple[Image, Face]) -> Image:
    image, face = pair
    x0, y0, x1, y1 = patch_bounds(face.box, height=image.shape[0], width=image.shape[1])
    return image[y0:y1, x0:x1].copy()


def _align_chip(aligner: FaceMesh, face: Face) -> Image:
    assert face.patch is not None
    assert face.keypoints is not None
    angle, size = eye_angle(face.keypoints), aligner.input_size
    to_chip = box_to_chip(face.box, scale=aligner.first_square.scale, angle=angle, size=size)
    return cut(face.patch.pixels, in_patch(to_chip, x=face.patch.x, y=face.patch.y), size=size)


if __name__ == "__main__":
    main()
