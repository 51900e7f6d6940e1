"""Networks that decode their candidates themselves: corners, in pixels or in shares of the sides.

Source: of UltraFace github.com/Linzaer/Ultra-Light-Fast-Generic-Face-Detector-1MB, `vision/ssd/config/fd_config.py` for
the priors, `run_video_face_detect_onnx.py` for the preprocessing.
"""

from faceloom.detect.layouts.layout import Floats, Heads, Layout, Places, Shapes, Size, cells, last_axes, with_batch
from faceloom.stage import Tensors

_BOXES, _SCORES, _KEYPOINTS = "boxes", "scores", "keypoints"
_PRIORS = {8: 3, 16: 2, 32: 2, 64: 3}
"""Of UltraFace in each cell, by stride."""


class BoxesLayout(Layout):
    """Told by the names of the outputs."""

    name = "boxes"
    about = "outputs `boxes` (B, K, 4) and `scores` (B, K) or (B, K, 2), and `keypoints` (B, K, 10) if any"

    def is_of(self, answers: Shapes, size: Size) -> bool:
        return answers.keys() >= {_BOXES, _SCORES}

    def heads(self, outputs: Tensors) -> Heads:
        boxes, scores, points = outputs[_BOXES], outputs[_SCORES], outputs.get(_KEYPOINTS)
        boxes = with_batch(boxes)
        scores = scores.reshape(*boxes.shape[:2], -1)[..., -1]
        return Heads(scores=scores, boxes=boxes, points=None if points is None else points.reshape(*scores.shape, 10))

    def boxes(self, boxes: Floats, places: Places) -> Floats:
        return boxes

    def points(self, points: Floats, places: Places) -> Floats:
        return points


class UltraFaceLayout(BoxesLayout):
    """As many boxes as UltraFace has priors, in shares of the sides."""

    name = "ultraface"
    about = "outputs `boxes` (B, K, 4) in shares of the sides and `scores` (B, K, 2), K as UltraFace has priors"
    usual = {  # noqa: RUF012  # only read
        "mean": (127.0, 127.0, 127.0),
        "deviation": (128.0, 128.0, 128.0),
        "unit": "share",
    }

    def is_of(self, answers: Shapes, size: Size) -> bool:
        each = ((cells(size, stride), priors) for stride, priors in _PRIORS.items())
        count = sum(rows * columns * priors for (rows, columns), priors in each)
        return super().is_of(answers, size) and last_axes(answers) == {2: [count], 4: [count]}
