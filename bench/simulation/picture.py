"""The picture of a simulation as SVG: panels of lines, steps and bars over a few numbers, without a library.

Colours differ in lightness as well as in hue, every line is named in words, and the text is text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, GAP = 900, 210, 58
_LEFT, _RIGHT, _TOP = 64, 20, 46
COLOURS = ("#1b6ca8", "#c2571a", "#3d7a3d", "#8a3b8f")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One series; a name ends up in the legend."""

    name: str
    points: Sequence[tuple[float, float]]
    is_step: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One diagram."""

    title: str
    x_label: str
    lines: Sequence[Line] = ()
    shaded: tuple[float, float, str] | None = None  #: from, until, and what it is
    limit: tuple[float, str] | None = None  #: a horizontal line and its name
    ticks: int = 6


def draw(panels: Sequence[Panel], *, title: str) -> str:
    """Return the whole picture."""
    height = len(panels) * (HEIGHT + GAP) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="24" font-size="15" font-weight="bold" fill="#222222">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _Frame(panel, top=40 + number * (HEIGHT + GAP)).draw()
    return "\n".join([*parts, "</svg>", ""])


class _Frame:
    """Where the numbers of one panel lie on the paper."""

    def __init__(self, panel: Panel, *, top: int) -> None:
        self._panel = panel
        self._top = top
        xs = [x for line in panel.lines for x, _ in line.points]
        ys = [y for line in panel.lines for _, y in line.points]
        self._from, self._until = min(xs), max(xs)
        limit = panel.limit[0] if panel.limit else 0.0
        self._high = _round_up(max([*ys, limit]) * 1.05)

    def _x(self, value: float) -> float:
        share = (value - self._from) / ((self._until - self._from) or 1.0)
        return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT), 1)

    def _y(self, value: float) -> float:
        return round(self._top + HEIGHT - value / self._high * (HEIGHT - _TOP), 1)

    def draw(self) -> list[str]:
        panel = self._panel
        parts = [_text(_LEFT, self._top + 14, panel.title, colour="#222222", weight="bold")]
        if panel.shaded is not None:
            parts += self._shade(*panel.shaded)
        parts += self._axes()
        if panel.limit is not None:
            y = self._y(panel.limit[0])
            parts.append(f'<path d="M{_LEFT} {y}H{WIDTH - _RIGHT}" stroke="#a00000" stroke-dasharray="6 4"/>')
            parts.append(_text(WIDTH - _RIGHT, y - 4, panel.limit[1], colour="#a00000", anchor="end"))
        for number, line in enumerate(panel.lines):
            colour = COLOURS[number % len(COLOURS)]
            parts.append(f'<path d="{self._path(line)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
            x = _LEFT + number * 260
            parts.append(f'<rect x="{x}" y="{self._top + 23}" width="14" height="4" fill="{colour}"/>')
            parts.append(_text(x + 20, self._top + 29, line.name, colour="#222222"))
        return parts

    def _shade(self, begin: float, end: float, what: str) -> list[str]:
        x, width = self._x(begin), round(self._x(end) - self._x(begin), 1)
        top = self._top + _TOP
        return [
            f'<rect x="{x}" y="{top}" width="{width}" height="{HEIGHT - _TOP}" fill="#e8e2d0"/>',
            _text(x + 4, top + 14, what, colour="#5c5030"),
        ]

    def _axes(self) -> list[str]:
        parts = []
        for step in range(5):
            value = self._high * step / 4
            y = self._y(value)
            parts.append(f'<path d="M{_LEFT} {y}H{WIDTH - _RIGHT}" stroke="#dddddd"/>')
            parts.append(_text(_LEFT - 6, y + 4, f"{value:g}", colour="#555555", anchor="end"))
        base = self._top + HEIGHT + 16
        for step in range(self._panel.ticks + 1):
            value = self._from + (self._until - self._from) * step / self._panel.ticks
            parts.append(_text(self._x(value), base, f"{value:.3g}", colour="#555555", anchor="middle"))
        parts.append(_text(WIDTH - _RIGHT, base + 16, self._panel.x_label, colour="#555555", anchor="end"))
        return parts

    def _path(self, line: Line) -> str:
        points = [(self._x(x), self._y(y)) for x, y in line.points]
        words = [f"M{points[0][0]} {points[0][1]}"]
        for x, y in points[1:]:
            words.append(f"H{x}V{y}" if line.is_step else f"L{x} {y}")
        return "".join(words)


def _text(x: float, y: float, text: str, *, colour: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'


def _round_up(value: float) -> float:
    """Return the next number that divides well by four."""
    size = 1.0
    while size * 100 < value:
        size *= 10
    return next((size * each for each in (4, 8, 12, 20, 24, 32, 40, 60, 80, 100) if size * each >= value), size * 100)
