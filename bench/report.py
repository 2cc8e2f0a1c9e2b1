"""From single runs to the printed table: medians, ratios, Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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
    database_cpu_ms: float | None = None  #: a message, of all processes of PostgreSQL; part of cpu_ms
    statements: float | None = None  #: a message
    commits: float | None = None  #: a message
    wal_kib: float | None = None  #: a message
    cores: Mapping[str, float] | None = None  #: how much of a core each process used while mail moved


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

STORE_FIGURES = (
    Figure("accept /s", "accepted_per_second"),
    Figure("end to end /s", "arrived_per_second"),
    Figure("CPU ms a message", "cpu_ms"),
    Figure("… of it PostgreSQL", "database_cpu_ms"),
    Figure("statements a message", "statements"),
    Figure("commits a message", "commits"),
    Figure("WAL KiB a message", "wal_kib"),
    Figure("p50 ms", "p50_ms"),
    Figure("p99 ms", "p99_ms"),
)


def middle(runs: Iterable[Run], *, system: str, work: str, field: str) -> float | None:
    """Return the median over the rounds, or None when it was never measured."""
    measured = _rounds(runs, system=system, work=work, field=field)
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


def compared(runs: Sequence[Run], *, works: Sequence[Work], systems: Sequence[str], figures: Sequence[Figure]) -> str:
    """Write a table in which every figure of the later systems also stands as a multiple of the first one's.

    A multiple is the median of those of the single rounds, which the machine's moods touch less than the figures.
    """
    lines = [_line(["work", "", *systems]), _line(["---", "---", *["---:"] * len(systems)])]
    for work in works:
        title = work.title
        for figure in figures:
            base, *others = [_rounds(runs, system=name, work=work.name, field=figure.field) for name in systems]
            if not any((base, *others)):
                continue
            cells = [_shown(median(base) if base else None)]
            for values in others:
                ratios = [value / first for value, first in zip(values, base, strict=False) if first]
                multiple = f" ({median(ratios):.2f}×)" if ratios else ""
                cells.append(_shown(median(values) if values else None) + multiple)
            lines.append(_line([title, figure.name, *cells]))
            title = ""
    return "\n".join(lines)


def saturation(runs: Sequence[Run], *, works: Sequence[Work], systems: Sequence[str]) -> str:
    """Write how much of a core each process used while mail moved, the busiest first: medians."""
    lines = [_line(["work", "", "cores in use"]), _line(["---"] * 3)]
    for work in works:
        for system in systems:
            rounds = [run.cores for run in runs if (run.system, run.work) == (system, work.name) and run.cores]
            names = {name for cores in rounds for name in cores}
            middles = {name: median(cores.get(name, 0.0) for cores in rounds) for name in names}
            busiest = sorted(middles.items(), key=lambda pair: -pair[1])
            if busiest:
                cells = ", ".join(f"{name} {value:.2f}" for name, value in busiest if value >= 0.02)
                lines.append(_line([work.title, system, cells]))
    return "\n".join(lines)


def _rounds(runs: Iterable[Run], *, system: str, work: str, field: str) -> list[float]:
    values = [getattr(run, field) for run in runs if (run.system, run.work) == (system, work)]
    return [float(value) for value in values if value is not None]


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
