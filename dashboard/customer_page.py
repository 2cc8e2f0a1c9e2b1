"""What the page of a customer says: does email flow, the last error in words, and the correspondence.

Of a person who sees only some apps' mail everything that tells of other apps is kept away: subjects, bookings, events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from dashboard import labels
from dashboard.desk import Desk
from dashboard.labels import Group
from dashboard.tongue import Tongue
from relay import actions
from relay.actions import AddressCard, Correspondence, CustomerCard, CustomerIds, Mail
from relay.store.protocols import Tx

#: Mails on a page: as many as keep it within the weight that a slow line bears.
_PAGE = 36


def group_of(mail: Mail) -> Group:
    """Tell what people count a mail as."""
    return labels.group_of(mail.status, mail.newest.marks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What of the correspondence is asked for."""

    archived: bool
    kind: str
    group: str  #: a Group, or "" for all

    def keeps(self, mail: Mail) -> bool:
        return self.kind in ("", mail.original.kind) and self.group in ("", group_of(mail))

    @property
    def params(self) -> dict[str, str]:
        """The part of an address that asks for it."""
        return {"archived": "yes" if self.archived else "", "kind": self.kind, "status": self.group}


def wanted(desk: Desk) -> Wanted:
    """Read what is asked for."""
    group = desk.asked("status")
    return Wanted(
        archived=desk.asked("archived") == "yes",
        kind=desk.asked("kind")[:100],
        group=group if group in set(Group) else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One mail of the correspondence."""

    mail: Mail
    kind: str  #: in the reader's language; "" where the mail tells none
    forms: tuple[str, ...]  #: full, plain: in which it can be sent again


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One page of the correspondence."""

    lines: tuple[Line, ...]
    kinds: tuple[tuple[str, str], ...]  #: value and word
    older: int | None

    @property
    def is_final(self) -> bool:
        return not any(line.mail.is_pending for line in self.lines)

    @property
    def top(self) -> int:
        """The newest mail on it: what comes later is not pushed under anybody's pointer."""
        return self.lines[0].mail.seq if self.lines else 0


def read_history(
    tx: Tx, card: CustomerCard, asked: Wanted, *, now: datetime, apps: tuple[str, ...] | None, before: int | None
) -> tuple[Correspondence, Mapping[str, tuple[str, ...]]]:
    """Read a page of the correspondence with the forms in which each mail can be sent again."""
    found = actions.correspondence(
        tx, card.addresses, now=now, archived=asked.archived, apps=apps, keep=asked.keeps, before=before, limit=_PAGE
    )
    return found, actions.forms_in_list(tx, found.mails)


def prepare_history(found: Correspondence, forms: Mapping[str, tuple[str, ...]], tongue: Tongue) -> History:
    """Put the correspondence into words."""
    return History(
        lines=tuple(
            Line(
                mail=mail,
                kind=tongue.text(labels.kind(mail.original.kind)) if mail.original.kind else "",
                forms=forms.get(mail.original.message, ()),
            )
            for mail in found.mails
        ),
        kinds=tuple((kind, tongue.text(labels.kind(kind))) for kind in found.kinds),
        older=found.before,
    )


async def customer_of(desk: Desk, ids: CustomerIds) -> CustomerCard | None:
    """Read the customer that the address of the page names, as far as this person sees them."""
    address = ids.address(str(desk.request.path_params["id"]))
    if address is None:
        return None
    card = await desk.read(lambda tx: _visible(tx, address, desk))
    return card if card is None or desk.apps is None else _narrowed(card, desk)


def _visible(tx: Tx, address: str, desk: Desk) -> CustomerCard | None:
    card = actions.customer_card(tx, address, now=desk.now)
    if not card.is_known:
        return None
    return card if actions.has_mail_of(tx, card.addresses, desk.apps) else None


def _narrowed(card: CustomerCard, desk: Desk) -> CustomerCard:
    """Take away what tells of apps that this person does not see."""
    return replace(
        card,
        cards=tuple(_narrowed_address(one, desk) for one in card.cards),
        events=tuple(one for one in card.events if one.message_id is None),
    )


def _narrowed_address(card: AddressCard, desk: Desk) -> AddressCard:
    last = card.last_error
    if last is not None and (last.app is None or not desk.sees(last.app)):
        last = replace(last, subject="", booking=None, message_id=None, delivery_id=None, reply="", mx=None)
    blocks = tuple(one for one in card.blocks if one.app is None or desk.sees(one.app))
    return replace(card, last_error=last, blocks=blocks, recent=())


def needs_operator(card: AddressCard) -> bool:
    """Tell whether somebody marked our mail as spam: then the desk alone does not lift the block."""
    return any(one.reason == "complaint" for one in card.blocks)


def own_blocks(card: AddressCard) -> bool:
    """Tell whether the address itself is blocked, and not only its domain."""
    return any(one.scope == "address" for one in card.blocks)
