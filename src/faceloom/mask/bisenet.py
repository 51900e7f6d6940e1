"""BiSeNet: skin, brows, eyes, nose and mouth out of 19 classes, without hair, ears, neck or glasses.

Source: Yu et al. 2018, ECCV, arXiv 1808.00897; weights of github.com/zllrunning/face-parsing.PyTorch.
"""

from dataclasses import dataclass

import numpy as np

from faceloom.faces import Images, Masks
from faceloom.mask import NetworkMask
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import planes

# Of the pictures of ImageNet, RGB in 0..1, as torchvision's models have them.
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)[:, None, None]
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)[:, None, None]


@dataclass(frozen=True, kw_only=True)
class BiSeNet(NetworkMask):
    """How likely each pixel is the face's, as coverage."""

    weights = CATALOG["bisenet"]
    network = "faceloom.networks.bisenet:BiSeNetModule"
    input_size = 512

    def prepare(self, images: Images) -> Tensors:
        return {"image": (planes(images, scale=1 / 255) - _MEAN) / _DEVIATION}

    def decode(self, outputs: Tensors) -> Masks:
        return np.asarray(np.rint(255 * np.clip(outputs["face"], 0, 1)), np.uint8)
