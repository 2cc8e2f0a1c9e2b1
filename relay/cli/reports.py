"""`reports`: what came back by mail, and what of it a person has to read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.cli.acting import perform
from relay.cli.context import asker, configured, opened
from relay.cli.output import json_time, print_columns, print_json, print_pairs, safe, safe_lines, shown_time
from relay.cli.times import utc_now

if TYPE_CHECKING:
    from relay.store.reports import ReportRow


@click.group(short_help="Show what came back by mail: bounces, complaints, answers.")
def reports() -> None:
    """Show what came back by mail, and what of it could not be understood and waits for a person."""


@reports.command("list", short_help="List returned mail that a person has to read.")
@click.option("--all", "is_all", is_flag=True, help="Also what was understood.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many, newest first.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(config_path: Path | None, is_all: bool, limit: int, as_json: bool) -> int:
    """List returned mail that could not be understood, newest first."""
    from relay.store import reports as stored

    config, _ = configured(config_path)
    choose = stored.newest if is_all else stored.unread
    with opened(config) as store:
        found = store.read_now(lambda tx: choose(tx, limit=limit))
    if as_json:
        for row in found:
            print_json(_as_json(row))
    elif found:
        headings = ("REPORT", "AT", "KIND", "ADDRESS", "SAYS")
        print_columns(headings, [_columns(row) for row in found])
    else:
        click.echo("Nothing has come back." if is_all else "Nothing waits to be read.")
    return 0


@reports.command("show", short_help="Show one report, or what came back for a mail.")
@click.argument("wanted", metavar="ID")
@click.option("--raw", is_flag=True, help="Print the returned mail itself; ID is then a report's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def show(config_path: Path | None, wanted: str, raw: bool, as_json: bool) -> int:
    """Show a report, or all that came back for a message or a delivery. Exits 1 when there is nothing."""
    from relay.model import MessageId
    from relay.store import content
    from relay.store import reports as stored

    if raw and as_json:
        raise click.UsageError("--raw and --json do not go together")
    config, _ = configured(config_path)
    with opened(config) as store:
        found = store.read_now(lambda tx: stored.get(tx, wanted))
        mail = store.read_now(lambda tx: content.load(tx, MessageId(found[-1].id))) if raw and found else None
    if not found:
        click.echo(safe(f"Nothing came back under {wanted}."), err=True)
        return 1
    if raw:
        return _print_raw(mail)
    for row in found:
        if as_json:
            print_json(_as_json(row))
        else:
            _print(row)
    return 0


@reports.command("close", short_help="Take a report off the list.")
@click.argument("wanted", metavar="ID")
@click.option("--note", default="", help="What it was; kept in the log.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def close(config_path: Path | None, wanted: str, note: str, as_json: bool) -> int:
    """Count a report as read by you; it leaves the list, and nothing else changes."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        return perform(
            store,
            lambda tx: actions.close_report(tx, wanted, by=asker(), now=utc_now(), note=note),
            as_json=as_json,
        )


def _print_raw(mail: bytes | None) -> int:
    if mail is None:
        click.echo("The content of that report was not kept.", err=True)
        return 1
    if sys.stdout.isatty():  # a terminal obeys what stands in the mail; a file or program gets it byte for byte
        click.echo(safe_lines(mail.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(mail)
        sys.stdout.buffer.flush()
    return 0


def _columns(row: ReportRow) -> tuple[str, ...]:
    return (row.id, shown_time(row.at), row.kind, row.address or "-", row.reply or row.subject)


def _print(row: ReportRow) -> None:
    reading = f"{row.category} (rule: {row.rule})" if row.category else ""
    print_pairs(
        [
            ("report", row.id),
            ("came", shown_time(row.at)),
            ("kind", row.kind if row.is_read else f"{row.kind}, waits to be read"),
            ("about", row.delivery_id or "no mail of ours"),
            ("found by", {"token": "its return path", "message_id": "its Message-ID"}.get(row.found_by, "")),
            ("address", row.address or ""),
            ("reason", reading),
            ("says", row.reply),
            ("from", f"<{row.mail_from}>"),
            ("subject", row.subject),
        ]
    )
    click.echo("")


def _as_json(row: ReportRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": json_time(row.at),
        "kind": row.kind,
        "read": row.is_read,
        "found_by": row.found_by or None,
        "delivery": row.delivery_id,
        "message": row.message_id,
        "address": row.address,
        "class": row.reply_class,
        "category": row.category,
        "rule": row.rule,
        "status": row.status,
        "reply": row.reply,
        "mail_from": row.mail_from,
        "subject": row.subject,
    }
