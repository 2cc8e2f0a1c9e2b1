"""`block`, `unblock` and `address`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.acting import perform
from relay.cli.context import asker, configured, opened
from relay.cli.output import json_time, print_json, print_pairs, safe, shown_time
from relay.cli.times import utc_now
from relay.errors import Refused

if TYPE_CHECKING:
    from relay.model import AddressRecord, Suppression
    from relay.store.protocols import Tx


@click.command(short_help="Send nothing more to an address or a domain.")
@click.argument("target", metavar="ADDR|@DOMAIN")
@click.option("--note", default="", help="Why; shown beside the block.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def block(config_path: Path | None, target: str, note: str, as_json: bool) -> int:
    """Send nothing more to an address, or to every address of a domain, until it is unblocked."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        return perform(
            store, lambda tx: actions.block(tx, target, by=asker(), now=utc_now(), note=note), as_json=as_json
        )


@click.command(short_help="Let mail to an address or a domain flow again.")
@click.argument("target", metavar="ADDR|@DOMAIN")
@click.option("--note", default="", help="Why; kept beside the block.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def unblock(config_path: Path | None, target: str, note: str, as_json: bool) -> int:
    """Let mail to an address or a domain flow again. Exits 1 when it was not blocked."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        return perform(
            store, lambda tx: actions.unblock(tx, target, by=asker(), now=utc_now(), note=note), as_json=as_json
        )


@click.command(short_help="Show what is known about an address.")
@click.argument("wanted", metavar="ADDR")
@click.option("--reset", is_flag=True, help="Set the error counter to 0 and lift automatic blocks.")
@click.option("--note", default="", help="Why; kept with the reset.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def address(config_path: Path | None, wanted: str, reset: bool, note: str, as_json: bool) -> int:
    """Show an address: error counter, last error, blocks. Exits 1 when nothing is known about it."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        if reset:
            return perform(
                store, lambda tx: actions.reset(tx, wanted, by=asker(), now=utc_now(), note=note), as_json=as_json
            )
        try:
            _, key = actions.target(wanted.lstrip("@"))
        except Refused as error:
            raise click.UsageError(safe(error.text)) from error
        now = utc_now()
        known, blocks = store.read_now(lambda tx: _look_up(tx, key, now))
    if as_json:
        _print_json(key, known, blocks)
    elif known is None and not blocks:
        click.echo(safe(f"Nothing is known about {key}."), err=True)
    else:
        _print_text(key, known, blocks)
    return 0 if known is not None or blocks else 1


def _look_up(tx: Tx, key: str, now: datetime) -> tuple[AddressRecord | None, list[Suppression]]:
    from relay.address import domain_of
    from relay.store import addresses, suppressions

    blocks = suppressions.active_on(tx, key, scope="address", now=now)
    blocks += suppressions.active_on(tx, domain_of(key), scope="domain", now=now)
    return addresses.get(tx, key), blocks


def _print_json(key: str, known: AddressRecord | None, blocks: list[Suppression]) -> None:
    print_json(
        {
            "address": key,
            "name": (known.name or None) if known else None,
            "phone": known.phone if known else None,
            "customer": known.customer if known else None,
            "error_count": known.error_count if known else 0,
            "last_error_at": json_time(known.last_error_at) if known else None,
            "last_category": known.last_category if known else None,
            "last_reply": known.last_reply if known else None,
            "last_delivery": known.last_delivery_id if known else None,
            "last_delivered_at": json_time(known.last_delivered_at) if known else None,
            "blocked": bool(blocks),
            "blocks": [
                {
                    "scope": one.scope,
                    "value": one.value,
                    "reason": one.reason,
                    "source": one.source,
                    "note": one.note or None,
                    "by": one.by or None,
                    "since": json_time(one.since_at),
                    "until": json_time(one.until_at),
                    "app": one.app,
                }
                for one in blocks
            ],
        }
    )


def _print_text(key: str, known: AddressRecord | None, blocks: list[Suppression]) -> None:
    from relay.actions import describe

    pairs = [("address", key)]
    if known is not None:
        pairs += [
            ("name", known.name),
            ("phone", known.phone or ""),
            ("customer", known.customer or ""),
            ("errors", str(known.error_count)),
            ("last error", _last_error(known)),
            ("last delivered", shown_time(known.last_delivered_at) if known.last_delivered_at else ""),
        ]
    pairs += [("blocked", describe(one)) for one in blocks] or [("blocked", "no")]
    print_pairs(pairs)


def _last_error(known: AddressRecord) -> str:
    if known.last_error_at is None:
        return ""
    reason = f" {known.last_category}" if known.last_category else ""
    return f"{shown_time(known.last_error_at)}{reason}: {known.last_reply or ''}".rstrip(": ")
