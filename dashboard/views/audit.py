"""The audit log: who did what, when, on what, and from where.

It names addresses of all apps, so that a person who sees the mail of some only does not have it. Taking it out as CSV
is itself written into it, before the first line leaves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dashboard import csv_rows
from dashboard.access import Role
from dashboard.csv_rows import Dialect
from dashboard.desk import Desk
from dashboard.guard import at
from relay.store import audit
from relay.store.audit import AuditRow
from relay.store.protocols import Tx

_PAGE = 50
_EXPORT_PAGE = 500

_HEADING = ("at", "who", "how", "from", "action", "kind", "object", "text", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the list is narrowed to."""

    by: str
    action: str
    text: str
    since: date | None  #: on the reader's clock
    until: date | None  #: to the end of that day

    @classmethod
    def of(cls, desk: Desk) -> Asked:
        return cls(
            by=desk.asked("by"),
            action=desk.asked("action"),
            text=desk.asked("text"),
            since=_date(desk.asked("since")),
            until=_date(desk.asked("until")),
        )

    @property
    def params(self) -> dict[str, str]:
        """The filters as they stand in an address."""
        found = {"by": self.by, "action": self.action, "text": self.text}
        found |= {"since": str(self.since or ""), "until": str(self.until or "")}
        return {name: value for name, value in found.items() if value}


async def show(desk: Desk) -> Response:
    """List what was done, the newest first."""
    if desk.apps is not None:
        return await desk.missing()
    asked = Asked.of(desk)
    rows, actions = await desk.read(
        lambda tx: (_search(tx, desk, asked, before=desk.number("before"), limit=_PAGE + 1), audit.actions(tx))
    )
    older = rows[_PAGE - 1].seq if len(rows) > _PAGE else None
    return await desk.page(
        "audit.html",
        rows=rows[:_PAGE],
        actions=actions,
        asked=asked,
        is_narrowed=bool(asked.params),
        is_first=desk.number("before") is None,
        newest_url=f"/audit?{urlencode(asked.params)}",
        older_url=f"/audit?{urlencode({**asked.params, 'before': str(older)})}" if older is not None else None,
        csv_url=f"/audit.csv?{urlencode(asked.params)}",
        excel_url=f"/audit.csv?{urlencode({**asked.params, 'for': 'excel'})}",
    )


async def export(desk: Desk) -> Response:
    """Give all that fits as CSV."""
    if desk.apps is not None:
        return await desk.missing()
    asked = Asked.of(desk)
    dialect = Dialect.EXCEL if desk.asked("for") == "excel" else Dialect.PLAIN
    await desk.note_reading("export", on="audit", kind="log", note=urlencode(asked.params))
    return StreamingResponse(
        csv_rows.stream(_HEADING, _pages(desk, asked), dialect=dialect),
        media_type=dialect.media_type,
        headers={"Content-Disposition": f'attachment; filename="{csv_rows.file_name("audit", desk.now)}"'},
    )


async def _pages(desk: Desk, asked: Asked) -> AsyncIterator[Sequence[Sequence[object]]]:
    before: int | None = None
    while True:
        rows = await desk.read(
            lambda tx, before=before: _search(tx, desk, asked, before=before, limit=_EXPORT_PAGE)  # type: ignore[misc]
        )
        yield [_cells(desk, row) for row in rows]
        if len(rows) < _EXPORT_PAGE:
            return
        before = rows[-1].seq


def _cells(desk: Desk, row: AuditRow) -> list[object]:
    one = row.entry
    when, who = desk.tongue.local(one.at), one.actor
    return [when, who.by, who.via.value, who.ip, one.action, one.object_kind, one.object, one.text, one.note]


def _search(tx: Tx, desk: Desk, asked: Asked, *, before: int | None, limit: int) -> list[AuditRow]:
    return audit.search(
        tx,
        by=asked.by or None,
        action=asked.action or None,
        words=asked.text.split()[:10],
        since=_midnight(desk, asked.since),
        until=_midnight(desk, asked.until + timedelta(days=1)) if asked.until else None,
        before=before,
        limit=limit,
    )


def _date(text: str) -> date | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1970 <= found.year < 9999 else None


def _midnight(desk: Desk, day: date | None) -> datetime | None:
    return datetime.combine(day, time.min, tzinfo=desk.tongue.zone).astimezone(UTC) if day else None


ROUTES: list[Route] = [
    at("/audit", show, need=Role.OPERATOR),
    at("/audit.csv", export, need=Role.OPERATOR),
]
