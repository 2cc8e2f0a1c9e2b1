"""For old apps: a picture that says in one word what became of a booking's mail, made by a signature.

The signed page itself is in bookings.py, beside the page it is a part of. See relay/booking_links.py.
"""

from __future__ import annotations

from starlette.responses import Response
from starlette.routing import Route

from dashboard import rendering
from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.marking import N_
from relay import actions
from relay.actions import Verdict
from relay.booking_links import Link, Shows, key_of
from relay.store import meta

#: verdict -> word, tone, shape.
_SAYS: dict[Verdict, tuple[str, str, str]] = {
    Verdict.DELIVERED: (N_("Email delivered"), "ok", "tick"),
    Verdict.PENDING: (N_("Email not delivered yet"), "wait", "clock"),
    Verdict.NOT_DELIVERED: (N_("Email not delivered"), "bad", "cross"),
    Verdict.BLOCKED: (N_("Email blocked"), "block", "no-entry"),
    Verdict.NO_RECORD: (N_("No email"), "off", "dot"),
}

#: tone -> background, text. A picture has no style sheet of ours.
_COLOURS = {
    "ok": ("#e3f4e8", "#14532d"),
    "wait": ("#fff3d6", "#6b4300"),
    "bad": ("#fde7e6", "#7f1512"),
    "block": ("#f0e8f8", "#4c2278"),
    "off": ("#e9edf1", "#374553"),
}

_LETTER = 7.4  #: pixels a letter takes at 13 px, about


async def is_signed(desk: Desk, shows: Shows) -> bool:
    """Tell whether the address was made with the key of the app it names."""
    app = desk.asked("app")
    if app not in {one.name for one in desk.config.app}:
        return False
    link = Link(shows=shows, app=app, booking=desk.request.path_params["ref"], expires=desk.number("expires"))
    secret = await desk.read(lambda tx: meta.known_secret(tx, "booking_links"))
    return secret is not None and link.is_signed(key_of(secret, app), desk.asked("signature"), now=desk.now)


async def badge(desk: Desk) -> Response:
    """Draw what became of the newest mail of a booking; a wrong signature gets nothing."""
    if not await is_signed(desk, Shows.BADGE):
        return Response("", status_code=404)
    app, reference = desk.asked("app"), desk.request.path_params["ref"]
    verdict = await desk.read(lambda tx: actions.verdict_of_booking(tx, reference, apps=(app,)))
    word, tone, icon = _SAYS[verdict]
    text = desk.tongue.text(word)
    background, colour = _COLOURS[tone]
    picture = rendering.render(
        "badge.svg",
        {
            "tongue": desk.tongue,
            "now": desk.now,
            "text": text,
            "icon": icon,
            "background": background,
            "colour": colour,
            "width": round(34 + _LETTER * len(text)),
        },
    )
    headers = {"Cache-Control": "private, max-age=30", "Cross-Origin-Resource-Policy": "cross-origin"}
    return Response(picture, media_type="image/svg+xml", headers=headers)


ROUTES: list[Route] = [
    at("/badge/booking/{ref}.svg", badge, need=None),
]
