"""Plans as pictures: SVG files, of what more memory buys, and of what each pass takes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from faceloom.errors import RequestError
from faceloom.units import MIB, format_seconds

if TYPE_CHECKING:
    from faceloom.errors import BudgetError
    from faceloom.solver.plan import Plan

_WIDTH, _HEIGHT = 640, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 24, 44, 48
_NAMES, _ROW = 200, 22
_BLUE, _RED = "#1f77b4", "#d62728"
_TICKS = 4


def write_plot(out: Path, drawn: str) -> None:
    """Writes a plot to a new file.

    Raises:
        RequestError: it is there already, has another suffix than .svg, or cannot be written.
    """
    if out.suffix != ".svg":
        raise RequestError(f"a plot is a picture that ends in .svg, and not {out}")
    try:
        with out.open("x", encoding="utf-8") as file:
            file.write(drawn)
    except FileExistsError as error:
        raise RequestError(f"{out} is there already; name another, or remove it") from error
    except OSError as error:
        raise RequestError(f"{out} cannot be written: {error.strerror}") from error


def budget_plot(plans: "Sequence[Plan | BudgetError]", budgets: Sequence[int]) -> str:
    """Seconds against budgets; those for which there is no plan are marked at the foot.

    Args:
        plans: of each budget its plan, or why there is none.
        budgets: bytes.
    """
    from faceloom.errors import BudgetError

    found = list(zip((size / MIB for size in budgets), plans, strict=True))
    points = sorted((at, one.seconds) for at, one in found if not isinstance(one, BudgetError))
    misses = [at for at, one in found if isinstance(one, BudgetError)]
    across = _Axis.of([at for at, _ in found], _WIDTH - _LEFT - _RIGHT)
    up = _Axis.of([seconds for _, seconds in points], _HEIGHT - _TOP - _BOTTOM)
    foot = _HEIGHT - _BOTTOM
    parts = [_text(_LEFT, 24, "Seconds of the best plan, by memory", size=15)]
    parts.append(_text(_WIDTH - _RIGHT, _HEIGHT - 8, "MiB", anchor="end"))
    for tick in across.ticks:
        parts.append(_text(_LEFT + across.at(tick), foot + 16, f"{tick:,g}", anchor="middle"))
    for tick in up.ticks:
        y = foot - up.at(tick)
        parts.append(f'<path d="M{_LEFT} {y:.1f}h{across.length}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 6, y + 4, f"{tick:,g} s", anchor="end"))
    places = [(_LEFT + across.at(at), foot - up.at(seconds)) for at, seconds in points]
    steps = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline points="{steps}" fill="none" stroke="{_BLUE}" stroke-width="2"/>')
    for (x, y), (at, seconds) in zip(places, points, strict=True):
        told = f"<title>{at:,.0f} MiB: {seconds:,.1f} s</title>"
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{_BLUE}">{told}</circle>')
    for x in (_LEFT + across.at(at) for at in misses):
        parts.append(f'<path d="M{x - 5:.1f} {foot - 5}l10 10m0 -10l-10 10" stroke="{_RED}" stroke-width="2"/>')
        parts.append(_text(x, foot - 10, "too little", anchor="middle", colour=_RED))
    return _svg(parts, _HEIGHT)


@dataclass(frozen=True, slots=True)
class _Axis:
    """From 0 to the most, as long as that."""

    step: float
    """Between ticks."""
    most: float
    length: int

    @classmethod
    def of(cls, values: Sequence[float], length: int) -> "_Axis":
        """One on which all values are, with ticks at round numbers."""
        most = max([*values, 1e-3]) * 1.05
        power = 10.0 ** math.floor(math.log10(most / _TICKS))
        step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor * _TICKS >= most)
        return cls(step, most, length)

    @property
    def ticks(self) -> list[float]:
        return [self.step * i for i in range(int(self.most / self.step) + 1)]

    def at(self, value: float) -> float:
        """Where a value is, in pixels from 0."""
        return value / self.most * self.length


def pass_plot(plan: "Plan") -> str:
    """A bar for each pass: its peak of memory against the budget, with its stages, and its seconds."""
    height = _TOP + (len(plan.phases) + 1) * 2 * _ROW
    scale = (_WIDTH - _NAMES - _RIGHT) / max(plan.budget_bytes, plan.peak_bytes, 1)
    head = f"{len(plan.phases)} pass{'es' * (len(plan.phases) != 1)}, about {format_seconds(plan.seconds)}"
    parts = [_text(8, 24, head, size=15)]
    for number, phase in enumerate(plan.phases, start=1):
        y = _TOP + (number - 1) * 2 * _ROW
        width = phase.peak_bytes * scale
        stages = ", ".join(f"{one.stage} x{one.batch}" for one in phase.placements) or "no network"
        parts.append(_text(_NAMES - 8, y + 15, f"pass {number}, {phase.seconds:,.1f} s", anchor="end"))
        parts.append(f'<rect x="{_NAMES}" y="{y}" width="{width:.1f}" height="{_ROW - 2}" fill="{_BLUE}"/>')
        parts.append(_text(_NAMES + 6, y + 15, f"{phase.peak_bytes / MIB:,.0f} MiB", colour="white"))
        parts.append(_text(_NAMES, y + _ROW + 12, stages, colour="#555"))
    edge = _NAMES + plan.budget_bytes * scale
    foot = height - 2 * _ROW
    parts.append(f'<path d="M{edge:.1f} {_TOP - 6}V{foot}" stroke="{_RED}" stroke-dasharray="4 3"/>')
    parts.append(_text(edge, foot + 16, f"budget {plan.budget_bytes / MIB:,.0f} MiB", anchor="end", colour=_RED))
    return _svg(parts, height)


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, colour: str = "#222") -> str:
    told = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {told}>{escape(text)}</text>"


def _svg(parts: Sequence[str], height: int) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{height}" fill="white"/>', *parts, "</svg>"]) + "\n"
