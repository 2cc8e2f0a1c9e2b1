"""`correct OLD NEW`: the right address of a customer, and what the wrong one did not get."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.context import asker, configured, nudge, opened
from relay.cli.output import json_time, print_json, safe, shown_time
from relay.cli.times import utc_now
from relay.errors import Refused

if TYPE_CHECKING:
    from relay.actions import Answer, Correction
    from relay.settings import Config
    from relay.store.log import LogRow
    from relay.store.protocols import Store


@click.command(short_help="Correct an address and send again what it did not get.")
@click.argument("old")
@click.argument("new")
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="How far back to look.")
@click.option("--dry-run", is_flag=True, help="Only list what would be done.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def correct(config_path: Path | None, old: str, new: str, days: int, dry_run: bool, as_json: bool) -> int:
    """Remember NEW as the current address of the customer at OLD, and send there what OLD did not get.

    Lists first what is sent again and what is left out, with the reason. Run twice it sends once.
    """
    from relay import actions

    config, _ = configured(config_path)
    now = utc_now()
    with opened(config) as store:
        try:
            found = store.read_now(
                lambda tx: actions.plan_correction(tx, old, new, now=now, since=now - timedelta(days=days))
            )
        except Refused as error:
            raise click.UsageError(safe(error.text)) from error
        if isinstance(found, actions.Answer):
            return _print(found, [], as_json=as_json)
        if not as_json:
            _list(found, is_dry=dry_run)
        if dry_run:
            return _print_plan(found) if as_json else 0
        answer = store.write_now(lambda tx: actions.correct(tx, found, by=asker(), now=now))
        results = [(row, _send(store, config, row, found)) for row in found.chosen]
    nudge(config)
    return _print(answer, results, as_json=as_json, found=found)


def _send(store: Store, config: Config, row: LogRow, found: Correction) -> Answer:
    from relay import actions

    by, now = asker(), utc_now()
    plan = store.read_now(
        lambda tx: actions.plan_resend(tx, row.id, by=by, now=now, hostname=config.node.hostname, to=found.new)
    )
    if isinstance(plan, actions.Answer):
        return plan
    return store.write_now(lambda tx: actions.catch_up(tx, plan, found, by=by, now=now))


def _list(found: Correction, *, is_dry: bool) -> None:
    will = "would be" if is_dry else "to be"
    click.echo(safe(f"{len(found.chosen)} {will} sent again to {found.new}, {len(found.left_out)} left out."))
    for row in found.chosen:
        click.echo(f"  {_line(row)}")
    for one in found.left_out:
        click.echo(f"  left out: {_line(one.row)}: {safe(one.reason)}")
    if found.has_more:
        click.echo("There are more than these; run it again with fewer --days.")


def _line(row: LogRow) -> str:
    what = row.kind or row.subject or "(no subject)"
    booking = f" {row.booking}" if row.booking else ""
    return safe(f"{shown_time(row.accepted_at)} {what}{booking} ({row.status}) {row.id}")


def _print(
    answer: Answer, results: list[tuple[LogRow, Answer]], *, as_json: bool, found: Correction | None = None
) -> int:
    is_done = answer.is_done and all(one.is_done or one.key == "left_out" for _, one in results)
    if as_json:
        made = [{"id": row.id, "key": one.key, "deliveries": list(one.deliveries)} for row, one in results]
        left = _left_out(found) if found else []
        print_json({"done": is_done, "key": answer.key, "sentence": answer.sentence, "resent": made, "left_out": left})
        return 0 if is_done else 1
    for row, one in results:
        click.echo(safe(f"{row.id}: {one.sentence}"), err=not one.is_done)
    click.echo(safe(answer.sentence), err=not answer.is_done)
    if answer.is_done:
        click.echo("The booking system does not know it: correct the address there too.")
    return 0 if is_done else 1


def _print_plan(found: Correction) -> int:
    chosen = [{"id": row.id, "accepted_at": json_time(row.accepted_at), "status": row.status} for row in found.chosen]
    print_json({"old": found.old, "new": found.new, "chosen": chosen, "left_out": _left_out(found)})
    return 0


def _left_out(found: Correction) -> list[dict[str, str]]:
    return [{"id": one.row.id, "reason": one.reason} for one in found.left_out]
