"""The journeys of dashboard.md section 6 that go over bookings and customers, with and without JavaScript.

A click is a click or Enter; typing is free. What a journey may cost stands at the end of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Locator

from relay.status import Status
from relay.store import log, suppressions
from tests.acceptance.browser import Sight, sight
from tests.acceptance.conftest import FullHouse
from tests.acceptance.seed import Seeder

SCRIPTS = pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])

UNKNOWN = "550 5.1.1 <{}>: Recipient address rejected: User unknown"
FULL = "552 5.2.2 <{}>: Mailbox is full"
OK = "250 2.0.0 Ok"


@dataclass
class Walk:
    """Somebody at the desk, whose clicks are counted."""

    seen: Sight
    clicks: int = 0

    def click(self, at: Locator) -> None:
        self.clicks += 1
        at.first.click()


@contextmanager
def walk(browser: Browser, house: FullHouse, path: str, *, who: str, has_scripts: bool) -> Iterator[Walk]:
    """Begin on a page."""
    with sight(browser, house.base, who=house.sessions[who], has_scripts=has_scripts) as seen:
        yield Walk(seen.open(path))


@SCRIPTS
def test_j2_no_mail_for_this_booking(browser: Browser, full_house: FullHouse, has_scripts: bool) -> None:
    with walk(browser, full_house, "/bookings/BK-29013", who="bob", has_scripts=has_scripts) as one:
        box = one.seen.page.locator(".nothing")
        assert "did not hand one to us" in box.inner_text()
        assert box.bounding_box()["y"] < 600  # type: ignore[index]
        assert one.seen.page.locator(".answer").count() == 0
        one.seen.open("/customers?q=nobody.got.this@posti.example")
        assert "wrong password" in one.seen.page.locator(".nothing .door").inner_text()


@SCRIPTS
def test_j5_unblock_a_customer_and_resend(browser: Browser, full_house: FullHouse, has_scripts: bool) -> None:
    house = Seeder(full_house.store)
    address = f"j5.{has_scripts}@posti.example".lower()
    mail = house.mail(address, name="Maija Maalari", subject="J5", booking="BK-50005")
    house.answer(mail, UNKNOWN, Status.INVALID)
    with walk(browser, full_house, f"/customers/of/{mail.id}", who="bob", has_scripts=has_scripts) as one:
        page = one.seen.page
        assert "Email bounced" in page.locator(".flow summary").first.inner_text()
        page.goto(f"{full_house.base}/m/{mail.id}/resend")
        assert "is blocked" in page.locator("main").inner_text()
        page.goto(f"{full_house.base}/customers/of/{mail.id}")
        one.click(page.locator(".flow summary"))
        page.get_by_role("button", name="Unblock").click()  # without the tick nothing happens
        assert "Tick “Confirm action”" in page.locator(".banner.bad").inner_text()
        assert _is_blocked(full_house, address)
        one.click(page.get_by_label("Confirm action"))
        page.get_by_label("Note (optional)").fill("rang her")
        one.click(page.get_by_role("button", name="Unblock"))
        assert "Email OK" in page.locator(".flow summary").first.inner_text()
        assert not _is_blocked(full_house, address)
        one.click(page.locator("table.history").get_by_role("link", name="Resend"))
        one.click(page.get_by_role("button", name="Resend email"))
        assert page.url.split("?")[0].startswith(f"{full_house.base}/customers/")
        row = page.locator("table.history tbody tr").first
        assert "pending" in row.inner_text()
        assert one.clicks <= 5


@SCRIPTS
def test_j6_resend_archived_mail_as_plain_text(browser: Browser, full_house: FullHouse, has_scripts: bool) -> None:
    house = Seeder(full_house.store)
    address = f"j6.{has_scripts}@posti.example".lower()
    mail = house.mail(address, name="Olli Old", subject="Old J6", age=timedelta(days=70))
    house.answer(mail, OK, Status.DELIVERED)
    with walk(browser, full_house, f"/customers/of/{mail.id}", who="bob", has_scripts=has_scripts) as one:
        page = one.seen.page
        one.click(page.get_by_role("link", name="View archived messages"))
        one.click(page.locator("table.history").get_by_role("link", name="Plain text"))
        one.click(page.get_by_role("link", name="Resend email"))
        one.click(page.get_by_role("button", name="Resend email"))
        assert "archived=yes" in page.url
        assert "pending" in page.locator("table.history tbody tr").first.inner_text()
        assert one.clicks <= 5
    rows = full_house.store.read_now(lambda tx: log.search(tx, log.Query(address=address)))
    assert [(row.form, row.resend_of == mail.id) for row in rows] == [("plain", True), ("full", False)]


@SCRIPTS
def test_j7_the_counter_its_last_error_and_the_bin(browser: Browser, full_house: FullHouse, has_scripts: bool) -> None:
    house = Seeder(full_house.store)
    address = f"j7.{has_scripts}@posti.example".lower()
    for turn in range(13):
        mail = house.mail(address, name="Ulla Full", subject=f"J7 {turn}")
        house.answer(mail, FULL, Status.SOFT_BOUNCED)
    assert _is_blocked(full_house, address)
    with walk(browser, full_house, f"/customers/of/{mail.id}", who="bob", has_scripts=has_scripts) as one:
        page = one.seen.page
        counter = page.locator("h1 .count")
        assert counter.inner_text().startswith("13")
        one.click(counter)
        assert "mailbox is full" in page.locator("#errors").inner_text()
        one.click(page.get_by_role("button", name="Reset counter"))
        assert page.locator("h1 .count").count() == 0
        assert "Email OK" in page.locator(".flow summary").first.inner_text()
        assert one.clicks <= 2
    assert not _is_blocked(full_house, address)


def test_a_row_turns_delivered_by_itself(browser: Browser, full_house: FullHouse) -> None:
    house = Seeder(full_house.store)
    mail = house.mail("live@posti.example", name="Liv E", subject="Live", age=timedelta(minutes=1))
    with walk(browser, full_house, f"/customers/of/{mail.id}", who="vera", has_scripts=True) as one:
        rows = one.seen.page.locator("table.history tbody")
        assert "Queued" in rows.inner_text()
        house.answer(mail, OK, Status.DELIVERED)
        one.seen.page.wait_for_selector("table.history tbody[data-final]")
        assert "Delivered" in rows.inner_text()


def _is_blocked(house: FullHouse, address: str) -> bool:
    now = Seeder(house.store).now + timedelta(minutes=1)
    return bool(house.store.read_now(lambda tx: suppressions.active_on(tx, address, scope="address", now=now)))
