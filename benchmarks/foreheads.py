"""How far `extended` follows a forehead: on painted portraits, and on turned heads as far as the U-Net sees them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import faceloom
from asked import Row, Table
from faceloom.faces import Face
from faceloom.geometry.affine import apply
from faceloom.geometry.chips import frame_to_chip
from faceloom.mask.extended import Extended
from faceloom.options.presets import PRESETS
from truth import DLIB, LFW, fasseg_faces, load, picture_paths

_SIZE = 256
_YAWS_DEG = ((0, 10), (10, 20), (20, 30), (30, 90))
_LEAST_PX, _LEAST_SEEN = 60, 5000
"""Of a face's box, and pixels of the U-Net's mask of one that it knows."""
VARIANTS: tuple[tuple[str, Mapping[str, float]], ...] = (
    ("as it is", {}),
    ("depth 0.4", {"depth": 0.4}),
    ("depth 0.4, narrow 0.2, lift 0.34: of `best`", PRESETS["best"]["settings"]["mask/extended"]),
)


def foreheads(data: Path) -> Table:
    """IoU with painted faces, and with the U-Net's masks by how far heads are turned."""
    from accuracy import mask_overlaps, widest  # which prints this table too

    pictures = fasseg_faces(data)
    painted = [widest(frame.faces) for frame in faceloom.stream([one.image for one in pictures], mask=())]
    paths = [path for folder in (LFW, DLIB) for path in picture_paths(data / folder)]
    frames = faceloom.stream((load(path) for path in paths), mask=("unet",), mask_size=_SIZE)
    faces = [face for frame in frames for face in frame.faces if max(face.box[2:] - face.box[:2]) > _LEAST_PX]
    rows = []
    for name, told in VARIANTS:
        plugin = replace(Extended(), **told)
        core = mask_overlaps(painted, [_drawn(plugin, face) for face in painted], pictures)[:, 1].mean()
        seen = [_seen(plugin, faces, least, most) for least, most in _YAWS_DEG]
        rows.append(Row(cells=(name, f"{core:.3f}", *seen)))
    columns = ("extended", "FASSEG V2, core", *(f"yaw {least} to {most}: IoU, beyond" for least, most in _YAWS_DEG))
    return Table(title="extended, painted and beside the U-Net's mask", columns=columns, rows=tuple(rows))


def _drawn(plugin: Extended, face: Face) -> NDArray[np.uint8]:
    assert face.landmarks is not None
    return plugin.draw(apply(frame_to_chip(face.landmarks, size=_SIZE), face.landmarks), size=_SIZE)


def _seen(plugin: Extended, faces: Sequence[Face], least_deg: float, most_deg: float) -> str:
    overlaps, beyond = [], []
    for face in faces:
        assert face.pose is not None
        seen = face.masks["unet"] >= 128
        if least_deg <= abs(face.pose.yaw) < most_deg and abs(face.pose.pitch) < 20 and seen.sum() >= _LEAST_SEEN:
            mask = _drawn(plugin, face) >= 128
            overlaps.append((mask & seen).sum() / (mask | seen).sum())
            beyond.append((mask & ~seen).sum() / mask.sum())
    return f"{np.mean(overlaps):.3f}, {np.mean(beyond):.3f} ({len(overlaps)})"
