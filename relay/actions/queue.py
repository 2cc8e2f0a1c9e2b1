"""Cancel, flush, hold, release, pause and resume: what people do to mail that has not ended.

What is on the wire while it is cancelled may still arrive, and is then shown as delivered.
"""

from __future__ import annotations

from datetime import datetime

from relay.actions.answer import Answer, no
from relay.actions.scopes import cleaned, said
from relay.model import Event
from relay.store import events, log, pauses, queue
from relay.store.protocols import Tx
from relay.store.queue import Selection
from relay.wording import say


def cancel(tx: Tx, wanted_id: str, *, by: str, now: datetime) -> Answer:
    """Stop a delivery, or every delivery of a message, that has not ended."""
    found = log.find(tx, wanted_id)
    if found is None:
        return no("not_found", say("There is no message or delivery {wanted_id}.", wanted_id=wanted_id))
    ids = (found.delivery_id,) if found.delivery_id else tuple(delivery.id for delivery in found.deliveries)
    if not queue.selected(tx, Selection(ids=ids)):
        ended = ", ".join(sorted({one.status.value for one in found.deliveries if one.id in ids}))
        return no("nothing_open", say("There is nothing to stop: it has ended ({ended}).", ended=ended))
    return cancel_many(tx, Selection(ids=ids), by=by, now=now)


def cancel_many(tx: Tx, chosen: Selection, *, by: str, now: datetime, note: str = "") -> Answer:
    """Stop every open delivery of a selection."""
    stopped = queue.cancel(tx, chosen, now=now, by=by, reason=note)
    sentence = say("Cancelled: {what}.", what=_deliveries(len(stopped)))
    return Answer(key="done", sentence=sentence, count=len(stopped), deliveries=tuple(stopped))


def flush(tx: Tx, chosen: Selection, *, by: str, now: datetime) -> Answer:
    """Try now what waits for a later try."""
    count = queue.flush(tx, chosen, now=now, by=by)
    return Answer(key="done", sentence=say("To be tried now: {what}.", what=_deliveries(count)), count=count)


def hold(tx: Tx, chosen: Selection, *, by: str, now: datetime, note: str = "") -> Answer:
    """Keep what is open now from being sent, until it is released."""
    count = queue.hold(tx, chosen, reason=note, now=now, by=by)
    return Answer(key="done", sentence=say("Held: {what}.", what=_deliveries(count)), count=count)


def release(tx: Tx, chosen: Selection, *, by: str, now: datetime) -> Answer:
    """Let held deliveries go; those of an app in hold mode only when the app is named, since they may be tests."""
    count = queue.release(tx, chosen, now=now, by=by)
    sentence = say("Released: {what}.", what=_deliveries(count))
    kept = queue.count_of_app_hold(tx, chosen)
    if kept:
        one = say("1 of an app in hold mode stays held; to send real guests its mail, name it with --app.")
        more = say(
            "{count} of an app in hold mode stay held; to send real guests its mail, name it with --app.", count=kept
        )
        sentence += " " + (one if kept == 1 else more)
    return Answer(key="done", sentence=sentence, count=count)


def pause(
    tx: Tx, scope: str, value: str, *, by: str, now: datetime, note: str = "", until: datetime | None = None
) -> Answer:
    """Send nothing of a scope (all, site, domain, app) until it is resumed or the time is over."""
    value = cleaned(scope, value)
    if any(one.scope == scope and one.value == value for one in pauses.every(tx)):
        return Answer(key="already_paused", sentence=say("Sending {what} is paused already.", what=said(scope, value)))
    pauses.pause(tx, scope=scope, value=value, reason=note, by=by, now=now, until=until)
    text = say("Sending {what} is paused[: {note}]", what=said(scope, value), note=note)
    events.add(tx, Event(at=now, kind="pause", text=text, by=by))
    return Answer(key="done", sentence=say("Sending {what} is paused.", what=said(scope, value)), count=1)


def resume(tx: Tx, scope: str, value: str, *, by: str, now: datetime) -> Answer:
    """End the pauses on exactly this scope and value."""
    value = cleaned(scope, value)
    count = pauses.resume(tx, scope=scope, value=value, now=now)
    if not count:
        return no("not_paused", say("Sending {what} is not paused.", what=said(scope, value)))
    events.add(tx, Event(at=now, kind="resume", text=say("Sending {what} goes on", what=said(scope, value)), by=by))
    return Answer(key="done", sentence=say("Sending {what} goes on.", what=said(scope, value)), count=count)


def _deliveries(count: int) -> str:
    return say("1 delivery") if count == 1 else say("{count} deliveries", count=count)
