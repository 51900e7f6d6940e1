"""The layouts there are, and which of them a network has."""

from faceloom.detect.layouts.decoded import BoxesLayout, UltraFaceLayout
from faceloom.detect.layouts.layout import Layout, Shapes, Size
from faceloom.detect.layouts.retinaface import RetinaFaceLayout
from faceloom.detect.layouts.scrfd import ScrfdLayout
from faceloom.detect.layouts.yolo import Yolo5Layout, Yolo8Layout

LAYOUTS: dict[str, Layout] = {
    layout.name: layout
    for layout in (
        ScrfdLayout(),
        RetinaFaceLayout(),
        UltraFaceLayout(),
        Yolo5Layout(),
        Yolo8Layout(),
        BoxesLayout(),
    )
}
"""By name; those that are told apart by more come first."""


def recognised(answers: Shapes, size: Size) -> Layout:
    """The layout of a network that answers these shapes to a picture of that size.

    Raises:
        ValueError: it has none of them; the message says what it answers.
    """
    for layout in LAYOUTS.values():
        if layout.is_of(answers, size):
            return layout
    told = ", ".join(f"{name} {shape}" for name, shape in answers.items())
    raise ValueError(
        f"to a picture of {size[1]} x {size[0]} it answers {told}, which is of no known layout; there are: "
        f"{', '.join(LAYOUTS)} (docs/plugins.md). Another YuNet or CenterFace is for detect/yunet or detect/centerface"
    )
