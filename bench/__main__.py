"""`make bench`: the same works for each system, in interleaved rounds, and a table of medians.

Each run has a fresh, empty server, warmed with 300 messages. The servers' folders lie under bench/results, on the disk
of this tree, and are removed after each run; results.json stays there. Compare figures of one run of this program only:
absolute ones move with the machine.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from bench.latency import LatencySink, measure
from bench.load import BenchError, Sink, send
from bench.processes import PeakMemory, cpu_seconds, memory_bytes
from bench.report import Run, table
from bench.systems import Postfix, System, Waybill, running
from bench.works import WARM_UP, WORKS, Work

RESULTS = Path(__file__).parent / "results"
_MIB = 1024 * 1024


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often each work is run; the median counts.")
@click.option("--scale", default=1.0, show_default=True, help="Multiply the number of messages.")
@click.option("--work", "names", multiple=True, type=click.Choice([work.name for work in WORKS]), help="Only these.")
@click.option("--system", "only", multiple=True, type=click.Choice(["waybill", "postfix"]), help="Only these.")
@click.option("--intake-workers", default=1, show_default=True, help="Intake processes of Waybill.")
def main(rounds: int, scale: float, names: Sequence[str], only: Sequence[str], intake_workers: int) -> None:
    """Measure Waybill and, when it is installed, Postfix."""
    candidates: list[System] = [Waybill(workers=intake_workers), Postfix()]
    systems = []
    for system in candidates:
        if only and system.name.lower() not in only:
            continue
        if reason := system.missing():
            click.echo(f"{system.name} is left out: {reason}", err=True)
        else:
            systems.append(system)
    works = [work.scaled(scale) for work in WORKS if not names or work.name in names]
    RESULTS.mkdir(exist_ok=True)
    runs: list[Run] = []
    try:
        for work in works:
            for number in range(rounds):
                for system in systems:
                    runs.append(_run(system, work))
                    _tell(runs[-1], number)
    except BenchError as error:
        click.echo(str(error), err=True)
        sys.exit(3)
    (RESULTS / "results.json").write_text(json.dumps([asdict(run) for run in runs], indent=1))
    click.echo(table(runs, works=works, systems=[system.name for system in systems]))


def _tell(run: Run, number: int) -> None:
    measured = [f"{key}={value:.2f}" for key, value in asdict(run).items() if isinstance(value, float)]
    click.echo(f"{run.work} round {number + 1} {run.system}: {' '.join(measured)}", err=True)


def _run(system: System, work: Work) -> Run:
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=RESULTS))
    folder.chmod(0o755)  # Postfix runs as a user of its own
    try:
        return _paced(system, work, folder) if work.per_second else _loaded(system, work, folder)
    finally:
        shutil.rmtree(folder)


def _loaded(system: System, work: Work, folder: Path) -> Run:
    sink = Sink()
    try:
        with running(system, folder, sink_port=sink.port) as server:
            send(WARM_UP, ports=[server.port], sink=sink)
            before = cpu_seconds(server.pid)
            with PeakMemory(server.pid) as memory:
                timing = send(work, ports=[server.port], sink=sink)
            time.sleep(0.3)  # what is still written after the last arrival belongs to the work
            spent = cpu_seconds(server.pid) - before
    finally:
        sink.close()
    return Run(
        system=system.name,
        work=work.name,
        accepted_per_second=work.count / timing.accepted,
        arrived_per_second=work.count / timing.arrived,
        cpu_ms=spent * 1000 / work.count,
        peak_mib=memory.peak_bytes / _MIB,
    )


def _paced(system: System, work: Work, folder: Path) -> Run:
    sink = LatencySink()
    try:
        with running(system, folder, sink_port=sink.port) as server:
            time.sleep(1.0)  # let it settle before "idle" is measured
            idle = memory_bytes(server.pid)
            latency = measure(work, port=server.port, sink=sink)
    finally:
        sink.close()
    return Run(system=system.name, work=work.name, idle_mib=idle / _MIB, p50_ms=latency.p50, p99_ms=latency.p99)


if __name__ == "__main__":
    main()
