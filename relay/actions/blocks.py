"""Block, unblock and reset: who gets nothing, decided by a person.

Resetting an error counter lifts automatic blocks, never one that a person or a complaint set.
"""

from __future__ import annotations

from datetime import datetime

from relay.actions.answer import Answer, no
from relay.address import address_key, domain_of, to_a_label, validate
from relay.errors import Refused
from relay.model import Event, Suppression
from relay.store import addresses, events, suppressions
from relay.store.protocols import Tx


def describe(suppression: Suppression) -> str:
    """Say in a few words why something is blocked."""
    words = {
        "errors": "too many errors",
        "invalid_address": "the address does not exist",
        "invalid_domain": "the domain does not exist",
        "complaint": "the recipient marked our mail as spam",
    }.get(suppression.reason)
    if words is None:
        words = f"blocked by {suppression.by}" if suppression.by else "blocked by hand"
    note = f': "{suppression.note}"' if suppression.note else ""
    where = f"all of {suppression.value}, " if suppression.scope == "domain" else ""
    return f"{where}{words}{note}, since {suppression.since_at:%Y-%m-%d}"


def target(text: str) -> tuple[str, str]:
    """Read ADDRESS or @DOMAIN as (scope, value), in the form the block list goes by.

    Raises:
        Refused: it is neither.
    """
    text = text.strip()
    if text.startswith("@"):
        domain = to_a_label(text[1:])
        if domain is None:
            raise Refused(501, "5.1.3", f"{text[1:]} is not a domain name", reason="bad_address")
        return "domain", domain
    validate(text, is_smtputf8=True)
    return "address", address_key(text)


def block(
    tx: Tx, text: str, *, by: str, now: datetime, note: str = "", until: datetime | None = None, app: str | None = None
) -> Answer:
    """Send nothing more to an address or a domain.

    Raises:
        Refused: it is neither address nor domain.
    """
    scope, value = target(text)
    made = suppressions.block(
        tx,
        Suppression(
            id=0,
            scope=scope,
            value=value,
            reason="manual",
            source="manual",
            note=note,
            by=by,
            since_at=now,
            until_at=until,
            app=app,
        ),
    )
    if made is None:
        return Answer(key="already_blocked", sentence=f"{_shown(scope, value)} is blocked already.")
    events.add(tx, Event(at=now, kind="block", text=note or "Blocked by hand", address=value, by=by))
    return Answer(key="done", sentence=f"{_shown(scope, value)} is blocked: nothing more is sent there.", count=1)


def unblock(tx: Tx, text: str, *, by: str, now: datetime, note: str = "") -> Answer:
    """Lift every block on exactly this address or domain.

    Raises:
        Refused: it is neither address nor domain.
    """
    scope, value = target(text)
    lifted = suppressions.unblock(tx, value, scope=scope, now=now, by=by, note=note)
    if not lifted:
        return no("not_blocked", f"{_shown(scope, value)} is not blocked.")
    events.add(tx, Event(at=now, kind="unblock", text=note or "Unblocked", address=value, by=by))
    sentence = f"{_shown(scope, value)} is no longer blocked."
    if scope == "address":
        domain = domain_of(value)
        if suppressions.active_on(tx, domain, scope="domain", now=now):
            sentence += f" But all of {domain} is blocked; to end that: unblock @{domain}."
    return Answer(key="done", sentence=sentence, count=len(lifted))


def _shown(scope: str, value: str) -> str:
    return value if scope == "address" else f"@{value}"


def reset(tx: Tx, address: str, *, by: str, now: datetime, note: str = "") -> Answer:
    """Set an address's error counter to zero and lift its automatic blocks.

    Raises:
        Refused: it is no address.
    """
    _, key = target(address.lstrip("@"))
    if addresses.get(tx, key) is None:
        return no("not_found", f"Nothing is known about {key}.")
    lifted = addresses.reset(tx, key, now=now, by=by, note=note)
    sentence = f"The error counter of {key} is 0."
    if lifted:
        sentence += " It is no longer blocked."
    still = suppressions.active_on(tx, key, scope="address", now=now)
    if still:
        sentence += f" It stays blocked: {describe(still[0])}."
    return Answer(key="done", sentence=sentence, count=len(lifted))
