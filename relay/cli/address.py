"""`address`: what is known about one address, and the bin for its error counter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.cli.acting import perform
from relay.cli.context import asker, configured, opened
from relay.cli.output import json_time, print_json, print_pairs, safe, shown_time
from relay.cli.times import utc_now
from relay.errors import Refused

if TYPE_CHECKING:
    from relay.actions import AddressCard, LastError
    from relay.model import Suppression
    from relay.store.log import LogRow
    from relay.store.suppressions import Listing


@click.command(short_help="Show what is known about an address.")
@click.argument("wanted", metavar="ADDR")
@click.option("--reset", is_flag=True, help="Set the error counter to 0 and lift automatic blocks.")
@click.option("--note", default="", help="Why; kept with the reset.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def address(config_path: Path | None, wanted: str, reset: bool, note: str, as_json: bool) -> int:
    """Show an address: error counter, last error, blocks, recent mail. Exits 1 when nothing is known about it."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        if reset:
            return perform(
                store, lambda tx: actions.reset(tx, wanted, by=asker(), now=utc_now(), note=note), as_json=as_json
            )
        now = utc_now()
        try:
            card = store.read_now(lambda tx: actions.address_card(tx, wanted, now=now))
        except Refused as error:
            raise click.UsageError(safe(error.text)) from error
    if as_json:
        print_json(_as_dict(card))
    elif not card.is_known:
        click.echo(safe(f"Nothing is known about {card.address}."), err=True)
    else:
        _print(card, max_errors=config.suppression.max_errors)
    return 0 if card.is_known else 1


def _as_dict(card: AddressCard) -> dict[str, Any]:
    known, error = card.record, card.last_error
    return {
        "address": card.address,
        "state": card.state,
        "name": (known.name or None) if known else None,
        "phone": known.phone if known else None,
        "customer": known.customer if known else None,
        "current": card.current,
        "error_count": known.error_count if known else 0,
        "reset_at": json_time(known.reset_at) if known else None,
        "last_error_at": json_time(error.at) if error else None,
        "last_category": error.category if error else None,
        "last_error": error.title if error else None,
        "last_reply": known.last_reply if known else None,
        "last_answer": (error.reply or None) if error else None,
        "last_mx": error.mx if error else None,
        "last_delivery": error.delivery_id if error else None,
        "last_message": error.message_id if error else None,
        "next_step": error.next_step if error else None,
        "last_delivered_at": json_time(known.last_delivered_at) if known else None,
        "blocked": bool(card.blocks),
        "blocks": [block_dict(one) for one in card.blocks],
        "past_blocks": [
            {
                **block_dict(one.suppression),
                "lifted_at": json_time(one.lifted_at),
                "lifted_by": one.lifted_by,
                "lifted_note": one.lifted_note or None,
            }
            for one in card.past
        ],
        "recent": [one.as_json() for one in card.recent],
        "events": [
            {"at": json_time(one.at), "kind": one.kind, "text": one.text, "by": one.by or None} for one in card.events
        ],
    }


def block_dict(one: Suppression) -> dict[str, Any]:
    """Name the parts of a block, as `address --json` and `suppressions list --json` print them."""
    return {
        "scope": one.scope,
        "value": one.value,
        "reason": one.reason,
        "source": one.source,
        "category": one.category,
        "rule": one.rule,
        "note": one.note or None,
        "by": one.by or None,
        "since": json_time(one.since_at),
        "until": json_time(one.until_at),
        "app": one.app,
        "delivery": one.delivery_id,
        "reply": one.reply or None,
    }


def _print(card: AddressCard, *, max_errors: int) -> None:
    from relay.actions import describe

    known, error = card.record, card.last_error
    pairs = [("address", card.address), ("state", card.state)]
    pairs += [("blocked", describe(one)) for one in card.blocks]
    pairs.append(("current address", card.current or ""))
    if known is not None:
        pairs += [("name", known.name), ("phone", known.phone or ""), ("customer", known.customer or "")]
        limit = f" (more than {max_errors} block it)" if known.error_count else ""
        since = f", counted since {shown_time(known.reset_at)}" if known.reset_at else ""
        pairs.append(("errors", f"{known.error_count}{limit}{since}"))
        pairs.append(("last delivered", shown_time(known.last_delivered_at) if known.last_delivered_at else ""))
    if error is not None:
        pairs += _error_pairs(error)
    print_pairs(pairs)
    _print_section("Earlier blocks", [_past(one) for one in card.past])
    _print_section("Recent mail", [_row(one) for one in card.recent])
    _print_section("What people did", [f"{shown_time(one.at)}  {one.text}{_by(one.by)}" for one in card.events])


def _error_pairs(error: LastError) -> list[tuple[str, str]]:
    category = f" ({error.category})" if error.category else ""
    about = " ".join(part for part in (error.message_id or "", error.booking or "", f'"{error.subject}"') if part)
    return [
        ("last error", f"{shown_time(error.at)} {error.title}{category}"),
        ("answer", f"{error.mx}: {error.reply}" if error.mx and error.reply else error.reply),
        ("message", about if error.message_id else ""),
        ("next step", error.next_step),
    ]


def _print_section(heading: str, lines: list[str]) -> None:
    if lines:
        click.echo(f"\n{heading}")
        for line in lines:
            click.echo(f"  {safe(line)}")


def _past(one: Listing) -> str:
    from relay.actions import describe

    end = min((at for at in (one.lifted_at, one.suppression.until_at) if at is not None), default=None)
    if one.lifted_at is not None and end == one.lifted_at:
        how = f"lifted{_by(one.lifted_by or '')}{f': {one.lifted_note}' if one.lifted_note else ''}"
    else:
        how = "ended by itself"
    return f"{shown_time(one.suppression.since_at)} to {shown_time(end)}  {describe(one.suppression)}; {how}"


def _row(one: LogRow) -> str:
    reason = f" {one.category}" if one.category else ""
    return f"{shown_time(one.created_at)}  {one.status}{reason}  {one.subject}  {one.id}"


def _by(name: str) -> str:
    return f" (by {name})" if name else ""
