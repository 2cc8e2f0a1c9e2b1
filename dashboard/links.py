"""The addresses of pages that other pages point to, in one place.

A page that has a delivery at hand and wants its customer takes `customer_url`: no email address stands in the path.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from dashboard import mail_links


def customer_url(delivery_id: str, params: Mapping[str, str] | None = None) -> str:
    """The page of whoever a delivery was for; it leads on to the customer's own address, which is longer."""
    kept = {name: value for name, value in (params or {}).items() if value}
    return f"/customers/of/{quote(delivery_id, safe='')}{f'?{urlencode(kept)}' if kept else ''}"


def mail_url(delivery_id: str, *, form: str = "", back: str = "") -> str:
    """The page of one mail; `form` opens its content as full or plain."""
    if not form:
        return mail_links.mail_page(delivery_id)
    return mail_links.content_page(delivery_id, form="formatted" if form == "full" else form, back=back)


def resend_url(delivery_id: str, *, back: str) -> str:
    """The form that sends one mail again, and where it leads back to."""
    return mail_links.form_page(delivery_id, "resend", next=back)


def correct_url(delivery_id: str, *, back: str) -> str:
    """The form that corrects the address of one mail and sends it again."""
    return mail_links.form_page(delivery_id, "correct", next=back)


def booking_url(number: str) -> str:
    """All mail of a booking."""
    return f"/bookings/{quote(number, safe='')}"


def booking_in_app(template: str | None, number: str) -> str:
    """The booking in the app's own pages (App.booking_url); "" without a template or a number that could be there."""
    if not template or not number.strip("."):  # a path of dots alone would lead to another page
        return ""
    return template.replace("{ref}", quote(number, safe=""))


def search_url(text: str) -> str:
    """The search for a customer."""
    return f"/customers?{urlencode({'q': text})}"
