"""Events: what people did and what late reports said, where no other table has it."""

from __future__ import annotations

from collections.abc import Iterable

from relay.model import Event, MessageId
from relay.store import rows
from relay.store.protocols import Tx, Value


def add(tx: Tx, event: Event) -> None:
    """Write one event."""
    tx.later("events.insert", _params(event))


def add_all(tx: Tx, events: Iterable[Event]) -> None:
    """Write many events."""
    tx.many("events.insert", [_params(event) for event in events])


def of_message(tx: Tx, message_id: MessageId) -> list[Event]:
    """The events of one message, oldest first."""
    return [rows.event(row) for row in tx.rows("events.of_message", {"message_id": message_id})]


def of_address(tx: Tx, address_key: str, *, limit: int = 50) -> list[Event]:
    """The events of one address, newest first."""
    return [rows.event(row) for row in tx.rows("events.of_address", {"address": address_key, "limit": limit})]


def _params(event: Event) -> dict[str, Value]:
    return {
        "at": event.at,
        "kind": event.kind,
        "text": event.text,
        "message_id": event.message_id,
        "delivery_id": event.delivery_id,
        "address": event.address,
        "by": event.by,
    }
