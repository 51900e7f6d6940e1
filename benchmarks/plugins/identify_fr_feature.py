"""An embedding network for benchmarks: 512 numbers a face. Its author and training data are not stated."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images
from faceloom.identify import Identifier
from faceloom.stage import PinnedFile, Tensors
from faceloom.tensors import planes


@dataclass(frozen=True, kw_only=True)
class Plugin(Identifier):
    """Looks at chips of 112 pixels, laid by the template that ArcFace made usual (Deng et al. 2019)."""

    weights = PinnedFile(
        name="fr_feature",
        file="fr_feature.onnx",
        sha256="87aacdfe57510db2af90c0251df680e8eec88f122ee94712121d09bcaaaf3581",
        size_bytes=4_884_269,
        licence="MIT by its package",
        places=(),
        dynamic=("batch",),
    )
    input_size = 112
    template = np.array(
        [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
    )

    def prepare(self, images: Images) -> Tensors:
        return {"input": planes(images, scale=1 / 127.5) - np.float32(1)}

    def decode(self, outputs: Tensors) -> NDArray[np.float32]:
        return np.asarray(outputs["output"], np.float32)
