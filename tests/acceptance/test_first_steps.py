"""The relay as it is started, its pages in a browser: the first account, and signing in and out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.acceptance.browser import sight
from tests.acceptance.inn import Inn, at_the_desk, inn
from tests.support.asking import wait_for
from tests.support.process import config_file, running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inn]:
    with inn(tmp_path_factory.mktemp("inn")) as opened:
        yield opened


def test_whoever_starts_it_first_makes_the_first_account(browser: Browser, tmp_path: Path) -> None:
    config = config_file(tmp_path)
    with running(config) as node:
        node.wait_listening([config.dashboard])
        link = wait_for(lambda: re.search(r"(http://\S+)(/link/\S+)", node.log.read_text("utf-8")))
        assert link[1] == f"http://{config.dashboard}"
        with sight(browser, link[1]) as seen:
            page = seen.open(link[2]).page
            page.get_by_label("Name").fill("ada")
            page.get_by_label("Password").fill("a few easy words")
            page.get_by_role("button", name="Set the password and sign in").click()
            page.wait_for_url(f"{link[1]}/")
            assert page.get_by_role("link", name="Users").is_visible()
            seen.open("/users")
            assert "ada" in page.locator("main table").inner_text()


def test_somebody_signs_in_and_out(browser: Browser, house: Inn) -> None:
    with at_the_desk(browser, house) as seen:
        page = seen.page
        assert page.get_by_role("link", name="bob").is_visible()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{house.base}/sign-in")
        seen.open("/log")
        assert page.url.startswith(f"{house.base}/sign-in?next=")
