"""`make bench-postgres`: Waybill on SQLite, on PostgreSQL and as two nodes, and Postfix, in alternating rounds.

Every run has a fresh server, a fresh PostgreSQL as Debian ships its settings (on the disk of this tree, durable, over
TCP on loopback), and the same two ends of the load. The figures of PostgreSQL are its own: pg_stat_statements counts
statements and commits, and the position of the WAL says how much was written. What search indexing and other upkeep did
in the same seconds is in them. Compare figures of one run of this program only.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from bench.latency import LatencySink, measure
from bench.load import BenchError, Sink, send
from bench.postgres_server import NoPostgres, PostgresServer
from bench.processes import cpu_by_name
from bench.report import STORE_FIGURES, Run, compared, saturation
from bench.systems import Postfix, System, Waybill, running
from bench.works import WARM_UP, WORKS, Work

RESULTS = Path(__file__).parent / "results"

_COUNTING = {"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "top"}
#: Without BEGIN, SAVEPOINT and the like, which are counted in one protocol and not in the other. Every transaction that
#: writes asks for its number once.
_WHAT_IT_DID = """
SELECT coalesce(sum(calls) FILTER (WHERE query ~ '^(SELECT|INSERT|UPDATE|DELETE|WITH)'), 0)::float,
       coalesce(sum(calls) FILTER (WHERE query = 'SELECT pg_current_xact_id()'), 0)::float,
       pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float
FROM pg_stat_statements
"""
_JOINING = 9.0  #: seconds until nodes that started together share their sites


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What runs in one column of the table."""

    name: str
    nodes: int = 1
    has_postgres: bool = False
    is_postfix: bool = False


LAYOUTS = (
    Layout(name="PostgreSQL", has_postgres=True),
    Layout(name="SQLite"),
    Layout(name="Postfix", is_postfix=True),
    Layout(name="two nodes", nodes=2, has_postgres=True),
)


@dataclass(frozen=True, slots=True)
class Up:
    """A layout that runs."""

    ports: list[int]
    pids: list[int]
    database: PostgresServer | None

    def cpu(self) -> dict[str, float]:
        """CPU seconds by process so far; the nodes' processes are told apart by number when there are several."""
        spent = {}
        for number, pid in enumerate(self.pids, 1):
            for name, seconds in cpu_by_name(pid).items():
                spent[f"{name} {number}" if len(self.pids) > 1 else name] = seconds
        if self.database is not None:
            spent |= {f"PostgreSQL: {name}": seconds for name, seconds in cpu_by_name(self.database.pid).items()}
        return spent


@click.command()
@click.option("--rounds", default=3, show_default=True, help="How often each work is run; the median counts.")
@click.option("--scale", default=0.5, show_default=True, help="Multiply the number of messages.")
@click.option("--work", "names", multiple=True, type=click.Choice([work.name for work in WORKS]), help="Only these.")
@click.option("--layout", "only", multiple=True, type=click.Choice([layout.name for layout in LAYOUTS]), help="Only.")
@click.option("--intake-workers", default=1, show_default=True, help="Intake processes of each node.")
@click.option("--socket", "is_on_socket", is_flag=True, help="Reach PostgreSQL by its Unix socket instead of TCP.")
def main(
    rounds: int, scale: float, names: Sequence[str], only: Sequence[str], intake_workers: int, is_on_socket: bool
) -> None:
    """Measure what the store costs."""
    layouts = [layout for layout in LAYOUTS if not only or layout.name in only]
    if any(layout.is_postfix for layout in layouts) and (reason := Postfix().missing()):
        click.echo(f"Postfix is left out: {reason}", err=True)
        layouts = [layout for layout in layouts if not layout.is_postfix]
    works = [work.scaled(scale) for work in WORKS if (work.name in names if names else work.name in _USUAL)]
    RESULTS.mkdir(exist_ok=True)
    runs: list[Run] = []
    try:
        for work in works:
            for number in range(rounds):
                for layout in layouts:
                    runs.append(_run(layout, work, workers=intake_workers, is_on_socket=is_on_socket))
                    click.echo(f"{work.name} round {number + 1} {_told(runs[-1])}", err=True)
    except (BenchError, NoPostgres) as error:
        click.echo(str(error), err=True)
        sys.exit(3)
    (RESULTS / "stores.json").write_text(json.dumps([asdict(run) for run in runs], indent=1))
    systems = [layout.name for layout in layouts]
    click.echo(compared(runs, works=works, systems=systems, figures=STORE_FIGURES))
    click.echo()
    click.echo(saturation(runs, works=works, systems=systems))


