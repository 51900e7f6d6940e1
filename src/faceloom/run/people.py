"""Whose faces are kept: those like some references and unlike others."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_DIGITS = 4
"""Cosines are rounded before they are compared: engines differ in the sixth decimal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One face that others are compared with."""

    name: str
    """Of its file."""
    embedding: NDArray[np.float32]
    """(D,) of unit length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The references, and from which cosine on two faces are one person's."""

    like: Sequence[Reference]
    """A face has to be like one of them, if there are any."""
    unlike: Sequence[Reference]
    """A face may be like none of them."""
    threshold: float

    def objection(self, embedding: NDArray[np.float32]) -> str | None:
        """Why a face is not kept, None if it is."""
        if self.unlike:
            cosine, name = _nearest(embedding, self.unlike)
            if cosine >= self.threshold:
                return f"like {name}: cosine {cosine:.4f}, threshold {self.threshold:g}"
        if self.like:
            cosine, name = _nearest(embedding, self.like)
            if cosine < self.threshold:
                return f"not like {name}: cosine {cosine:.4f}, threshold {self.threshold:g}"
        return None


def _nearest(embedding: NDArray[np.float32], references: Sequence[Reference]) -> tuple[float, str]:
    cosines = [round(float(np.dot(embedding.astype(np.float64), one.embedding)), _DIGITS) for one in references]
    best = int(np.argmax(cosines))
    return cosines[best], references[best].name
