"""What follows by itself: asked anew until the end of a mail, only while somebody sees the page, until it is paused.

The clock of the page is ours, so minutes pass at once; requests are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def looks_during(seen: Sight, milliseconds: int) -> int:
    """Let time pass and count how often the page asked for a part of itself."""
    seen.requests.clear()
    seen.page.clock.run_for(milliseconds)
    _settle(seen)
    return len([one for one in seen.requests if "/live" in one or "/rows" in one])


def wait_turns(seen: Sight, is_there: Callable[[], bool]) -> None:
    """Let turns pass, and answers come in between, until something has come true."""
    for _ in range(20):
        seen.page.clock.run_for(_A_TURN)
        _settle(seen)
        if is_there():
            return
    raise AssertionError("it did not come true")


def _settle(seen: Sight) -> None:
    """Ask the server something: what was asked before has been told by then."""
    assert seen.page.evaluate("fetch('/help').then((answer) => answer.status)") == 200


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
        assert looks_during(seen, _A_TURN) > 0
        seeder.answer(mail, OK, Status.DELIVERED)
        wait_turns(seen, lambda: page.locator("[data-live]:not([data-final])").count() == 0)
        expect(page.locator(".answer")).to_contain_text("Delivered")
        assert looks_during(seen, _LONG) == 0


def test_nothing_is_asked_while_nobody_sees_the_page(browser: Browser, full_house: FullHouse) -> None:
    _, mail = waiting(full_house, "live.hidden@posti.example")
    with watching(browser, full_house, f"/m/{mail.id}") as seen:
        hide(seen, "hidden")
        assert looks_during(seen, _LONG) == 0
        with seen.page.expect_request("**/live**"):  # and at once when it is seen again
            hide(seen, "visible")


def test_updates_are_paused_and_go_on(browser: Browser, full_house: FullHouse) -> None:
    with watching(browser, full_house, "/log?q=virtanen") as seen:
        button = seen.page.get_by_role("button", name="Pause updates")
        assert looks_during(seen, _A_TURN) > 0
        button.click()
        expect(button).to_have_attribute("aria-pressed", "true")
        assert looks_during(seen, _LONG) == 0
        with seen.page.expect_request("**/log/live**"):
            button.click()


def test_a_row_that_changes_keeps_the_focus_of_its_link(browser: Browser, full_house: FullHouse) -> None:
    """A part must not stand still because somebody pressed a button in it."""
    seeder, mail = waiting(full_house, "live.focus@posti.example")
    with watching(browser, full_house, f"/customers/of/{mail.id}") as seen:
        page = seen.page
        page.locator("table.history").get_by_role("link").first.focus()
        name = page.evaluate("document.activeElement.getAttribute('href')")
        seeder.answer(mail, OK, Status.DELIVERED)
        wait_turns(seen, lambda: "Delivered" in page.locator("table.history tbody").inner_text())
        assert page.evaluate("document.activeElement.getAttribute('href')") == name
