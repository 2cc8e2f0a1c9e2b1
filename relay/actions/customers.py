"""One customer as the desk sees them: all addresses with their state, and the correspondence (mission 001.3, 003.9).

Units of work for `Store.read`. The correspondence is a list of mails (mails.py), newest first by the date on which each
was originally sent; what is over one month old is the archive (001.9). Of an address that gets more than anybody reads,
such as the house's own, only the newest _READ rows are put together with their resends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from relay.actions.addresses import AddressCard, address_card
from relay.actions.mails import Mail, mails
from relay.address import address_key
from relay.customer_ids import CustomerIds
from relay.model import AddressRecord, Event
from relay.resend import forms_of
from relay.store import addresses, content, customers, log, redirects, suppressions
from relay.store.protocols import Tx
from relay.store.redirects import Redirect

_READ = 1000
_EVENTS = 30
_PARSED_BYTES = 256 * 1024  #: larger mails are not parsed for a list; their own page says what is possible
_REMEMBERED = 10_000

#: Message id -> the forms it has. A stored mail never changes, and a page that is open asks every few seconds.
_forms: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerCard:
    """Who a customer is, and whether mail flows."""

    cards: tuple[AddressCard, ...]  #: every address, the current one first
    shown: str  #: the current address as it was last written
    name: str
    phone: str | None
    number: str | None
    redirects: tuple[Redirect, ...]  #: in force for one of the addresses
    events: tuple[Event, ...]  #: what people did, newest first
    held_back: int  #: mails that were not sent because of the blocks that stand

    @property
    def address(self) -> str:
        """The current address, normalised."""
        return self.cards[0].address

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(card.address for card in self.cards)

    @property
    def is_blocked(self) -> bool:
        """Tell whether nothing is sent to the current address."""
        return self.cards[0].is_blocked

    @property
    def is_known(self) -> bool:
        return any(card.is_known for card in self.cards)

    @property
    def error_count(self) -> int:
        """The counter nearest to a block, of any address."""
        return max((card.record.error_count for card in self.cards if card.record), default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondence:
    """One page of what was sent to a customer."""

    mails: tuple[Mail, ...]  #: newest first
    kinds: tuple[str, ...]  #: that there are, for a filter
    before: int | None  #: where the next page begins; None: this is the last


def customer_ids(tx: Tx) -> CustomerIds | None:
    """Give the maker of customers' names; None until `make_customer_ids` ran once."""
    secret = customers.known_secret(tx)
    return CustomerIds(secret) if secret else None


def make_customer_ids(tx: Tx) -> CustomerIds:
    """Make the secret of the names if there is none yet; for Store.write."""
    return CustomerIds(customers.make_secret(tx))


def customer_card(tx: Tx, address: str, *, now: datetime) -> CustomerCard:
    """Gather what is known about the customer of an address, whichever of theirs it is."""
    cards = tuple(address_card(tx, each, now=now) for each in customers.family(tx, address))
    known = [card.record for card in cards if card.record is not None]
    standing = [block.id for card in cards for block in card.blocks]
    held = suppressions.held_back(tx, standing)
    happened = {(one.at, one.text): one for card in cards for one in card.events}
    in_force = (redirects.active_for(tx, card.address, now=now) for card in cards)
    return CustomerCard(
        cards=cards,
        shown=_shown(cards[0], known),
        name=next((one.name for one in known if one.name), "") or _name(cards),
        phone=next((one.phone for one in known if one.phone), None),
        number=next((one.customer for one in known if one.customer), None),
        redirects=tuple(one for one in in_force if one is not None),
        events=tuple(sorted(happened.values(), key=lambda one: one.at, reverse=True)[:_EVENTS]),
        held_back=max(held.values(), default=0),
    )


def _shown(card: AddressCard, known: Sequence[AddressRecord]) -> str:
    written = next((one.shown for one in known if one.address == card.address), None)
    return written or next((row.to for row in card.recent if address_key(row.to) == card.address), card.address)


def _name(cards: Iterable[AddressCard]) -> str:
    return next((row.name for card in cards for row in card.recent if row.name), "")


