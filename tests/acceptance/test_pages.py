"""Every page, as everybody may meet it: axe, narrow and wide, light and dark, small targets, one h1, no other host."""

from __future__ import annotations

import gzip
import urllib.error
import urllib.request

import pytest
from playwright.sync_api import Browser

from dashboard.mail_links import FORMS
from tests.acceptance.browser import Scheme, sight
from tests.acceptance.conftest import FullHouse

PAGES = [
    *("/no-such-page", "/users", "/users/bob", "/me"),
    *("/log", "/log?q=virtanen", "/log?q=status:invalid", "/log?q=nothing-like-this"),
    *("/queue", "/queue/posti.example", "/domains", "/domains/hotel.example", "/senders", "/settings", "/audit"),
    *("/senders/hotel?picture=BK-%23%23%23%23%23", "/help", "/help/statuses"),
    *("/bookings/{booking}", "/bookings/BK-29013", "/bookings/BK-20877/resend"),
    *("/customers", "/customers?q=sari", "/customers?q=nobody.got.this@posti.example"),
    *("/customers/of/{archived}", "/customers/of/{blocked}", "/customers/of/{hostile}"),
    *("/suppressions", "/suppressions?q=nothing", "/suppressions/1", "/suppressions/add"),
    *("/suppressions/import", "/suppressions/undo", "/suppressions/undo?since=2020-01-01"),
]
PAGES += ["/m/{unknown}", "/m/{deferred}", "/m/{blocked}/resend", "/m/{unknown}/correct", "/m/{delivered}/proof"]
PAGES += ["/m/{hostile}", *(f"/m/{{hostile}}/content?form={form}" for form in FORMS)]

LOOKS: list[tuple[Scheme, int]] = [("light", 1280), ("dark", 320)]


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_for_everybody(
    browser: Browser, full_house: FullHouse, path: str, scheme: Scheme, width: int
) -> None:
    address = address_of(path, full_house)
    with sight(browser, full_house.base, who=full_house.sessions["alice"], scheme=scheme, width=width) as seen:
        page = seen.open(address).page
        assert seen.violations() == []
        assert seen.overflows() <= 0
        assert seen.small_targets() == []
        assert page.locator("h1").count() == 1
        assert page.title().endswith(" – Waybill")
        assert page.locator("html").get_attribute("lang") == "en"
        assert page.locator("*").count() <= 1500
        # The way there and what is asked again later do not hold the page up.
        later = ("/live?", "/customers/of/", "/rows")
        assert len([one for one in seen.requests if not any(part in one for part in later)]) <= 5


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_light(full_house: FullHouse, path: str) -> None:
    cookie = f"waybill={full_house.sessions['alice']}"
    request = urllib.request.Request(full_house.base + address_of(path, full_house), headers={"Cookie": cookie})
    try:
        with urllib.request.urlopen(request) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        content = error.read()
    assert len(content) <= 60_000
    assert len(gzip.compress(content)) <= 10_000


def address_of(path: str, house: FullHouse) -> str:
    found = house.seeded
    return path.format(
        delivered=found.delivered,
        unknown=found.unknown,
        deferred=found.deferred,
        blocked=found.blocked_id,
        archived=found.archived,
        hostile=found.hostile[1],
        booking=found.booking,
    )


def test_the_gate_itself_sees_faults(browser: Browser, full_house: FullHouse) -> None:
    """Three seeded faults must turn it red, else all the green above means nothing."""
    with sight(browser, full_house.base, who=full_house.sessions["alice"]) as seen:
        page = seen.open("/no-such-page").page
        page.evaluate("document.documentElement.removeAttribute('lang')")
        page.evaluate("document.querySelector('label').remove()")
        page.evaluate("document.querySelector('h1').style.color = '#ddd'")
        rules = {line.split(" ")[0] for line in seen.violations()}
        assert {"html-has-lang", "color-contrast"} <= rules
        page.evaluate("document.querySelector('main').style.width = '3000px'")
        assert seen.overflows() > 0
        page.evaluate("document.querySelector('.button').style.cssText = 'width:9px;min-height:0;padding:0'")
        assert seen.small_targets() != []
