"""What the work must cost at least, and what it costs: `python benchmarks/floor.py [--frames N] [INPUT...]`.

Each part is measured alone, on one thread, in CPU-seconds, on frames and faces of the input: bare decoding, bare
network calls, cuts, encodings, store inserts. Their sum over the cores is the floor: no arrangement of the same parts
can be faster. Then the run itself, as a command, and where the rest of its time goes.

Without inputs it makes its own: a 1080p video and a folder of 1080p JPEGs with three faces in every frame.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import simplejpeg

import faceloom
from faceloom.align.facemesh import FaceMesh
from faceloom.api import make_flow
from faceloom.detect.yunet import YuNet
from faceloom.engines.onnx import OnnxEngine
from faceloom.faces import Face, FrameId, Image
from faceloom.geometry.chips import box_to_chip, cut, eye_angle, in_patch, patch_bounds
from faceloom.geometry.letterbox import letterbox
from faceloom.media.chip_files import encode_jpeg
from faceloom.media.sources import SourceKind, find_sources, kind_of
from faceloom.memory.cores import usable_cores
from faceloom.models.weights import WeightCache
from faceloom.run.finish import draw_masks
from faceloom.stage import Infer, NetworkPlugin
from faceloom.store.rows import ChunkRows, FaceRow, FrameRow, MaskRow, Status
from faceloom.store.store import Store
from media import write_pictures, write_video

OUT = Path(__file__).parent / "out"
SAMPLE_FRAMES = 40
CHIP_SIZE, MASK_SIZE = 512, 256


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="*", type=Path, help="videos, or folders of JPEGs")
    parser.add_argument("--frames", type=int, default=600, help="of the media that it makes itself")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    inputs = chosen.inputs or [
        write_video(OUT / f"1080p-{chosen.frames}.mp4", frames=chosen.frames),
        write_pictures(OUT / f"1080p-{chosen.frames // 2}", frames=chosen.frames // 2),
    ]
    for path in inputs:
        report(path)


def report(path: Path) -> None:
    """Prints the floor of one input, the run, and the gap by name."""
    run = measure_run(path)
    parts = list(measure_parts(path))
    cores = usable_cores()
    frames, wall_s, cpu_s = run["frames"], run["wall_s"], run["cpu_s"]
    floor_cpu_s = frames * sum(part.frame_s for part in parts if part.in_floor)
    besides_s = frames * sum(part.frame_s for part in parts if not part.in_floor)
    print(f"\n## {path.name}: {frames} frames, {run['faces']} faces, {cores} cores\n")
    print("| part | a frame | CPU-ms once | CPU-ms a frame | in the floor |\n| --- | ---: | ---: | ---: | --- |")
    for part in parts:
        cells = f"{part.a_frame:.1f} | {part.cpu_s * 1e3:.2f} | {part.frame_s * 1e3:.2f}"
        print(f"| {part.name} | {cells} | {'yes' if part.in_floor else ''} |")
    rest_s = cpu_s - floor_cpu_s - besides_s - run["start_cpu_s"]
    idle_s = cores * wall_s - cpu_s
    print(f"\nfloor {floor_cpu_s / cores:.2f} s ({frames * cores / floor_cpu_s:.0f} frames/s)")
    print(f"run   {wall_s:.2f} s ({frames / wall_s:.0f} frames/s), {cpu_s:.1f} CPU-s")
    print(f"ratio {floor_cpu_s / cores / wall_s:.2f}")
    gap = {"scaling and tensors": besides_s, "start-up": run["start_cpu_s"], "everything else": rest_s, "idle": idle_s}
    print("gap   " + ", ".join(f"{name} {seconds:.1f} CPU-s" for name, seconds in gap.items()))


def measure_run(path: Path) -> dict[str, float]:
    """Wall and CPU seconds of the command, and the CPU of its start-up (a run over what is done already)."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "faceloom.cli.main", "extract", str(path), "--out", f"{folder}/out"]
        command += ["--json", "--quiet"]
        measured = []
        for _ in range(2):
            before, started = _children_cpu_s(), time.perf_counter()
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            measured.append((time.perf_counter() - started, _children_cpu_s() - before))
    summary = json.loads(done.stdout)
    (wall_s, cpu_s), (_, start_cpu_s) = measured
    return {
        **{key: summary[key] for key in ("frames", "faces")},
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "start_cpu_s": start_cpu_s,
    }


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure_parts(path: Path) -> Iterator[Part]:
    """Every part of the default flow, on the input's first frames."""
    frames = list(islice(faceloom.stream(path), SAMPLE_FRAMES))
    faces = [face for frame in frames for face in frame.faces]
    images = [frame.image for frame in frames]
    a_frame = len(faces) / len(frames)
    yield Part(name="decode to RGB", a_frame=1, cpu_s=decode_s(path))

    detector, aligner = YuNet(), FaceMesh()
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
    yield Part(name="detect: network", a_frame=1, cpu_s=each_s(load(detector), tensors))
    pairs = [(frame.image, face) for frame in frames for face in frame.faces]
    yield Part(name="patch", a_frame=a_frame, cpu_s=each_s(_copy_patch, pairs))
    chips = [_align_chip(aligner, face) for face in faces]
    yield Part(name="align: cut", a_frame=2 * a_frame, cpu_s=each_s(lambda f: _align_chip(aligner, f), faces))
    inputs = [aligner.prepare(chip[None]) for chip in chips]
    yield Part(
        name="align: to tensors",
        a_frame=2 * a_frame,
        in_floor=False,
        cpu_s=each_s(lambda c: aligner.prepare(c[None]), chips),
    )
    yield Part(name="align: network", a_frame=2 * a_frame, cpu_s=each_s(load(aligner), inputs))
    yield Part(name="chip: cut", a_frame=a_frame, cpu_s=each_s(lambda face: faceloom.chip(face, size=CHIP_SIZE), faces))
    crops = [faceloom.chip(face, size=CHIP_SIZE) for face in faces]
    yield Part(name="chip: JPEG", a_frame=a_frame, cpu_s=each_s(encode_jpeg, crops))
    flow = make_flow({})
    yield Part(
        name="masks: draw", a_frame=a_frame, cpu_s=each_s(lambda face: draw_masks(face, flow, size=MASK_SIZE), faces)
    )
    masks = [mask for face in faces for mask in face.masks.values()]
    yield Part(name="masks: PNG", a_frame=2 * a_frame, cpu_s=each_s(lambda mask: cv2.imencode(".png", mask), masks))
    yield Part(name="store", a_frame=a_frame, cpu_s=store_s(faces))


