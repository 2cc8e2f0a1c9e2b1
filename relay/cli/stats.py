"""`stats`: counts by status, reason, app and domain, and the delivery rate."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.cli.context import configured, opened
from relay.cli.output import json_time, print_columns, print_json, shown_time
from relay.cli.times import Time, utc_now

if TYPE_CHECKING:
    from relay.store.protocols import Tx


@click.command(short_help="Count what happened to the mail of the last days.")
@click.option("--since", type=Time(utc_now), help="From this time on; default 24h.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def stats(config_path: Path | None, since: datetime | None, as_json: bool) -> int:
    """Count deliveries by status, reason, app and domain; the rate is delivered ÷ (delivered + failed)."""
    start = since or utc_now() - timedelta(hours=24)
    config, _ = configured(config_path)
    with opened(config) as store:
        values = store.read_now(lambda tx: _gather(tx, start))
    if as_json:
        print_json(values)
    else:
        _print(values, start)
    return 0


def _gather(tx: Tx, since: datetime) -> dict[str, Any]:
    from relay.store import queue, stats

    rate = stats.delivery_rate(tx, since=since)
    totals = queue.totals(tx)
    return {
        "since": json_time(since),
        "statuses": {status.value: count for status, count in stats.by_status(tx, since=since).items()},
        "categories": {category.value: count for category, count in stats.by_category(tx, since=since).items()},
        "apps": stats.by_app(tx, since=since),
        "domains": [
            {
                "domain": one.domain,
                "total": one.total,
                "delivered": one.delivered,
                "failed": one.failed,
                "pending": one.pending,
            }
            for one in stats.by_domain(tx, since=since, limit=20)
        ],
        "delivered": rate.delivered,
        "failed": rate.failed,
        "delivery_rate": rate.value if rate.is_meaningful else None,
        "is_low": rate.is_low,
        "waiting": totals.waiting,
        "held": totals.held,
        "oldest_waiting_at": json_time(totals.oldest_at),
    }


def _print(values: dict[str, Any], since: datetime) -> None:
    click.echo(f"Since {shown_time(since)}")
    rate = values["delivery_rate"]
    shown = f"{rate:.1%}" if rate is not None else "too few to say"
    click.echo(f"Delivery rate: {shown} ({values['delivered']} delivered, {values['failed']} failed)")
    if values["is_low"]:
        click.echo("  This is low: REASON and DOMAIN below show why; waybill incidents list shows what is ours.")
    click.echo(f"Waiting now: {values['waiting']}, {values['held']} of them held\n")
    for heading, key in (("STATUS", "statuses"), ("REASON", "categories"), ("APP", "apps")):
        rows = [(name, str(count)) for name, count in values[key].items() if count]
        if rows:
            print_columns((heading, "DELIVERIES"), rows)
            click.echo("")
    if values["domains"]:
        print_columns(
            ("DOMAIN", "TOTAL", "DELIVERED", "FAILED", "PENDING"),
            [tuple(str(value) for value in one.values()) for one in values["domains"]],
        )
