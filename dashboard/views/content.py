"""What stands in a mail: formatted, plain, headers, source, attachments.

Whoever reads it needs the switch of their account, and each reading is written into the audit log. The formatted text
is a page of its own that can do nothing: no script, no request to anywhere, no form, no link (dashboard.mail.markup).
Large mail is read in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from dashboard import mail_links, one_mail
from dashboard.desk import Desk, local_path
from dashboard.guard import at
from dashboard.mail import markup, parts
from relay.actions import Telling
from relay.store import content
from relay.store.protocols import Tx

#: What the formatted text may do.
LOCKED = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'self'"
)
_DOWNLOAD = {"Content-Security-Policy": "sandbox; default-src 'none'", "Cross-Origin-Resource-Policy": "same-origin"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A mail whose content may be read."""

    told: Telling
    raw: bytes | None  #: None: it is not kept any more

    @property
    def id(self) -> str:
        return self.told.delivery.id


_Show = Callable[[Desk, Opened], Awaitable[Response]]


def _opening(show: _Show) -> Callable[[Desk], Awaitable[Response]]:
    """Make a view that opens the mail first, for those who may."""

    async def view(desk: Desk) -> Response:
        told = await one_mail.told_of(desk)
        if told is None:
            return await desk.missing()
        if not desk.person.may_read_content:
            return await desk.page("problem.html", status=403, problem="content")
        raw = await desk.read(lambda tx: _load(tx, told))
        return await show(desk, Opened(told=told, raw=raw))

    return view


def _load(tx: Tx, told: Telling) -> bytes | None:
    message = told.found.message
    if message.store_content == "none":
        return None
    return content.load(tx, message.id, delivery_id=told.delivery.id)


async def _page(desk: Desk, opened: Opened) -> Response:
    """Show the content in one form, with the tabs of the others."""
    form = desk.asked("form", "formatted")
    if form not in mail_links.FORMS:
        return await desk.missing()
    mail = await asyncio.to_thread(parts.read, opened.raw) if opened.raw is not None else None
    shown = {"plain": mail.plain, "formatted": mail.html}.get(form) if mail else None
    text = await asyncio.to_thread(parts.text_of, shown) if shown is not None and form == "plain" else None
    if mail is not None and form != "formatted":  # that is written down when its frame is opened
        await desk.note_reading("read", on=opened.id, note=form)
    return await desk.page(
        "message_content.html",
        is_secret=True,
        told=opened.told,
        message=opened.told.found.message,
        delivery=opened.told.delivery,
        form=form,
        mail=mail,
        text=text,
        has_part=shown is not None,
        size=len(opened.raw or b""),
        back=local_path(desk.asked("next"), ""),
        links=mail_links,
    )


async def _formatted(desk: Desk, opened: Opened) -> Response:
    """Give the formatted text by itself, locked up."""
    if desk.asked("next"):  # whoever has somewhere to go back to wants the page around it
        return desk.go(mail_links.content_page(opened.id, form="formatted", back=local_path(desk.asked("next"))))
    page = await asyncio.to_thread(_locked_page, opened.raw) if opened.raw is not None else None
    if page is None:
        return await desk.missing()
    await desk.note_reading("read", on=opened.id, note="formatted")
    headers = {"Content-Security-Policy": LOCKED, "Referrer-Policy": "no-referrer", "X-Frame-Options": "SAMEORIGIN"}
    return HTMLResponse(page.encode("utf-8", "replace"), headers=headers)


def _locked_page(raw: bytes) -> str | None:
    mail = parts.read(raw)
    if mail.html is None:
        return None
    text = parts.text_of(mail.html)
    pictures = mail.pictures() if "cid:" in text.text.lower() else {}
    return markup.page(text.text, pictures)


async def _plain(desk: Desk, opened: Opened) -> Response:
    """Lead to the page of the plain text; a short address for those who link to it."""
    return desk.go(mail_links.content_page(opened.id, form="plain", back=local_path(desk.asked("next"), "")))


async def _source(desk: Desk, opened: Opened) -> Response:
    """Give the mail as it stands, to be saved."""
    if opened.raw is None:
        return await desk.missing()
    await desk.note_reading("read", on=opened.id, note="source")
    headers = {"Content-Disposition": f'attachment; filename="waybill-{opened.id}.eml"', **_DOWNLOAD}
    return Response(opened.raw, media_type="text/plain", headers=headers)


async def _attachment(desk: Desk, opened: Opened) -> Response:
    """Give one attachment, to be saved; it is never opened here."""
    number = desk.request.path_params["number"]
    if opened.raw is None or not (number.isascii() and number.isdigit() and len(number) < 6):
        return await desk.missing()
    found = await asyncio.to_thread(_decoded, opened.raw, int(number))
    if found is None:
        return await desk.missing()
    name, data = found
    await desk.note_reading("read", on=opened.id, note=f"attachment {name}")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', **_DOWNLOAD}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _decoded(raw: bytes, number: int) -> tuple[str, bytes] | None:
    part = parts.read(raw).part(number)
    return (part.file_name, part.content()) if part is not None else None


ROUTES: list[Route] = [
    at("/m/{id}/content", _opening(_page)),
    at("/m/{id}/formatted", _opening(_formatted)),
    at("/m/{id}/plain", _opening(_plain)),
    at("/m/{id}/source", _opening(_source)),
    at("/m/{id}/attachments/{number}", _opening(_attachment)),
]
