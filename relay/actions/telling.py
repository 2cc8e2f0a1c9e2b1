"""Tell everything about one mail at once: where it stands, in the words of the catalogue, and all rows that show it.

What `why` answers in a sentence the message page shows whole. Both begin from the same case and the same explanation,
so they never say two things. An id of a message stands for the recipient whose mail went worst, as it does for `why`.
A unit of work for `Store.read`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from relay.actions.asking import case_in
from relay.classify.explain import Explanation
from relay.model import Delivery
from relay.store import log
from relay.store.protocols import Tx
from relay.why import Candidate, Case, Verdict, deciding, explained, verdict_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One delivery, what is to be said of it, and the message that it is a part of."""

    case: Case
    found: log.Found
    explanation: Explanation  #: times are on the clock that was asked for
    verdict: Verdict

    @property
    def delivery(self) -> Delivery:
        """The delivery itself, shown as held while a pause covers it."""
        return self.case.delivery

    @property
    def first(self) -> Delivery:
        """The delivery this one repeats; itself, if it is no resend."""
        root = self.delivery.resend_of or self.delivery.id
        return next((one for one in self.found.deliveries if one.id == root), self.delivery)

    @property
    def copies(self) -> tuple[Delivery, ...]:
        """The resends of the first one, the oldest first."""
        return tuple(one for one in self.found.deliveries if one.resend_of == self.first.id)

    @property
    def recipients(self) -> tuple[Delivery, ...]:
        """What the app asked for: one delivery for each recipient, without the resends."""
        return tuple(one for one in self.found.deliveries if one.resend_of is None)


def tell(
    tx: Tx,
    wanted_id: str,
    *,
    now: datetime,
    give_up_after: timedelta,
    zone: tzinfo | None = None,
    is_last: bool = False,
) -> Telling | None:
    """Gather all about a delivery, or the one of a message that went worst; None when there is none of that id.

    `is_last`: of the delivery and its resends the newest.
    """
    found = log.find(tx, wanted_id)
    if found is None or not found.deliveries:
        return None
    wanted = found.delivery_id or _worst(found.deliveries)
    delivery = next(one for one in found.deliveries if one.id == wanted)
    if is_last:
        root = delivery.resend_of or delivery.id
        delivery = [one for one in found.deliveries if root in (one.id, one.resend_of)][-1]
    case = case_in(tx, found, delivery, now=now, give_up_after=give_up_after)
    return Telling(case=case, found=found, explanation=explained(case, zone=zone), verdict=verdict_in(case))


def _worst(deliveries: Sequence[Delivery]) -> str:
    rows = [
        Candidate(seq=n, id=one.id, address=one.address, status=one.status, resend_of=one.resend_of)
        for n, one in enumerate(deliveries)
    ]
    return deciding(rows).id
