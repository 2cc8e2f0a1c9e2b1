"""Where the pages are that the page of one mail leads to: written once, so that nobody guesses an address twice."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from relay.model import Suppression

#: The forms in which a mail can be looked at, in the order of the tabs.
FORMS = ("formatted", "plain", "headers", "attachments")


def mail_page(delivery_id: str) -> str:
    """The page of one mail."""
    return f"/m/{quote(delivery_id, safe='')}"


def content_page(delivery_id: str, *, form: str, back: str = "") -> str:
    """What stands in a mail, in one of FORMS."""
    return f"{mail_page(delivery_id)}/content?{urlencode({'form': form} | ({'next': back} if back else {}))}"


def form_page(delivery_id: str, what: str, **values: str) -> str:
    """The form that resends a mail or corrects its address, with what is filled in already."""
    filled = {name: value for name, value in values.items() if value}
    return f"{mail_page(delivery_id)}/{what}{'?' if filled else ''}{urlencode(filled)}"


def booking_page(reference: str, *, app: str) -> str:
    """All mail of one booking."""
    return f"/bookings/{quote(reference, safe='')}?{urlencode({'sender': app})}"


def customer_page(delivery_id: str) -> str:
    """The page of whoever a delivery was for."""
    return f"/customers/of/{quote(delivery_id, safe='')}"


def block_page(block: Suppression) -> str:
    """One block, with the form that lifts it."""
    return f"/suppressions/{block.id}"


def blocking_page(address: str) -> str:
    """The form that blocks an address."""
    return f"/suppressions/add?{urlencode({'address': address})}"
