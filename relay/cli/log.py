"""`log`: search the log of deliveries, or what intake refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.context import configured, opened
from relay.cli.output import json_time, print_json, print_wide, shown_time
from relay.cli.times import Time, utc_now
from relay.status import Status

if TYPE_CHECKING:
    from relay.model import Refusal
    from relay.store.log import LogRow, Query
    from relay.store.protocols import Store, Tx

_POLL = 0.3  # seconds between two looks of --follow
_BEFORE_FOLLOWING = 10  # rows shown first
_MOST_NEWS = 20_000  # rows between two looks; a terminal that was stopped for long misses what is beyond

_HEADINGS = ("ACCEPTED", "STATUS", "REASON", "TO", "SUBJECT", "ID")
_WIDTHS = (19, 15, 17, 30, 26)
_BOOKING_HEADINGS = ("ACCEPTED", "KIND", "STATUS", "REASON", "TO", "SUBJECT", "ID")
_BOOKING_WIDTHS = (19, 12, 15, 17, 30, 26)
_REFUSED = ("REFUSED", "CLIENT", "APP", "FROM", "TO", "ANSWER")
_REFUSED_WIDTHS = (19, 15, 12, 28, 28)


@click.command(short_help="Search the log of deliveries.")
@click.argument("words", nargs=-1)
@click.option("--to", metavar="TEXT", help="Part of the recipient's address or name.")
@click.option("--booking", metavar="NUMBER", help="Booking number, in any spelling.")
@click.option(
    "--status", "statuses", multiple=True, type=click.Choice([s.value for s in Status]), help="Status; may be repeated."
)
@click.option("--app", help="Name of the app that handed it in.")
@click.option("--since", type=Time(utc_now), help="From this time on: 2026-03-01, 2026-03-01T14:30, today, 2h, 7d.")
@click.option("--until", type=Time(utc_now), help="Before this time.")
@click.option("--limit", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="At most so many rows.")
@click.option(
    "--archive",
    type=click.Choice(("all", "only", "without")),
    default="all",
    show_default=True,
    help="Mail first taken over one month ago: with the rest, alone, or left out.",
)
@click.option("--refused", is_flag=True, help="What intake refused instead.")
@click.option("--follow", is_flag=True, help="Keep printing what is new or has changed; Ctrl-C ends it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def log(
    config_path: Path | None,
    words: tuple[str, ...],
    to: str | None,
    booking: str | None,
    statuses: tuple[str, ...],
    app: str | None,
    since: datetime | None,
    until: datetime | None,
    limit: int,
    archive: str,
    refused: bool,
    follow: bool,
    as_json: bool,
) -> int:
    """Search the log, newest first. Words match part of anything: address, subject, booking, name, id."""
    from relay.store.log import Query

    if refused and (booking or statuses or archive != "all"):
        raise click.UsageError("--booking, --status and --archive do not go with --refused")
    query = Query(
        words=words,
        to=to,
        booking=booking,
        status=tuple(Status(status) for status in statuses),
        app=app,
        since=since,
        until=until,
        archived={"only": True, "without": False}.get(archive),
        now=utc_now(),
        limit=min(limit, _BEFORE_FOLLOWING) if follow else limit,
    )
    config, _ = configured(config_path)
    with opened(config) as store:
        show = _show_refusals if refused else _show_deliveries
        follower = show(store, query, as_json, follow)
        if follow:
            _follow(store, follower)
    return 0


def _show_deliveries(store: Store, query: Query, as_json: bool, follow: bool) -> Callable[[], None]:
    """Print what fits; return what prints the news when called again."""
    from relay.store import log as units

    seen, rows = store.read_now(lambda tx: (units.position(tx), units.search(tx, query)))
    is_booking = query.booking is not None
    _print_rows(rows[::-1] if follow else rows, as_json=as_json, with_headings=True, with_kind=is_booking)

    def news() -> None:
        nonlocal seen
        changed, seen = store.read_now(lambda tx: units.changed_since(tx, seen, limit=_MOST_NEWS))
        if changed:
            fitting = _fitting(store, query, changed)
            _print_rows(fitting, as_json=as_json, with_headings=False, with_kind=is_booking)

    return news


def _fitting(store: Store, query: Query, changed: list[LogRow]) -> list[LogRow]:
    """Keep the rows that the query would find; each is asked for by its own id, so that words mean the same."""
    from dataclasses import replace

    from relay.store import log as units

    nothing = replace(query, words=(), to=None, booking=None, status=(), app=None, archived=None)
    if query == replace(nothing, since=None, until=None):
        return changed
    kept = []
    for row in changed:
        wanted = replace(query, words=(*query.words, row.id), limit=1)
        kept += store.read_now(lambda tx, wanted=wanted: units.search(tx, wanted))  # type: ignore[misc]
    return kept


def _show_refusals(store: Store, query: Query, as_json: bool, follow: bool) -> Callable[[], None]:
    from relay.store import log as units
    from relay.store import refusals

    def look(tx: Tx, *, after: int | None, up_to: int, limit: int) -> list[refusals.RefusalRow]:
        return refusals.search(
            tx,
            words=query.words,
            to=query.to if isinstance(query.to, str) else None,
            app=query.app,
            since=query.since,
            until=query.until,
            after=after,
            up_to=up_to,
            limit=limit,
        )

    def first(tx: Tx) -> tuple[list[refusals.RefusalRow], units.Position]:
        here = units.position(tx)
        return look(tx, after=None, up_to=here.refusal, limit=query.limit), here

    def since(tx: Tx, seen: units.Position) -> tuple[list[refusals.RefusalRow], units.Position]:
        here = units.reach(tx, seen)
        return look(tx, after=seen.refusal, up_to=here.refusal, limit=1000), here

    found, seen = store.read_now(first)
    _print_refusals([row.refusal for row in (found[::-1] if follow else found)], as_json=as_json, with_headings=True)

    def news() -> None:
        nonlocal seen
        new, seen = store.read_now(lambda tx: since(tx, seen))
        if new:
            _print_refusals([row.refusal for row in new[::-1]], as_json=as_json, with_headings=False)

    return news


def _follow(store: Store, news: Callable[[], None]) -> None:
    """Print news until the person has seen enough."""
    try:
        while True:
            if store.changed():
                news()
            time.sleep(_POLL)
    except KeyboardInterrupt:
        return


def _print_rows(rows: list[LogRow], *, as_json: bool, with_headings: bool, with_kind: bool) -> None:
    """Print deliveries; the mails of one booking are told apart by their kind."""
    if as_json:
        for row in rows:
            print_json(row.as_json())
        return
    headings, widths = (_BOOKING_HEADINGS, _BOOKING_WIDTHS) if with_kind else (_HEADINGS, _WIDTHS)
    if rows or with_headings:
        lines = [_line(row, with_kind=with_kind) for row in rows]
        print_wide(headings if with_headings else None, lines, widths=widths)


def _line(row: LogRow, *, with_kind: bool) -> tuple[str, ...]:
    to = f"{row.to} (for {row.intended})" if row.intended else row.to
    kind = (row.kind or "-",) if with_kind else ()
    when = shown_time(row.created_at)
    return (when, *kind, _status(row), _reason(row), to, row.subject or "(no subject)", row.id)


def _reason(row: LogRow) -> str:
    return row.category or ("blocked" if row.status is Status.SUPPRESSED else "")


def _status(row: LogRow) -> str:
    return f"{row.status} (held)" if row.held else row.status.value


def _print_refusals(rows: list[Refusal], *, as_json: bool, with_headings: bool) -> None:
    if as_json:
        for row in rows:
            print_json(refusal_json(row))
        return
    lines = [
        (
            shown_time(row.at),
            row.client_ip,
            row.app or "-",
            row.mail_from if row.mail_from else "<>" if row.mail_from == "" else "-",
            row.rcpt_to or "-",
            f"{row.code} {row.enhanced} {row.text}",
        )
        for row in rows
    ]
    if rows or with_headings:
        print_wide(_REFUSED if with_headings else None, lines, widths=_REFUSED_WIDTHS)


def refusal_json(row: Refusal) -> dict[str, object]:
    """The keys of `log --refused --json`."""
    return {
        "at": json_time(row.at),
        "listener": row.listener,
        "client_ip": row.client_ip,
        "app": row.app,
        "user": row.auth_user,
        "helo": row.helo or None,
        "from": row.mail_from,
        "to": row.rcpt_to,
        "stage": row.stage,
        "code": row.code,
        "enhanced": row.enhanced,
        "text": row.text,
        "reason": row.reason,
    }
