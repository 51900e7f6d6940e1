"""What an identifier is: aligned chips in, one embedding of unit length a face out."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from faceloom.faces import Images
from faceloom.geometry.affine import Points
from faceloom.stage import Infer, NetworkPlugin, Tensors, joined, require, require_finite

ARCFACE_SIZE = 112
ARCFACE_TEMPLATE: Points = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]], np.float32
)
"""Where most networks want the five keypoints in a chip of 112 pixels. Source: Deng et al. 2019, arXiv 1801.07698."""


@dataclass(frozen=True, kw_only=True)
class Identifier(NetworkPlugin):
    """Turns a face into a vector; the cosine of two vectors says how alike the faces are."""

    kind = "identify"
    reads = frozenset({"landmarks"})
    writes = frozenset({"embedding"})
    input_size: ClassVar[int]
    template: ClassVar[Points]
    """(5, 2) where the network wants the five keypoints, in chip pixels."""
    same_person: ClassVar[float | None] = None
    """Cosine from which on two faces pass for one person's, unless the user says otherwise; None: it has to be said."""

    @abstractmethod
    def decode(self, outputs: Tensors) -> NDArray[np.float32]:
        """Embeddings (N, D), of any length."""

    def embed(self, infer: Infer, images: Images) -> NDArray[np.float32]:
        """Embeddings (N, D) of unit length for the chips (N, S, S, 3), held to the contract."""
        vectors = joined([self.decode(answer) for answer in self.calls(infer, images)])
        require(vectors.ndim == 2 and len(vectors) == len(images), self, "embeddings (N, D)")
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            embeddings = np.asarray(vectors / lengths, np.float32)
        require_finite(embeddings, self)
        return embeddings
