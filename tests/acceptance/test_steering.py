"""J10 in a browser: trouble with one provider is paused, understood by the desk, resumed and tried now."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.acceptance.browser import sight
from tests.acceptance.conftest import FullHouse


@pytest.mark.parametrize("has_scripts", [True, False], ids=["with scripts", "without"])
def test_j10_an_operator_pauses_resumes_and_tries_now(
    browser: Browser, full_house: FullHouse, has_scripts: bool
) -> None:
    reason = f"they asked us to wait {has_scripts}"
    with sight(browser, full_house.base, who=full_house.sessions["olga"], has_scripts=has_scripts) as seen:
        page = seen.open("/").page
        page.get_by_role("link", name="Queue", exact=True).click()
        page.get_by_role("link", name="posti.example").first.click()
        page.locator("#pause-reason").fill(reason)
        page.get_by_role("button", name="Pause", exact=True).click()
        assert "Paused." in page.locator(".banner").inner_text()
        with sight(browser, full_house.base, who=full_house.sessions["bob"]) as desk:
            told = desk.open(f"/m/{full_house.seeded.deferred}").page.locator("main").inner_text()
            assert reason in told
        page.get_by_role("button", name="Resume").click()
        assert "Sending goes on." in page.locator(".banner").inner_text()
        page.get_by_role("button", name="Try now").click()
        assert "Emails to be tried now" in page.locator(".banner").inner_text()


def test_the_list_of_the_queue_follows_what_happens(browser: Browser, full_house: FullHouse) -> None:
    with (
        sight(browser, full_house.base, who=full_house.sessions["olga"]) as seen,
        sight(browser, full_house.base, who=full_house.sessions["olga"]) as other,
    ):
        page = seen.open("/queue").page
        row = page.locator("tr", has_text="posti.example")
        assert "Slowed down" not in row.inner_text()
        elsewhere = other.open("/queue/posti.example").page
        elsewhere.locator("summary", has_text="Slow down").click()
        elsewhere.locator("#slow-reason").fill("gently")
        elsewhere.get_by_role("button", name="Slow down").click()
        row.get_by_text("Slowed down").wait_for()
        elsewhere.get_by_role("button", name="Usual pace again").click()
        row.get_by_text("Slowed down").wait_for(state="detached")
