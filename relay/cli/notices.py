"""`notices`: the mail that did not reach a customer, and what is done about it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from relay.cli.acting import perform
from relay.cli.context import asker, configured, opened
from relay.cli.output import json_time, print_columns, print_json, print_pairs, safe, shown_time
from relay.cli.times import utc_now
from relay.cli.words import WHO

if TYPE_CHECKING:
    from relay.actions import Answer, Wanted
    from relay.actions.notices import Card
    from relay.store.protocols import Tx

F = TypeVar("F", bound=Callable[..., Any])


def _json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(function)


def _choosing(function: F) -> F:
    for option in (
        click.option("--dry-run", is_flag=True, help="Only list the notices that are meant."),
        click.option("--cause", help="All open notices of this cause, such as no-mailbox."),
        click.option("--address", metavar="ADDR", help="All open notices of this address."),
        click.argument("ids", nargs=-1, type=int, metavar="[ID]..."),
    ):
        function = option(function)
    return function


@click.group(short_help="List what did not reach a customer, and end what is done.")
def notices() -> None:
    """List the mail that did not reach a customer, and end what is done: one entry for each address and cause."""


@notices.command("list", short_help="List open notices.")
@click.argument("words", nargs=-1)
@click.option("--all", "with_closed", is_flag=True, help="Resolved and cleared ones too.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most so many.")
@_json_option
@click.pass_obj
def list_(config_path: Path | None, words: tuple[str, ...], with_closed: bool, limit: int, as_json: bool) -> int:
    """List open notices, the newest first; with WORDS only those in which each of them stands somewhere."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        cards = store.read_now(lambda tx: actions.list_notices(tx, words=words, with_closed=with_closed, limit=limit))
    for number, card in enumerate(cards):
        if as_json:
            print_json(_as_json(card))
        else:
            if number:
                click.echo()
            _print(card)
    if not cards and not as_json:
        click.echo("Nothing to do: there is no such notice." if words else "Nothing to do.")
    return 0


