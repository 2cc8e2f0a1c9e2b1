"""Home, to-dos and incidents in a real browser: for everybody, and the journeys J4 and J8, with scripts and without."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from relay.status import Status
from relay.store import incidents, log, notice_list, notices, spool
from relay.store.notice_list import Listing
from relay.store.notices import Notice
from tests.acceptance.browser import Scheme, sight
from tests.acceptance.conftest import FullHouse
from tests.store.making import disposition

LOOKS: list[tuple[Scheme, int]] = [("light", 1280), ("dark", 320)]
PAGES = ["/", "/?span=30d", "/todo", "/todo?tab=cleared", "/todo/{notice}", "/incidents", "/incidents/{incident}"]


def open_ones(house: FullHouse) -> list[Notice]:
    entries = house.store.read_now(lambda tx: notice_list.page(tx, Listing(), now=datetime.now(UTC)))
    return [entry.notice for entry in entries]


def address(path: str, house: FullHouse) -> str:
    incident = house.store.read_now(lambda tx: incidents.every(tx, with_closed=True))[0].id
    return path.format(notice=open_ones(house)[0].id, incident=incident)


@pytest.mark.parametrize(("scheme", "width"), LOOKS)
@pytest.mark.parametrize(
    ("name", "path"),
    [(name, path) for name in ("alice", "bob") for path in PAGES if (name, path) != ("bob", "/incidents")],
)
def test_a_page_is_for_everybody(
    browser: Browser, full_house: FullHouse, name: str, path: str, scheme: Scheme, width: int
) -> None:
    with sight(browser, full_house.base, who=full_house.sessions[name], scheme=scheme, width=width) as seen:
        page = seen.open(address(path, full_house)).page
        assert seen.violations() == []
        assert seen.overflows() <= 0
        assert seen.small_targets() == []
        assert page.locator("h1").count() == 1
        assert len(seen.requests) <= 5
        assert len(page.content()) <= 60_000
        assert page.locator("*").count() <= 1500


@pytest.mark.parametrize("has_scripts", [True, False])
def test_j4_a_typing_mistake_is_corrected_and_arrives_with_four_clicks(
    browser: Browser, full_house: FullHouse, has_scripts: bool
) -> None:
    store = full_house.store
    wrong = [one for one in open_ones(full_house) if one.cause == "no-mailbox" and "guest" in one.address]
    one, right = wrong[0], f"right{has_scripts}@letters.example"
    store.write_now(lambda tx: notices.suggest(tx, one.id, suggestion=right, at=datetime.now(UTC)))
    with sight(browser, full_house.base, who=full_house.sessions["bob"], has_scripts=has_scripts) as seen:
        page = seen.open("/").page
        page.get_by_role("link", name=f"Correct and resend: {one.shown}").click()
        page.get_by_label(right).check()
        page.get_by_role("button", name="Correct and resend").click()
        expect(page.get_by_text("The address is corrected, 1 sent again.")).to_be_visible()
        (copy,) = store.read_now(lambda tx: log.search(tx, log.Query(address=right)))
        assert copy.status is Status.QUEUED
        store.write_now(lambda tx: spool.record(tx, disposition(copy.id, at=datetime.now(UTC))))
        if not has_scripts:
            page.reload()
        expect(page.locator(".tag.ok", has_text="Delivered")).to_be_visible()
        expect(page.locator(".tag.ok", has_text="Dealt with")).to_be_visible()


@pytest.mark.parametrize("has_scripts", [True, False])
def test_j8_three_to_dos_are_cleared_and_undone_with_five_clicks(
    browser: Browser, full_house: FullHouse, has_scripts: bool
) -> None:
    before = {one.id for one in open_ones(full_house)}
    with sight(browser, full_house.base, who=full_house.sessions["bob"], has_scripts=has_scripts) as seen:
        page = seen.open("/todo").page
        for number in range(3):
            page.locator("input[name=ids]").nth(number).check()
        page.get_by_role("button", name="Clear without fixing").click()
        expect(page.get_by_text("Cleared: 3.")).to_be_visible()
        assert len(open_ones(full_house)) == len(before) - 3
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_text("Undone. Open again: 3.")).to_be_visible()
    assert {one.id for one in open_ones(full_house)} == before


def test_support_reads_no_word_of_the_trade(browser: Browser, full_house: FullHouse) -> None:
    banned = ("SMTP", " MX ", "bounce", "DSN", "5xx", "4xx", "relay", "suppression")
    with sight(browser, full_house.base, who=full_house.sessions["bob"]) as seen:
        for path in ("/", "/todo", "/todo/{notice}", "/incidents/{incident}"):
            text = _read(seen.open(address(path, full_house)).page)
            assert [word for word in banned if word in text] == [], path


def _read(page: Page) -> str:
    """All that can be read without opening anything."""
    page.evaluate("document.querySelectorAll('details').forEach(one => one.remove())")
    return page.locator("main").inner_text()
