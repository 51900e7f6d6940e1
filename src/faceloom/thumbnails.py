"""Thumbnails: what notebooks show of frames and faces."""

import base64
import html
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_LINE_COLOUR = (0, 255, 0)


def shrink(image: NDArray[np.uint8], *, longest: int) -> NDArray[np.uint8]:
    """An image (H, W, 3) scaled down until its longer side has `longest` pixels; a smaller one is left as it is."""
    import cv2

    height, width = image.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def outline(image: NDArray[np.uint8], boxes: Iterable[NDArray[np.floating]]) -> NDArray[np.uint8]:
    """A copy of an image (H, W, 3) with boxes (4,) x0, y0, x1, y1 drawn on it."""
    import cv2

    canvas = np.ascontiguousarray(image.copy())
    line = max(1, round(max(image.shape[:2]) / 400))
    for box in boxes:
        corners = np.rint(box).astype(int)
        cv2.rectangle(canvas, corners[:2].tolist(), corners[2:].tolist(), _LINE_COLOUR, line)
    return canvas


def to_png(image: NDArray[np.uint8]) -> bytes:
    """The PNG file of an image (H, W, 3) RGB."""
    import cv2

    _, content = cv2.imencode(".png", image[..., ::-1])
    return bytes(content.tobytes())


def to_jpeg(image: NDArray[np.uint8]) -> bytes:
    """The JPEG file of an image (H, W, 3) RGB, a tenth of the PNG, which counts where a page has dozens."""
    import cv2

    _, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return bytes(content.tobytes())


def to_html(image: NDArray[np.uint8] | None, caption: str) -> str:
    """A figure for a notebook: the image, if there is one, and a line below it."""
    text = f"<figcaption>{html.escape(caption)}</figcaption>"
    if image is None:
        return f"<figure>{text}</figure>"
    content = base64.b64encode(to_jpeg(image)).decode()
    height, width = image.shape[:2]
    shown = f'<img src="data:image/jpeg;base64,{content}" width="{width}" height="{height}">'
    return f'<figure style="display:inline-block;margin:4px">{shown}{text}</figure>'
