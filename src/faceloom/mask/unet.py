"""Face U-Net: skin, brows, eyes, nose and mouth, without hair or what covers the face.

Source: Ronneberger et al. 2015, arXiv 1505.04597; weights of github.com/vohoangnguyennnn/face-segmentation-edge-AI.
"""

from dataclasses import dataclass

import numpy as np

from faceloom.faces import Images, Masks
from faceloom.mask import NetworkMask
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import planes, sigmoid


@dataclass(frozen=True, kw_only=True)
class UNet(NetworkMask):
    """A probability for every pixel, as coverage."""

    weights = CATALOG["unet"]
    input_size = 256

    def prepare(self, images: Images) -> Tensors:
        return {"serving_default_image_input:0": planes(images, scale=1 / 255)}

    def decode(self, outputs: Tensors) -> Masks:
        logits = outputs["StatefulPartitionedCall_1:0"][:, 0]  # (N, 256, 256)
        return np.asarray(np.rint(255 * sigmoid(logits)), np.uint8)
