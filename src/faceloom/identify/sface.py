"""SFace: a MobileFaceNet of 128 numbers, as OpenCV's `FaceRecognizerSF` runs it.

Source: Zhong et al. 2021, IEEE TIP 30, arXiv 2205.12010; preprocessing and threshold of opencv/modules/objdetect
`face_recognize.cpp`: RGB from 0 to 255, since the file subtracts and scales by itself, and 0.363 for the cosine.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images
from faceloom.identify import ARCFACE_TEMPLATE, Identifier
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import planes


@dataclass(frozen=True, kw_only=True)
class SFace(Identifier):
    """Looks at chips of 112 pixels, laid by ArcFace's template."""

    weights = CATALOG["sface"]
    input_size = 112
    template = ARCFACE_TEMPLATE
    same_person = 0.363

    def prepare(self, images: Images) -> Tensors:
        return {"data": planes(images)}

    def decode(self, outputs: Tensors) -> NDArray[np.float32]:
        return np.asarray(outputs["fc1"], np.float32)
