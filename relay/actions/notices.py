"""Notices as the desk sees and ends them: what did not reach a customer, why, and what to do.

Ending a notice changes nothing else: no block, no counter, no delivery. *Resolved* says that the matter was seen to,
*cleared* that nobody will. Both can be undone. Everything a person does is an event of the address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from relay.actions.answer import Answer, no
from relay.actions.telling import Telling
from relay.address import address_key
from relay.classify.explain import Explanation, Words, explain_delivery, render
from relay.model import Delivery, Event, Message
from relay.notices import ADDRESS_CAUSES, CAUSES, State
from relay.status import OPEN
from relay.store import addresses, events, notices
from relay.store.notices import Mail, Notice, Person
from relay.store.protocols import Tx
from relay.suggesting import proven_guess
from relay.wording import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """All that is shown of one notice."""

    notice: Notice
    person: Person
    explanation: Explanation  #: for other tongues
    words: Words  #: the same in English
    mails: tuple[Mail, ...]  #: the newest of those it is about
    proof: Delivery | None  #: the mail whose answer shows the cause; None when it is no longer kept
    message: Message | None
    suggestion: str | None

    @property
    def bookings(self) -> tuple[str, ...]:
        """The bookings it is about, the newest first."""
        return tuple(dict.fromkeys(mail.booking for mail in self.mails if mail.booking))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which notices are meant: these, or all of an address or cause."""

    ids: tuple[int, ...] = ()
    address: str | None = None
    cause: str | None = None
    apps: tuple[str, ...] | None = None  #: no other notices than those about mail of these apps; None: of all


#: How long what was just closed is offered to be opened again with one click.
UNDO_FOR = timedelta(minutes=5)


