"""One SMTP transaction on its way: the recipients of one message that share a site, and what happened to them so far.

It is made when a route is known, waits at its site, is carried by one worker, and is judged when it ends. Several
hosts may be tried within one transaction; their results gather here and become attempt rows of one number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from relay.delivery.contract import HostResult, Route
from relay.model import Claimed, DeliveryId, Message, MessageId

#: RFC 5321 4.5.3.1.8: every server takes at least this many recipients.
MAX_RECIPIENTS = 100

#: The key of the one reply of a host that failed before any recipient was named.
NO_RECIPIENT = DeliveryId("")


class ContentKey(NamedTuple):
    """Which content a delivery sends: its message's, or one of its own (a resend may have one)."""

    message_id: MessageId
    delivery_id: DeliveryId | None


@dataclass(slots=True, eq=False, kw_only=True)
class Transaction:
    """Deliveries of one message that go to one site together."""

    claims: list[Claimed]
    route: Route
    content_key: ContentKey
    is_fresh: bool  #: first tries; they share the connections with retries one to one
    results: list[HostResult] = field(default_factory=list)
    earlier: int = 0  #: how many of the results belong to a round before this one (stale connection, split)
    generation: int = 0  #: the site's state of health it was begun in; site.py
    is_probe: bool = False
    taken_at: float = 0.0  #: when its site let it go, in seconds that never jump
    queued_at: float = 0.0  #: when its deliveries were claimed or last looked at, in seconds that never jump
    returns: int = 0  #: how often it went back to its queue because the site wanted fewer connections

    @property
    def message(self) -> Message:
        return self.claims[0].message


def content_key(claim: Claimed) -> ContentKey:
    """Say under which key the content of a delivery is kept in memory."""
    delivery = claim.delivery
    return ContentKey(delivery.message_id, delivery.id if delivery.resend_of is not None else None)
