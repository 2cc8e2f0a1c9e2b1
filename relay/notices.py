"""Decide which undelivered mail makes a notice for the support desk, under which cause, and what ends one by itself.

Policy, in words. A notice says that a customer did not get a mail and that somebody at the desk, or the customer, can
do something about it. Its cause is an entry of the catalogue (classify.explain), so one problem of one address is one
notice however many mails it hits. An address that was reported as not existing always makes one. What is still being
tried, was delivered or was stopped by a person makes none; neither does what is for the admin: that is an incident
(relay/incidents.py). Mail that was not sent because of an automatic block belongs to the notice of what blocked.

A notice ends by itself when the address takes mail again; but a cause that lies in one mail (too large, a virus) ends
only with that mail, a complaint never, and a server that took a mail and returned it later proves nothing by taking
the next one. A mail with a deadline makes a notice before that, while there is time to phone, and it is the same notice
when it then fails; it ends when that mail arrives. Nothing here writes: relay/store/notices.py does. No I/O, no clock.
"""

from __future__ import annotations

from enum import StrEnum

from relay import deadline
from relay.classify.explain import Course, entry_for
from relay.model import Blame, Category, Outcome, Reply
from relay.status import FAILED, Status


class State(StrEnum):
    """Where a notice stands."""

    OPEN = "open"
    RESOLVED = "resolved"  #: by a person, or by itself
    CLEARED = "cleared"  #: by a person, without anything being fixed


#: Causes that say that the address itself is wrong or closed.
ADDRESS_CAUSES = frozenset({"no-mailbox", "no-domain", "bad-address", "mailbox-off"})

#: Causes that lie in the mail and not in the address.
MESSAGE_CAUSES = frozenset({"too-big", "virus"})

#: Every entry of the catalogue that is something to do for the desk or the customer.
CAUSES = (
    ADDRESS_CAUSES
    | MESSAGE_CAUSES
    | {deadline.ENTRY}
    | {"mailbox-full", "gave-up", "their-fault", "refused-policy", "not-theirs", "blocked-auto", "complaint", "unknown"}
)

#: Entries that only an admin can act on.
ADMIN_ENTRIES = frozenset(
    {
        *("slow-down", "spam-content", "our-reputation", "our-identity", "encryption", "malformed", "relay-setup"),
        "not-accepted",
    }
)

_CAUSE_OF_BLOCK = {
    "invalid_address": "no-mailbox",
    "invalid_domain": "no-domain",
    "complaint": "complaint",
    "manual": None,  # a person decided it, and knows
}


def entry_of(status: Status, *, outcome: Outcome | None, reply: Reply | None) -> str | None:
    """Name the catalogue's entry for a delivery that ended in failure; None when it did not."""
    if status not in FAILED:
        return None
    is_final = reply is not None and reply.code is not None and reply.code >= 500
    entry = entry_for(
        status,
        category=outcome.category if outcome else None,
        course=Course.FINAL if is_final else Course.GAVE_UP,
        blame=outcome.blame if outcome else None,
        rule_entry=outcome.entry if outcome else None,
    )
    is_unknown_address = outcome is not None and outcome.category is Category.INVALID_ADDRESS
    if is_unknown_address and status is not Status.REJECTED and is_for_admin(entry, outcome):
        return "no-mailbox"  # whatever a rule calls it
    return entry


def is_for_admin(entry: str, outcome: Outcome | None) -> bool:
    """Tell whether only an admin can act: our own fault to the end included."""
    return entry in ADMIN_ENTRIES or (entry == "gave-up" and outcome is not None and outcome.blame is Blame.US)


def cause_of(status: Status, *, outcome: Outcome | None, reply: Reply | None) -> str | None:
    """Name the cause of the notice that this end of a delivery makes; None when it makes none."""
    entry = entry_of(status, outcome=outcome, reply=reply)
    if entry is None:
        return None
    return None if is_for_admin(entry, outcome) or entry not in CAUSES else entry


def cause_of_block(reason: str) -> str | None:
    """Name the cause of the notice for mail that a block held back; None for a block by hand."""
    return _CAUSE_OF_BLOCK.get(reason, "blocked-auto")


def is_healed(cause: str, *, is_the_mail: bool, was_returned: bool) -> bool:
    """Tell whether a mail that the address took ends a notice.

    `is_the_mail`: what arrived is the only mail the notice is about, sent again. `was_returned`: the server had taken
    that mail before and returned it later.
    """
    if cause in ("complaint", deadline.ENTRY) or was_returned:  # a deadline's is about certain mails: store/notices.py
        return False
    return is_the_mail or cause not in MESSAGE_CAUSES
