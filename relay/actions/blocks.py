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
from relay.wording import at, say


def describe(suppression: Suppression) -> str:
    """Say in a few words why something is blocked."""
    words = {
        "errors": say("too many errors"),
        "invalid_address": say("the address does not exist"),
        "invalid_domain": say("the domain does not exist"),
        "complaint": say("the recipient marked our mail as spam"),
    }.get(suppression.reason)
    if suppression.source == "import":
        origin = say("imported[ by {user}]", user=suppression.by)
        words = say("{why}, imported[ by {user}]", why=words, user=suppression.by) if words else origin
    elif words is None:
        words = say("blocked by {user}", user=suppression.by) if suppression.by else say("blocked by hand")
    return say(
        '[all of {domain}, ]{why}[: "{note}"][, for {app} only], since {day}[ until {until}]',
        domain=suppression.value if suppression.scope == "domain" else "",
        why=words,
        note=suppression.note,
        app=suppression.app,
        day=f"{suppression.since_at:%Y-%m-%d}",
        until=at(suppression.until_at),
    )


def target(text: str) -> tuple[str, str]:
    """Read ADDRESS or @DOMAIN as (scope, value), in the form the block list goes by.

    Raises:
        Refused: it is neither.
    """
    text = text.strip()
    if text.startswith("@"):
        domain = to_a_label(text[1:])
        if domain is None:
            raise Refused(501, "5.1.3", say("{domain} is not a domain name", domain=text[1:]), reason="bad_address")
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
        return Answer(
            key="already_blocked",
            sentence=say("{whom} is blocked already[ for {app}].", whom=shown(scope, value), app=app),
        )
    how = say("Blocked by hand[ for {app}][ until {until}][: {note}]", app=app, until=at(until), note=note)
    events.add(tx, Event(at=now, kind="block", text=how, address=value, by=by))
    sentence = say(
        "{whom} is blocked[ for {app}][ until {until}]: nothing more is sent there.",
        whom=shown(scope, value),
        app=app,
        until=at(until),
    )
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
        if any(one.app is None for one in still):
            sentence = say("{whom} is not blocked[ for {app}]; it is for all apps.", whom=shown(scope, value), app=app)
        else:
            sentence = say("{whom} is not blocked[ for {app}].", whom=shown(scope, value), app=app)
        return no("not_blocked", sentence)
    how = say("Unblocked[ for {app}][: {note}]", app=app, note=note)
    events.add(tx, Event(at=now, kind="unblock", text=how, address=value, by=by))
    sentence = say("{whom} is no longer blocked[ for {app}].", whom=shown(scope, value), app=app)
    if any(one.app is None for one in still):
        sentence += " " + say("But it is still blocked for all apps; to end that, unblock it without naming an app.")
    domain = domain_of(value) if scope == "address" else ""
    if domain and suppressions.active_on(tx, domain, scope="domain", now=now):
        sentence += " " + say("But all of {domain} is blocked; to end that: unblock @{domain}.", domain=domain)
    return Answer(key="done", sentence=sentence, count=len(lifted))


def extend(tx: Tx, suppression_id: int, *, until: datetime | None, by: str, now: datetime, note: str = "") -> Answer:
    """Let a block end at another time, or hold until it is lifted."""
    if until is not None and until <= now:
        return no("past", say("That time is over; to end the block now, unblock."))
    found = suppressions.listed(tx, suppression_id)
    has_ended = found is not None and found.suppression.until_at is not None and found.suppression.until_at <= now
    changed = None if found is None or has_ended else suppressions.extend(tx, suppression_id, until=until)
    if changed is None:
        return no("not_blocked", say("That block has ended already."))
    where = shown(changed.scope, changed.value)
    how = (
        say("Block now holds until {until}[: {note}]", until=at(until), note=note)
        if until
        else say("Block now holds until it is lifted[: {note}]", note=note)
    )
    events.add(tx, Event(at=now, kind="block", text=how, address=changed.value, by=by))
    sentence = say("{whom} stays blocked until somebody unblocks it.", whom=where)
    if until:
        sentence = say("{whom} stays blocked until {until}.", whom=where, until=at(until))
    return Answer(key="done", sentence=sentence, count=1)


def reset(tx: Tx, address: str, *, by: str, now: datetime, note: str = "") -> Answer:
    """Set an address's error counter to zero and lift its automatic blocks.

    Raises:
        Refused: it is no address.
    """
    _, key = target(address.lstrip("@"))
    still = suppressions.active_on(tx, key, scope="address", now=now)
    if addresses.get(tx, key) is None and not still:
        return no("not_found", say("Nothing is known about {key}.", key=key))
    lifted = addresses.reset(tx, key, now=now, by=by, note=note)
    sentence = say("The error counter of {key} is 0.", key=key)
    if lifted:
        sentence += " " + say("It is no longer blocked.")
    still = suppressions.active_on(tx, key, scope="address", now=now)
    if still:
        sentence = say("The error counter of {key} is 0. It stays blocked: {why}.", key=key, why=describe(still[0]))
    return Answer(key="done", sentence=sentence, count=len(lifted))


def shown(scope: str, value: str) -> str:
    """Write a target as people do: ADDRESS or @DOMAIN."""
    return value if scope == "address" else f"@{value}"
