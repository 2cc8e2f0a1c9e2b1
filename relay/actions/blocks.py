"""Block, unblock and reset: who gets nothing, decided by a person.

A block is on one address or a whole domain, for all apps or one, for ever or until a time. Unblocking lifts what
stands on exactly that address or domain, whoever set it. Resetting an error counter lifts automatic blocks, never one
that a person or a complaint set.
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
    if suppression.source == "import":
        origin = f"imported by {suppression.by}" if suppression.by else "imported"
        words = f"{words}, {origin}" if words else origin
    elif words is None:
        words = f"blocked by {suppression.by}" if suppression.by else "blocked by hand"
    note = f': "{suppression.note}"' if suppression.note else ""
    where = f"all of {suppression.value}, " if suppression.scope == "domain" else ""
    only = f", for {suppression.app} only" if suppression.app else ""
    until = f" until {suppression.until_at:%Y-%m-%d %H:%M} UTC" if suppression.until_at else ""
    return f"{where}{words}{note}{only}, since {suppression.since_at:%Y-%m-%d}{until}"


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
    """Send nothing more to an address or a domain, from one app or all, until it is unblocked or the time is over.

    Raises:
        Refused: it is neither address nor domain.
    """
    scope, value = target(text)
    wanted = Suppression(
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
    )
    if suppressions.block(tx, wanted) is None:
        return Answer(key="already_blocked", sentence=f"{shown(scope, value)} is blocked already{_only(app)}.")
    how = f"Blocked by hand{_only(app)}{_until(until)}{f': {note}' if note else ''}"
    events.add(tx, Event(at=now, kind="block", text=how, address=value, by=by))
    sentence = f"{shown(scope, value)} is blocked{_only(app)}{_until(until)}: nothing more is sent there."
    return Answer(key="done", sentence=sentence, count=1)


def unblock(tx: Tx, text: str, *, by: str, now: datetime, note: str = "", app: str | None = None) -> Answer:
    """Lift every block on exactly this address or domain; with `app`, only those for that app.

    Raises:
        Refused: it is neither address nor domain.
    """
    scope, value = target(text)
    lifted = suppressions.unblock(tx, value, scope=scope, now=now, by=by, note=note, app=app)
    still = suppressions.active_on(tx, value, scope=scope, now=now)
    if not lifted:
        everywhere = f"{_only(app)}; it is for all apps" if any(one.app is None for one in still) else _only(app)
        return no("not_blocked", f"{shown(scope, value)} is not blocked{everywhere}.")
    how = f"Unblocked{_only(app)}{f': {note}' if note else ''}"
    events.add(tx, Event(at=now, kind="unblock", text=how, address=value, by=by))
    sentence = f"{shown(scope, value)} is no longer blocked{_only(app)}."
    if any(one.app is None for one in still):
        sentence += " But it is still blocked for all apps; to end that, unblock it without naming an app."
    domain = domain_of(value) if scope == "address" else ""
    if domain and suppressions.active_on(tx, domain, scope="domain", now=now):
        sentence += f" But all of {domain} is blocked; to end that: unblock @{domain}."
    return Answer(key="done", sentence=sentence, count=len(lifted))


def extend(tx: Tx, suppression_id: int, *, until: datetime | None, by: str, now: datetime, note: str = "") -> Answer:
    """Let a block end at another time, or hold until it is lifted."""
    if until is not None and until <= now:
        return no("past", "That time is over; to end the block now, unblock.")
    found = suppressions.listed(tx, suppression_id)
    has_ended = found is not None and found.suppression.until_at is not None and found.suppression.until_at <= now
    changed = None if found is None or has_ended else suppressions.extend(tx, suppression_id, until=until)
    if changed is None:
        return no("not_blocked", "That block has ended already.")
    where = shown(changed.scope, changed.value)
    how = f"Block now holds{_until(until) or ' until it is lifted'}{f': {note}' if note else ''}"
    events.add(tx, Event(at=now, kind="block", text=how, address=changed.value, by=by))
    return Answer(
        key="done", sentence=f"{where} stays blocked{_until(until) or ' until somebody unblocks it'}.", count=1
    )


def reset(tx: Tx, address: str, *, by: str, now: datetime, note: str = "") -> Answer:
    """Set an address's error counter to zero and lift its automatic blocks.

    Raises:
        Refused: it is no address.
    """
    _, key = target(address.lstrip("@"))
    still = suppressions.active_on(tx, key, scope="address", now=now)
    if addresses.get(tx, key) is None and not still:
        return no("not_found", f"Nothing is known about {key}.")
    lifted = addresses.reset(tx, key, now=now, by=by, note=note)
    sentence = f"The error counter of {key} is 0."
    if lifted:
        sentence += " It is no longer blocked."
    still = suppressions.active_on(tx, key, scope="address", now=now)
    if still:
        sentence = f"The error counter of {key} is 0. It stays blocked: {describe(still[0])}."
    return Answer(key="done", sentence=sentence, count=len(lifted))


def shown(scope: str, value: str) -> str:
    """Write a target as people do: ADDRESS or @DOMAIN."""
    return value if scope == "address" else f"@{value}"


def _only(app: str | None) -> str:
    return f" for {app}" if app else ""


def _until(until: datetime | None) -> str:
    return f" until {until:%Y-%m-%d %H:%M} UTC" if until else ""
