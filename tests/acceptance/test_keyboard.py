"""The desk's journeys without a mouse: Tab, Enter, Space and typing alone, and every stop of the focus is seen.

J1, J2 and J5 run in make test, the others in make acceptance. Nothing here clicks: the hand below has no mouse.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from relay.status import Status
from relay.store import log, notice_list, notices, spool, suppressions
from relay.store.notice_list import Listing
from tests.acceptance.browser import sight
from tests.acceptance.conftest import FullHouse
from tests.acceptance.seed import ANSWERS, Seeder
from tests.store.making import disposition

#: More stops than any page has before what a journey needs.
_STOPS = 250

#: What is wrong with how the focused element shows that it is focused ("" when it is well seen); null when there.
_STEP = """(wanted) => {
  const one = document.activeElement;
  const fault = unseen(one);
  return fault === "" && one === wanted ? null : fault;

  function unseen(one) {
    if (!one || one === document.body) return "";
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    const what = one.outerHTML.slice(0, 100);
    if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) return "no ring: " + what;
    if (box.bottom < 1 || box.top > innerHeight - 1 || box.right < 1) return "out of sight: " + what;
    const [first] = one.getClientRects();
    const at = document.elementFromPoint(first.left + first.width / 2, first.top + Math.min(first.height / 2, 12));
    const label = one.closest("label");
    if (!at || one.contains(at) || at.contains(one) || (label && label.contains(at))) return "";
    return "covered: " + what;
  }
}"""


@dataclass
class Keys:
    """Somebody who has a keyboard and nothing else."""

    page: Page

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def search(self, text: str) -> None:
        self.press("/")
        self.page.keyboard.type(text)
        with self.page.expect_navigation():
            self.press("Enter")

    def go_to(self, what: Locator) -> None:
        """Press Tab until it has the focus; every stop on the way is seen."""
        wanted = what.element_handle()
        for _ in range(_STOPS):
            self.press("Tab")
            fault = self.page.evaluate(_STEP, wanted)
            if fault is None:
                return
            assert fault == ""
        raise AssertionError(f"Tab does not lead to {what}")

    def use(self, what: Locator, key: str = "Enter") -> None:
        self.go_to(what)
        self.press(key)

    def follow(self, what: Locator) -> None:
        """Go where a link or a button leads."""
        self.go_to(what)
        with self.page.expect_navigation():
            self.press("Enter")

    @property
    def focused(self) -> str:
        """The id of what has the focus."""
        return str(self.page.evaluate("document.activeElement.id"))


@contextmanager
def keys(browser: Browser, house: FullHouse, path: str, who: str = "bob") -> Iterator[Keys]:
    """Begin on a page."""
    with sight(browser, house.base, who=house.sessions[who]) as seen:
        yield Keys(seen.open(path).page)


def test_j1_a_booking_by_keyboard(browser: Browser, full_house: FullHouse) -> None:
    with keys(browser, full_house, "/") as hand:
        hand.search(full_house.seeded.booking)
        answer = hand.page.locator(".answer").first
        expect(answer).to_contain_text("reached the customer's mail server")
        box = answer.bounding_box()
        assert box is not None
        assert box["y"] < 600


def test_j2_no_mail_for_a_booking_by_keyboard(browser: Browser, full_house: FullHouse) -> None:
    with keys(browser, full_house, "/") as hand:
        hand.search("BK-20878")
        expect(hand.page.locator(".nothing")).to_contain_text("did not hand one to us")
        hand.follow(hand.page.locator(".nothing").get_by_role("link", name="BK-20877"))
        hand.page.wait_for_url("**/bookings/BK-20877**")


@pytest.mark.slow
def test_j3_part_of_a_surname_by_keyboard(browser: Browser, full_house: FullHouse) -> None:
    with keys(browser, full_house, "/") as hand:
        hand.search("irtane")
        row = hand.page.locator("tr[data-row]", has_text="sari@gmial.example")
        hand.follow(row.get_by_role("link").first)
        hand.page.wait_for_url("**/m/*")
        expect(hand.page.locator(".answer").first).to_contain_text("does not exist")


@pytest.mark.slow
def test_j4_a_typing_mistake_by_keyboard(browser: Browser, full_house: FullHouse) -> None:
    store, house = full_house.store, Seeder(full_house.store, now=datetime.now(UTC))
    wrong, right = "keys.wrong@posti.example", "keys.right@letters.example"
    mail = house.mail(wrong, name="Kaisa Keys", subject="J4", booking="BK-40004", age=timedelta(minutes=1))
    house.answer(mail, ANSWERS[0][0], Status.INVALID)
    entries = store.read_now(lambda tx: notice_list.page(tx, Listing(), now=datetime.now(UTC)))
    one = next(entry.notice for entry in entries if entry.notice.address == wrong)
    store.write_now(lambda tx: notices.suggest(tx, one.id, suggestion=right, at=datetime.now(UTC)))
    with keys(browser, full_house, "/todo") as hand:
        page = hand.page
        hand.follow(page.get_by_role("link", name=f"Correct and resend: {wrong}"))
        page.wait_for_url("**/todo/*")
        # A group of radio buttons is one stop; the arrow goes up from "Another address".
        hand.go_to(page.locator("input[name=choice]:checked"))
        hand.press("ArrowUp")
        expect(page.get_by_label(right)).to_be_checked()
        hand.follow(page.get_by_role("button", name="Correct and resend"))
        expect(page.get_by_text("The address is corrected, 1 sent again.")).to_be_visible()
        (copy,) = store.read_now(lambda tx: log.search(tx, log.Query(address=right)))
        store.write_now(lambda tx: spool.record(tx, disposition(copy.id, at=datetime.now(UTC))))
        expect(page.locator(".tag.ok", has_text="Delivered")).to_be_visible()


def test_j5_a_blocked_customer_by_keyboard(browser: Browser, full_house: FullHouse) -> None:
    house, address = Seeder(full_house.store), "keys.blocked@posti.example"
    mail = house.mail(address, name="Kalle Keys", subject="J5", booking="BK-50015")
    house.answer(mail, ANSWERS[0][0], Status.INVALID)
    with keys(browser, full_house, f"/customers/of/{mail.id}") as hand:
        page = hand.page
        hand.use(page.locator(".flow summary").first)
        hand.use(page.get_by_label("Confirm action"), "Space")
        hand.go_to(page.get_by_label("Note (optional)"))
        page.keyboard.type("rang him")
        hand.follow(page.get_by_role("button", name="Unblock"))
        expect(page.locator(".flow summary").first).to_contain_text("Email OK")
        assert not full_house.store.read_now(
            lambda tx: suppressions.active_on(tx, address, scope="address", now=datetime.now(UTC))
        )
        hand.follow(page.locator("table.history").get_by_role("link", name="Resend"))
        hand.follow(page.get_by_role("button", name="Resend email"))
        expect(page.locator("table.history tbody tr").first).to_contain_text("pending")


def test_the_first_stop_skips_to_the_content(browser: Browser, full_house: FullHouse) -> None:
    with keys(browser, full_house, "/log") as hand:
        skip = hand.page.locator(".skip")
        hand.go_to(skip)
        box = skip.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        hand.press("Enter")
        assert hand.focused == "main"
        hand.press("Tab")
        assert hand.page.evaluate("document.activeElement.closest('main') !== null")


def test_a_letter_is_a_letter_while_somebody_types(browser: Browser, full_house: FullHouse) -> None:
    with keys(browser, full_house, "/log") as hand:
        hand.press("/")
        assert hand.focused == "q"
        hand.page.keyboard.type("gt jkx/u?")
        assert hand.page.locator("#q").input_value() == "gt jkx/u?"
        assert hand.focused == "q"
        assert hand.page.url == f"{full_house.base}/log"


@pytest.mark.slow
def test_letter_keys_lead_about_until_they_are_switched_off(browser: Browser, full_house: FullHouse) -> None:
    in_row = "document.activeElement.closest('[data-row]') !== null"
    with keys(browser, full_house, "/log", who="olga") as hand:
        page = hand.page
        hand.press("j")
        assert page.evaluate(in_row)
        hand.press("g", "t")
        page.wait_for_url("**/todo")
        _switch(hand, full_house)
        try:
            page.goto(f"{full_house.base}/log")
            for key in ("/", "j", "k", "x", "g", "t", "u", "?"):
                hand.press(key)
            assert page.url == f"{full_house.base}/log"
            assert page.evaluate("document.activeElement === document.body")
        finally:
            _switch(hand, full_house)
        page.goto(f"{full_house.base}/log")
        hand.press("/")
        assert hand.focused == "q"


def _switch(hand: Keys, house: FullHouse) -> None:
    hand.page.goto(f"{house.base}/me")
    hand.use(hand.page.locator("input[name=keys]"), "Space")
    hand.follow(hand.page.get_by_role("button", name="Keep"))
    expect(hand.page.locator(".banner").first).to_be_visible()
