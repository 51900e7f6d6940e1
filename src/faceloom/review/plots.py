"""Plots as SVG that stands in a page: histograms, and where in a sequence something is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _FOOT = 260, 110, 16
_BINS = 26
_STRIP_WIDTH, _STRIP_HEIGHT = 520, 14
_STRIP_BINS = 260


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What a histogram is of."""

    title: str
    unit: str = ""
    least: float | None = None
    """Where it begins; with the least value if this is not told."""
    most: float | None = None
    is_log: bool = False
    """Whether each bin is as many times as wide as the one before it."""


AXES: Mapping[str, Axis] = {
    "quality": Axis(title="quality", least=0, most=1),
    "score": Axis(title="score of the detector", least=0, most=1),
    "size": Axis(title="size of the box", unit=" px", is_log=True),
    "yaw": Axis(title="yaw: to either side", unit="°", least=-90, most=90),
    "pitch": Axis(title="pitch: up or down", unit="°", least=-90, most=90),
    "sharpness": Axis(title="sharpness", is_log=True),
}
"""What faces are shown by, by the name of the number."""


def edges_of(values: NDArray[np.float32], axis: Axis) -> NDArray[np.float64] | None:
    """Where the bins of a histogram begin, and where the last ends; None where nothing is known."""
    known = values[np.isfinite(values)].astype(np.float64)
    known = known[known > 0] if axis.is_log else known
    if not len(known):
        return None
    least = float(known.min()) if axis.least is None else axis.least
    most = float(known.max()) if axis.most is None else axis.most
    most = most if most > least else least + 1
    edges = np.geomspace(least, most, _BINS + 1) if axis.is_log else np.linspace(least, most, _BINS + 1)
    edges[0], edges[-1] = least, most  # as powers round
    return edges


def counted(values: NDArray[np.float32], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many values lie in each bin; those beyond the edges in the first and the last."""
    known = values[np.isfinite(values)].astype(np.float64)
    known = known[known > 0] if edges[0] > 0 else known
    return np.histogram(np.clip(known, edges[0], edges[-1]), edges)[0]


def histogram(values: NDArray[np.float32], axis: Axis) -> str:
    """How often values occur; those that nobody knows are left out. Empty without any."""
    edges = edges_of(values, axis)
    if edges is None:
        return ""
    least, most, counts = float(edges[0]), float(edges[-1]), counted(values, edges)
    known = values[np.isfinite(values) & ((values > 0) | (not axis.is_log))]
    middle = math.sqrt(least * most) if axis.is_log else (least + most) / 2
    number = f"{len(known):,} face{'s' * (len(known) != 1)}"
    label = f"{axis.title}: {number}, median {_short(float(np.median(known)))}{axis.unit}"
    marks = zip((least, middle, most), (0, _WIDTH / 2, _WIDTH), ("start", "middle", "end"), strict=True)
    texts = "".join(
        f'<text x="{x:g}" y="{_HEIGHT + _FOOT - 3}" text-anchor="{anchor}">{_short(value)}{axis.unit}</text>'
        for value, x, anchor in marks
    )
    return (
        f'<figure><figcaption>{label}</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT + _FOOT}" role="img"'
        f' aria-label="{label}">{_bars(counts.tolist())}'
        f'<path class="axis" d="M0 {_HEIGHT}.5H{_WIDTH}"/>{texts}</svg></figure>'
    )


def _bars(counts: Sequence[int]) -> str:
    width, most = _WIDTH / len(counts), max(counts)
    bars = []
    for i, count in enumerate(counts):
        height = _HEIGHT * count / most
        if count:
            box = f'x="{i * width + 0.5:.1f}" y="{_HEIGHT - height:.1f}" width="{width - 1:.1f}" height="{height:.1f}"'
            bars.append(f"<rect {box}><title>{count:,}</title></rect>")
    return "".join(bars)


def strip(places: NDArray[np.int64], total: int, *, label: str) -> str:
    """Where in a sequence of so many something is: the darker, the more of it.

    `label` is put in as it is: text of others has to be escaped.
    """
    bins = min(_STRIP_BINS, max(1, total))
    counts = np.bincount(np.minimum(places * bins // max(1, total), bins - 1), minlength=bins)
    width, most = _STRIP_WIDTH / bins, max(1, int(counts.max()))
    marks = "".join(
        f'<rect x="{i * width:.1f}" y="0" width="{width:.1f}" height="{_STRIP_HEIGHT}"'
        f' opacity="{0.25 + 0.75 * count / most:.2f}"/>'
        for i, count in enumerate(counts.tolist())
        if count
    )
    return (
        f'<svg class="strip" viewBox="0 0 {_STRIP_WIDTH} {_STRIP_HEIGHT}" preserveAspectRatio="none" role="img"'
        f' aria-label="{label}">{marks}</svg>'
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
