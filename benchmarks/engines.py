"""ONNX Runtime and OpenVINO, on every network there is: `python benchmarks/engines.py [--only NAME,...]`.

One thread each, the same tensors from real pictures, calls of both in turns; in one process, and in two side by side.
`plain` is the graph as it is fetched, with its axes freed; ONNX Runtime gets it also as faceloom prepares it
(`models/rewrites.py`), but for pixels and bands. OpenVINO computes in float32, with shapes that are fixed, or left
free as ours are; its graphs are the plain ones, whose operators it fuses itself. It is installed in an environment of
its own, in `benchmarks/out`.
"""

import argparse
import importlib.metadata
import json
import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx

import faceloom
from faceloom.align.facemesh import FaceMesh
from faceloom.align.pfld import Pfld
from faceloom.detect.centerface import CenterFace
from faceloom.detect.yunet import YuNet
from faceloom.faces import Images
from faceloom.mask.unet import UNet
from faceloom.models.dynamic import free_axes
from faceloom.models.rewrites import rewrite
from faceloom.models.tflite import to_onnx
from faceloom.models.weights import WeightCache
from faceloom.stage import NetworkPlugin
from faceloom.tensors import BGR, RGB, planes

OUT = Path(__file__).parent / "out"
SHARED = Path(__file__).resolve().parents[2] / "shared"
PICTURES = SHARED / "data" / "dlib_examples" / "examples" / "faces"
OPENVINO = "openvino==2026.4.1"
ITEMS = 4
CANVAS = (576, 1024)
FREE = ("batch", "height", "width")
ENGINES = ("ort:plain", "ort:rewritten", "openvino-fixed:plain", "openvino-any:plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A file, and the tensors that it takes."""

    name: str
    path: Path
    axes: Sequence[str]
    shape: tuple[int, int]
    """Height and width of its images: frames if they are wide, chips if square and small."""
    tensors: Callable[[Images], Any]
    batches: Sequence[int] = (1, 2, 4)


def networks() -> list[Network]:
    """Those of the catalog, and those of `shared/weights` for which there is no plugin."""
    cache = WeightCache.of_user()
    chips = ((FaceMesh(), (192, 192)), (Pfld(), (112, 112)), (UNet(), (256, 256)))
    ours: list[tuple[NetworkPlugin, tuple[int, int]]] = [(YuNet(), CANVAS), (CenterFace(), CANVAS), *chips]
    found = [
        Network(
            name=plugin.weights.name,
            path=cache.pull(plugin.weights),
            axes=plugin.weights.dynamic,
            shape=shape,
            tensors=partial(tensors_of, plugin),
        )
        for plugin, shape in ours
    ]
    weights = SHARED / "weights"

    def other(name: str, axes: Sequence[str], shape: tuple[int, int], tensors: Callable[[Images], Any]) -> Network:
        batches = (1,) if "batch" not in axes else (1, 2, 4)
        return Network(
            name=name, path=weights / f"{name}.onnx", axes=axes, shape=shape, tensors=tensors, batches=batches
        )

    def centred(images: Images) -> Any:
        return (planes(images) - 127.5) / 128

    return [
        *found,
        other("yunet_n_dynamic", FREE, CANVAS, lambda images: planes(images, order=BGR)),
        other("yunet_s_dynamic", FREE, CANVAS, lambda images: planes(images, order=BGR)),
        other("retinaface_mbnet0.25", FREE, CANVAS, lambda images: planes(images, order=BGR) - 115),
        other("scrfd_500m_bnkps", FREE, (640, 640), centred),
        other("scrfd_2.5g_kps", (), (640, 640), centred),
        other("ultraface_rfb_640", (), (480, 640), centred),
        other("fr_feature", ("batch",), (112, 112), lambda images: planes(images, scale=1 / 255)),
    ]


def tensors_of(plugin: NetworkPlugin, images: Images) -> Any:
    if plugin.weights.pixels:  # as the file itself takes them
        return planes(images, order=BGR if plugin.weights.pixels == "bgr" else RGB)
    (tensors,) = plugin.prepare(images).values()
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names of networks, separated by commas")
    names = parser.parse_args().only.split(",")
    if not PICTURES.is_dir():
        sys.exit(f"the pictures are not here: {PICTURES}")
    python = environment()
    frames = pictures()
    chips = [face for image in frames for found in faceloom.stream([image]) for face in found.faces]
    prepared = []
    for network in networks():
        if names == [""] or network.name in names:
            prepared.append((network, *prepare(network, frames, chips)))
    report_times(python, prepared)
    report_side_by_side(python, prepared)
    report_memory(python, prepared)


def environment() -> Path:
    """The Python of an environment with both runtimes, made once."""
    folder = OUT / "venv-openvino"
    python = folder / "bin" / "python"
    mark = folder / OPENVINO
    if not mark.exists():
        venv.create(folder, with_pip=True, clear=True)
        same = [f"{name}=={importlib.metadata.version(name)}" for name in ("onnxruntime", "numpy")]
        subprocess.run([python, "-m", "pip", "install", "--quiet", OPENVINO, *same], check=True)
        mark.touch()
    return python


def pictures() -> list[Any]:
    """Real pictures with faces, each filling 1920 x 1080."""
    images = []
    for path in sorted(PICTURES.glob("*.jpg"))[:ITEMS]:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        assert image is not None
        scale = max(1080 / image.shape[0], 1920 / image.shape[1])
        image = cv2.resize(image, None, fx=scale, fy=scale)
        images.append(np.ascontiguousarray(image[:1080, :1920]))
    return images


def prepare(network: Network, frames: Sequence[Any], faces: Sequence[faceloom.Face]) -> tuple[Path, dict[str, Path]]:
    """The files of its inputs and of its graphs, plain and rewritten."""
    folder = OUT / "engines"
    folder.mkdir(parents=True, exist_ok=True)
    height, width = network.shape
    is_of_frames = network.shape[0] > 256
    sized = [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    chips = [faceloom.chip(face, size=width) for face in faces[:ITEMS]] if not is_of_frames else []
    inputs = folder / f"{network.name}.npy"
    np.save(inputs, np.ascontiguousarray(network.tensors(np.stack(sized if is_of_frames else chips)), np.float32))
    content = network.path.read_bytes()
    if network.path.suffix == ".tflite":
        plain = to_onnx(content, name=network.name)
    else:
        plain = free_axes(onnx.load_model_from_string(content), network.axes, name=network.name)
    graphs = {}
    for kind, model in (("plain", plain), ("rewritten", rewrite(plain))):
        graphs[kind] = folder / f"{network.name}-{kind}.onnx"
        graphs[kind].write_bytes(model.SerializeToString())
    return inputs, graphs


def variants(graphs: dict[str, Path]) -> list[str]:
    return [f"{engine}:{graphs[graph]}" for engine, graph in (name.split(":") for name in ENGINES)]


def child(python: Path, *arguments: object) -> "subprocess.Popen[str]":
    command = [str(python), str(Path(__file__).with_name("engines_run.py")), *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    text, _ = process.communicate()
    if process.returncode:
        sys.exit(f"a process of engines_run.py ended with {process.returncode}")
    found: dict[str, Any] = json.loads(text)
    return found


def report_times(python: Path, prepared: Sequence[tuple[Network, Path, dict[str, Path]]]) -> None:
    print("\nCPU-ms an item of ONNX Runtime on the plain graph, and the others' share of it; medians\n")
    print("| network | image | batch | plain ms | rewritten | OpenVINO, fixed | OpenVINO, any shape | differences |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |")
    for network, inputs, graphs in prepared:
        batches = ",".join(map(str, network.batches))
        found = answer(child(python, "time", inputs, batches, *variants(graphs)))
        for batch in network.batches:
            first, *others = found["cpu_ms"][str(batch)].values()
            shares = [statistics.median(a / b for a, b in zip(other, first, strict=True)) for other in others]
            differences = ", ".join(f"{value:.0e}" for value in list(found["difference"].values())[1:])
            size = " x ".join(map(str, network.shape[::-1]))
            cells = [network.name, size, batch, f"{statistics.median(first):.2f}"]
            cells += [f"{share:.2f}" for share in shares]
            print("| " + " | ".join(map(str, [*cells, differences if batch == 1 else ""])) + " |", flush=True)


def report_side_by_side(python: Path, prepared: Sequence[tuple[Network, Path, dict[str, Path]]]) -> None:
    print("\nTwo processes side by side, batch 1: CPU-ms of ONNX Runtime on the rewritten graph, OpenVINO's share\n")
    print("| network | rewritten ms | OpenVINO, fixed | OpenVINO, any shape |\n| --- | ---: | ---: | ---: |")
    for network, inputs, graphs in prepared:
        pair = [child(python, "time", inputs, "1", *variants(graphs)) for _ in range(2)]
        columns = list(zip(*(answer(process)["cpu_ms"]["1"].values() for process in pair), strict=True))
        _, ours, *others = [[*one, *two] for one, two in columns]
        shares = [statistics.median(other) / statistics.median(ours) for other in others]
        cells = [network.name, f"{statistics.median(ours):.2f}", *(f"{share:.2f}" for share in shares)]
        print("| " + " | ".join(cells) + " |", flush=True)


def report_memory(python: Path, prepared: Sequence[tuple[Network, Path, dict[str, Path]]]) -> None:
    print("\nA fresh process each: seconds, and MiB more after importing, after loading, and after single items\n")
    print("| network | engine | import s | load s | import MiB | load MiB | run MiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for network, inputs, graphs in prepared:
        for name, variant in zip(ENGINES, variants(graphs), strict=True):
            found = answer(child(python, "hold", inputs, variant))
            cells = [f"{found[key]:.2f}" for key in ("import_s", "load_s")]
            cells += [f"{found[key]:.0f}" for key in ("import_mib", "load_mib", "run_mib")]
            print("| " + " | ".join([network.name, name, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
