"""The support desk's and the operator's journeys, over a running relay: click limits, what is said, what is sent.

Setup: a relay with its own processes, a guests' server that knows no "nobody…", Bob (support) and Olga (operator).
Test:  Home -> to-dos, customers, bookings, queue -> a click at a time -> what the page says and what the server got.

Every click is counted; typing, and Enter in the search box, are the ones that dashboard.md names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from relay.status import Status
from tests.acceptance.browser import Sight
from tests.acceptance.inn import Inn, at_the_desk, inn
from tests.support.asking import wait_for

#: Long enough for a poll (3 s), a delivery and a slow machine.
SOON = 30_000


@dataclass
class Hand:
    """Somebody's hand: it counts what it clicks."""

    page: Page
    clicks: int = 0

    def click(self, what: Locator) -> None:
        self.clicks += 1
        what.click()

    def press(self, name: str) -> None:
        self.click(self.page.get_by_role("button", name=name, exact=True).first)

    def follow(self, name: str | re.Pattern[str], *, within: str = "main") -> None:
        self.click(self.page.locator(within).get_by_role("link", name=name).first)

    def search(self, text: str) -> None:
        self.clicks += 1  # Enter
        box = self.page.get_by_role("searchbox")
        box.fill(text)
        box.press("Enter")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inn]:
    with inn(tmp_path_factory.mktemp("inn")) as opened:
        yield opened


def main(seen: Sight) -> str:
    """What a person reads on the page; what is folded away is left out."""
    return seen.page.locator("main").inner_text()


def test_j1_did_the_booking_arrive(browser: Browser, house: Inn) -> None:
    house.ended(house.send("anna@guest.example", booking="BK-11001", subject="Confirmation BK-11001"))
    with at_the_desk(browser, house) as seen:
        hand = Hand(seen.page)
        hand.search("BK-11001")
        answer = seen.page.locator(".answer").first
        expect(answer).to_contain_text("reached the customer's mail server")
        box = answer.bounding_box()
        assert box is not None
        assert box["y"] + 40 < 600
        assert hand.clicks <= 1


def test_j2_nothing_was_ever_handed_to_us(browser: Browser, house: Inn) -> None:
    with at_the_desk(browser, house) as seen:
        hand = Hand(seen.page)
        hand.search("BK-11999")
        expect(seen.page.locator("main")).to_contain_text("did not hand")
        assert hand.clicks <= 1
        assert "Not delivered" not in main(seen)


@pytest.mark.parametrize("has_scripts", [True, False])
def test_j4_from_the_to_do_to_delivered(browser: Browser, house: Inn, has_scripts: bool) -> None:
    guest = "mika" if has_scripts else "liisa"
    house.ended(house.send(f"nobody.{guest}@guest.example", name=f"{guest.title()} Salo", booking="BK-11004"))
    with at_the_desk(browser, house, has_scripts=has_scripts) as seen:
        page, hand = seen.page, Hand(seen.page)
        hand.click(page.locator("main").get_by_role("link", name=f"Correct and resend: nobody.{guest}@guest.example"))
        page.get_by_label("New address").fill(f"{guest}@guest.example")
        hand.press("Correct and resend")
        expect(page.locator("main")).to_contain_text("The address is corrected")
        wait_for(lambda: f"{guest}@guest.example" in house.arrived() or None)
        if not has_scripts:
            wait_for(lambda: _is_delivered(house, f"{guest}@guest.example") or None)
            page.reload()
        expect(page.locator("main .tag.ok").first).to_be_visible(timeout=SOON)
        assert hand.clicks <= 4
        seen.open("/todo")
        assert f"nobody.{guest}@guest.example" not in main(seen)
    audited = house.asking.run("audit", "--json").out
    assert '"correct"' in audited


def _is_delivered(house: Inn, address: str) -> bool:
    return any(row["status"] == "delivered" for row in house.asking.log("--to", address))


@pytest.mark.parametrize("has_scripts", [True, False])
def test_m001_11_12_13_14_j5_blocked_unblocked_resent(browser: Browser, house: Inn, has_scripts: bool) -> None:
    guest = "nobody.eva" if has_scripts else "nobody.elsa"
    row = house.ended(house.send(f"{guest}@guest.example", name="Eva Lind", booking="BK-11005"))
    with at_the_desk(browser, house, has_scripts=has_scripts) as seen:
        page, hand = seen.page, Hand(seen.page)
        seen.open(f"/customers/of/{row['id']}")
        expect(page.locator("main")).to_contain_text("Email bounced")
        before = len(house.server.received)
        seen.open(f"/m/{row['id']}/resend")
        expect(page.locator(".banner")).to_contain_text("is blocked")
        page.get_by_role("button", name="Resend email").click()
        expect(page.locator(".banner.bad")).to_contain_text("blocked")
        seen.open(f"/customers/of/{row['id']}")
        hand.click(page.locator("details.flow summary").first)
        hand.press("Unblock")
        expect(page.locator(".banner.bad")).to_contain_text("Confirm action")
        page.get_by_label("Confirm action").first.check()
        hand.clicks += 1
        page.get_by_label("Note").first.fill("rang, is right")
        hand.press("Unblock")
        expect(page.locator("main")).to_contain_text("Email OK")
        hand.clicks -= 1  # the try without a tick is no part of the journey
        hand.follow("Resend")
        hand.press("Resend email")
        assert hand.clicks <= 5
        expect(page.locator(".banner").first).to_be_visible()
        assert len(house.server.received) == before
    wait_for(lambda: len(house.asking.log("--to", f"{guest}@guest.example")) >= 3 or None)


