"""`audit`: who did what in the pages, and with accounts and tokens."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from relay.cli.context import configured, opened
from relay.cli.output import print_columns, print_json, shown_time
from relay.cli.times import Time, utc_now
from relay.store import audit as log
from relay.store.audit import AuditRow


@click.command(short_help="Show who did what.")
@click.argument("words", nargs=-1)
@click.option("--by", metavar="NAME", help="Only what this account, or user of the command line, did.")
@click.option("--action", metavar="WORD", help="Only this, as the column ACTION writes it.")
@click.option("--since", type=Time(utc_now), metavar="TIME", help="Only from this time on.")
@click.option("--until", type=Time(utc_now), metavar="TIME", help="Only before this time.")
@click.option("--before", type=int, metavar="SEQ", help="Go on after the last one shown (seq in --json).")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, help="At most so many; 50 if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def audit(
    config_path: Path | None,
    words: tuple[str, ...],
    by: str | None,
    action: str | None,
    since: datetime | None,
    until: datetime | None,
    before: int | None,
    limit: int,
    as_json: bool,
) -> int:
    """Show who did what, newest first. WORDS are part of what it was done to, the text or the note."""
    config, _ = configured(config_path)
    with opened(config) as store:
        found = store.read_now(
            lambda tx: log.search(
                tx, by=by, action=action, words=words, since=since, until=until, before=before, limit=limit
            )
        )
    if as_json:
        for row in found:
            print_json(_as_json(row))
    elif found:
        print_columns(("AT", "BY", "VIA", "FROM", "ACTION", "ON", "WHAT"), [_columns(row) for row in found])
    return 0


def _columns(row: AuditRow) -> tuple[str, ...]:
    entry = row.entry
    what = ": ".join(part for part in (entry.text, entry.note) if part)
    on = f"{entry.object_kind} {entry.object}".strip()
    return (shown_time(entry.at), entry.actor.by, entry.actor.via, entry.actor.ip, entry.action, on, what)


def _as_json(row: AuditRow) -> dict[str, object]:
    entry = row.entry
    return {
        "seq": row.seq,
        "at": entry.at,
        "by": entry.actor.by,
        "via": entry.actor.via,
        "ip": entry.actor.ip or None,
        "action": entry.action,
        "object_kind": entry.object_kind or None,
        "object": entry.object or None,
        "text": entry.text,
        "note": entry.note,
    }