@notices.command("show", short_help="Show one notice with its mails.")
@click.argument("wanted", type=int, metavar="ID")
@_json_option
@click.pass_obj
def show(config_path: Path | None, wanted: int, as_json: bool) -> int:
    """Show one notice with its mails. Exits 1 when there is none."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        card = store.read_now(lambda tx: actions.show_notice(tx, wanted))
    if card is None:
        click.echo(f"There is no notice {wanted}.", err=True)
        return 1
    if as_json:
        print_json(_as_json(card))
        return 0
    _print(card)
    click.echo()
    rows = [
        (mail.id, shown_time(mail.accepted_at), mail.status, mail.booking or "-", mail.subject) for mail in card.mails
    ]
    print_columns(("DELIVERY", "SENT", "STATUS", "BOOKING", "SUBJECT"), rows)
    return 0


@notices.command("resolve", short_help="Say that a notice was seen to.")
@_choosing
@click.option("--note", default="", help="What was done.")
@_json_option
@click.pass_obj
def resolve(
    config_path: Path | None,
    ids: tuple[int, ...],
    address: str | None,
    cause: str | None,
    dry_run: bool,
    note: str,
    as_json: bool,
) -> int:
    """Say that notices were seen to. Exits 1 when there is none, or all are closed."""
    from relay import actions

    wanted = _wanted(ids, address, cause)
    return _act(
        config_path,
        wanted,
        lambda tx: actions.resolve_notices(tx, wanted, by=asker(), now=utc_now(), note=note),
        dry_run=dry_run,
        as_json=as_json,
    )


@notices.command("clear", short_help="Take a notice off the list without fixing anything.")
@_choosing
@click.option("--note", default="", help="Why.")
@_json_option
@click.pass_obj
def clear(
    config_path: Path | None,
    ids: tuple[int, ...],
    address: str | None,
    cause: str | None,
    dry_run: bool,
    note: str,
    as_json: bool,
) -> int:
    """Take notices off the list without fixing anything: blocks, counters and the log stay as they are."""
    from relay import actions

    wanted = _wanted(ids, address, cause)
    return _act(
        config_path,
        wanted,
        lambda tx: actions.clear_notices(tx, wanted, by=asker(), now=utc_now(), note=note),
        dry_run=dry_run,
        as_json=as_json,
    )


@notices.command("reopen", short_help="Undo that a notice was resolved or cleared.")
@click.argument("ids", nargs=-1, type=int, metavar="ID...", required=True)
@_json_option
@click.pass_obj
def reopen(config_path: Path | None, ids: tuple[int, ...], as_json: bool) -> int:
    """Undo that notices were resolved or cleared."""
    from relay import actions

    wanted = _wanted(ids, None, None)
    return _act(
        config_path,
        wanted,
        lambda tx: actions.reopen_notices(tx, wanted, by=asker(), now=utc_now()),
        as_json=as_json,
    )


@notices.command("assign", short_help="Say who takes a notice.")
@_choosing
@click.option("--to", metavar="NAME", help="Who; without it nobody.")
@_json_option
@click.pass_obj
def assign(
    config_path: Path | None,
    ids: tuple[int, ...],
    address: str | None,
    cause: str | None,
    dry_run: bool,
    to: str | None,
    as_json: bool,
) -> int:
    """Say who takes notices."""
    from relay import actions

    wanted = _wanted(ids, address, cause)
    return _act(
        config_path,
        wanted,
        lambda tx: actions.assign_notices(tx, wanted, to=to, by=asker(), now=utc_now()),
        dry_run=dry_run,
        as_json=as_json,
    )


def _wanted(ids: tuple[int, ...], address: str | None, cause: str | None) -> Wanted:
    from relay.actions import Wanted

    if bool(ids) == bool(address or cause):
        raise click.UsageError("name notices by their ids, or give --address or --cause")
    return Wanted(ids=ids, address=address, cause=cause)


def _act(
    config_path: Path | None,
    wanted: Wanted,
    action: Callable[[Tx], Answer],
    *,
    as_json: bool,
    dry_run: bool = False,
) -> int:
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        if not dry_run:
            return perform(store, action, as_json=as_json)
        chosen = store.read_now(lambda tx: actions.choose_notices(tx, wanted))
    if as_json:
        for one in chosen:
            print_json({"id": one.id, "address": one.shown, "cause": one.cause, "state": one.state, "count": one.count})
    else:
        rows = [
            (str(one.id), one.shown, one.cause, one.state, str(one.count), shown_time(one.last_at)) for one in chosen
        ]
        print_columns(("ID", "ADDRESS", "CAUSE", "STATE", "MAILS", "LAST"), rows)
    return 0


def _print(card: Card) -> None:
    notice, person, words = card.notice, card.person, card.words
    mails = f"{notice.count}, the first {shown_time(notice.opened_at)}, the last {shown_time(notice.last_at)}"
    click.echo(f"{notice.id}  {safe(words.title)}")
    print_pairs(
        (
            ("address used", notice.shown),
            ("name", person.name),
            ("phone", person.phone or ""),
            ("customer", person.customer or ""),
            ("booking", ", ".join(card.bookings)),
            ("what happened", words.happened),
            ("what to do", words.next_step),
            ("who", WHO.get(words.who, "")),
            ("mails", mails),
            ("suggestion", f"{card.suggestion} (check it with the customer)" if card.suggestion else ""),
            ("corrected to", person.corrected_to or ""),
            ("taken by", notice.assigned or ""),
            ("state", _state(card)),
            ("app", notice.app),
            ("answer", _answer(card)),
            ("to correct", _correction(card)),
            ("to escalate", f"waybill show {notice.delivery_id} --package"),
        )
    )


def _state(card: Card) -> str:
    notice = card.notice
    if notice.closed_at is None:
        return ""
    by = f"by {notice.by}" if notice.by else "by itself"
    note = f": {notice.note}" if notice.note else ""
    return f"{notice.state} {shown_time(notice.closed_at)} {by}{note}"


def _answer(card: Card) -> str:
    proof = card.proof
    if proof is None or not proof.reply:
        return ""
    said = " ".join(str(part) for part in (proof.code, proof.enhanced, proof.reply) if part)
    return f"{proof.mx}: {said}" if proof.mx else said


def _correction(card: Card) -> str:
    is_another_matter = card.notice.cause in ("complaint", "too-big", "virus")
    if is_another_matter or card.notice.closed_at is not None or card.person.corrected_to:
        return ""
    new = shlex.quote(card.suggestion) if card.suggestion else "NEW"
    return f"waybill correct {shlex.quote(card.notice.shown)} {new}"


def _as_json(card: Card) -> dict[str, object]:
    notice, person, words, proof = card.notice, card.person, card.words, card.proof
    return {
        "id": notice.id,
        "state": notice.state,
        "address": notice.shown,
        "cause": notice.cause,
        "title": words.title,
        "happened": words.happened,
        "next_step": words.next_step,
        "who": words.who,
        "count": notice.count,
        "since": json_time(notice.opened_at),
        "last_at": json_time(notice.last_at),
        "closed_at": json_time(notice.closed_at),
        "by": notice.by or None,
        "note": notice.note,
        "assigned": notice.assigned,
        "suggestion": card.suggestion,
        "corrected_to": person.corrected_to,
        "name": person.name or None,
        "phone": person.phone,
        "customer": person.customer,
        "bookings": list(card.bookings),
        "app": notice.app,
        "delivery": notice.delivery_id,
        "message": card.message.id if card.message else None,
        "mx": proof.mx if proof else None,
        "code": proof.code if proof else None,
        "enhanced": proof.enhanced if proof else None,
        "reply": proof.reply if proof else None,
        "mails": [
            {
                "id": mail.id,
                "message": mail.message_id,
                "status": mail.status,
                "accepted_at": json_time(mail.accepted_at),
                "subject": mail.subject,
                "booking": mail.booking,
            }
            for mail in card.mails
        ],
    }