def test_m001_8_9_10_j6_an_archived_mail_goes_again_as_plain_text(browser: Browser, house: Inn) -> None:
    message = house.send("olga.arch@guest.example", html="<p>See <b>you</b> soon.</p>", booking="BK-11006")
    row = house.ended(message)
    with at_the_desk(browser, house) as seen:
        page, hand = seen.page, Hand(seen.page)
        seen.open(f"/customers/of/{row['id']}")
        expect(page.get_by_role("link", name="View archived messages").first).to_be_visible()
        seen.open(f"/m/{row['id']}/resend?form=plain")
        page.get_by_label("Plain text only").check()
        hand.press("Resend email")
        wait_for(lambda: house.arrived().count("olga.arch@guest.example") == 2 or None)
    content = [mail for mail in house.server.received if "olga.arch@guest.example" in mail.recipients][-1].content
    assert b"text/html" not in content
    assert b"See you soon." in content


def test_m003_9_10_11_j7_the_counter_its_last_error_and_the_bin(browser: Browser, house: Inn) -> None:
    row = house.ended(house.send("full.ben@guest.example", name="Ben Full"))
    assert row["status"] == Status.SOFT_BOUNCED.value
    with at_the_desk(browser, house) as seen:
        page, hand = seen.page, Hand(seen.page)
        seen.open(f"/customers/of/{row['id']}")
        hand.click(page.locator("h1 a.count"))
        expect(page.locator("#errors")).to_contain_text("mailbox is full")
        hand.press("Reset counter")
        expect(page.locator("main")).not_to_contain_text("of 12 errors")
        assert page.locator("h1 a.count").count() == 0
        assert hand.clicks <= 2


def test_m000_10_j8_three_to_dos_cleared_and_brought_back(browser: Browser, house: Inn) -> None:
    names = ["nobody.a", "nobody.b", "nobody.c"]
    for name in names:
        house.ended(house.send(f"{name}@guest.example"))
    with at_the_desk(browser, house) as seen:
        page, hand = seen.page, Hand(seen.page)
        seen.open("/todo")
        for name in names:
            page.get_by_label(f"Choose {name}@guest.example").check()
        hand.clicks += len(names)
        hand.press("Clear without fixing")
        assert "nobody.a@guest.example" not in main(seen)
        hand.press("Undo")
        for name in names:
            expect(page.locator("main table")).to_contain_text(f"{name}@guest.example")
        assert hand.clicks <= 5


def test_m000_11_j9_the_words_for_the_customer_and_the_report_are_one_click_away(browser: Browser, house: Inn) -> None:
    row = house.ended(house.send("nobody.copy@guest.example", booking="BK-11009"))
    with at_the_desk(browser, house) as seen:
        page, hand = seen.page, Hand(seen.page)
        seen.open(f"/m/{row['id']}")
        hand.press("Copy text for the customer")
        told = page.evaluate("navigator.clipboard.readText()")
        assert "nobody.copy@guest.example" in told
        assert "550" not in told
        hand.press("Copy technical report")
        report = page.evaluate("navigator.clipboard.readText()")
        for part in ("UTC", "mx.guest.example", "550 5.1.1"):
            assert part in report
        assert hand.clicks <= 2


def test_j10_trouble_at_one_domain_pause_resume_try_now(browser: Browser, house: Inn) -> None:
    message = house.send("later.j10@guest.example")
    wait_for(lambda: [r for r in house.asking.log(message) if r["status"] == "deferred"] or None)
    with at_the_desk(browser, house, "olga") as seen:
        page, hand = seen.page, Hand(seen.page)
        hand.follow("Queue", within="nav")
        hand.follow("guest.example")
        page.locator("#f-pause-reason, [name=reason]").first.fill("they are moving house")
        hand.press("Pause")
        expect(page.locator(".banner").first).to_contain_text("Paused")
        paused = house.send("anna.j10@guest.example")
        wait_for(
            lambda: ((house.asking.log(paused) or None) and "moving house" in str(house.asking.why(paused))) or None
        )
        assert "anna.j10@guest.example" not in house.arrived()
        with at_the_desk(browser, house) as desk:
            desk.open(f"/m/{paused}")
            expect(desk.page.locator(".answer")).to_contain_text("moving house")
        hand.press("Resume")
        expect(page.locator(".banner").first).to_contain_text("goes on")
        hand.press("Try now")
        assert hand.clicks <= 5
    wait_for(lambda: "anna.j10@guest.example" in house.arrived() or None)


def test_j14_a_double_click_and_the_back_button_send_once(browser: Browser, house: Inn) -> None:
    row = house.ended(house.send("twice@guest.example"))
    with at_the_desk(browser, house, has_scripts=False) as seen:
        page = seen.page
        seen.open(f"/m/{row['id']}/resend")
        page.get_by_role("button", name="Resend email").dblclick()
        page.wait_for_url(re.compile("done="))
        page.go_back()
        page.get_by_role("button", name="Resend email").click()
        page.wait_for_url(re.compile("done="))
    wait_for(lambda: house.arrived().count("twice@guest.example") == 2 or None)
    assert len(house.asking.log("--to", "twice@guest.example")) == 2


def test_the_page_shows_by_itself_when_a_mail_has_arrived(browser: Browser, house: Inn) -> None:
    message = house.send("later.live@guest.example")
    row = wait_for(lambda: [r for r in house.asking.log(message) if r["status"] == "deferred"] or None)[0]
    with at_the_desk(browser, house) as seen:
        seen.open(f"/m/{row['id']}")
        expect(seen.page.locator(".answer")).to_contain_text("Not yet")
        house.asking.run("cancel", row["id"])
        expect(seen.page.locator(".answer")).to_contain_text("cancelled", timeout=SOON)
