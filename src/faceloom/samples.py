"""Sample pictures and a short clip with true boxes, composed from one portrait in the public domain.

The crowd and the clip show cut-outs of that portrait's head, turned, mirrored and scaled over a plain
background, so that the true box of every face in every frame is known by construction.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from faceloom.errors import RequestError
from faceloom.faces import Image
from faceloom.geometry.affine import Affine, apply
from faceloom.media.chip_files import encode_jpeg
from faceloom.models.catalog import CATALOG
from faceloom.models.places import OnBytes
from faceloom.models.weights import WeightCache

TRUTH = "truth.json"
PORTRAIT_BOX = (180.0, 66.0, 269.0, 175.0)
"""The face in the portrait, measured by hand: cheek to cheek, hairline to chin."""
_HEAD_CENTRE = (226.0, 112.0)
_HEAD_RADII = (78, 98)
_CROWD_SHAPE = (900, 1600)
_CLIP_SHAPE = (480, 854)
_CLIP_FRAMES = 75
_CLIP_RATE = 25
_SEED = 1999  # of the crowd's arrangement: the year Collins commanded a shuttle


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One cut-out and where it stands."""

    x: float
    y: float
    scale: float
    angle_deg: float
    mirrored: bool
    light: float

    @property
    def portrait_to_scene(self) -> Affine:
        turn = np.deg2rad(self.angle_deg)
        cos, sin = self.scale * np.cos(turn), self.scale * np.sin(turn)
        linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if self.mirrored else 1.0, 1.0])
        return np.column_stack([linear, np.array([self.x, self.y]) - linear @ np.array(_HEAD_CENTRE)])

    @property
    def box(self) -> list[float]:
        """Around the ellipse that fills the portrait's true box; a turned rectangle would be too large."""
        x0, y0, x1, y1 = PORTRAIT_BOX
        turns = np.linspace(0, 2 * np.pi, 180, endpoint=False)
        ellipse = np.stack(
            [(x0 + x1 + (x1 - x0) * np.cos(turns)) / 2, (y0 + y1 + (y1 - y0) * np.sin(turns)) / 2], axis=1
        )
        points = apply(self.portrait_to_scene, ellipse.astype(np.float32))
        return [round(float(side), 1) for side in (*points.min(axis=0), *points.max(axis=0))]


