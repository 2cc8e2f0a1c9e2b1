"""Redirects: new mail to an old address goes to a new one, until a time or until a person ends it.

A redirect is applied by spool.accept, in the transaction that stores the mail: the delivery gets the new address,
`intended` keeps the one the app gave, and an event names the redirect. It follows one step only, so that two redirects
written at the same moment can never make a circle. Only the envelope changes; the mail itself stays as it came.
A redirect ends by its time without anybody's help; nothing is ever deleted, so that its history can be shown.
What may be redirected where is decided by relay/actions/redirect.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from relay.address import address_key, domain_of
from relay.model import Delivery, Event
from relay.store import events
from relay.store.protocols import Row, Tx, Value
from relay.wording import say

#: The kind of the event that a redirected delivery leaves with its old address.
REDIRECTED = "redirected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirect:
    """One redirect."""

    id: int
    address: str  #: normalised: what is asked for
    new_address: str  #: as it goes on the wire
    since_at: datetime
    until_at: datetime | None  #: None: until a person ends it
    by: str
    note: str = ""
    ended_at: datetime | None = None
    ended_by: str | None = None

    def is_active(self, now: datetime) -> bool:
        """Tell whether new mail goes by it."""
        return self.ended_at is None and (self.until_at is None or self.until_at > now)


def add(
    tx: Tx, address: str, new_address: str, *, now: datetime, until: datetime | None, by: str, note: str = ""
) -> Redirect:
    """Begin a redirect."""
    params: dict[str, Value] = {
        "address": address_key(address),
        "new_address": new_address,
        "since_at": now,
        "until_at": until,
        "by": by,
        "note": note,
    }
    return _redirect(tx.rows("redirects.insert", params)[0])


def active_for(tx: Tx, address: str, *, now: datetime) -> Redirect | None:
    """Give the redirect of an address that is in force."""
    row = tx.one("redirects.active_for", {"address": address_key(address), "now": now})
    return _redirect(row) if row else None


def active(tx: Tx, *, now: datetime) -> list[Redirect]:
    """List the redirects in force, oldest first."""
    return [_redirect(row) for row in tx.rows("redirects.active", {"now": now})]


def every(tx: Tx) -> list[Redirect]:
    """List all redirects there ever were, oldest first."""
    return [_redirect(row) for row in tx.rows("redirects.every")]


def end(tx: Tx, address: str, *, now: datetime, by: str) -> list[Redirect]:
    """End what is in force for an address; return what was ended."""
    found = tx.rows("redirects.end", {"address": address_key(address), "now": now, "by": by})
    return [_redirect(row) for row in found]


def apply(tx: Tx, deliveries: tuple[Delivery, ...], *, now: datetime) -> tuple[tuple[Delivery, ...], list[Event]]:
    """Send new deliveries where their redirects say; return them with the events to be written.

    What a test app sends elsewhere already (`intended` is set) stays there: test mail must never reach a guest.
    """
    changed, notes = [], []
    for delivery in deliveries:
        found = active_for(tx, delivery.address, now=now) if delivery.intended is None else None
        if found is None:
            changed.append(delivery)
            continue
        new = found.new_address
        moved = replace(delivery, address=new, domain=domain_of(new), intended=delivery.address)
        changed.append(moved)
        notes.append(_note(moved, now=now, by=found.by, note=found.note))
    return tuple(changed), notes


def note(tx: Tx, delivery: Delivery, *, now: datetime) -> None:
    """Write down that a resend goes elsewhere by a redirect, so that its old address finds it."""
    events.add(tx, _note(delivery, now=now, by=delivery.by or ""))


def _note(delivery: Delivery, *, now: datetime, by: str, note: str = "") -> Event:
    asked_for = delivery.intended or delivery.address
    return Event(
        at=now,
        kind=REDIRECTED,
        text=say(
            "Meant for {asked_for}, redirected to {address}[ ({note})]",
            asked_for=asked_for,
            address=delivery.address,
            note=note,
        ),
        message_id=delivery.message_id,
        delivery_id=delivery.id,
        address=address_key(asked_for),
        by=by,
    )


def _redirect(row: Row) -> Redirect:
    return Redirect(
        id=row["id"],
        address=row["address"],
        new_address=row["new_address"],
        since_at=row["since_at"],
        until_at=row["until_at"],
        by=row["by"],
        note=row["note"],
        ended_at=row["ended_at"],
        ended_by=row["ended_by"],
    )
