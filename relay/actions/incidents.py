"""Incidents as the admin sees and ends them: what is stopped, what failed, and how to send it again.

Closing ends the pause, so that what waited goes out at once; resending also sends again what failed before the pause.
That is done one mail at a time, each marked in the transaction that queues it: a second run, or one that was cut
short, sends nothing twice. What meanwhile arrived by another resend, or is under way, is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.actions.answer import Answer, no
from relay.actions.resend import Plan, plan_resend, resend
from relay.incidents import advice, headline
from relay.model import DeliveryId, Event
from relay.store import events, incidents
from relay.store.incidents import Incident, Part
from relay.store.protocols import Tx
from relay.wording import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that is shown of one incident."""

    incident: Incident
    headline: str
    advice: str
    is_paused: bool
    waiting: int  #: deliveries its pause holds
    to_resend: tuple[DeliveryId, ...]  #: what `resend` would send again
    parts: tuple[Part, ...] = ()  #: the newest deliveries in it


def list_incidents(tx: Tx, *, with_closed: bool = False, limit: int = 100) -> list[Report]:
    """List the open incidents, or all, the newest first."""
    return [_report(tx, one) for one in incidents.every(tx, with_closed=with_closed, limit=limit)]


def show_incident(tx: Tx, incident_id: int, *, limit: int = 50) -> Report | None:
    """One incident with its newest deliveries."""
    found = incidents.get(tx, incident_id)
    return _report(tx, found, parts=tuple(incidents.parts(tx, found.id, limit=limit))) if found is not None else None


def close_incident(tx: Tx, incident_id: int, *, by: str, now: datetime, note: str = "") -> Answer:
    """End an incident and let the mail that waited for it go."""
    found = incidents.get(tx, incident_id)
    if found is None:
        return no("not_found", say("There is no incident {incident_id}.", incident_id=incident_id))
    pause = incidents.pause_of(tx, found)
    count = incidents.waiting(tx, pause) if pause is not None else 0
    if not incidents.close(tx, found, now=now, by=by, note=note):
        return no("closed", say("Incident {incident_id} was closed already.", incident_id=incident_id))
    text = say(
        "Incident {id} closed ({what})[: {note}]", id=found.id, what=headline(found.subject, found.category), note=note
    )
    events.add(tx, Event(at=now, kind="incident", text=text, by=by))
    sentence = say("Incident {incident_id} is closed.", incident_id=incident_id)
    if pause is not None:
        sentence += " " + (
            say("What waited goes out now: {count}.", count=count) if count else say("Mail goes out again.")
        )
    return Answer(key="done", sentence=sentence, count=count)


def resend_part(tx: Tx, incident_id: int, delivery_id: DeliveryId, plan: Plan, *, now: datetime) -> Answer:
    """Send one mail of an incident again, unless that was done, or needs no doing, by now."""
    if delivery_id not in incidents.to_resend(tx, incident_id, only=delivery_id):
        return no("left_out", say("It needs no sending again any more."))
    if not incidents.mark_resent(tx, incident_id, delivery_id, now=now):
        return no("left_out", say("It was sent again before."))
    return resend(tx, plan)


#: So many mails are sent again in one unit of work.
_AT_ONCE = 200


def resend_failed(tx: Tx, incident_id: int, *, by: str, now: datetime, hostname: str) -> Answer:
    """Send again what failed in an incident and neither arrived nor is under way, a part of it when it is much."""
    if incidents.get(tx, incident_id) is None:
        return no("not_found", say("There is no incident {incident_id}.", incident_id=incident_id))
    wanted = incidents.to_resend(tx, incident_id)
    if not wanted:
        return no("nothing_open", say("Nothing in it needs sending again."))
    sent: list[DeliveryId] = []
    refused: list[str] = []
    for delivery_id in wanted:
        if len(sent) == _AT_ONCE:
            break
        plan = plan_resend(tx, delivery_id, by=by, now=now, hostname=hostname)
        answer = plan if isinstance(plan, Answer) else resend_part(tx, incident_id, delivery_id, plan, now=now)
        if answer.is_done:
            sent += answer.deliveries
        else:
            refused.append(answer.sentence)
    left = len(wanted) - len(sent) - len(refused)
    said = [say("Sent again: {count}.", count=len(sent)), *refused[:3]]
    if left:
        said.append(say("{count} more are left: do it again for the next ones.", count=left))
    return Answer(
        key="some_refused" if refused else "more" if left else "done",
        sentence=" ".join(said),
        is_done=bool(sent) or not refused,
        count=len(sent),
        deliveries=tuple(sent),
    )


def concerns(tx: Tx, incident: Incident, apps: tuple[str, ...] | None) -> bool:
    """Tell whether an incident is about mail of these apps; None: of any."""
    return apps is None or incident.subject.app in apps or not incidents.apps_in(tx, incident.id).isdisjoint(apps)


def _report(tx: Tx, incident: Incident, *, parts: tuple[Part, ...] = ()) -> Report:
    pause = incidents.pause_of(tx, incident)
    return Report(
        incident=incident,
        headline=headline(incident.subject, incident.category),
        advice=advice(incident.subject),
        is_paused=pause is not None,
        waiting=incidents.waiting(tx, pause) if pause is not None else 0,
        to_resend=tuple(incidents.to_resend(tx, incident.id)),
        parts=parts,
    )
