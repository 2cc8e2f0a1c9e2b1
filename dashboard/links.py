"""The addresses of pages that other pages point to, in one place.

A page that has a delivery at hand and wants its customer takes `customer_url`: no email address stands in the path.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode


def customer_url(delivery_id: str) -> str:
    """The page of whoever a delivery was for; it leads on to the customer's own address."""
    return f"/customers/of/{quote(delivery_id, safe='')}"


def mail_url(delivery_id: str, *, form: str = "", back: str = "") -> str:
    """The page of one mail; `form` opens its content as full or plain."""
    tab = {"full": "/formatted", "plain": "/plain"}.get(form, "")
    return f"/m/{delivery_id}{tab}{_next(back)}"


def resend_url(delivery_id: str, *, back: str) -> str:
    """The form that sends one mail again, and where it leads back to."""
    return f"/m/{delivery_id}/resend{_next(back)}"


def booking_url(number: str) -> str:
    """All mail of a booking."""
    return f"/bookings/{quote(number, safe='')}"


def search_url(text: str) -> str:
    """The search for a customer."""
    return f"/customers?{urlencode({'q': text})}"


def _next(back: str) -> str:
    return f"?{urlencode({'next': back})}" if back else ""
