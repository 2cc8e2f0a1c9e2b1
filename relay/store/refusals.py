"""What intake refused: kept and searchable, because a refused mail leaves no other trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.model import Refusal
from relay.store import refusal_filters, rows
from relay.store.protocols import Tx, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalRow:
    """A refusal with its place in the order, for paging and following."""

    seq: int
    refusal: Refusal


def add(tx: Tx, refusal: Refusal) -> None:
    """Write one refusal."""
    tx.run("refusals.insert", _params(refusal))


def add_all(tx: Tx, refusals: Iterable[Refusal]) -> None:
    """Write many refusals."""
    tx.many("refusals.insert", [_params(refusal) for refusal in refusals])


def search(
    tx: Tx,
    *,
    words: Iterable[str] = (),
    to: str | None = None,
    app: str | None = None,
    apps: Sequence[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    after: int | None = None,
    up_to: int | None = None,
    limit: int = 50,
) -> list[RefusalRow]:
    """List refusals, newest first; words are part of client, sender, recipient, user, text or reason.

    `apps` is the scope of whoever asks: with one, what came from nobody known (a wrong password) is not shown.
    `after` and `up_to` are places in the order. Whoever follows takes them from log.reach: where several nodes write,
    a lower number may be committed later than a higher one that was seen already.
    """
    sql, params = refusal_filters.refusal_search(
        words=list(words),
        to=to,
        app=app,
        apps=apps,
        since=since,
        until=until,
        before=before,
        after=after,
        up_to=up_to,
        limit=limit,
    )
    return [RefusalRow(seq=row["seq"], refusal=rows.refusal(row)) for row in tx.compose(sql, params)]


def _params(refusal: Refusal) -> dict[str, Value]:
    return {
        "at": refusal.at,
        "listener": refusal.listener,
        "client_ip": refusal.client_ip,
        "stage": refusal.stage,
        "code": refusal.code,
        "enhanced": refusal.enhanced,
        "text": refusal.text,
        "reason": refusal.reason,
        "app": refusal.app,
        "helo": refusal.helo,
        "auth_user": refusal.auth_user,
        "mail_from": refusal.mail_from,
        "rcpt_to": refusal.rcpt_to,
    }
