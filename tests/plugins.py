"""Every registered plugin, and real faces for each kind of plugin to look at."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from faceloom.faces import Image, Images
from faceloom.flow import KINDS, find_plugin, plugin_names
from faceloom.geometry.chips import box_to_chip, cut
from faceloom.stage import NetworkPlugin, Plugin

OF_FILES = (("detect", "onnx"), ("mask", "onnx"))
"""These do nothing without a file that tells them how: `test_own_networks.py` holds them."""


def every(contract: type[Plugin]) -> pytest.MarkDecorator:
    """Runs a test with each registered plugin that keeps this contract, as `plugin`."""
    kept = [plugin for plugin in known() if isinstance(plugin, contract)]
    return pytest.mark.parametrize("plugin", kept, ids=lambda plugin: type(plugin).__name__)


def known() -> list[Plugin]:
    """Every registered plugin, with its default options."""
    stages = [(kind, name) for kind in KINDS for name in plugin_names(kind)]
    return [find_plugin(*stage)() for stage in stages if stage not in OF_FILES]


def picture(path: Path) -> Image:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def canvases(samples: Path) -> Images:
    """(4, 352, 320, 3): a portrait, two parts of a crowd, and an empty wall."""
    crowd, portrait = picture(samples / "crowd.jpg"), picture(samples / "portrait.png")
    return np.stack(
        [portrait[:352, 64:384], crowd[:352, :320], crowd[400:752, 640:960], np.zeros((352, 320, 3), np.uint8)]
    )


def chips(samples: Path, *, size: int) -> Images:
    """(5, S, S, 3): squares of one and a half times the true box around faces of the samples."""
    truth = json.loads((samples / "truth.json").read_text())
    crowd, portrait = picture(samples / "crowd.jpg"), picture(samples / "portrait.png")
    faces = [(portrait, truth["portrait.png"][0][0]), *((crowd, box) for box in truth["crowd.jpg"][0][-4:])]
    maps = [box_to_chip(np.array(box, np.float32), scale=1.5, angle=0.0, size=size) for _, box in faces]
    return np.stack([cut(image, chip, size=size) for (image, _), chip in zip(faces, maps, strict=True)])


def images_for(plugin: NetworkPlugin, samples: Path) -> Images:
    """Canvases for a detector, chips of its own size for any other network."""
    size = getattr(plugin, "input_size", None)
    return chips(samples, size=size) if size else canvases(samples)