def has_mail_of(tx: Tx, of: Sequence[str], apps: Collection[str] | None) -> bool:
    """Tell whether one of these apps ever wrote to one of these addresses; None: whatever is known counts."""
    if apps is None:
        return True
    return any(log.search(tx, log.Query(address=address, apps=_scope(apps), limit=1)) for address in of)


def _scope(apps: Collection[str] | None) -> tuple[str, ...] | None:
    return None if apps is None else tuple(apps)


def correspondence(
    tx: Tx,
    of: Sequence[str],
    *,
    now: datetime,
    archived: bool = False,
    apps: Collection[str] | None = None,
    keep: Callable[[Mail], bool] = lambda mail: True,
    before: int | None = None,
    limit: int = 50,
) -> Correspondence:
    """List what was sent to these addresses; `before` is the seq of the last mail of the page before."""
    query = log.Query(archived=archived, now=now, apps=_scope(apps), limit=_READ)
    rows = _rows(tx, of, query)
    if before is not None and len(rows) >= _READ and before <= min(row.seq for row in rows):
        rows = _rows(tx, of, replace(query, before=before))
    found = [mail for mail in reversed(mails(rows)) if (before is None or mail.seq < before) and keep(mail)]
    return Correspondence(
        mails=tuple(found[:limit]),
        kinds=tuple(sorted({row.kind for row in rows if row.kind})),
        before=found[limit - 1].seq if len(found) > limit else _rest(rows, found),
    )


def _rest(rows: Sequence[log.LogRow], found: Sequence[Mail]) -> int | None:
    """Where to go on when more was there than is read at once."""
    return min(row.seq for row in rows) if len(rows) >= _READ and found else None


def _rows(tx: Tx, of: Sequence[str], chosen: log.Query) -> list[log.LogRow]:
    """Read what was sent to these addresses, or meant for them and redirected; newest first."""
    found: dict[int, log.LogRow] = {}
    for address in of:
        for query in (replace(chosen, address=address), replace(chosen, redirected_from=address)):
            found |= {row.seq: row for row in log.search(tx, query)}
    return [found[seq] for seq in sorted(found, reverse=True)[:_READ]]


def forms_in_list(tx: Tx, listed: Iterable[Mail]) -> dict[str, tuple[str, ...]]:
    """Say for each mail, by the id of its message, in which forms it can be sent again."""
    found: dict[str, tuple[str, ...]] = {}
    for mail in listed:
        message = mail.original.message
        if message not in found:
            found[message] = _forms_of(tx, mail) if content.is_kept(tx, message) else ()
    return found


def _forms_of(tx: Tx, mail: Mail) -> tuple[str, ...]:
    message = mail.original.message
    if message not in _forms:
        if len(_forms) >= _REMEMBERED:
            _forms.clear()
        raw = content.load(tx, message) if mail.original.size <= _PARSED_BYTES else None
        _forms[message] = forms_of(raw) if raw is not None else ("full",)
    return _forms[message]


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One customer that a search found."""

    address: str  #: normalised
    row: log.LogRow  #: their newest mail that fits
    record: AddressRecord | None
    is_blocked: bool


def find_customers(
    tx: Tx, text: str, *, now: datetime, apps: Collection[str] | None = None, limit: int = 50
) -> list[Match]:
    """Find customers by a part of name, address, number, phone or booking; whoever had mail last comes first."""
    newest: dict[str, log.LogRow] = {}
    before: int | None = None
    for _ in range(5):
        query = log.Query(words=tuple(text.split()[:8]), apps=_scope(apps), before=before, limit=_READ // 5)
        rows = log.search(tx, query)
        for row in rows:
            newest.setdefault(address_key(row.intended or row.to), row)
        if len(rows) < query.limit or len(newest) >= limit:
            break
        before = rows[-1].seq
    chosen = list(newest)[:limit]
    blocked = suppressions.standing_on(tx, chosen, now=now)
    return [
        Match(address=key, row=newest[key], record=addresses.get(tx, key), is_blocked=key in blocked) for key in chosen
    ]
