"""The log as CSV: what the page would show, to its end or to 100,000 rows; the audit log says who took it out.

Rows are read in pieces and sent as they are read. What cannot be read to the end breaks the download off, so that
nobody takes a part for the whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dashboard import csv_rows, log_asked, log_page
from dashboard.access import Role
from dashboard.csv_rows import Dialect
from dashboard.desk import Desk
from dashboard.guard import at
from relay.store import log
from relay.store.log import LogRow, Query

#: The most that is taken out at once.
MOST = 100_000

_PIECE = 1000

_HEADING = (
    *("accepted", "status", "reason", "to", "name", "subject", "booking", "customer", "kind", "app", "from"),
    *("last_event", "tries", "code", "enhanced_code", "answer", "server", "id", "message", "resend_of", "archived"),
)


async def export(desk: Desk) -> Response:
    """Give all that fits as CSV."""
    asked = log_asked.read(desk.request.query_params)
    query = asked.query(apps=desk.apps, now=desk.now, zone=desk.tongue.zone, limit=_PIECE)
    dialect = Dialect.EXCEL if desk.asked("excel") == "1" else Dialect.PLAIN
    await desk.note_reading("export", on=asked.text, kind="log", note=asked.since)
    return StreamingResponse(
        csv_rows.stream(_HEADING, _pieces(desk, query), dialect=dialect),
        media_type=dialect.media_type,
        headers={"Content-Disposition": f'attachment; filename="{csv_rows.file_name("log", desk.now)}"'},
    )


async def _pieces(desk: Desk, query: Query) -> AsyncIterator[Sequence[Sequence[object]]]:
    left = MOST
    while left:
        piece = replace(query, limit=min(_PIECE, left))
        rows = await desk.read(lambda tx, piece=piece: log.search(tx, piece))  # type: ignore[misc]
        yield [_cells(desk, row, query) for row in rows]
        left -= len(rows)
        if len(rows) < piece.limit:
            return
        end = rows[-1].seq
        query = replace(query, since_seq=end) if query.oldest_first else replace(query, before=end)


def _cells(desk: Desk, row: LogRow, query: Query) -> list[object]:
    tongue = desk.tongue
    return [
        tongue.local(row.accepted_at).replace(microsecond=0),
        row.status.value,
        row.category.value if row.category else "",
        row.to,
        row.name,
        row.subject,
        row.booking,
        row.customer,
        row.kind,
        row.app,
        row.sender,
        tongue.local(log_page.last_at(row)).replace(microsecond=0),
        row.attempts,
        row.code,
        row.enhanced,
        row.reply,
        row.mx,
        row.id,
        row.message,
        row.resend_of,
        row.accepted_at < query.archive_ends,
    ]


ROUTES: list[Route] = [at("/log.csv", export, need=Role.SUPPORT)]
