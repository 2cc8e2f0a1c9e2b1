"""Incidents: failures that are about us, gathered so that they stop, can be undone and sent again in one go.

`join` is called by record.py inside the transaction that records a failure; only failures that relay/incidents.py
calls ours come here, so that others pay nothing. From the threshold on the incident pauses its domain (or the app
whose smarthost it is): what is open waits instead of failing. What its deliveries had added to error counters is taken
back, and nothing more is counted while it is paused. When somebody ends the pause alone, the threshold counts anew.

The store alone says what is open and paused, so several nodes act as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relay.incidents import PAUSING, Kind, Subject, headline, subject_of
from relay.model import DeliveryId, Disposition, MessageId, Outcome
from relay.settings import IncidentSettings
from relay.status import Status
from relay.store import pauses
from relay.store.pauses import Pause, held_text
from relay.store.protocols import Row, Tx, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident as it is stored."""

    id: int
    subject: Subject
    category: str
    rule: str
    reply: str  #: the first one
    count: int  #: deliveries in it
    since_at: datetime
    last_at: datetime
    paused_at: datetime | None  #: when it last paused what it is about
    closed_at: datetime | None
    by: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What became of a failure that belongs to an incident."""

    id: int
    is_spared: bool  #: no address is counted or blocked for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One delivery of an incident."""

    id: DeliveryId
    message_id: MessageId
    address: str
    status: Status
    at: datetime
    resent_at: datetime | None
    app: str
    subject: str
    booking: str | None
    reply: str | None


def join(tx: Tx, row: Row, disposition: Disposition, *, settings: IncidentSettings) -> Joined | None:
    """Add a result to its incident; None when it belongs to none. `row` is that of record.subject."""
    outcome, reply = disposition.outcome, disposition.reply
    subject = subject_of(disposition.status, outcome=outcome, reply=reply, domain=row["domain"], app=row["app"])
    if subject is None or outcome is None:
        return None
    incident = _open(tx, subject, outcome, reply.text if reply else "", at=disposition.at)
    if tx.run("incidents.add", {"id": incident.id, "delivery_id": disposition.delivery_id, "at": disposition.at}):
        tx.later("incidents.count_one", {"id": incident.id})
    is_paused = subject.kind in PAUSING and (
        pause_of(tx, incident) is not None or _stop_if_many(tx, incident, now=disposition.at, settings=settings)
    )
    return Joined(id=incident.id, is_spared=is_paused)


def _open(tx: Tx, subject: Subject, outcome: Outcome, reply: str, *, at: datetime) -> Incident:
    key: dict[str, Value] = {"kind": subject.kind.value, "domain": subject.domain, "app": subject.app, "at": at}
    found = tx.rows("incidents.touch", key)
    if not found:
        params = {**key, "category": outcome.category.value, "rule": outcome.rule, "reply": reply}
        found = tx.rows("incidents.join", params)
    return _incident(found[0])


def mark_counted(tx: Tx, joined: Joined, delivery_id: DeliveryId) -> None:
    """Remember that a delivery raised its address's counter, so that it can be taken back."""
    tx.later("incidents.mark_counted", {"id": joined.id, "delivery_id": delivery_id})


def _stop_if_many(tx: Tx, incident: Incident, *, now: datetime, settings: IncidentSettings) -> bool:
    """Pause what the incident is about once it passed the threshold; tell whether it did."""
    since = now - settings.within
    if incident.paused_at is not None:
        since = max(since, incident.paused_at)
    params: dict[str, Value] = {"id": incident.id, "since": since, "most": settings.failures + 1}
    row = tx.one("incidents.recent", params)
    if row is None or row["recent"] <= settings.failures:
        return False
    scope, value = incident.subject.pause
    reason = f"incident {incident.id}: {headline(incident.subject, incident.category)}"
    pauses.pause(tx, scope=scope, value=value, reason=reason, by=_pauser(incident), now=now)
    tx.later("incidents.mark_paused", {"id": incident.id, "at": now})
    take_back(tx, incident, now=now)
    return True


