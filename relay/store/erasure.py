"""Erase one person: whatever says who it was or what was written goes, what is counted stays.

Of every message that went to the address (or came from it) the raw mail, subject, booking, customer, phone, names,
the servers' words and the conversation go, from the search index too. The rows stay with status, category, times and
app, under one address that says nothing, so that the counts of the past stay right. Blocks and the error counter stay
under a keyed hash; when an app sends to the address again they hold again (`revive`). Where other rows name the
address (corrections of others, suggestions, notes, kept answers), that text goes too. Nothing is touched while a
delivery of a message that the address is in is open, be it to somebody else: its mail is still needed.

A message with several recipients loses its raw mail and subject for all of them, because both may name the person.
What the database leaves in freed pages is wiped by `relay.store.scrub` afterwards.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from relay.store import meta, retention
from relay.store.protocols import Tx, Value
from relay.store.text import like_pattern

#: What stands where an address was.
ERASED = "erased@erased.invalid"
_DOMAIN = "erased.invalid"

_LOOK = 20_000
_EMPTIED = ("message", "attempts", "incidents", "events", "audit", "reports", "hosts", "deliveries")

#: What is emptied wherever it names the address.
_NAMING = (
    "empty_notes",
    "empty_block_notes",
    "empty_incident_replies",
    "empty_incident_notes",
    "empty_site_replies",
    "drop_tokens",
    "drop_views",
    "empty_refusals",
    "empty_audit_naming",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the store has of one address."""

    address: str  #: normalised
    messages: tuple[str, ...]  #: message ids
    deliveries: int = 0
    open: int = 0  #: deliveries of these messages that have not ended
    events: tuple[int, ...] = ()  #: rows of events whose text names it
    reports: tuple[str, ...] = ()  #: returned mail of no message that names it
    relatives: tuple[str, ...] = ()  #: other addresses of the same person, which stay


def look(tx: Tx, address_key: str) -> Found:
    """Find every message that an address is in; reads the whole log once."""
    here: dict[str, Value] = {"address": address_key, "pattern": like_pattern(address_key)}
    deliveries = {row["id"]: row for name in ("deliveries", "meant_for") for row in tx.rows(f"erasure.{name}", here)}
    messages = {row["message_id"]: None for row in deliveries.values()}
    messages |= {row["id"]: None for row in tx.rows("erasure.copies", here)}
    after = 0
    while True:
        found = tx.rows("erasure.written_by", here | {"after": after, "limit": _LOOK})
        messages |= {row["id"]: None for row in found}
        if len(found) < _LOOK:
            break
        after = found[-1]["seq"]
    return Found(
        address=address_key,
        messages=tuple(messages),
        deliveries=len(deliveries),
        open=sum(len(tx.rows("erasure.open_in", {"id": each})) for each in messages),
        events=tuple(row["seq"] for row in tx.rows("erasure.naming_events", here)),
        reports=tuple(row["id"] for row in tx.rows("erasure.naming_reports", here)),
        relatives=tuple(row["address"] for row in tx.rows("erasure.relatives", here)),
    )


def has_new_mail(tx: Tx, address_key: str) -> bool:
    """Tell whether there is a delivery to the address that was not emptied."""
    return tx.one("erasure.deliveries", {"address": address_key}) is not None


def erase_messages(tx: Tx, address_key: str, message_ids: Iterable[str]) -> None:
    """Empty these messages; called with a few at a time, so that no writer waits long.

    One that is being sent again meanwhile is left alone.
    """
    for message_id in message_ids:
        if tx.one("erasure.open_in", {"id": message_id}) is not None:
            continue
        params: dict[str, Value] = {
            "id": message_id,
            "address": address_key,
            "instead": ERASED,
            "domain": _DOMAIN,
        }
        retention.unindex(tx, [row["seq"] for row in tx.rows("erasure.log_rows", {"id": message_id})])
        tx.run("retention.drop_contents_of_message", {"id": message_id})
        tx.run("erasure.drop_references", {"id": message_id})
        for part in _EMPTIED:
            tx.run(f"erasure.empty_{part}", params)


def erase_person(tx: Tx, found: Found, *, now: datetime, by: str) -> None:
    """Erase what is not a message: notices, redirects, refusals, and the address itself; the last step of all."""
    address_key = found.address
    hashed = address_hash(tx, address_key)
    tx.many("erasure.empty_event", [{"seq": each} for each in found.events])
    tx.many("erasure.drop_content", [{"id": each} for each in found.reports])
    tx.many("erasure.empty_report", [{"id": each} for each in found.reports])
    params: dict[str, Value] = {
        "address": address_key,
        "pattern": like_pattern(address_key),
        "hash": hashed,
        "instead": ERASED,
        "id": "",
        "at": now,
        "by": by,
    }
    for name in (
        "drop_report_contents",
        "empty_reports",
        "empty_events",
        "drop_notices",
        "drop_redirects",
        "forget_suggestion",
        *_NAMING,
        "forget_correction",
        "hide_address",
        "hide_blocks",
        "remember",
    ):
        tx.run(f"erasure.{name}", params)


def revive(tx: Tx, address_keys: Iterable[str]) -> None:
    """Let blocks and counters of erased addresses hold again, because mail to them was just accepted."""
    if tx.one("erasure.any") is None:
        return
    for key in address_keys:
        params: dict[str, Value] = {"hash": address_hash(tx, key), "address": key}
        if tx.one("erasure.is_erased", params) is not None:
            for name in ("show_address", "show_blocks", "forget"):
                tx.run(f"erasure.{name}", params)


def address_hash(tx: Tx, address_key: str) -> str:
    """The name an erased address has in this store; nobody without the store's secret can make it."""
    digest = hmac.digest(meta.secret(tx, "erasure"), address_key.encode(), hashlib.sha256)
    return f"erased:{digest.hex()[:40]}"
