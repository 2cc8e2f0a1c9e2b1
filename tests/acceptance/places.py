"""Every page there is, by its address in the filled house; a page that is not named here is found by test_matrix.

Names in braces stand for what the house was filled with. What answers without a page of its own (parts that are asked
again, files, pictures) is named too, so that nothing is left out by accident.
"""

from __future__ import annotations

import urllib.request
from datetime import UTC, datetime, timedelta

from relay.booking_links import Link, Shows, key_of
from relay.store import incidents, meta, notice_list
from relay.store.notice_list import Listing
from tests.acceptance.conftest import FullHouse
from tests.acceptance.test_pages import PAGES, address_of

#: Pages beside those of test_pages, for somebody who is signed in as admin.
MORE = [
    *("/", "/?span=30d", "/todo", "/todo?tab=cleared", "/todo/{notice}", "/incidents", "/incidents/{incident}"),
    *("/{customer}", "/{customer}/correct", "/{customer}/erase", "/log?refused=1"),
]

#: Pages for somebody who is not.
OUTSIDE = ["/sign-in", "/link/nothing-of-the-kind", "/open/bookings/{signed}"]

#: Addresses that give no page: parts of pages, files, pictures, and a redirection.
NO_PAGES = {
    *("/healthz", "/static/{version}/{name}", "/badge/booking/{ref}.svg"),
    *("/home/live", "/home/steps", "/log/live", "/m/{id}/live", "/bookings/{ref:path}/rows", "/customers/{id}/rows"),
    *("/todo/{id}/mails", "/queue/rows", "/domains/found", "/domains/{domain}/found"),
    *("/log.csv", "/audit.csv", "/suppressions/export.csv", "/customers/{id}/export", "/bookings/{ref:path}/package"),
    *("/m/{id}/formatted", "/m/{id}/plain", "/m/{id}/source", "/m/{id}/attachments/{number}"),
}


def every_address(house: FullHouse) -> list[str]:
    """Give the addresses of all pages of somebody signed in, ready to be opened."""
    return [address_of(path, house) for path in PAGES] + [_address(path, house) for path in MORE]


def every_address_outside(house: FullHouse) -> list[str]:
    """Give the addresses of all pages of somebody who is not signed in."""
    return [_address(path, house) for path in OUTSIDE]


def _address(path: str, house: FullHouse) -> str:
    def look(name: str) -> str:
        match name:
            case "notice":
                entries = house.store.read_now(lambda tx: notice_list.page(tx, Listing(), now=datetime.now(UTC)))
                return str(entries[0].notice.id)
            case "incident":
                return str(house.store.read_now(lambda tx: incidents.every(tx, with_closed=True))[0].id)
            case "customer":
                return _customer(house)
            case _:
                return _signed(house)

    for name in ("notice", "incident", "customer", "signed"):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", look(name))
    return path


def _customer(house: FullHouse) -> str:
    """Follow a mail to its customer, as a link does."""
    request = urllib.request.Request(
        f"{house.base}/customers/of/{house.seeded.archived}", headers={"Cookie": f"waybill={house.sessions['alice']}"}
    )
    with urllib.request.urlopen(request) as answer:
        return str(answer.url).removeprefix(f"{house.base}/").partition("?")[0]


def _signed(house: FullHouse) -> str:
    secret = house.store.write_now(lambda tx: meta.secret(tx, "booking_links"))
    expires = int((datetime.now(UTC) + timedelta(hours=1)).timestamp())
    link = Link(shows=Shows.BOOKING, app="hotel", booking=house.seeded.booking, expires=expires)
    return link.address("", key_of(secret, "hotel")).removeprefix("/open/bookings/")