def take_back(tx: Tx, incident: Incident, *, now: datetime) -> None:
    """Undo what its deliveries did to error counters and blocks of their addresses."""
    note = f"incident {incident.id} was our fault"
    tx.later("incidents.take_back_errors", {"id": incident.id})
    params: dict[str, Value] = {"id": incident.id, "now": now, "by": "", "note": note, "since": incident.since_at}
    tx.later("incidents.take_back_blocks", params)
    tx.later("incidents.forgive", {"id": incident.id, "now": now})
    tx.later("incidents.forget_counted", {"id": incident.id})


def pause_of(tx: Tx, incident: Incident) -> Pause | None:
    """The pause by which the incident stops what it is about, while it stands."""
    if incident.subject.kind not in PAUSING:
        return None
    return next((one for one in pauses.every(tx) if one.by == _pauser(incident)), None)


def waiting(tx: Tx, pause: Pause) -> int:
    """How many deliveries wait for the end of its pause."""
    row = tx.one("incidents.waiting", {"held": held_text(pause)})
    return int(row["waiting"]) if row is not None else 0


def close(tx: Tx, incident: Incident, *, now: datetime, by: str, note: str) -> bool:
    """End an incident and its pause; False when it had ended. What waited is due at once."""
    if tx.run("incidents.close", {"id": incident.id, "now": now, "by": by, "note": note}) != 1:
        return False
    pause = pause_of(tx, incident)
    if pause is not None:
        pauses.end(tx, pause, now=now)
    return True


def close_quiet_resolver(tx: Tx, *, before: datetime, now: datetime) -> list[Incident]:
    """End the incidents of our name servers all of whose mail has ended; return them."""
    found = [_incident(row) for row in tx.rows("incidents.ended_resolver", {"before": before})]
    return [one for one in found if close(tx, one, now=now, by="", note="all of its mail has ended")]


def get(tx: Tx, incident_id: int) -> Incident | None:
    """One incident."""
    row = tx.one("incidents.get", {"id": incident_id})
    return _incident(row) if row is not None else None


def every(tx: Tx, *, with_closed: bool = False, limit: int = 100) -> list[Incident]:
    """The open incidents, or all, the newest first."""
    params: dict[str, Value] = {"with_closed": int(with_closed), "limit": limit}
    return [_incident(row) for row in tx.rows("incidents.list", params)]


def parts(tx: Tx, incident_id: int, *, limit: int = 50) -> list[Part]:
    """The newest deliveries in it."""
    return [
        Part(
            id=DeliveryId(row["id"]),
            message_id=MessageId(row["message_id"]),
            address=row["address"],
            status=Status(row["status"]),
            at=row["at"],
            resent_at=row["resent_at"],
            app=row["app"],
            subject=row["subject"],
            booking=row["booking"],
            reply=row["reply"],
        )
        for row in tx.rows("incidents.deliveries", {"id": incident_id, "limit": limit})
    ]


def apps_in(tx: Tx, incident_id: int) -> frozenset[str]:
    """Name the apps whose mail is in it."""
    return frozenset(row["app"] for row in tx.rows("incidents.apps", {"id": incident_id}))


def to_resend(tx: Tx, incident_id: int, *, only: DeliveryId | None = None) -> list[DeliveryId]:
    """What failed in it (or this one of it) and neither arrived, nor is under way, nor was sent again because of it."""
    found = tx.rows("incidents.to_resend", {"id": incident_id, "only": only or ""})
    return [DeliveryId(row["id"]) for row in found]


def mark_resent(tx: Tx, incident_id: int, delivery_id: DeliveryId, *, now: datetime) -> bool:
    """Take the right to send one delivery again; False when somebody has it."""
    return tx.run("incidents.mark_resent", {"id": incident_id, "delivery_id": delivery_id, "now": now}) == 1


def _pauser(incident: Incident) -> str:
    return f"incident {incident.id}"


def _incident(row: Row) -> Incident:
    return Incident(
        id=row["id"],
        subject=Subject(kind=Kind(row["kind"]), domain=row["domain"], app=row["app"]),
        category=row["category"],
        rule=row["rule"],
        reply=row["reply"],
        count=row["count"],
        since_at=row["since_at"],
        last_at=row["last_at"],
        paused_at=row["paused_at"],
        closed_at=row["closed_at"],
        by=row["by"],
        note=row["note"],
    )
