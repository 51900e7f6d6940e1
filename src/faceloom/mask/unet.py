"""Face U-Net: skin, brows, eyes, nose and mouth, without hair or what covers the face.

Source: Ronneberger et al. 2015, arXiv 1505.04597; weights of github.com/vohoangnguyennnn/face-segmentation-edge-AI.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from faceloom.faces import Images, Masks
from faceloom.mask import NetworkMask
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors


@dataclass(frozen=True, kw_only=True)
class UNet(NetworkMask):
    """A probability for every pixel, as coverage."""

    weights = CATALOG["unet"]
    input_size = 256

    def prepare(self, images: Images) -> Tensors:
        return {"serving_default_image_input:0": cv2.dnn.blobFromImages(list(images), scalefactor=1 / 255)}  # RGB

    def decode(self, outputs: Tensors) -> Masks:
        logits = outputs["StatefulPartitionedCall_1:0"][:, 0]  # (N, 256, 256)
        return np.asarray(np.rint(255 / (1 + np.exp(-logits))), np.uint8)
