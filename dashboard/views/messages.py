"""One mail: the answer, what happened, what can be done.

The answer and the time line are parts of their own that are fetched again until the mail has ended. What changes
something stands in mail_steps, resending and correcting; what the mail says in content.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from dashboard import mail_links, one_mail, timeline
from dashboard.desk import Desk, local_path
from dashboard.fragments import fragment
from dashboard.guard import at
from dashboard.links import booking_in_app
from dashboard.mail.parts import visible
from dashboard.one_mail import Sheet
from dashboard.views import correcting, mail_steps, resending
from relay.classify.explain import Explanation
from relay.model import Message

#: The parts of the page that are fetched again.
_PARTS = {"answer": "message_answer.html", "timeline": "message_timeline.html"}


async def show(desk: Desk) -> Response:
    """Show the page of one mail."""
    is_utc = one_mail.use_utc(desk)
    sheet = await one_mail.sheet_of(desk, with_papers=True)
    if sheet is None:
        return await desk.missing()
    back = local_path(desk.asked("next"), "")
    return await desk.page("message.html", is_utc=is_utc, back=back, **_context(desk, sheet, is_utc=is_utc))


async def live(desk: Desk) -> Response:
    """Show a part of the page as it is now."""
    is_utc = one_mail.use_utc(desk)
    template = _PARTS.get(desk.asked("part", "answer"))
    sheet = await one_mail.sheet_of(desk) if template else None
    if sheet is None or template is None:
        return await desk.missing()
    return await fragment(desk, template, **_context(desk, sheet, is_utc=is_utc))


async def proof(desk: Desk) -> Response:
    """Show what is known of a mail on one sheet, to be printed or kept."""
    one_mail.use_utc(desk)
    sheet = await one_mail.sheet_of(desk, with_papers=True)
    if sheet is None:
        return await desk.missing()
    await desk.note_reading("proof", on=sheet.told.delivery.id)
    return await desk.page("message_proof.html", **_context(desk, sheet, is_utc=False))


def _context(desk: Desk, sheet: Sheet, *, is_utc: bool) -> dict[str, Any]:
    told = sheet.told

    def title(explanation: Explanation) -> str:
        return one_mail.in_words(explanation, desk).title

    return {
        "sheet": sheet,
        "told": told,
        "message": told.found.message,
        "delivery": told.delivery,
        "lines": timeline.lines_of(told, now=desk.now),
        "title_of": title,
        "links": mail_links,
        "visible": visible,
        "in_app": _in_app(desk, told.found.message),
        "live": f"{mail_links.mail_page(told.delivery.id)}/live?{'utc=1&' if is_utc else ''}part=",
    }


def _in_app(desk: Desk, message: Message) -> str:
    """Where the mail's booking is in the pages of the app that sent it; "" when that is not known."""
    app = next((one for one in desk.config.app if one.name == message.app), None)
    return booking_in_app(app.booking_url, message.booking or "") if app is not None else ""


ROUTES: list[Route] = [
    at("/m/{id}", show),
    at("/m/{id}/live", live),
    at("/m/{id}/proof", proof),
    *resending.ROUTES,
    *correcting.ROUTES,
    *mail_steps.ROUTES,
]
