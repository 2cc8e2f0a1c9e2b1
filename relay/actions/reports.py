"""Count a returned mail that nobody could read as looked at."""

from __future__ import annotations

from datetime import datetime

from relay.actions.answer import Answer, no
from relay.model import Event
from relay.store import events, reports
from relay.store.protocols import Tx
from relay.wording import say


def close_report(tx: Tx, report_id: str, *, by: str, now: datetime, note: str = "") -> Answer:
    """Take a report off the list of those that a person has to look at; nothing else changes."""
    found = next((one for one in reports.get(tx, report_id) if one.id == report_id), None)
    if found is None:
        return no("not_found", say("There is no report {report_id}.", report_id=report_id))
    if not reports.close(tx, report_id):
        return Answer(key="already_done", sentence=say("Report {report_id} was looked at before.", report_id=report_id))
    text = say("Report {report_id} was looked at[: {note}]", report_id=report_id, note=note)
    events.add(
        tx,
        Event(
            at=now,
            kind="report_closed",
            text=text,
            message_id=found.message_id,
            delivery_id=found.delivery_id,
            address=found.address,
            by=by,
        ),
    )
    return Answer(key="done", sentence=say("Report {report_id} is off the list.", report_id=report_id), count=1)
