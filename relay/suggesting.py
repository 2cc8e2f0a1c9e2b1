"""Look for the address that was meant, for the notices that are open: by our own deliveries first, then by DNS.

Policy. Another address of the same customer that took mail is the best suggestion; then the same name at the domain
that was meant (relay/suggest.py), if that domain took mail of ours or DNS says that it takes mail. An address that was
itself reported as wrong is never suggested. A suggestion is kept with the notice as a question and applied by nobody.

`guesses` is a read; `suggest_missing` is a chore of the delivery process: each open notice is looked at soon after it
was opened, and again every hour while nothing was found, since the customer may write from the right address later.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from relay import suggest
from relay.address import address_key, domain_of
from relay.notices import ADDRESS_CAUSES
from relay.store import addresses, notices
from relay.store.notices import Notice
from relay.store.protocols import Store, Tx

#: Causes that a typing mistake can have: also a domain that somebody parked without a mail server.
_TYPING_CAUSES = ADDRESS_CAUSES - {"mailbox-off"} | {"gave-up", "their-fault", "not-theirs"}

_AGAIN_AFTER = timedelta(hours=1)
_AT_A_TIME = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """An address that may have been meant."""

    address: str
    is_proven: bool  #: it, or its domain, took mail of ours


def guesses(tx: Tx, notice: Notice) -> list[Guess]:
    """List the addresses that may have been meant, the likeliest first."""
    if notice.cause == "complaint":
        return []
    found = []
    person = notices.person_of(tx, notice.address)
    relative = suggest.relative_guess(notice.address, person.name, notices.relatives(tx, notice))
    if relative is not None:
        found.append(Guess(address=relative, is_proven=True))
    if notice.cause in _TYPING_CAUSES:
        found += _domain_guesses(tx, notice)
    return [one for one in found if not _is_known_wrong(tx, one.address)]


def proven_guess(tx: Tx, notice: Notice) -> str | None:
    """The likeliest address, if our own deliveries prove it."""
    first = next(iter(guesses(tx, notice)), None)
    return first.address if first is not None and first.is_proven else None


def _domain_guesses(tx: Tx, notice: Notice) -> list[Guess]:
    domain = domain_of(notice.shown)
    proven = notices.proven_among(tx, [domain, *suggest.slips(domain)])
    found = suggest.domain_guesses(domain, proven=proven, is_gone=notice.cause == "no-domain")
    return [Guess(address=suggest.with_domain(notice.shown, each), is_proven=each in proven) for each in found]


def _is_known_wrong(tx: Tx, address: str) -> bool:
    """Tell whether the guess itself failed for good and took no mail since."""
    known = addresses.get(tx, address_key(address))
    if known is None or known.last_error_at is None or not (known.last_category or "").startswith("invalid_"):
        return False
    return known.last_delivered_at is None or known.last_delivered_at < known.last_error_at


async def suggest_missing(store: Store, takes_mail: Callable[[str], Awaitable[bool]], *, now: datetime) -> int:
    """Look for suggestions for open notices that have none; return how many were found."""

    def waiting(tx: Tx) -> list[tuple[Notice, list[Guess]]]:
        return [(one, guesses(tx, one)) for one in notices.to_suggest(tx, before=now - _AGAIN_AFTER, limit=_AT_A_TIME)]

    count = 0
    for notice, found in await store.read(waiting):
        chosen = None
        for guess in found:
            if guess.is_proven or await takes_mail(domain_of(guess.address)):
                chosen = guess.address
                break
        await store.write(
            lambda tx, notice=notice, chosen=chosen: notices.suggest(tx, notice.id, suggestion=chosen, at=now)  # type: ignore[misc]
        )
        count += chosen is not None
    return count