def write_samples(folder: Path, *, on_bytes: OnBytes) -> list[Path]:
    """Writes `portrait.png`, `crowd.jpg`, `clip.mp4` and `truth.json`; a file that is there already stays.

    The truth holds, by file name, a list of boxes (x0, y0, x1, y1) for each frame.

    Raises:
        WeightsError: the portrait is neither on this machine nor to be had.
        RequestError: the folder cannot be written.
    """
    portrait_path = WeightCache.of_user().pull(CATALOG["astronaut"], on_bytes=on_bytes)
    portrait = np.asarray(cv2.imread(str(portrait_path), cv2.IMREAD_COLOR_RGB), np.uint8)
    crowd, clip = _crowd_heads(), [_clip_heads(i) for i in range(_CLIP_FRAMES)]
    truth = {
        "portrait.png": [[list(PORTRAIT_BOX)]],
        "crowd.jpg": [[head.box for head in crowd]],
        "clip.mp4": [[head.box for head in heads] for heads in clip],
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_new(folder / "portrait.png", portrait_path.read_bytes())
        if not (folder / "crowd.jpg").exists():
            _write_new(folder / "crowd.jpg", encode_jpeg(compose(portrait, crowd, shape=_CROWD_SHAPE)))
        if not (folder / "clip.mp4").exists():
            _write_clip(folder / "clip.mp4", (compose(portrait, heads, shape=_CLIP_SHAPE) for heads in clip))
        _write_new(folder / TRUTH, json.dumps(truth).encode())
    except OSError as error:
        raise RequestError(f"the samples cannot be written to {folder}: {error}") from error
    return [folder / name for name in (*truth, TRUTH)]


def _crowd_heads() -> list[Head]:
    """Four rows of heads, larger towards the front."""
    rng = np.random.default_rng(_SEED)
    heads = []
    for y, scale, number in ((110, 0.45, 9), (280, 0.65, 7), (500, 0.95, 5), (745, 1.25, 4)):
        for i in range(number):
            heads.append(
                Head(
                    x=(i + 0.5 + rng.uniform(-0.12, 0.12)) * _CROWD_SHAPE[1] / number,
                    y=y + rng.uniform(-15, 15),
                    scale=scale * rng.uniform(0.9, 1.1),
                    angle_deg=rng.uniform(-20, 20),
                    mirrored=bool(rng.integers(2)),
                    light=rng.uniform(0.75, 1.15),
                )
            )
    return heads


def _clip_heads(frame: int) -> list[Head]:
    """Three heads on closed paths: one crosses, one nods, one comes nearer."""
    phase = 2 * np.pi * frame / _CLIP_FRAMES
    height, width = _CLIP_SHAPE
    crossing = Head(
        x=width * (0.22 + 0.12 * np.sin(phase)),
        y=height * 0.35,
        scale=0.9,
        angle_deg=6 * np.cos(phase),
        mirrored=False,
        light=1.0,
    )
    nodding = Head(
        x=width * 0.55,
        y=height * (0.4 + 0.08 * np.sin(2 * phase)),
        scale=1.1,
        angle_deg=18 * np.sin(phase),
        mirrored=True,
        light=0.9,
    )
    nearing = Head(
        x=width * 0.85,
        y=height * 0.5,
        scale=1.0 + 0.35 * np.sin(phase),
        angle_deg=-5.0,
        mirrored=False,
        light=1.1,
    )
    return [crossing, nodding, nearing]


def compose(portrait: Image, heads: Sequence[Head], *, shape: tuple[int, int]) -> Image:
    """The heads over a background of soft colours, the later ones in front."""
    height, width = shape
    scene = _background(height, width)
    cutout = _cutout(portrait.shape[0], portrait.shape[1])
    for head in heads:
        warp = head.portrait_to_scene
        layer = cv2.warpAffine(portrait, warp, (width, height)).astype(np.float32)
        share = cv2.warpAffine(cutout, warp, (width, height))[..., None]
        scene += (layer * np.float32(head.light) - scene) * share
    return np.clip(np.rint(scene), 0, 255).astype(np.uint8)


def _background(height: int, width: int) -> NDArray[np.float32]:
    rows, columns = np.linspace(0, 2, height, dtype=np.float32), np.linspace(0, 3, width, dtype=np.float32)
    waves = [np.cos(rows - i)[:, None] + np.sin(columns + i) for i in range(3)]
    return 120 + 25 * np.stack(waves, axis=2)


def _cutout(height: int, width: int) -> NDArray[np.float32]:
    """How much of each pixel of the portrait belongs to the head: an ellipse with a soft edge."""
    cutout = np.zeros((height, width), np.float32)
    cv2.ellipse(cutout, (_HEAD_CENTRE, (2 * _HEAD_RADII[0], 2 * _HEAD_RADII[1]), 0), 1.0, -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(cutout, (0, 0), 4), np.float32)


def _write_clip(path: Path, images: Iterator[NDArray[np.uint8]]) -> None:
    import av

    temporary = path.with_suffix(".part.mp4")
    with av.open(str(temporary), "w") as container:
        video = container.add_stream("libx264", rate=_CLIP_RATE, options={"crf": "20", "preset": "fast"})
        video.height, video.width = _CLIP_SHAPE
        video.pix_fmt = "yuv420p"
        video.codec_context.thread_count = 1
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = i, Fraction(1, _CLIP_RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    temporary.replace(path)


def _write_new(path: Path, content: bytes) -> None:
    if not path.exists():
        path.write_bytes(content)
