"""The pages in the other languages on a phone; every page and width is `make acceptance`."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from dashboard.tongue import LANGUAGES
from tests.acceptance.browser import sight
from tests.acceptance.conftest import FullHouse
from tests.acceptance.test_pages import address_of

#: What people see all day; the word that the page must say in each language stands beside it.
PAGES = ["/", "/log?q=virtanen", "/m/{unknown}", "/customers/of/{blocked}", "/todo"]


@pytest.mark.parametrize("code", [code for code in LANGUAGES if code != "en"])
def test_a_language_fits_on_its_pages(browser: Browser, full_house: FullHouse, code: str) -> None:
    who = full_house.sessions["alice"]
    with sight(browser, full_house.base, who=who, width=320, locale=code) as seen:
        for path in PAGES:
            page = seen.open(address_of(path, full_house)).page
            assert page.locator("html").get_attribute("lang") == code
            assert seen.overflows() <= 0, path
            assert "Sign out" not in page.locator("body").inner_text(), path
            assert seen.violations() == [], path
