"""One mail in a browser: a typing mistake mended until the mail is delivered, no mail sent twice, hostile mail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from dashboard.mail_links import FORMS
from tests.acceptance.browser import sight
from tests.acceptance.conftest import FullHouse
from tests.acceptance.inn import Inn, at_the_desk, inn
from tests.dashboard.mails import HOSTILE
from tests.support.asking import wait_for


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inn]:
    with inn(tmp_path_factory.mktemp("inn")) as opened:
        yield opened


def test_a_mistyped_address_is_mended_and_the_page_turns_to_delivered_by_itself(browser: Browser, house: Inn) -> None:
    message = house.send("nobody.sari@guest.example", booking="BK-20931")
    house.ended(message)
    with at_the_desk(browser, house) as seen:
        page = seen.open(f"/m/{message}").page
        page.get_by_role("link", name="Correct the address and resend").click()
        page.get_by_label("New address").fill("sari@guest.example")
        page.get_by_role("button", name="Correct").click()
        page.get_by_role("heading", name="Delivered").wait_for()  # without a reload: within the time-out of a window
        page.locator("[data-live][data-final]").first.wait_for()
        assert page.url.startswith(f"{house.base}/m/")
    assert house.arrived().count("sari@guest.example") == 1


def test_two_clicks_on_resend_send_one_mail_without_scripts_too(browser: Browser, house: Inn) -> None:
    message = house.send("twice@guest.example")
    house.ended(message)
    with at_the_desk(browser, house, has_scripts=False) as seen:
        page = seen.open(f"/m/{message}/resend").page
        page.get_by_role("button", name="Resend email").dblclick()
        page.get_by_role("heading", level=1, name="Your booking").wait_for()
        page.go_back()
        wait_for(lambda: [row["status"] for row in house.asking.log(message)] == ["delivered"] * 2)
        page.get_by_role("button", name="Resend email").click()
        page.locator(".banner").first.wait_for()  # of the same token, or that asks whether it is meant
        page.get_by_role("heading", level=1, name="Your booking").wait_for()
    assert len(house.asking.log(message)) == 2
    assert house.arrived().count("twice@guest.example") == 2


def test_the_technical_report_is_copied_with_one_click(browser: Browser, house: Inn) -> None:
    message = house.send("nobody.else@guest.example")
    house.ended(message)
    with at_the_desk(browser, house) as seen:
        page = seen.open(f"/m/{message}").page
        page.get_by_role("button", name="Copy technical report").click()
        page.get_by_role("button", name="Copied").wait_for()
        copied = page.evaluate("navigator.clipboard.readText()")
    assert "550 5.1.1" in copied
    assert "UTC" in copied


def test_hostile_mail_opens_no_dialog_and_asks_nobody_for_anything(browser: Browser, house: Inn) -> None:
    message = house.send("victim@guest.example", html="\n".join(HOSTILE).replace("\x00", ""))
    house.ended(message)
    with at_the_desk(browser, house) as seen:
        page = seen.open(f"/m/{message}/content").page
        frame = page.frame_locator("iframe.formatted")
        frame.get_by_text("Confirm").click()  # a link that may be opened once: nothing happens
        assert frame.locator("a[href]").count() == 0
        for text in HOSTILE:
            assert "alert" not in text or page.evaluate("typeof window.evil") == "undefined"
        seen.open(f"/m/{message}/formatted")
        page.get_by_text("Confirm").click()
        assert page.url == f"{house.base}/m/{message}/formatted"


def test_what_others_wrote_does_nothing_on_any_of_the_pages(browser: Browser, full_house: FullHouse) -> None:
    with sight(browser, full_house.base, who=full_house.sessions["alice"]) as seen:
        for hostile in full_house.seeded.hostile:
            for path in ("", "/proof", "/resend", "/correct", *(f"/content?form={form}" for form in FORMS)):
                seen.open(f"/m/{hostile}{path}")
                assert seen.page.locator("h1").count() == 1
                assert seen.page.locator("main script, main [onload], main [onerror]").count() == 0


def test_the_page_of_a_mail_is_read_without_scripts(browser: Browser, full_house: FullHouse, tmp_path: Path) -> None:
    with sight(browser, full_house.base, who=full_house.sessions["alice"], has_scripts=False) as seen:
        page = seen.open(f"/m/{full_house.seeded.unknown}").page
        page.get_by_text("Technical details").first.click()
        assert page.locator("details[open] pre, details[open] dl").first.is_visible()
        box = page.locator(".answer h2").bounding_box()
        assert box is not None
        assert box["y"] < 600