_USUAL = ("new", "reused", "100", "latency")


def _told(run: Run) -> str:
    measured = [f"{key}={value:.2f}" for key, value in asdict(run).items() if isinstance(value, float)]
    return f"{run.system}: {' '.join(measured)}"


def _run(layout: Layout, work: Work, *, workers: int, is_on_socket: bool) -> Run:
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=RESULTS))
    folder.chmod(0o755)  # Postfix and PostgreSQL run as users of their own
    sink = LatencySink() if work.per_second else Sink()
    try:
        with _up(layout, folder, sink_port=sink.port, workers=workers, is_on_socket=is_on_socket) as up:
            if isinstance(sink, LatencySink):
                time.sleep(1.0)
                latency = measure(work, port=up.ports[0], sink=sink)
                return Run(system=layout.name, work=work.name, p50_ms=latency.p50, p99_ms=latency.p99)
            return _loaded(layout, work, up, sink)
    finally:
        sink.close()
        shutil.rmtree(folder)


@contextmanager
def _up(layout: Layout, folder: Path, *, sink_port: int, workers: int, is_on_socket: bool) -> Iterator[Up]:
    with ExitStack() as stack:
        database = None
        url = "sqlite:data/waybill.db"
        if layout.has_postgres:
            database = stack.enter_context(PostgresServer(parent=folder, settings=_COUNTING))
            database.execute("CREATE EXTENSION pg_stat_statements")
            url = database.socket_url if is_on_socket else database.url
        ports, pids = [], []
        for number in range(1, layout.nodes + 1):
            node_folder = folder / f"node-{number}"
            node_folder.mkdir()
            system: System = (
                Postfix()
                if layout.is_postfix
                else Waybill(workers=workers, url=url, hostname=f"relay{number}.bench.example")
            )
            server = stack.enter_context(running(system, node_folder, sink_port=sink_port))
            ports.append(server.port)
            pids.append(server.pid)
        if layout.nodes > 1:
            time.sleep(_JOINING)
        yield Up(ports, pids, database)


def _loaded(layout: Layout, work: Work, up: Up, sink: Sink) -> Run:
    send(WARM_UP, ports=up.ports, sink=sink)
    if up.database is not None:
        up.database.execute("SELECT pg_stat_statements_reset()")
    counted, cpu = _counted(up), up.cpu()
    timing = send(work, ports=up.ports, sink=sink)
    wall = time.monotonic()
    time.sleep(0.5)  # what is still written after the last arrival belongs to the work
    spent = {name: seconds - cpu.get(name, 0.0) for name, seconds in up.cpu().items()}
    did = {key: value - counted[key] for key, value in _counted(up).items()}
    span = timing.arrived + time.monotonic() - wall
    return Run(
        system=layout.name,
        work=work.name,
        accepted_per_second=work.count / timing.accepted,
        arrived_per_second=work.count / timing.arrived,
        cpu_ms=sum(spent.values()) * 1000 / work.count,
        cores={name: seconds / span for name, seconds in spent.items() if seconds / span >= 0.01},
        **(_database_figures(did, spent, work) if did else {}),
    )


def _counted(up: Up) -> dict[str, float]:
    if up.database is None:
        return {}
    ((statements, commits, wal),) = up.database.execute(_WHAT_IT_DID)
    return {"statements": statements, "commits": commits, "wal": wal}


def _database_figures(did: Mapping[str, float], spent: Mapping[str, float], work: Work) -> dict[str, float]:
    cpu = sum(seconds for name, seconds in spent.items() if name.startswith("PostgreSQL"))
    return {
        "database_cpu_ms": cpu * 1000 / work.count,
        "statements": did["statements"] / work.count,
        "commits": did["commits"] / work.count,
        "wal_kib": did["wal"] / 1024 / work.count,
    }


if __name__ == "__main__":
    main()