def load(plugin: NetworkPlugin) -> Infer:
    return OnnxEngine().load(WeightCache.of_user().prepare(plugin.weights))


def each_s(call: Callable[[Any], object], items: Sequence[Any]) -> float:
    """CPU-seconds of one call on this thread: the better of two rounds over the items."""
    rounds = []
    for _ in range(2):
        started = time.thread_time()
        for item in items:
            call(item)
        rounds.append((time.thread_time() - started) / len(items))
    return min(rounds)


def decode_s(path: Path) -> float:
    """CPU-seconds a frame of nothing but decoding, one thread, into an RGB array."""
    if kind_of(path) is SourceKind.VIDEO:
        return _decode_video_s(path)
    files = [source.path for source in islice(find_sources([path]), SAMPLE_FRAMES)]
    return each_s(lambda file: simplejpeg.decode_jpeg(file.read_bytes(), colorspace="RGB"), files)


def _decode_video_s(path: Path) -> float:
    started, count = time.thread_time(), 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            frame.to_ndarray(format="rgb24", threads=1)
            count += 1
    return (time.thread_time() - started) / count


def store_s(faces: Sequence[Face]) -> float:
    """CPU-seconds a face of committing rows with masks, 64 frames a transaction."""
    masks = {
        "components": MaskRow(size=MASK_SIZE, png=bytes(2500)),
        "extended": MaskRow(size=MASK_SIZE, png=bytes(2500)),
    }
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
            masks=masks,
        )
        for i, face in enumerate(faces)
    ]
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "out") as store:
        (Path(folder) / "a.jpg").touch()
        store.begin_run(versions={})
        with store.adding():
            (source,) = find_sources([Path(folder) / "a.jpg"])
            store.add_source(source, other_names=())
            store.add_picture(source)
        frame = FrameRow(id=FrameId("a.jpg", 0), status=Status.DONE)
        started = time.thread_time()
        store.commit(ChunkRows(number=0, frames=(frame,), faces=tuple(rows), seconds=0))
        return (time.thread_time() - started) / len(rows)


def _canvas(detector: YuNet, image: Image) -> Image:
    canvas, _ = letterbox(image, longest_side=detector.longest_side, side_multiple=detector.side_multiple)
    return canvas


def _copy_patch(pair: tuple[Image, Face]) -> Image:
    image, face = pair
    x0, y0, x1, y1 = patch_bounds(face.box, height=image.shape[0], width=image.shape[1])
    return image[y0:y1, x0:x1].copy()


def _align_chip(aligner: FaceMesh, face: Face) -> Image:
    assert face.patch is not None
    assert face.keypoints is not None
    angle, size = eye_angle(face.keypoints), aligner.input_size
    to_chip = box_to_chip(face.box, scale=aligner.first_crop.scale, angle=angle, size=size)
    return cut(face.patch.pixels, in_patch(to_chip, x=face.patch.x, y=face.patch.y), size=size)


if __name__ == "__main__":
    main()