def list_notices(
    tx: Tx,
    *,
    words: Sequence[str] = (),
    with_closed: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> list[Card]:
    """List notices, the newest first; `before` is the id of the last one of the page before."""
    found = notices.search(tx, words=words, with_closed=with_closed, before=before, limit=limit)
    return [_card(tx, one) for one in found]


def is_wrong_address(notice: Notice) -> bool:
    """Tell whether the address itself is the matter, so that correcting it is the way out."""
    return notice.cause in ADDRESS_CAUSES


def show_notice(tx: Tx, notice_id: int) -> Card | None:
    """One notice."""
    found = notices.get(tx, notice_id)
    return _card(tx, found) if found is not None else None


def choose_notices(tx: Tx, wanted: Wanted) -> list[Notice]:
    """Find the notices that are meant, those that are closed included when they are named by id."""
    if wanted.ids:
        named = [notices.get(tx, each) for each in dict.fromkeys(wanted.ids)]
        found = [one for one in named if one is not None]
    else:
        address = address_key(wanted.address) if wanted.address else None
        found = notices.search(tx, address=address, cause=wanted.cause, limit=100_000)
    return [one for one in found if wanted.apps is None or one.app in wanted.apps]


def just_closed(tx: Tx, wanted: Wanted, *, by: str, now: datetime) -> list[Notice]:
    """Choose, of these notices, those that somebody closed a moment ago and may want back."""
    chosen = choose_notices(tx, wanted)
    return [one for one in chosen if one.closed_at and one.closed_at >= now - UNDO_FOR and one.by == by]


def resolve_notices(tx: Tx, wanted: Wanted, *, by: str, now: datetime, note: str = "") -> Answer:
    """Say that the matter was seen to."""
    return _close(tx, wanted, state=State.RESOLVED, by=by, now=now, note=note)


def clear_notices(tx: Tx, wanted: Wanted, *, by: str, now: datetime, note: str = "") -> Answer:
    """Take notices off the list without anything being fixed; block, counter and log stay as they are."""
    return _close(tx, wanted, state=State.CLEARED, by=by, now=now, note=note)


def is_for_desk(told: Telling) -> bool:
    """Tell whether a mail did not arrive for a cause that the desk or the customer can do something about."""
    return told.explanation.entry in CAUSES


def add_notice(tx: Tx, told: Telling, *, by: str, now: datetime) -> Answer:
    """Put a mail that did not arrive on the list by hand, or back on it, under the cause that it ended with."""
    delivery, cause = told.delivery, told.explanation.entry
    key = address_key(delivery.address)
    if not is_for_desk(told):
        return no("no_cause", say("There is nothing that the desk or the customer could do about this mail."))
    if notices.search(tx, address=key, cause=cause, limit=1):
        return Answer(key="already", sentence=say("It is on the list already."))
    notices.raise_notice(
        tx, key, cause=cause, shown=delivery.address, delivery_id=delivery.id, app=told.found.message.app, at=now
    )
    events.add(
        tx, Event(at=now, kind="notice", text=say("Notice made by hand ({cause})", cause=cause), address=key, by=by)
    )
    return Answer(key="done", sentence=say("{address} is on the list.", address=delivery.address), count=1)


def add_many_notices(tx: Tx, mails: Sequence[Telling], *, by: str, now: datetime) -> Answer:
    """Put mails that did not arrive on the list by hand; leave out what is there, or no matter of the desk."""
    done = [add_notice(tx, told, by=by, now=now) for told in mails]
    added = sum(one.key == "done" for one in done)
    already = sum(one.key == "already" for one in done)
    left_out = len(done) - added - already
    said = [f"On the list now: {added}."]
    said += [f"There already: {already}."] if already else []
    said += [f"Left out, because the desk could do nothing about them: {left_out}."] if left_out else []
    key = "done" if added == len(done) else "partly" if added else "nothing"
    return Answer(key=key, sentence=" ".join(said), is_done=added > 0, count=added)


def _close(tx: Tx, wanted: Wanted, *, state: State, by: str, now: datetime, note: str) -> Answer:
    return _change(
        tx,
        wanted,
        lambda one: notices.close(tx, one.id, state=state, at=now, by=by, note=note),
        word=_resolved if state is State.RESOLVED else _cleared,
        event=_closed(state, note),
        by=by,
        now=now,
        none=say("Nothing to do: it is closed already."),
    )


def reopen_notices(tx: Tx, wanted: Wanted, *, by: str, now: datetime) -> Answer:
    """Undo that notices were resolved or cleared."""
    if not wanted.ids:
        return no("not_found", say("Name the notices to open again by their ids."))
    return _change(
        tx,
        wanted,
        lambda one: notices.reopen(tx, one.id),
        word=_reopened,
        event=say("Notice opened again"),
        by=by,
        now=now,
        none=say("Nothing to do: it is open."),
    )


def undo_closing(tx: Tx, wanted: Wanted, *, by: str, now: datetime) -> Answer:
    """Open again what this person closed a moment ago; what others closed stays."""
    chosen = just_closed(tx, wanted, by=by, now=now)
    if not chosen:
        return no("too_late", say("There is nothing to undo: it is open again, or was closed too long ago."))
    return reopen_notices(tx, Wanted(ids=tuple(one.id for one in chosen)), by=by, now=now)


def note_notices(tx: Tx, wanted: Wanted, *, note: str, by: str, now: datetime) -> Answer:
    """Put a note beside notices, for whoever takes them."""
    return _change(
        tx,
        wanted,
        lambda one: one.note != note and notices.annotate(tx, one.id, note=note),
        word=_noted,
        event=say("Note: {note}", note=note) if note else say("Note removed"),
        by=by,
        now=now,
        none=say("Nothing to do: that is the note."),
    )


def assign_notices(tx: Tx, wanted: Wanted, *, to: str | None, by: str, now: datetime) -> Answer:
    """Say who takes notices; None: nobody."""
    return _change(
        tx,
        wanted,
        lambda one: notices.assign(tx, one.id, to=to),
        word=partial(_assigned, to=to),
        event=say("Notice assigned to {to}", to=to) if to else say("Notice assigned to nobody"),
        by=by,
        now=now,
        none=say("Nothing to do: it is closed."),
    )


def _change(
    tx: Tx,
    wanted: Wanted,
    change: Callable[[Notice], bool],
    *,
    word: Callable[[int], str],
    event: str,
    by: str,
    now: datetime,
    none: str,
) -> Answer:
    chosen = choose_notices(tx, wanted)
    missing = sorted(set(wanted.ids) - {one.id for one in chosen})
    if missing:
        return no("not_found", say("There is no notice {ids}; nothing was changed.", ids=", ".join(map(str, missing))))
    if not chosen:
        return no("not_found", say("There is no open notice[ for {address}].", address=wanted.address))
    changed = [one for one in chosen if change(one)]
    if not changed:
        return no("unchanged", none)
    for one in changed:
        events.add(
            tx,
            Event(
                at=now,
                kind="notice",
                text=say("{what} ({cause})", what=event, cause=one.cause),
                address=one.address,
                by=by,
            ),
        )
    count = len(changed)
    sentence = word(count)
    return Answer(key="done", sentence=sentence, count=count)


def _closed(state: State, note: str) -> str:
    if state is State.RESOLVED:
        return say("Notice resolved[: {note}]", note=note)
    return say("Notice cleared[: {note}]", note=note)


def _resolved(count: int) -> str:
    return say("1 notice resolved.") if count == 1 else say("{count} notices resolved.", count=count)


def _cleared(count: int) -> str:
    return say("1 notice cleared.") if count == 1 else say("{count} notices cleared.", count=count)


def _reopened(count: int) -> str:
    return say("1 notice open again.") if count == 1 else say("{count} notices open again.", count=count)


def _noted(count: int) -> str:
    return say("1 notice noted.") if count == 1 else say("{count} notices noted.", count=count)


def _assigned(count: int, *, to: str | None) -> str:
    if to is None:
        return say("Assigned to nobody: {count}.", count=count)
    return (
        say("1 notice assigned to {to}.", to=to)
        if count == 1
        else say("{count} notices assigned to {to}.", count=count, to=to)
    )


def _card(tx: Tx, notice: Notice) -> Card:
    proof, message = notices.proof_of(tx, notice) or (None, None)
    person = _with_mail(tx, notices.person_of(tx, notice.address), message)
    suggestion = notice.suggestion or (proven_guess(tx, notice) if notice.state is State.OPEN else None)
    explanation = _explanation(tx, notice, person, proof, message, suggestion)
    return Card(
        notice=notice,
        person=person,
        explanation=explanation,
        words=render(explanation),
        mails=tuple(notices.mails_of(tx, notice)),
        proof=proof,
        message=message,
        suggestion=suggestion,
    )


def _with_mail(tx: Tx, person: Person, message: Message | None) -> Person:
    """Add the phone and customer number that the mail itself gives: before its first try nothing else knows them."""
    if message is None or (person.phone and person.customer):
        return person
    if len(tx.rows("spool.deliveries_of", {"message_id": message.id})) != 1:
        return person  # whose they are cannot be told
    return replace(person, phone=person.phone or message.phone, customer=person.customer or message.customer)


def _explanation(
    tx: Tx,
    notice: Notice,
    person: Person,
    proof: Delivery | None,
    message: Message | None,
    suggestion: str | None,
) -> Explanation:
    params = dict(explain_delivery(proof, message=message).params) if proof is not None else {}
    is_pending = proof is not None and proof.status in OPEN  # raised before the mail's deadline
    if is_pending and "reason" in params:
        params["last_reason"] = params["reason"]
    params |= {"address": notice.shown, "domain": notice.address.rpartition("@")[2]}
    if notice.cause == "blocked-auto":
        known = addresses.get(tx, notice.address)
        params |= {"n": known.error_count if known is not None else 0}
    if person.phone:
        params |= {"phone": person.phone}
    if suggestion:
        params |= {"suggestion": suggestion}
    return Explanation(entry=notice.cause, params=params, is_pending=is_pending)
