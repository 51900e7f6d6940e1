"""Every registered plugin, and real faces for each kind of plugin to look at."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.detect import Detector
from faceloom.faces import Image, Images
from faceloom.flow import KINDS, find_plugin, plugin_names
from faceloom.geometry.chips import box_to_chip, cut
from faceloom.geometry.letterbox import lay
from faceloom.stage import NetworkPlugin, Plugin

STAND_INS = {
    "align/onnx": "PFLD_GhostOne_112_1_opt_sim.onnx",
    "detect/onnx": "scrfd_500m_bnkps.onnx",
    "identify/arcface": "fr_feature.onnx",
}
"""Files of `shared/weights` for plugins that have no weights of their own; a plugin without either is left out."""


def every(contract: type[Plugin]) -> pytest.MarkDecorator:
    """Runs a test with each registered plugin that keeps this contract, as `plugin`."""
    return pytest.mark.parametrize("plugin", stages_of(contract), indirect=True)


def stages_of(contract: type[Plugin]) -> list[str]:
    """The registered plugins that keep this contract, and have something to run."""
    stages = {f"{kind}/{name}": find_plugin(kind, name) for kind in KINDS for name in plugin_names(kind)}
    return [
        stage
        for stage, plugin in stages.items()
        if issubclass(plugin, contract) and (plugin.weights is None or plugin.weights.sha256 or stage in STAND_INS)
    ]


def picture(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def canvases(samples: Path, size: tuple[int, ...] = (352, 320)) -> Images:
    """(4, H, W, 3): a portrait, two parts of a crowd, and an empty wall."""
    crowd, portrait = picture(samples / "crowd.jpg"), picture(samples / "portrait.png")
    parts = [portrait[:352, 64:384], crowd[:352, :320], crowd[400:752, 640:960], np.zeros((352, 320, 3), np.uint8)]
    laid = np.zeros((len(parts), *size, 3), np.uint8)
    for part, canvas in zip(parts, laid, strict=True):
        lay(part, longest_side=min(352, *size), into=canvas)
    return laid


def chips(samples: Path, *, size: int) -> Images:
    """(5, S, S, 3): squares of one and a half times the true box around faces of the samples."""
    truth = json.loads((samples / "truth.json").read_text())
    crowd, portrait = picture(samples / "crowd.jpg"), picture(samples / "portrait.png")
    faces = [(portrait, truth["portrait.png"][0][0]), *((crowd, box) for box in truth["crowd.jpg"][0][-4:])]
    maps = [box_to_chip(np.array(box, np.float32), scale=1.5, angle=0.0, size=size) for _, box in faces]
    return np.stack([cut(image, chip, size=size) for (image, _), chip in zip(faces, maps, strict=True)])


def images_for(plugin: NetworkPlugin, samples: Path) -> Images:
    """Canvases for a detector, chips of its own size for any other network."""
    if isinstance(plugin, Detector):
        return canvases(samples, plugin.canvas or (352, 320))
    return chips(samples, size=plugin.input_size)  # type: ignore[attr-defined]  # every contract but a detector's has one
