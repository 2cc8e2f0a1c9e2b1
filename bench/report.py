"""From single runs to the printed table: medians, ratios, Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from bench.works import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of one work measured; None where the work does not measure it."""

    system: str
    work: str
    accepted_per_second: float | None = None
    arrived_per_second: float | None = None
    cpu_ms: float | None = None  #: a message
    idle_mib: float | None = None
    peak_mib: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table for each work that measures it."""

    name: str
    field: str
    is_rate: bool = False  #: more is better, and the ratio is ours ÷ theirs; otherwise theirs ÷ ours


FIGURES = (
    Figure("accept /s", "accepted_per_second", is_rate=True),
    Figure("end to end /s", "arrived_per_second", is_rate=True),
    Figure("CPU ms a message", "cpu_ms"),
    Figure("p50 ms", "p50_ms"),
    Figure("p99 ms", "p99_ms"),
    Figure("memory idle, MiB (PSS)", "idle_mib"),
    Figure("memory under load, MiB (PSS)", "peak_mib"),
)


def middle(runs: Iterable[Run], *, system: str, work: str, field: str) -> float | None:
    """Return the median over the rounds, or None when it was never measured."""
    values = [getattr(run, field) for run in runs if (run.system, run.work) == (system, work)]
    measured = [float(value) for value in values if value is not None]
    return median(measured) if measured else None


def table(runs: Sequence[Run], *, works: Sequence[Work], systems: Sequence[str]) -> str:
    """Write the Markdown table; the last column compares the first system with the second, above 1 is better."""
    compared = len(systems) == 2
    head = ["work", "", *systems, *([f"{systems[0]} is better by"] if compared else [])]
    lines = [_line(head), _line(["---", "---", *["---:"] * (len(head) - 2)])]
    for work in works:
        title = work.title
        for figure in FIGURES:
            values = [middle(runs, system=name, work=work.name, field=figure.field) for name in systems]
            if any(value is not None for value in values):
                ratio = [_ratio(values, figure)] if compared else []
                lines.append(_line([title, figure.name, *map(_shown, values), *ratio]))
                title = ""
    return "\n".join(lines)


def _ratio(values: Sequence[float | None], figure: Figure) -> str:
    ours, theirs = values
    if not ours or not theirs:
        return ""
    return f"{ours / theirs if figure.is_rate else theirs / ours:.2f}×"


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
