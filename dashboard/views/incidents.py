"""Incidents: what is our own fault, gathered; the support desk reads what to tell customers, operators end it.

Everybody may read one that concerns mail they see. Sending again all that failed asks first: more than a few need their
number typed, so that nobody does it by a slip.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from dashboard import labels
from dashboard.access import Role
from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.links import booking_url, mail_url
from dashboard.marking import N_
from dashboard.wellbeing import incident_text
from relay import actions
from relay.actions import IncidentReport
from relay.model import Category
from relay.store.incidents import Part
from relay.store.protocols import Tx

#: From more mails than this their number has to be typed.
_TYPED_FROM = 50

#: What support may tell customers, by kind of incident.
_SENTENCE = {
    "our_fault": N_(
        "“Your email provider does not take our emails at the moment. It is not your fault, we are on it; "
        "your email comes as soon as it is solved.”"
    ),
    "smarthost": N_(
        "“We cannot send emails at the moment. It is not your fault, we are on it; "
        "your email comes as soon as it is solved.”"
    ),
    "content": N_(
        "“Your email provider does not take this email from us. It is not your fault; "
        "we can tell you what was in it by phone.”"
    ),
    "resolver": N_(
        "“We have a fault in our network at the moment, and your email is waiting. It comes as soon as it is solved.”"
    ),
}

_ADVICE = {
    "our_fault": N_(
        "Read the answer, mend what it names (block list, DNS, signature), then send the failed mail again."
    ),
    "smarthost": N_("Check the user name, password and address of the mail service; then send the failed mail again."),
    "content": N_("Ask whoever makes these mails to change them; sending them again unchanged does not help."),
    "resolver": N_("Check the name servers ([dns] servers); the mail waits and goes out by itself once they answer."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One incident as its page shows it."""

    report: IncidentReport
    parts: tuple[Part, ...]
    title: str
    sentence: str
    advice: str
    reason: str

    @property
    def count(self) -> int:
        """How many would be sent again."""
        return len(self.report.to_resend)

    @property
    def must_type(self) -> bool:
        return self.count > _TYPED_FROM


async def show_list(desk: Desk) -> Response:
    """List the incidents, the open ones first."""
    with_closed = desk.asked("show") == "all"

    def unit(tx: Tx) -> list[Shown]:
        found = actions.list_incidents(tx, with_closed=with_closed)
        return [_shown(desk, one) for one in found if actions.concerns(tx, one.incident, desk.apps)]

    return await desk.page("incidents.html", found=await desk.read(unit), with_closed=with_closed)


async def show_one(desk: Desk) -> Response:
    """Show one incident."""
    found = await _read(desk)
    return await desk.missing() if found is None else await _page(desk, found)


async def _page(desk: Desk, found: Shown, *, problems: list[tuple[str, str]] | None = None) -> Response:
    status = 422 if problems else 200
    return await desk.page(
        "incident.html", status=status, found=found, problems=problems or [], booking_url=booking_url, mail_url=mail_url
    )


async def _read(desk: Desk) -> Shown | None:
    text = desk.request.path_params["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        return None

    def unit(tx: Tx) -> IncidentReport | None:
        found = actions.show_incident(tx, int(text))
        is_theirs = found is not None and actions.concerns(tx, found.incident, desk.apps)
        return found if is_theirs else None

    report = await desk.read(unit)
    return _shown(desk, report) if report is not None else None


def _shown(desk: Desk, report: IncidentReport) -> Shown:
    incident, tongue = report.incident, desk.tongue
    kind = incident.subject.kind.value
    return Shown(
        report=report,
        parts=tuple(part for part in report.parts if desk.sees(part.app)),
        title=incident_text(incident, tongue),
        sentence=tongue.text(_SENTENCE[kind]),
        advice=tongue.text(_ADVICE[kind]),
        reason=tongue.text(labels.reason(Category(incident.category))),
    )


async def close(desk: Desk) -> Response:
    """Mark as fixed: what waited goes out."""
    found = await _read(desk)
    if found is None:
        return await desk.missing()
    identity, note = found.report.incident.id, " ".join((await desk.field("note")).split())[:500]
    return await desk.do(
        "incident_close",
        lambda tx: actions.close_incident(tx, identity, by=desk.person.name, now=desk.now, note=note),
        back=f"/incidents/{identity}",
        on=str(identity),
        kind="incident",
        note=note,
    )


async def resend(desk: Desk) -> Response:
    """Send again all that gave up because of it."""
    found = await _read(desk)
    if found is None:
        return await desk.missing()
    if found.must_type and await desk.field("number") != str(found.count):
        text = desk.tongue.text(N_("Type the number of emails that will be sent again: {count}."))
        return await _page(desk, found, problems=[("number", text.format(count=found.count))])
    identity, hostname = found.report.incident.id, desk.config.node.hostname
    return await desk.do(
        "incident_resend",
        lambda tx: actions.resend_failed(tx, identity, by=desk.person.name, now=desk.now, hostname=hostname),
        back=f"/incidents/{identity}",
        on=str(identity),
        kind="incident",
    )


ROUTES: list[Route] = [
    at("/incidents", show_list, need=Role.OPERATOR),
    at("/incidents/{id}", show_one),
    at("/incidents/{id}/close", close, need=Role.OPERATOR, methods=["POST"]),
    at("/incidents/{id}/resend", resend, need=Role.OPERATOR, methods=["POST"]),
]
