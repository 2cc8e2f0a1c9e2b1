"""Send new mail for one address to another for a while, and end that.

Policy. Refused are: an address to itself; a second redirect of the same address (end the first); a chain, of which a
circle is one kind: neither may the new address be redirected, nor may others be redirected to the old one. The same
redirect again only changes its end and its note. A block on the new address does not forbid the redirect, but is told,
because nothing would be sent there; a block on the old one no longer matters.
The mail itself is not changed: only its envelope goes elsewhere.
"""

from __future__ import annotations

from datetime import datetime

from relay.actions.answer import Answer, no
from relay.actions.blocks import describe
from relay.address import address_key, domain_of, validate
from relay.model import Event, Suppression
from relay.store import events, redirects, suppressions
from relay.store.protocols import Tx
from relay.wording import at, say


def redirect(tx: Tx, old: str, new: str, *, by: str, now: datetime, until: datetime, note: str = "") -> Answer:
    """Send new mail of any app for one address to another until a time.

    Raises:
        Refused: one of them is no address.
    """
    old, new = old.strip(), new.strip()
    for address in (old, new):
        validate(address, is_smtputf8=True)
    refusal = _refusal(tx, old, new, now=now)
    if refusal is not None:
        return refusal
    ended = redirects.end(tx, old, now=now, by=by)
    redirects.add(tx, old, new, now=now, until=until, by=by, note=note)
    text = say("Redirected to {new} until {until}[: {note}]", new=new, until=at(until), note=note)
    events.add(tx, Event(at=now, kind="redirect", text=text, address=address_key(old), by=by))
    sentence = say("New mail for {old} goes to {new} until {until}.", old=old, new=new, until=at(until))
    if ended:
        sentence = say("New mail for {old} goes to {new} until {until} (changed).", old=old, new=new, until=at(until))
    blocked = block_on(tx, new, now=now)
    if blocked is not None:
        sentence += " " + say(
            "But {new} is blocked ({why}): nothing is sent there until it is unblocked.", new=new, why=describe(blocked)
        )
    return Answer(key="done", sentence=sentence, count=1)


def _refusal(tx: Tx, old: str, new: str, *, now: datetime) -> Answer | None:
    if address_key(old) == address_key(new):
        return no("same", say("{old} and {new} are the same address.", old=old, new=new))
    standing = redirects.active_for(tx, old, now=now)
    if standing is not None and address_key(standing.new_address) != address_key(new):
        return no(
            "already_redirected",
            say("{old} is redirected to {address} already; end that first.", old=old, address=standing.new_address),
        )
    onward = redirects.active_for(tx, new, now=now)
    if onward is not None:
        is_circle = address_key(onward.new_address) == address_key(old)
        circle = say("that would be a circle")
        instead = say("redirect {old} to {address} instead", old=old, address=onward.new_address)
        return no(
            "chain",
            say(
                "{new} is itself redirected to {address}: {what}.",
                new=new,
                address=onward.new_address,
                what=circle if is_circle else instead,
            ),
        )
    before = [one for one in redirects.active(tx, now=now) if address_key(one.new_address) == address_key(old)]
    if before:
        return no("chain", say("{address} is redirected to {old}; end that first.", address=before[0].address, old=old))
    return None


def end_redirect(tx: Tx, old: str, *, by: str, now: datetime) -> Answer:
    """Let new mail for an address go there again.

    Raises:
        Refused: it is no address.
    """
    validate(old.strip(), is_smtputf8=True)
    ended = redirects.end(tx, old.strip(), now=now, by=by)
    if not ended:
        return no("not_redirected", say("{old} is not redirected.", old=old))
    text = say("No longer redirected to {address}", address=ended[0].new_address)
    events.add(tx, Event(at=now, kind="redirect_end", text=text, address=address_key(old.strip()), by=by))
    return Answer(
        key="done", sentence=say("New mail for {address} goes there again.", address=old.strip()), count=len(ended)
    )


def block_on(tx: Tx, address: str, *, now: datetime) -> Suppression | None:
    """Give the block that keeps mail of every app from an address."""
    own = suppressions.active_on(tx, address_key(address), scope="address", now=now)
    of_domain = suppressions.active_on(tx, domain_of(address), scope="domain", now=now)
    return next((one for one in own + of_domain if one.app is None), None)
