"""Count a returned mail that nobody could read as looked at."""

from __future__ import annotations

from datetime import datetime

from relay.actions.answer import Answer, no
from relay.model import Event
from relay.store import events, reports
from relay.store.protocols import Tx


def close_report(tx: Tx, report_id: str, *, by: str, now: datetime, note: str = "") -> Answer:
    """Take a report off the list of those that a person has to look at; nothing else changes."""
    found = next((one for one in reports.get(tx, report_id) if one.id == report_id), None)
    if found is None:
        return no("not_found", f"There is no report {report_id}.")
    if not reports.close(tx, report_id):
        return Answer(key="already_done", sentence=f"Report {report_id} was looked at before.")
    text = f"Report {report_id} was looked at{f': {note}' if note else ''}"
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
    return Answer(key="done", sentence=f"Report {report_id} is off the list.", count=1)
