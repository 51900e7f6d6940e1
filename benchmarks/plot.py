"""Line charts as SVG files, for figures that stand beside their tables."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 40, 48
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")
_NAMES, _ROW = 130, 17
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where values are on an axis, as a share of its length, and the values at its ticks."""

    low: float
    """0 where the axis is not logarithmic."""
    high: float

    @classmethod
    def of(cls, values: Sequence[float], *, margin: float, is_logarithmic: bool) -> "_Scale":
        if not is_logarithmic:
            return cls(0.0, max(values) * margin)
        return cls(10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values))))

    @property
    def ticks(self) -> list[float]:
        if not self.low:
            return [self.high * i / 4 for i in range(5)]
        return [self.low * 10**i for i in range(round(math.log10(self.high / self.low)) + 1)]

    def at(self, value: float) -> float:
        return math.log(value / self.low) / math.log(self.high / self.low) if self.low else value / self.high


def write_chart(
    path: Path, lines: Mapping[str, Points], *, title: str, x: str, y: str, is_logarithmic: bool = False
) -> None:
    """Writes one line for each name; both axes begin at zero, or are logarithmic."""
    every = [point for line in lines.values() for point in line]
    right = _Scale.of([point[0] for point in every], margin=1.05, is_logarithmic=is_logarithmic)
    top = _Scale.of([point[1] for point in every], margin=1.1, is_logarithmic=is_logarithmic)
    across, up = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(point: tuple[float, float]) -> str:
        return f"{_LEFT + right.at(point[0]) * across:.1f},{_HEIGHT - _BOTTOM - top.at(point[1]) * up:.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="22" font-size="15">{escape(title)}</text>',
        f'<text x="{_LEFT + across / 2}" y="{_HEIGHT - 8}" font-size="12" text-anchor="middle">{escape(x)}</text>',
        f'<text x="16" y="{_TOP + up / 2}" font-size="12" text-anchor="middle"'
        f' transform="rotate(-90 16 {_TOP + up / 2})">{escape(y)}</text>',
    ]
    for tick in right.ticks:
        parts.append(_label(place((tick, top.low)), f"{tick:,.0f}", dy=16, anchor="middle"))
    for tick in top.ticks:
        high = place((right.low, tick))
        text = f"{tick:,.0f}" if is_logarithmic else f"{tick:.3g}"
        parts += [f'<path d="M{high} h{across}" stroke="#ddd"/>', _label(high, text, dx=-6, dy=4, anchor="end")]
    for i, ((name, points), colour) in enumerate(zip(lines.items(), _COLOURS, strict=False)):
        parts.append(
            f'<polyline points="{" ".join(map(place, points))}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts += [
            f'<circle cx="{at[0]}" cy="{at[1]}" r="3" fill="{colour}"/>' for at in (place(p).split(",") for p in points)
        ]
        parts.append(f'<text x="{_LEFT + 12 + 160 * i}" y="36" font-size="12" fill="{colour}">{escape(name)}</text>')
    path.write_text("\n".join([*parts, "</svg>"]) + "\n", encoding="utf-8")


def _label(place: str, text: str, *, anchor: str, dx: float = 0, dy: float = 0) -> str:
    across, down = map(float, place.split(","))
    return f'<text x="{across + dx}" y="{down + dy}" font-size="11" text-anchor="{anchor}">{text}</text>'


def write_bars(path: Path, bars: Mapping[str, Mapping[str, float]], *, title: str, unit: str) -> None:
    """Writes, below each name, a row for each of its parts, which begins where the one above ends."""
    scale = (_WIDTH - _NAMES - 2 * _RIGHT - 40) / (max(sum(parts.values()) for parts in bars.values()) or 1)
    rows = sum(len(parts) + 2 for parts in bars.values())
    height = _TOP + rows * _ROW
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="8" y="22" font-size="15">{escape(title)}</text>',
    ]
    y = float(_TOP)
    for (name, parts), colour in zip(bars.items(), _COLOURS, strict=False):
        drawn.append(f'<text x="8" y="{y + 12:.0f}" font-size="12" font-weight="bold">{escape(name)}</text>')
        x = float(_NAMES)
        for part, value in parts.items():
            y += _ROW
            width = max(0.0, value) * scale
            drawn.append(f'<rect x="{x:.1f}" y="{y:.0f}" width="{width:.1f}" height="{_ROW - 3}" fill="{colour}"/>')
            drawn.append(_label(f"{_NAMES - 6},{y + 12}", part, anchor="end"))
            x += width
            drawn.append(_label(f"{x + 4:.1f},{y + 12}", f"{value:.1f} {unit}", anchor="start"))
        y += 2 * _ROW
    path.write_text("\n".join([*drawn, "</svg>"]) + "\n", encoding="utf-8")
