"""Forget what is old: first the raw mail, later the log, each after its own time.

Every step here is one small unit that says where it came to, so that nobody who waits for the writer waits long;
housekeeping.py calls them until nothing is left. Nothing of a message that has an open delivery is ever touched, and
a message whose resend is younger than the limit stays whole. What still has an effect stays however old it is: blocks
that hold, open notices and incidents, error counters. The archive is no part of this: it is a view on the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay.store import filters, sessions, sign_ins
from relay.store.protocols import Tx, Value

#: What lives longer than it is useful, by the statement that forgets it; all follow the limit of the log.
_WITH_THE_LOG = ("refusals", "events", "audit", "reports", "notices", "incidents", "blocks", "redirects")

#: How long a one-use token is remembered; a page that was open longer asks again.
_TOKENS = timedelta(days=1)

#: What the signing in of people leaves behind, by the statement that forgets it; whatever the limit of the log is.
_SIGNING_IN = ("sessions", "invitations", "sign_in_failures")

#: What belongs to a message, in the order in which it can be found through the message's deliveries.
_PARTS = ("attempts", "incident_deliveries", "forgiven", "reports", "references", "events", "dsn_due", "deliveries")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far one unit came."""

    after: str | int | None  #: where the next unit begins; None: nothing older than the limit is left
    count: int = 0  #: contents, messages or rows that were (or would be) forgotten


def forget_contents(tx: Tx, *, before: datetime, after: str = "", limit: int = 200, is_dry: bool = False) -> Step:
    """Forget raw mail accepted before a time."""
    found = tx.rows("retention.contents", {"after": after, "limit": limit})
    old = [row for row in found if row["at"] is not None and row["at"] < before]
    gone = [{"id": row["id"]} for row in old if not row["is_open"]]
    if not is_dry:
        tx.many("retention.drop_content", gone)
    # The ids are in the order of time: behind the first one that is young enough there is nothing to do.
    is_end = len(found) < limit or any(row["at"] is not None and row["at"] >= before for row in found)
    return Step(after=None if is_end else found[-1]["id"], count=len(gone))


def forget_messages(tx: Tx, *, before: datetime, after: int = 0, limit: int = 50, is_dry: bool = False) -> Step:
    """Forget messages accepted before a time, with all that is known of them."""
    found = tx.rows("retention.messages", {"after": after, "limit": limit, "before": before})
    old = [row["id"] for row in found if row["accepted_at"] < before and not row["is_kept"]]
    if not is_dry:
        for message_id in old:
            drop_message(tx, message_id)
    is_end = len(found) < limit or any(row["accepted_at"] >= before for row in found)
    return Step(after=None if is_end else found[-1]["seq"], count=len(old))


def forget_rows(tx: Tx, *, before: datetime, now: datetime, limit: int = 500) -> Step:
    """Forget ended blocks, notices and incidents, refusals and lone events from before a time."""
    count = sum(tx.run(f"retention.old_{name}", {"before": before, "limit": limit}) for name in _WITH_THE_LOG)
    tx.run("retention.old_form_tokens", {"before": now - _TOKENS, "limit": limit})
    return Step(after=None if count == 0 else 0, count=count)


def forget_sign_ins(tx: Tx, *, now: datetime, limit: int = 500) -> Step:
    """Forget dead sessions, links that are used or too old, and failures that count no more."""
    params: dict[str, Value] = {
        "now": now,
        "idle_since": now - sessions.IDLE,
        "created_since": now - sessions.WHOLE,
        "failed_since": now - sign_ins.WINDOW,
        "limit": limit,
    }
    count = sum(tx.run(f"retention.old_{name}", params) for name in _SIGNING_IN)
    return Step(after=None if count == 0 else 0, count=count)


def forget_addresses(tx: Tx, *, before: datetime, after: str = "", limit: int = 200) -> Step:
    """Forget addresses that nothing in the log speaks of any more, and that have neither error nor block."""
    found = tx.rows("retention.addresses", {"after": after, "limit": limit, "before": before})
    gone = [{"address": row["address"]} for row in found if not row["is_kept"]]
    tx.many("retention.drop_address", gone)
    return Step(after=found[-1]["address"] if len(found) == limit else None, count=len(gone))


def drop_message(tx: Tx, message_id: str) -> None:
    """Forget one message with its contents, deliveries, attempts, reports, events and its place in the search index."""
    unindex(tx, [row["seq"] for row in tx.rows("retention.delivery_seqs", {"id": message_id})])
    tx.run("retention.drop_contents_of_message", {"id": message_id})
    for part in _PARTS:
        tx.run(f"retention.drop_{part}", {"id": message_id})
    tx.run("retention.drop_message", {"id": message_id})


def unindex(tx: Tx, seqs: Sequence[int]) -> None:
    """Take rows of the log out of the search index; before they change, for their words are needed."""
    if tx.dialect == "postgres":
        for statement in ("retention.unindex", "retention.unindex_pending"):
            tx.many(statement, [{"seq": seq} for seq in seqs])
        return
    row = tx.one("search.indexed_to")
    indexed = [seq for seq in seqs if row is not None and seq <= row["seq"]]
    if indexed:
        words = tx.compose(*filters.words_of(indexed))
        tx.many("retention.unindex", [{"seq": each["seq"], "words": each["words"]} for each in words])
