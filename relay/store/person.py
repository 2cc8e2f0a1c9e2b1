"""All that the store knows about one address, as plain values: what a person may ask to be given.

Values are those of the rows; times are RFC 3339 UTC, absent is None. The raw mails are not in it, only whether they
are kept; content.load gives them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from relay.moments import json_time
from relay.store.protocols import Row, Tx

#: Columns that serve the machine alone.
_INTERNAL = {"seq", "address_key", "lease_owner", "waits_for_site", "digest"}

_LISTS = ("blocks", "notices", "redirects", "events", "reports", "refusals")


def known_of(tx: Tx, address_key: str) -> dict[str, Any] | None:
    """Gather everything about an address; None when it is not known at all."""
    here = {"address": address_key}
    row = tx.one("person.address", here)
    found: dict[str, Any] = {"address": _plain(row) if row else {"address": address_key}}
    found["messages"] = _messages(tx, address_key)
    for name in _LISTS:
        found[name] = [_plain(each) for each in tx.rows(f"person.{name}", here)]
    is_known = row is not None or found["messages"] or any(found[name] for name in _LISTS)
    return found if is_known else None


def _messages(tx: Tx, address_key: str) -> list[dict[str, Any]]:
    messages: dict[str, dict[str, Any]] = {}
    for row in tx.rows("person.deliveries", {"address": address_key}):
        message_id = row["message_id"]
        if message_id not in messages:
            message = tx.one("person.message", {"id": message_id})
            messages[message_id] = (_plain(message) if message else {"id": message_id}) | {
                "references": [_plain(each) for each in tx.rows("person.references", {"id": message_id})],
                "is_content_kept": tx.one("spool.has_content", {"id": message_id}) is not None,
                "deliveries": [],
            }
        attempts = [_plain(each) for each in tx.rows("person.attempts", {"id": row["id"]})]
        messages[message_id]["deliveries"].append(_plain(row) | {"attempts": attempts})
    return list(messages.values())


def _plain(row: Row) -> dict[str, Any]:
    return {
        name: json_time(value) if isinstance(value, datetime) else value
        for name, value in row.items()
        if name not in _INTERNAL
    }
