"""J13 in a browser: who only looks is shown no button that changes anything; people of one app see that app alone."""

from __future__ import annotations

from playwright.sync_api import Browser, Page

from tests.acceptance.browser import sight
from tests.acceptance.conftest import FullHouse
from tests.acceptance.seed import Seeder
from tests.acceptance.test_pages import address_of

PAGES = [
    *("/", "/log", "/log?q=virtanen", "/m/{unknown}", "/m/{blocked}", "/m/{unknown}/content", "/bookings/{booking}"),
    *("/customers", "/customers/of/{blocked}", "/todo", "/todo/1", "/suppressions", "/suppressions/1"),
]

#: What changes something, or leads to a form that does; signing out is everybody's.
_ACTIONS = """() => [
  ...document.querySelectorAll('form[method=post]:not([action="/sign-out"])'),
  ...document.querySelectorAll('main a[href*="/resend"], main a[href*="/correct"], main a[href*="/erase"]'),
  ...document.querySelectorAll('main a[href^="/suppressions/add"], main a[href*="/import"], main a[href*=".csv"]'),
].map(one => one.outerHTML.slice(0, 120))"""


def _actions(page: Page) -> list[str]:
    return list(page.evaluate(_ACTIONS))


def test_j13_a_viewer_is_shown_no_button_that_changes_anything(browser: Browser, full_house: FullHouse) -> None:
    with sight(browser, full_house.base, who=full_house.sessions["vera"]) as seen:
        for path in PAGES:
            page = seen.open(address_of(path, full_house)).page
            assert page.locator("h1").count() == 1
            assert _actions(page) == [], path
        refused = page.evaluate("(at) => fetch(at, { method: 'POST' }).then((answer) => answer.status)", "/todo/clear")
        assert refused == 403
    with sight(browser, full_house.base, who=full_house.sessions["bob"]) as seen:
        for path in ("/log", "/m/{unknown}", "/todo/1", "/suppressions/1"):
            assert _actions(seen.open(address_of(path, full_house)).page) != [], path  # so the look above sees them


def test_j13_people_of_one_app_see_no_other_and_no_content(browser: Browser, full_house: FullHouse) -> None:
    own = Seeder(full_house.store).mail("own.guest@posti.example", name="Own Guest", booking="BK-60001")
    other = Seeder(full_house.store).mail("spa.guest@posti.example", name="Spa Guest", booking="BK-60002", app="spa")
    with sight(browser, full_house.base, who=full_house.sessions["sven"]) as seen:
        page = seen.page
        for path in (f"/m/{other.id}", f"/m/{other.id}/content", f"/m/{other.id}/resend", f"/customers/of/{other.id}"):
            answer = page.goto(full_house.base + path)
            assert answer is not None
            assert answer.status == 404, path
        assert "Spa Guest" not in seen.open("/log?q=guest").page.locator("main").inner_text()
        assert "Spa Guest" not in seen.open("/bookings/BK-60002").page.locator("main").inner_text()
        assert seen.open(f"/m/{own.id}").page.locator("h1").is_visible()
        for form in ("formatted", "plain", "headers"):
            page = seen.open(f"/m/{own.id}/content?form={form}").page
            assert "Content is hidden" in page.locator("main").inner_text()
            assert page.locator("iframe").count() == 0
    with sight(browser, full_house.base, who=full_house.sessions["bob"]) as seen:
        assert "Spa Guest" in seen.open("/log?q=guest").page.locator("main").inner_text()
