"""Notices: the to-do list of the support desk, one entry for each (address, cause).

`follow` is called by record.py inside the transaction that records a result: a failure raises a notice (or adds to the
open one, or opens a closed one again), mail that arrived ends those it heals. What makes a notice and what heals it is
decided by relay/notices.py. What people do to notices is relay/actions/notices.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from relay import deadline, notices
from relay.address import address_key
from relay.model import Delivery, DeliveryId, Disposition, Message, MessageId
from relay.notices import ADDRESS_CAUSES, State
from relay.status import Status
from relay.store import notice_filters, rows, suppressions
from relay.store.protocols import Row, Tx, Value
from relay.suggest import Relative

_MAILS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice as it is stored."""

    id: int
    address: str  #: normalised
    cause: str  #: a key of the catalogue
    state: State
    shown: str  #: the address as it was used
    count: int  #: mails since it was last opened
    opened_at: datetime
    last_at: datetime
    closed_at: datetime | None
    delivery_id: DeliveryId  #: the mail that is the proof
    app: str
    assigned: str | None
    by: str  #: who ended it; "" = by itself
    note: str
    suggestion: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is known about whose address it is."""

    name: str = ""
    phone: str | None = None
    customer: str | None = None
    corrected_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One mail that a notice is about."""

    id: DeliveryId
    message_id: MessageId
    status: Status
    accepted_at: datetime
    app: str
    subject: str
    booking: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A mail that was sent again because of a notice, or before it."""

    original: DeliveryId  #: of the mail that did not arrive
    id: DeliveryId
    message_id: MessageId
    address: str
    status: Status
    created_at: datetime


def follow(tx: Tx, subject: Row, disposition: Disposition) -> None:
    """Raise or end notices for a result; `subject` is the row of record.subject."""
    if disposition.status is Status.DELIVERED:
        if subject["has_notice"]:
            _heal(tx, subject, disposition)
        if subject["resend_of"]:
            _heal_original(tx, subject, disposition)
    elif disposition.status is Status.SUPPRESSED:
        _note_held_back(tx, subject, disposition)
    else:
        cause = notices.cause_of(disposition.status, outcome=disposition.outcome, reply=disposition.reply)
        was_warned_of = subject["warned_at"] is not None
        if cause is None or (cause == deadline.ENTRY and was_warned_of):
            return
        if was_warned_of:
            _settle_late(tx, subject, at=disposition.at, note="it ended for another reason")
        raise_notice(
            tx,
            subject["address_key"],
            cause=cause,
            shown=subject["address"],
            delivery_id=disposition.delivery_id,
            app=subject["app"],
            at=disposition.at,
        )


def raise_notice(
    tx: Tx,
    address: str,
    *,
    cause: str,
    shown: str,
    delivery_id: DeliveryId,
    app: str,
    at: datetime,
    is_proof: bool = True,
) -> None:
    """Say that one more mail did not reach an address, or that its owner complained.

    `is_proof`: the delivery has an answer that shows the cause, and is not merely held back because of it.
    """
    first: dict[str, Value] = {
        "address": address,
        "cause": cause,
        "shown": shown,
        "delivery_id": delivery_id,
        "app": app,
        "at": at,
    }
    tx.later("notices.raise_known", {**first, "is_proof": int(is_proof)})
    tx.later("notices.raise_new", first)


def _note_held_back(tx: Tx, subject: Row, disposition: Disposition) -> None:
    """Add a mail that a block held back to the notice of what blocked."""
    key = subject["address_key"]
    block = suppressions.active_for(tx, key, domain=subject["domain"], app=subject["app"], now=disposition.at)
    cause = notices.cause_of_block(block.reason) if block is not None else None
    if block is None or cause is None:
        return
    if cause in ADDRESS_CAUSES:  # a rule may have named it more nearly
        cause = next((row["cause"] for row in open_on(tx, key) if row["cause"] in ADDRESS_CAUSES), cause)
    raise_notice(
        tx,
        key,
        cause=cause,
        shown=subject["address"],
        delivery_id=block.delivery_id or disposition.delivery_id,
        app=subject["app"],
        at=disposition.at,
        is_proof=False,
    )


def _heal(tx: Tx, subject: Row, disposition: Disposition) -> None:
    """End what mail to the address itself heals."""
    _settle_late(tx, subject, at=disposition.at, note=f"{subject['address']} took it in time")
    for row in open_on(tx, subject["address_key"]):
        is_the_mail = row["count"] == 1 and row["proof_message_id"] == subject["message_id"]
        was_returned = row["proof_taken_at"] is not None
        is_later = disposition.at >= row["last_at"]
        if is_later and notices.is_healed(row["cause"], is_the_mail=is_the_mail, was_returned=was_returned):
            _end(tx, row["id"], at=disposition.at, note=f"{subject['address']} took mail")


def _settle_late(tx: Tx, subject: Row, *, at: datetime, note: str) -> None:
    """End the notice that a mail may come too late, or turn it to another late mail, when it is about this one."""
    for row in open_on(tx, subject["address_key"]):
        is_its_mail = subject["warned_at"] is not None or row["proof_message_id"] == subject["message_id"]
        if row["cause"] != deadline.ENTRY or not is_its_mail:
            continue
        wanted: dict[str, Value] = {"address": subject["address_key"], "message_id": subject["message_id"]}
        other = tx.one("deadlines.other_late", {**wanted, "since": row["opened_at"], "rule": deadline.RULE})
        if other is None:
            _end(tx, row["id"], at=at, note=note)
        else:
            tx.run("deadlines.turn_to", {"id": row["id"], "delivery_id": other["id"]})


def _heal_original(tx: Tx, subject: Row, disposition: Disposition) -> None:
    """End the notices of the address a copy was first meant for, once nothing is missing there any more."""
    root = tx.one("notices.address_of", {"id": subject["resend_of"]})
    key = root["address_key"] if root is not None else subject["address_key"]
    if key == subject["address_key"]:
        return
    known = tx.one("addresses.get", {"address": key})
    corrected_to = known["corrected_to"] if known is not None else None
    is_corrected = corrected_to is not None and address_key(corrected_to) == subject["address_key"]
    for row in open_on(tx, key):
        if row["cause"] == "complaint":
            continue
        if is_corrected or tx.one("notices.missing", {"address": key, "since": row["opened_at"]}) is None:
            _end(tx, row["id"], at=disposition.at, note=f"sent again to {subject['address']} and delivered")


def _end(tx: Tx, notice_id: int, *, at: datetime, note: str) -> None:
    close(tx, notice_id, state=State.RESOLVED, at=at, by="", note=note)


# -- what people do


def close(tx: Tx, notice_id: int, *, state: State, at: datetime, by: str, note: str) -> bool:
    """End an open notice; False when it was not open. by="" says that it ended by itself."""
    params: dict[str, Value] = {"id": notice_id, "state": state.value, "at": at, "by": by, "note": note}
    return tx.run("notices.close", params) == 1


def reopen(tx: Tx, notice_id: int) -> bool:
    """Undo the end of a notice; False when it was open."""
    return tx.run("notices.reopen", {"id": notice_id}) == 1


def assign(tx: Tx, notice_id: int, *, to: str | None) -> bool:
    """Say who takes an open notice; None: nobody."""
    return tx.run("notices.assign", {"id": notice_id, "assigned": to}) == 1


def annotate(tx: Tx, notice_id: int, *, note: str) -> bool:
    """Put a note beside a notice, in place of the one before."""
    return tx.run("notices.annotate", {"id": notice_id, "note": note}) == 1


# -- what people see


def get(tx: Tx, notice_id: int) -> Notice | None:
    """One notice."""
    row = tx.one("notices.get", {"id": notice_id})
    return notice_of(row) if row is not None else None


def open_on(tx: Tx, address: str) -> list[Row]:
    """The open notices of an address with proof_message_id and proof_taken_at, the newest first."""
    return tx.rows("notices.open_on", {"address": address})


def search(
    tx: Tx,
    *,
    words: Sequence[str] = (),
    address: str | None = None,
    cause: str | None = None,
    with_closed: bool = False,
    before: int | None = None,
    limit: int = 100,
) -> list[Notice]:
    """Find notices, the newest first; every word is part of what is known about the notice or its person.

    `before`: the id of the last one of the page before.
    """
    last = tx.one("notices.get", {"id": before}) if before is not None else None
    sql, params = notice_filters.notice_search(
        words=words,
        address=address,
        cause=cause,
        with_closed=with_closed,
        before=(last["last_at"], last["id"]) if last is not None else None,
        limit=limit,
    )
    return [notice_of(row) for row in tx.compose(sql, params)]


def person_of(tx: Tx, address: str) -> Person:
    """Whose address it is, as far as mail has told."""
    row = tx.one("addresses.get", {"address": address})
    if row is None:
        return Person()
    return Person(name=row["name"], phone=row["phone"], customer=row["customer"], corrected_to=row["corrected_to"])


def proof_of(tx: Tx, notice: Notice) -> tuple[Delivery, Message] | None:
    """The mail whose answer shows the cause; None when it is no longer kept."""
    delivery = tx.one("notices.delivery", {"id": notice.delivery_id})
    message = tx.one("notices.message", {"id": notice.delivery_id})
    return (rows.delivery(delivery), rows.message(message)) if delivery is not None and message is not None else None


def mails_of(tx: Tx, notice: Notice) -> list[Mail]:
    """The newest mails that the notice is about."""
    params: dict[str, Value] = {"address": notice.address, "since": notice.opened_at, "proof": notice.delivery_id}
    found = tx.rows("notices.mails", params | {"limit": _MAILS})
    return [
        Mail(
            id=DeliveryId(row["id"]),
            message_id=MessageId(row["message_id"]),
            status=Status(row["status"]),
            accepted_at=row["accepted_at"],
            app=row["app"],
            subject=row["subject"],
            booking=row["booking"],
        )
        for row in found
    ]


def copies_of(tx: Tx, notice: Notice) -> list[Copy]:
    """What became of the newest mails that the notice is about when they were sent again, the newest copy first."""
    params: dict[str, Value] = {"address": notice.address, "since": notice.opened_at, "limit": 5 * _MAILS}
    return [
        Copy(
            original=DeliveryId(row["original"]),
            id=DeliveryId(row["id"]),
            message_id=MessageId(row["message_id"]),
            address=row["address"],
            status=Status(row["status"]),
            created_at=row["created_at"],
        )
        for row in tx.rows("notices.copies", params)
    ]


# -- suggestions


def to_suggest(tx: Tx, *, before: datetime, limit: int) -> list[Notice]:
    """Open notices without a suggestion that nobody has looked at since `before`, those never looked at first."""
    return [notice_of(row) for row in tx.rows("notices.to_suggest", {"before": before, "limit": limit})]


def suggest(tx: Tx, notice_id: int, *, suggestion: str | None, at: datetime) -> None:
    """Keep what the look for a suggestion brought."""
    tx.run("notices.suggest", {"id": notice_id, "suggestion": suggestion, "at": at})


def proven_among(tx: Tx, domains: Iterable[str]) -> dict[str, datetime]:
    """Which of these domains took mail of ours, and when last."""
    found = tx.rows("notices.proven_among", {"domains": rows.ids_param(domains)})
    return {row["domain"]: row["last_delivered_at"] for row in found}


def relatives(tx: Tx, notice: Notice) -> list[Relative]:
    """Other addresses that took mail for the same booking or customer, those of the customer first."""
    delivery = tx.one("notices.delivery", {"id": notice.delivery_id})
    if delivery is None:
        return []
    params: dict[str, Value] = {"message_id": delivery["message_id"], "address": notice.address}
    return [
        Relative(
            address=row["address"],
            name=row["name"],
            is_same_customer=bool(row["is_same_customer"]),
            sender_domain=row["header_from"].rpartition("@")[2],
        )
        for row in tx.rows("notices.relatives", params)
    ]


def notice_of(row: Row) -> Notice:
    """Read a row of the table."""
    return Notice(
        id=row["id"],
        address=row["address"],
        cause=row["cause"],
        state=State(row["state"]),
        shown=row["shown"],
        count=row["count"],
        opened_at=row["opened_at"],
        last_at=row["last_at"],
        closed_at=row["closed_at"],
        delivery_id=DeliveryId(row["delivery_id"]),
        app=row["app"],
        assigned=row["assigned"],
        by=row["by"],
        note=row["note"],
        suggestion=row["suggestion"],
    )
