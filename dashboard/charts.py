"""Pictures made on the server: bars of counts over time, as SVG. Pure: values in, markup out.

Each kind of count has a colour and a hatching, so that it is told apart without colours; the words stand beside the
picture in HTML, where they keep their size on a narrow screen. Colours are those of the statuses, by class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

#: The kinds of count from the bottom of a bar to its top, with what is drawn over the colour of each.
KINDS = ("delivered", "pending", "not_delivered", "blocked")
_LINES = {
    "delivered": "",
    "pending": "M0 4H8",
    "not_delivered": "M-2 2L2 -2M0 8L8 0M6 10L10 6",
    "blocked": "M0 0L8 8M8 0L0 8",
}

_HEIGHT = 120
_STEP = 20  #: width of a bar with its gap
_GAP = 3
_LEAST = 2  #: what is there is seen, however little it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One span of time."""

    title: str  #: what is said of it when it is pointed at
    counts: tuple[int, ...]  #: one for each of KINDS

    @property
    def total(self) -> int:
        return sum(self.counts)


def bars(bars: Sequence[Bar], *, label: str) -> Markup:
    """Draw bars; `label` says in words what is to be seen."""
    highest = max((bar.total for bar in bars), default=0)
    drawn = Markup("").join(_bar(number, bar, highest) for number, bar in enumerate(bars))
    width = max(len(bars), 1) * _STEP
    return Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">{}{}</svg>'
    ).format(label, width, _HEIGHT, _patterns("c"), drawn)


def swatch(kind: str) -> Markup:
    """Draw a small square in the colour and hatching of a kind, for its label."""
    return Markup(
        '<svg class="swatch" aria-hidden="true" viewBox="0 0 16 16">{}<rect class="{}" width="16" height="16"/>{}</svg>'
    ).format(_pattern(f"s-{kind}", kind), kind, _over(f"s-{kind}", kind, 0, 0, 16, 16))


def share(part: int, whole: int) -> Markup:
    """Draw a bar that is as long as its share."""
    width = 100 * part / whole if whole else 0
    return Markup(
        '<svg class="share" aria-hidden="true" viewBox="0 0 100 8" preserveAspectRatio="none">'
        '<rect width="{:.1f}" height="8"/></svg>'
    ).format(max(width, 1))


def _bar(number: int, bar: Bar, highest: int) -> Markup:
    top, drawn = float(_HEIGHT), Markup("")
    for kind, count in zip(KINDS, bar.counts, strict=True):
        if not count:
            continue
        height = max(count / highest * (_HEIGHT - _LEAST * len(KINDS)), _LEAST)
        top -= height
        left, width = number * _STEP + _GAP / 2, _STEP - _GAP
        drawn += Markup('<rect class="{}" x="{}" y="{:.1f}" width="{}" height="{:.1f}"/>').format(
            kind, left, top, width, height
        )
        drawn += _over(f"c-{kind}", kind, left, top, width, height)
    return Markup("<g><title>{}</title>{}</g>").format(bar.title, drawn) if bar.total else Markup("")


def _over(name: str, kind: str, left: float, top: float, width: float, height: float) -> Markup:
    if not _LINES[kind]:
        return Markup("")
    return Markup('<rect x="{}" y="{:.1f}" width="{}" height="{:.1f}" fill="url(#{})"/>').format(
        left, top, width, height, name
    )


def _patterns(prefix: str) -> Markup:
    return Markup("").join(_pattern(f"{prefix}-{kind}", kind) for kind in KINDS)


def _pattern(name: str, kind: str) -> Markup:
    if not _LINES[kind]:
        return Markup("")
    return Markup(
        '<pattern id="{}" width="8" height="8" patternUnits="userSpaceOnUse"><path class="hatch" d="{}"/></pattern>'
    ).format(name, _LINES[kind])
