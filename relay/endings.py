"""Which end a refusal means, live or late, and what a report by mail may still change. Pure.

A refusal that comes back by mail after a server had said yes ends the delivery by the same table as one in the SMTP
conversation. What a report may do depends on where the delivery stands:

- delivered or sent: a bounce ends it as failed; a success report makes `sent` delivered.
- queued or deferred: nothing yet. The bounce is of an earlier copy, and the next try will tell.
- ended otherwise: nothing; an error counts once for each delivery.

A bounce whose failed address is not the delivery's own (a forwarded mail) says nothing about the delivery's address: it
counts, but never blocks by itself. The same holds when a person looked into the address after the mail had left.
RFC 3464 2.3.
"""

from __future__ import annotations

from relay.address import address_key, split
from relay.model import Category, Reply, ReplyClass, Stage
from relay.status import Status

#: The end of a final refusal; every category that is not here is soft.
_END_OF_FINAL: dict[Category, Status] = {
    Category.INVALID_ADDRESS: Status.INVALID,
    Category.INVALID_DOMAIN: Status.HARD_BOUNCED,
    Category.MAILBOX_DISABLED: Status.HARD_BOUNCED,
    Category.MOVED: Status.HARD_BOUNCED,
}

_MAY_STILL_FAIL = frozenset({Status.DELIVERED, Status.SENT})


def is_too_many_recipients(reply: Reply) -> bool:
    """Tell whether the reply says that this transaction has enough recipients (RFC 5321 4.5.3.1.10)."""
    if reply.stage is not Stage.RCPT or reply.code not in (452, 552):
        return False
    if reply.enhanced is not None and reply.enhanced.endswith(".5.3"):
        return True
    return "too many recipients" in reply.text.lower()


def is_final(reply: Reply) -> bool:
    """Tell whether the reply ends the delivery by itself; which host said it is not looked at here."""
    if reply.code is None or not 500 <= reply.code < 600:
        return False
    return reply.stage is not Stage.STARTTLS and not is_too_many_recipients(reply)


def end_of_final(category: Category) -> Status:
    """Return the end that a final refusal for this reason means."""
    return _END_OF_FINAL.get(category, Status.SOFT_BOUNCED)


def end_of_bounce(status: Status, *, reply_class: ReplyClass | None, category: Category) -> Status | None:
    """Return the end that a bounce means for a delivery in this status; None: it changes nothing."""
    if status not in _MAY_STILL_FAIL:
        return None
    # A server that gave up after days of temporary answers sends a bounce too: that is no word about the address.
    return end_of_final(category) if reply_class is ReplyClass.HARD else Status.SOFT_BOUNCED


def is_about(reported: str | None, address: str) -> bool:
    """Tell whether a reported address is the delivery's own, and not one that it was forwarded to.

    A report that names none is about what the token stands for. Servers also name the mailbox by an inner host
    (anna@mail3.example.com for anna@example.com).
    """
    if not reported or "@" not in reported:
        return True
    theirs, ours = address_key(reported), address_key(address)
    their_local, their_domain = split(theirs)
    our_local, our_domain = split(ours)
    is_inner = their_domain.endswith("." + our_domain) or our_domain.endswith("." + their_domain)
    return theirs == ours or (their_local == our_local and is_inner)
