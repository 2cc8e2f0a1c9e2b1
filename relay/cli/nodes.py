"""`nodes`: which machines work on the store, and when each was last heard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.context import configured, opened
from relay.cli.output import print_columns, print_json, shown_time
from relay.cli.times import utc_now
from relay.clock import StoreClock

if TYPE_CHECKING:
    from relay.store.nodes import NodeRow

_LATE = timedelta(seconds=15)
_SKEW = timedelta(seconds=5)


@click.command(short_help="Show which machines work on the store.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def nodes(config_path: Path | None, as_json: bool) -> int:
    """Show the processes that take and deliver mail on a shared store; with SQLite there is only this machine."""
    from relay.store import is_shared
    from relay.store.nodes import living

    config, _ = configured(config_path)
    now = utc_now()
    with opened(config) as store:
        found = store.read_now(lambda tx: living(tx, now=now))
    compare_clocks(found, asked=now)
    if as_json:
        for row in found:
            print_json(_as_json(row))
    elif found:
        headings = ("NODE", "ROLE", "STATE", "HEARD", "SINCE", "SENDS FROM", "VERSION")
        print_columns(headings, [_columns(row) for row in found])
    else:
        click.echo("No process runs." if is_shared(config.store.url) else "The store is SQLite: this machine alone.")
    return 0


def compare_clocks(found: Sequence[NodeRow], *, asked: datetime, clock: Callable[[], datetime] = utc_now) -> None:
    """Say on stderr when this machine's clock cannot be right; every node says it of itself in its log."""
    if not found:
        return
    ahead = StoreClock(clock).heard(found[0].at, asked=asked)
    if abs(ahead) > _SKEW:
        way = "ahead of" if ahead > timedelta(0) else "behind"
        seconds = abs(ahead).total_seconds()
        click.echo(f"waybill: this machine's clock is {seconds:.0f} s {way} the store's: set it", err=True)


def _state(row: NodeRow) -> str:
    return "alive" if row.silent < _LATE else "silent"


def _columns(row: NodeRow) -> tuple[str, ...]:
    member = row.member
    heard = f"{max(0.0, row.silent.total_seconds()):.0f}s ago"
    since = shown_time(row.started_at)
    return (member.node, member.role, _state(row), heard, since, member.sources or "as routed", member.version)


def _as_json(row: NodeRow) -> dict[str, object]:
    member = row.member
    return {
        "node": member.node,
        "role": member.role,
        "state": _state(row),
        "owner": member.owner,
        "seen_at": row.seen_at,
        "started_at": row.started_at,
        "sources": member.sources.split(),
        "version": member.version,
    }
