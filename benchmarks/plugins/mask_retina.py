"""A network of a detector's size for benchmarks: where RetinaFace sees a face in the chip.

Source: Deng et al. 2020, arXiv 1905.00641, with the MobileNet 0.25 backbone of
github.com/ShiqiYu/libfacedetection.train.
"""

from dataclasses import dataclass

import numpy as np

from faceloom.faces import Images, Masks
from faceloom.mask import NetworkMask
from faceloom.stage import PinnedFile, Tensors
from faceloom.tensors import BGR, planes

_STRIDE = 8
_ANCHORS = 2


@dataclass(frozen=True, kw_only=True)
class Plugin(NetworkMask):
    """The scores of the finest level, as coverage."""

    weights = PinnedFile(
        name="retinaface",
        file="retinaface.onnx",
        sha256="13a69f2cb3012162ccce8466b1cd9e445ae1337ae641f31c90419e6179f13650",
        size_bytes=1_711_594,
        licence="MIT",
        places=(),
    )
    input_size = 640

    def prepare(self, images: Images) -> Tensors:
        return {"input": planes(images, order=BGR) - np.array([104, 117, 123], np.float32)[:, None, None]}

    def decode(self, outputs: Tensors) -> Masks:
        side = self.input_size // _STRIDE
        faces = outputs["conf"][:, : side * side * _ANCHORS, 1].reshape(-1, side, side, _ANCHORS).max(axis=3)
        fine = faces.repeat(_STRIDE, axis=1).repeat(_STRIDE, axis=2)
        return np.asarray(np.rint(255 * fine), np.uint8)
