"""Send more slowly, or through another host, for a while: what people order about mail to a site, a domain, of an app.

An order leaves an event that says who gave it, and all delivery processes keep to it within a second.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from relay.actions.answer import Answer, no
from relay.actions.scopes import cleaned, said
from relay.model import Event
from relay.settings import HostPort, Rate
from relay.store import events, queue, steering
from relay.store.protocols import Tx
from relay.store.queue import Selection
from relay.store.steering import Steer, SteerKind
from relay.wording import say


def slow(
    tx: Tx,
    scope: str,
    value: str,
    rate: Rate,
    *,
    by: str,
    now: datetime,
    note: str = "",
    until: datetime | None = None,
) -> Answer:
    """Send at most so many transactions in a time; `scope` is all, site, domain or app."""
    target, value = _written(rate), cleaned(scope, value)
    steer = Steer(
        kind=SteerKind.SLOW,
        scope=scope,
        value=value,
        target=target,
        reason=note,
        by=by,
        since_at=now,
        until_at=until,
    )
    sentence = say("Sending {what} is slowed down to {target}.", what=said(scope, value), target=target)
    return _begin(tx, steer, sentence)


def reroute(
    tx: Tx,
    scope: str,
    value: str,
    host: HostPort,
    *,
    by: str,
    now: datetime,
    note: str = "",
    until: datetime | None = None,
) -> Answer:
    """Send through another host, what waits by now at once; `scope` is all, site, domain or app."""
    value = cleaned(scope, value)
    steer = Steer(
        kind=SteerKind.REROUTE,
        scope=scope,
        value=value,
        target=str(host),
        reason=note,
        by=by,
        since_at=now,
        until_at=until,
    )
    answer = _begin(tx, steer, say("Mail {what} goes through {host}.", what=said(scope, value), host=host))
    queue.flush(tx, _selection(scope, value), now=now, by=by)
    return answer


def end_slow(tx: Tx, scope: str, value: str, *, by: str, now: datetime) -> Answer:
    """Send at the usual pace again."""
    value = cleaned(scope, value)
    if not steering.end(tx, SteerKind.SLOW, scope=scope, value=value, now=now):
        return no("not_slowed", say("Sending {what} is not slowed down.", what=said(scope, value)))
    return _note(tx, "slow", say("Sending {what} goes on at the usual pace.", what=said(scope, value)), by=by, now=now)


def end_reroute(tx: Tx, scope: str, value: str, *, by: str, now: datetime) -> Answer:
    """Send the usual way again."""
    value = cleaned(scope, value)
    if not steering.end(tx, SteerKind.REROUTE, scope=scope, value=value, now=now):
        return no("not_rerouted", say("Mail {what} goes the usual way already.", what=said(scope, value)))
    return _note(tx, "reroute", say("Mail {what} goes the usual way again.", what=said(scope, value)), by=by, now=now)


def _written(rate: Rate) -> str:
    """Write a rate so that it is read as the same again."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(rate.per, timedelta(seconds=length))
        if count and not left:
            return f"{rate.count}/{count}{unit}"
    return f"{rate.count}/{rate.per // timedelta(milliseconds=1)}ms"


def _selection(scope: str, value: str) -> Selection:
    return Selection(
        domain=value if scope == "domain" else None,
        site=value if scope == "site" else None,
        app=value if scope == "app" else None,
    )


def _begin(tx: Tx, steer: Steer, sentence: str) -> Answer:
    steering.begin(tx, steer)
    because = " " + say("Reason: {note}", note=steer.reason) if steer.reason else ""
    return _note(tx, steer.kind.value, sentence, by=steer.by, now=steer.since_at, because=because)


def _note(tx: Tx, kind: str, sentence: str, *, by: str, now: datetime, because: str = "") -> Answer:
    events.add(tx, Event(at=now, kind=kind, text=sentence + because, by=by))
    return Answer(key="done", sentence=sentence, count=1)
