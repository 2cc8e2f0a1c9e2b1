"""What the desk sees of one address: does mail flow, the last error in detail, every block there was, recent mail.

A unit of work for `Store.read`, for the command line and the pages alike. "Email OK" means that nothing forbids mail to
the address; "Email bounced" that a block does (mission 001.12).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.actions.blocks import target
from relay.address import domain_of
from relay.classify.explain import Explanation, entry_for, explain_delivery, render
from relay.model import AddressRecord, Category, DeliveryId, Event, MessageId, Suppression
from relay.status import Status
from relay.store import addresses, events, log, suppressions
from relay.store.protocols import Tx
from relay.store.suppressions import Listing

_RECENT = 5
_EVENTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LastError:
    """The last failure at an address, as far as it is still known."""

    at: datetime
    category: Category | None
    explanation: Explanation  #: for whoever says it in another language
    title: str  #: in the words of the catalogue
    next_step: str
    reply: str  #: what the server said, codes included
    mx: str | None
    delivery_id: DeliveryId | None
    message_id: MessageId | None
    subject: str
    booking: str | None
    app: str | None = None  #: that handed that mail in, as far as it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressCard:
    """All that is known about one address."""

    address: str
    record: AddressRecord | None
    current: str | None  #: the customer's current address, when it is another one
    blocks: tuple[Suppression, ...]  #: those that stand, on the address and on its domain
    past: tuple[Listing, ...]  #: those that were lifted or have ended, newest first
    last_error: LastError | None
    recent: tuple[log.LogRow, ...]  #: the newest mail to it
    events: tuple[Event, ...]  #: what people did, newest first

    @property
    def is_known(self) -> bool:
        """False: neither mail nor a block was ever there."""
        return bool(self.record or self.blocks or self.past or self.recent)

    @property
    def is_blocked(self) -> bool:
        """Tell whether no app may send there."""
        return any(one.app is None for one in self.blocks)

    @property
    def state(self) -> str:
        """Say it as the customer page does."""
        if self.is_blocked:
            return "Email bounced"
        apps = ", ".join(sorted({one.app for one in self.blocks if one.app}))
        return f"Email bounced for {apps}, OK for every other app" if apps else "Email OK"


def address_card(tx: Tx, text: str, *, now: datetime) -> AddressCard:
    """Gather what is known about an address.

    Raises:
        Refused: it is no address.
    """
    _, key = target(text.strip().lstrip("@"))
    domain = domain_of(key)
    own, wide = (
        suppressions.active_on(tx, value, scope=scope, now=now)
        for value, scope in ((key, "address"), (domain, "domain"))
    )
    standing = {one.id for one in (*own, *wide)}
    past = [
        one
        for one in suppressions.history(tx, key, scope="address") + suppressions.history(tx, domain, scope="domain")
        if one.suppression.id not in standing
    ]
    known = addresses.get(tx, key)
    current = addresses.corrected_to(tx, key) if known is not None and known.corrected_to else None
    return AddressCard(
        address=key,
        record=known,
        current=current,
        blocks=(*own, *wide),
        past=tuple(sorted(past, key=lambda one: -one.suppression.id)),
        last_error=_last_error(tx, known) if known is not None else None,
        recent=tuple(log.search(tx, log.Query(address=key, limit=_RECENT))),
        events=tuple(events.of_address(tx, key, limit=_EVENTS)),
    )


def _last_error(tx: Tx, known: AddressRecord) -> LastError | None:
    if known.last_error_at is None:
        return None
    found = log.find(tx, known.last_delivery_id) if known.last_delivery_id else None
    delivery = next((one for one in found.deliveries if one.id == known.last_delivery_id), None) if found else None
    if found is None or delivery is None:  # pruned: the address remembers the essence
        entry = entry_for(Status.SOFT_BOUNCED, category=known.last_category)
        explanation = Explanation(entry=entry, params={"address": known.shown, "domain": domain_of(known.address)})
        reply, mx = known.last_reply or "", None
    else:
        explanation = explain_delivery(delivery, message=found.message)
        reply = " ".join(str(part) for part in (delivery.code, delivery.enhanced, delivery.reply) if part)
        mx = delivery.mx
    words = render(explanation)
    return LastError(
        explanation=explanation,
        at=known.last_error_at,
        category=known.last_category,
        title=words.title,
        next_step=words.next_step,
        reply=reply,
        mx=mx,
        delivery_id=known.last_delivery_id,
        message_id=found.message.id if found else None,
        subject=found.message.subject if found else "",
        booking=found.message.booking if found else None,
        app=found.message.app if found else None,
    )
