"""FAN: 68 points by heatmaps, of 24 million weights and at home with large poses.

Source: Bulat and Tzimiropoulos 2017, ICCV, arXiv 1703.07332, as github.com/1adrianb/face-alignment runs it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from faceloom.align import Aligner, Alignment, Square
from faceloom.faces import Images
from faceloom.geometry.affine import Points
from faceloom.geometry.landmarks import extent
from faceloom.models.catalog import CATALOG
from faceloom.stage import Tensors
from faceloom.tensors import planes

_QUARTER = 0.25


@dataclass(frozen=True, kw_only=True)
class Fan(Aligner):
    """One look at an upright crop; each landmark is where its heatmap is highest."""

    weights = CATALOG["fan"]
    network = "faceloom.networks.fan:FAN"
    input_size = 256
    # Upstream: a square of 200/195 of width plus height, its middle raised by 0.12 of the height. Its boxes, of S3FD,
    # are about three quarters as wide as they are high.
    first_square = Square(scale=200 / 195 * 1.75, turned=False, raised=0.12)

    def prepare(self, images: Images) -> Tensors:
        return {"image": planes(images, scale=1 / 255)}

    def decode(self, outputs: Tensors) -> Alignment:
        points, peaks = highest(outputs["heatmaps"])
        size = outputs["heatmaps"].shape[-1]
        landmarks = np.asarray((points + 0.5) * (self.input_size / size) - 0.5, np.float32)
        confidence = np.clip(peaks.mean(axis=1), 0, 1).astype(np.float32)
        return Alignment(landmarks=landmarks, confidence=confidence, extent=extent(landmarks))


def highest(heatmaps: NDArray[np.float32]) -> tuple[Points, NDArray[np.float32]]:
    """Where each of the maps (N, K, H, W) is highest, (N, K, 2) in their pixels, and how high, (N, K).

    A quarter of a pixel towards the higher neighbour on each axis, except on the maps' edges.
    Source: Newell et al. 2016, arXiv 1603.06937, section 3.3.
    """
    count, maps, height, width = heatmaps.shape
    flat = heatmaps.reshape(count, maps, -1)
    places = flat.argmax(axis=2)
    rows, columns = np.divmod(places, width)
    inside = (rows > 0) & (rows < height - 1) & (columns > 0) & (columns < width - 1)
    n, k = np.ogrid[:count, :maps]
    padded = np.pad(heatmaps, ((0, 0), (0, 0), (1, 1), (1, 1)))
    across = padded[n, k, rows + 1, columns + 2] - padded[n, k, rows + 1, columns]
    down = padded[n, k, rows + 2, columns + 1] - padded[n, k, rows, columns + 1]
    steps = np.sign(np.stack([across, down], axis=2)) * inside[..., None] * _QUARTER
    points = np.stack([columns, rows], axis=2) + steps
    return points.astype(np.float32), np.take_along_axis(flat, places[..., None], axis=2)[..., 0]
