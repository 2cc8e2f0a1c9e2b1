"""Help: what the words mean, what to do, whom to ask, and the letter keys. For everybody who is signed in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from starlette.responses import Response
from starlette.routing import Route

from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.labels import WHO
from dashboard.saying import Saying
from dashboard.status_help import KEYS, MARK_HELP, STATUS_HELP
from relay.accounts import Role as AccountRole
from relay.classify.entries import every_entry, with_pending
from relay.classify.explain import Explanation, Value, Words, render
from relay.store import accounts
from relay.store.protocols import Tx

_EXAMPLE_REPLY = "550 5.7.1 message refused"


@dataclass(frozen=True, slots=True)
class EntryHelp:
    """One entry of the catalogue, said about an example."""

    key: str
    words: Words


async def show(desk: Desk) -> Response:
    """Show the start of the help."""
    admins = await desk.read(_admins)
    return await desk.page("help.html", keys=KEYS, admins=admins)


async def statuses(desk: Desk) -> Response:
    """Explain every status, and every reason that a mail can have."""
    entries = list(_entries(desk))
    return await desk.page("help_statuses.html", status_help=STATUS_HELP, mark_help=MARK_HELP, entries=entries, who=WHO)


def _admins(tx: Tx) -> list[str]:
    """Name the people who can help on; those who may sign in now."""
    known = accounts.every(tx)
    return sorted(one.title for one in known if one.role is AccountRole.ADMIN and one.disabled_at is None)


def _entries(desk: Desk) -> Iterable[EntryHelp]:
    """Say every entry about one example, as it reads while we still try and at the end."""
    for key in every_entry():
        for is_pending in (True, False) if key in with_pending() else (False,):
            explanation = Explanation(entry=key, params=_example(desk), is_pending=is_pending)
            yield EntryHelp(key=key, words=render(explanation, tongue=Saying(desk.tongue)))


def _example(desk: Desk) -> dict[str, Value]:
    return {
        "address": "anna@example.com",
        "domain": "example.com",
        "app": "Hotel desk",
        "sender": "desk@hotel.example",
        "from_domain": "hotel.example",
        "subject": "Your booking",
        "query": "BK-20931",
        "reply": _EXAMPLE_REPLY,
        "user": "Sari",
        "until": desk.now + timedelta(days=2),
        "n": 13,
    }


ROUTES: list[Route] = [
    at("/help", show),
    at("/help/statuses", statuses),
]
