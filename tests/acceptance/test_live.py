"""What follows by itself: asked anew until the end of a mail, only while somebody sees the page, until it is paused.

The clock of the page is ours, so minutes pass at once; requests are counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from playwright.sync_api import Browser, expect

from relay.model import Delivery
from relay.status import Status
from tests.acceptance.browser import Sight, sight
from tests.acceptance.conftest import FullHouse
from tests.acceptance.seed import Seeder

OK = "250 2.0.0 Ok"

#: Past the first look, and past all the pauses between looks there are.
_A_TURN, _LONG = 3_100, 200_000


@contextmanager
def watching(browser: Browser, house: FullHouse, path: str) -> Iterator[Sight]:
    with sight(browser, house.base, who=house.sessions["bob"]) as seen:
        seen.page.clock.install()
        yield seen.open(path)


def looks(seen: Sight, *, during: int) -> int:
    """Let time pass and count how often the page asked for a part of itself."""
    seen.page.wait_for_load_state("networkidle")
    seen.requests.clear()
    seen.page.clock.run_for(during)
    seen.page.wait_for_load_state("networkidle")
    seen.page.evaluate("0")  # what was asked has been told by now
    return len([one for one in seen.requests if "/live" in one or "/rows" in one])


def waiting(house: FullHouse, address: str) -> tuple[Seeder, Delivery]:
    seeder = Seeder(house.store)
    return seeder, seeder.mail(address, name="Liv E", subject="Live", age=timedelta(minutes=1))


def hide(seen: Sight, state: str) -> None:
    seen.page.evaluate(
        """(state) => {
          Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        state,
    )


def test_a_mail_that_has_ended_is_asked_about_no_more(browser: Browser, full_house: FullHouse) -> None:
    seeder, mail = waiting(full_house, "live.ends@posti.example")
    with watching(browser, full_house, f"/m/{mail.id}") as seen:
        page = seen.page
        assert looks(seen, during=_A_TURN) > 0
        seeder.answer(mail, OK, Status.DELIVERED)
        page.clock.run_for(_A_TURN)
        expect(page.locator(".answer")).to_contain_text("Delivered")
        expect(page.locator("[data-live]:not([data-final])")).to_have_count(0)
        assert looks(seen, during=_LONG) == 0


def test_nothing_is_asked_while_nobody_sees_the_page(browser: Browser, full_house: FullHouse) -> None:
    _, mail = waiting(full_house, "live.hidden@posti.example")
    with watching(browser, full_house, f"/m/{mail.id}") as seen:
        hide(seen, "hidden")
        assert looks(seen, during=_LONG) == 0
        with seen.page.expect_request("**/live**"):  # and at once when it is seen again
            hide(seen, "visible")
        assert looks(seen, during=_A_TURN) > 0


def test_updates_are_paused_and_go_on(browser: Browser, full_house: FullHouse) -> None:
    with watching(browser, full_house, "/log?q=virtanen") as seen:
        button = seen.page.get_by_role("button", name="Pause updates")
        assert looks(seen, during=_A_TURN) > 0
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        assert looks(seen, during=_LONG) == 0
        with seen.page.expect_request("**/log/live**"):
            button.click()
        assert looks(seen, during=_A_TURN) > 0


def test_a_row_that_changes_keeps_the_focus_of_its_link(browser: Browser, full_house: FullHouse) -> None:
    """A part must not stand still because somebody pressed a button in it."""
    seeder, mail = waiting(full_house, "live.focus@posti.example")
    with watching(browser, full_house, f"/customers/of/{mail.id}") as seen:
        page = seen.page
        page.locator("table.history").get_by_role("link").first.focus()
        name = page.evaluate("document.activeElement.getAttribute('href')")
        seeder.answer(mail, OK, Status.DELIVERED)
        page.clock.run_for(_A_TURN)
        expect(page.locator("table.history tbody")).to_contain_text("Delivered")
        assert page.evaluate("document.activeElement.getAttribute('href')") == name
