"""Erase one person, and give a person what is known about them.

Erasing has three steps, so that a large history holds up no mail: `look_for_person` in `Store.read`, `erase_some` in
`Store.write` a few messages at a time, `erase_person` at the end. Mail that has not ended is never touched: while there
is some, the answer is no. What the database leaves in its files is wiped by relay.store.scrub after that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from relay.actions.answer import Answer, no
from relay.actions.blocks import target
from relay.errors import Refused
from relay.model import Event
from relay.store import erasure, events, person
from relay.store.erasure import Found
from relay.store.protocols import Tx
from relay.wording import say

#: Messages emptied in one unit.
AT_ONCE = 50


def look_for_person(tx: Tx, text: str) -> Found | Answer:
    """Find what there is of an address; an Answer says why it cannot be erased.

    Raises:
        Refused: it is no address.
    """
    key = _key(text)
    found = erasure.look(tx, key)
    if found.open:
        sentence = say("{address} cannot be erased yet: 1 mail that it is in has not ended.", address=key)
        if found.open > 1:
            sentence = say(
                "{address} cannot be erased yet: {count} mails that it is in have not ended.",
                address=key,
                count=found.open,
            )
        return no("still_open", " ".join([sentence, say("Cancel that first, or wait.")]))
    return found


def erase_some(tx: Tx, found: Found, *, start: int) -> int | None:
    """Empty the next messages; return where to go on, None at the end."""
    chosen = found.messages[start : start + AT_ONCE]
    erasure.erase_messages(tx, found.address, chosen)
    return start + AT_ONCE if start + AT_ONCE < len(found.messages) else None


def erase_person(tx: Tx, found: Found, *, by: str, now: datetime) -> Answer:
    """Finish: the address itself goes; counter and blocks stay under a keyed hash."""
    if erasure.has_new_mail(tx, found.address):
        return no("still_open", say("{address} got new mail meanwhile; erase it again.", address=found.address))
    erasure.erase_person(tx, found, now=now, by=by)
    events.add(tx, Event(at=now, kind="erase", text=say("An address was erased"), by=by))
    count = len(found.messages)
    sentence = (say("Erased: 1 message.") if count == 1 else say("Erased: {count} messages.", count=count)) + untouched(
        found
    )
    return Answer(key="done", sentence=sentence, count=count)


def untouched(found: Found) -> str:
    """Name the person's other addresses, which are erased one by one, for the end of a sentence."""
    if not found.relatives:
        return ""
    return " " + say("The same customer has other addresses: {addresses}.", addresses=", ".join(found.relatives))


def export_person(tx: Tx, text: str) -> dict[str, Any] | None:
    """All that is known about an address, as plain values for JSON; None when there is nothing.

    Raises:
        Refused: it is no address.
    """
    return person.known_of(tx, _key(text))


def _key(text: str) -> str:
    scope, key = target(text)
    if scope != "address":
        raise Refused(
            501, "5.1.3", say("{domain} is a domain, not the address of a person", domain=text), reason="bad_address"
        )
    return key
