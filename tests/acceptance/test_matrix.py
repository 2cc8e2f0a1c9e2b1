"""`make acceptance`: every page in every language, light and dark, wide, narrow and narrowest; and with longer words.

One window for each language and look goes over all pages; what is wrong is gathered, so that one run tells everything.
make test looks at the same things in English (test_pages) and at five pages of the other languages (test_languages).
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from dashboard.app import ROUTES
from dashboard.tongue import LANGUAGES
from tests.acceptance.browser import Scheme, Sight, sight
from tests.acceptance.conftest import FullHouse
from tests.acceptance.places import NO_PAGES, every_address, every_address_outside

WIDTHS = (1280, 768, 320)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")

#: Makes every word 40 % longer, as a language does that nobody has thought of. What people typed grows as well.
_LONGER = """() => {
  const longer = (text) => text.replace(/\\p{L}+/gu, (word) => word + "ä".repeat(Math.ceil(word.length * 0.4)));
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    if (!node.parentElement.closest("script,style,pre,code")) node.data = longer(node.data);
  }
  for (const one of document.querySelectorAll("[placeholder]")) one.placeholder = longer(one.placeholder);
  for (const one of document.querySelectorAll("[data-label]")) one.dataset.label = longer(one.dataset.label);
  for (const one of document.querySelectorAll("details")) one.open = true;
}"""


def faults_of(seen: Sight, code: str) -> list[str]:
    """Say what is wrong with the page that is open."""
    page, found = seen.page, seen.violations()
    if (wide := seen.overflows()) > 0:
        found.append(f"{wide} px too wide")
    found += [f"small: {one}" for one in seen.small_targets()]
    if (count := page.locator("h1").count()) != 1:
        found.append(f"{count} h1")
    if (said := page.locator("html").get_attribute("lang")) != code:
        found.append(f"lang is {said}")
    if not page.title().endswith(" – Waybill"):
        found.append(f"title is {page.title()}")
    if (count := page.locator("*").count()) > 1500:
        found.append(f"{count} nodes")
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("code", LANGUAGES)
def test_all_pages_are_for_everybody(
    browser: Browser, full_house: FullHouse, code: str, scheme: Scheme, width: int
) -> None:
    found: list[str] = []
    locale = "en-GB" if code == "en" else code
    people = ((full_house.sessions["alice"], every_address(full_house)), (None, every_address_outside(full_house)))
    for who, addresses in people:
        titles: dict[str, str] = {}
        with sight(browser, full_house.base, who=who, scheme=scheme, width=width, locale=locale) as seen:
            for address in addresses:
                page = seen.open(address).page
                found += [f"{address}: {one}" for one in faults_of(seen, code)]
                other = titles.setdefault(page.title(), page.url.partition("?")[0])
                if other != page.url.partition("?")[0]:
                    found.append(f"{address}: has the title of {other}")
    assert found == []


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", WIDTHS)
def test_words_that_are_longer_by_two_fifths_fit(browser: Browser, full_house: FullHouse, width: int) -> None:
    with sight(browser, full_house.base, who=full_house.sessions["alice"], width=width) as seen:
        wide = {}
        for address in every_address(full_house):
            seen.open(address).page.evaluate(_LONGER)
            if over := seen.overflows():
                wide[address] = over
    assert wide == {}


def test_no_page_is_left_out(full_house: FullHouse) -> None:
    """Each address of the router is looked at by the matrix, or is known to be no page."""
    paths = {address.partition("?")[0] for address in [*every_address(full_house), *every_address_outside(full_house)]}
    pages = [route for route in ROUTES if "GET" in (route.methods or ()) and route.path not in NO_PAGES]
    assert [route.path for route in pages if not any(route.path_regex.match(path) for path in paths)] == []
    assert {route.path for route in ROUTES} >= NO_PAGES
