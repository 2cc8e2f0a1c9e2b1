"""Journeys of the support desk that begin at the search box, each with JavaScript and without (mission 002, 004).

J1 a booking, one Enter away · J2 no mail for a booking · J3 part of a surname, then why · J12 a filter, then CSV.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page

from relay.model import new_id
from relay.status import Status
from tests.acceptance.browser import Sight, sight
from tests.acceptance.conftest import FullHouse
from tests.acceptance.seed import Seeder

#: Words of the trade that nobody at the desk should have to know.
TRADE = re.compile(r"\b(550|SMTP|bounced?|MX|DSN)\b", re.IGNORECASE)


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def desk(request: pytest.FixtureRequest, browser: Browser, full_house: FullHouse) -> Iterator[Sight]:
    """Bob, who sits at the support desk."""
    session = full_house.sessions["bob"]
    with sight(browser, full_house.base, who=session, has_scripts=request.param) as seen:
        yield seen


def _search(seen: Sight, text: str) -> Page:
    page = seen.open("/").page
    page.get_by_role("searchbox").fill(text)
    page.get_by_role("searchbox").press("Enter")
    return page


def _plain_text(page: Page) -> str:
    """What is read without opening any details."""
    return str(page.locator("main").inner_text())


def test_j1_a_booking_is_one_enter_away(desk: Sight, full_house: FullHouse) -> None:
    page = _search(desk, full_house.seeded.booking)
    page.wait_for_url(f"**/bookings/{full_house.seeded.booking}")
    answer = page.locator(".answer").first
    box = answer.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 600
    assert re.search(r"\d of \d emails reached the customer's mail server", answer.inner_text())


def test_j2_no_mail_for_a_booking_says_that_none_was_handed_to_us(desk: Sight) -> None:
    page = _search(desk, "BK-20878")
    box = page.locator(".nothing")
    assert "did not hand one to us" in box.inner_text()
    assert box.get_by_role("link", name="BK-20877").is_visible()  # what looks alike
    page = _search(desk, "nobody.got.this@posti.example")
    assert "wrong password" in page.locator(".nothing .door").inner_text()


def test_j3_part_of_a_surname_leads_to_the_reason(desk: Sight) -> None:
    page = _search(desk, "irtane")
    page.locator("tr[data-row]", has_text="sari@gmial.example").get_by_role("link").first.click()
    page.wait_for_url("**/m/*")
    answer = page.locator(".answer").first.inner_text()
    assert "does not exist" in answer
    assert TRADE.search(_plain_text(page)) is None


def test_j12_a_filter_and_then_csv(desk: Sight, tmp_path: Path) -> None:
    page = desk.open("/log").page
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Domain of the recipient").fill("posti.example")
    page.get_by_label("Reason").select_option("invalid_address")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**domain=posti.example**")
    shown = page.locator("tr[data-row]")
    count = shown.count()
    assert count > 5
    with page.expect_download() as plain:
        page.get_by_role("link", name="Save as CSV").click()
    path = tmp_path / "log.csv"
    plain.value.save_as(path)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == count
    assert {row["reason"] for row in rows} == {"invalid_address"}
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert any(row["subject"].startswith("'=HYPERLINK") for row in rows)
    with page.expect_download() as excel:
        page.get_by_role("link", name="Save for Excel").click()
    excel.value.save_as(path)
    assert path.read_bytes().startswith(b"\xef\xbb\xbfaccepted;status;")


def test_many_are_chosen_looked_over_and_sent_again_once(desk: Sight, full_house: FullHouse) -> None:
    word = f"Regatta {new_id()}"
    seeder = Seeder(full_house.store)
    for number in range(3):
        one = seeder.mail(f"regatta{number}@posti.example", subject=word, booking=None)
        seeder.answer(one, "250 2.0.0 ok", Status.DELIVERED)
    page = desk.open(f"/log?{urlencode({'q': word})}").page
    for number in range(2):
        page.locator("tr[data-row] input[name=id]").nth(number).check()
    page.get_by_role("button", name="Resend the ticked ones").click()
    page.wait_for_url("**/log/resend")
    assert "2 are left out: they were delivered already." in page.locator("main").inner_text()
    page.get_by_label("Also send the 2 again").check()
    page.get_by_role("button", name="Send again").click()
    page.wait_for_url("**did=resend_many**")
    assert "Queued again: 2." in page.locator(".banner").inner_text()
    assert page.locator("tr[data-row]").count() == 5
    page.reload()
    assert page.locator("tr[data-row]").count() == 5


@pytest.mark.parametrize("width", [1280, 320])
def test_the_look_before_a_resend_is_for_everybody(browser: Browser, full_house: FullHouse, width: int) -> None:
    with sight(browser, full_house.base, who=full_house.sessions["bob"], width=width) as seen:
        page = seen.open("/log?status=not_delivered").page
        for box in page.locator("tr[data-row] input[name=id]").all():
            box.check()
        page.get_by_role("button", name="Resend the ticked ones").click()
        page.wait_for_url("**/log/resend")
        assert "will be sent again" in page.locator(".answer").inner_text()
        assert seen.violations() == []
        assert seen.overflows() <= 0
        assert seen.small_targets() == []
