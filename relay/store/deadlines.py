"""Deadlines in the store: which mail may come too late, and the notice that says so while there is time to phone.

The deadline itself is `message.expires_at`; `delivery.warned_at` says that the desk was told. A notice of this cause is
about mails, not about the address: it ends when the mail it is about arrives, unless another one is late as well.
What makes a deadline is relay/deadline.py; when to tell is the question of relay/deadline_watch.py.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from relay.deadline import ENTRY, text
from relay.model import APP_HOLD, DeliveryId, Event, Message
from relay.store import events, notices, rows
from relay.store.protocols import Tx, Value
from relay.wording import say


def near(tx: Tx, *, now: datetime, notice: timedelta, limit: int) -> list[DeliveryId]:
    """Open deliveries that the desk has to know of now, the most urgent first."""
    params: dict[str, Value] = {"now": now, "until": now + notice, "app_hold": APP_HOLD, "limit": limit}
    return [DeliveryId(row["id"]) for row in tx.rows("deadlines.near", params)]


def warn(tx: Tx, delivery_id: DeliveryId, *, now: datetime) -> Message | None:
    """Raise the notice of one; its message, or None when it has ended or was told of by another process."""
    if tx.run("deadlines.warn", {"id": delivery_id, "now": now}) != 1:
        return None
    row = tx.rows("deadlines.warned", {"id": delivery_id})[0]
    message = rows.message(tx.rows("notices.message", {"id": delivery_id})[0])
    notices.raise_notice(
        tx,
        row["address_key"],
        cause=ENTRY,
        shown=row["address"],
        delivery_id=delivery_id,
        app=row["app"],
        at=now,
    )
    said = say("Not arrived yet: {why}; the desk was told", why=text(message))
    events.add(
        tx,
        Event(
            at=now,
            kind="deadline",
            text=said,
            message_id=message.id,
            delivery_id=delivery_id,
            address=row["address_key"],
        ),
    )
    return message
