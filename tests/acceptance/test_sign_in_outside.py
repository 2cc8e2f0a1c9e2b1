"""Signing in with the house's provider in a browser: without scripts, by keyboard, over redirects of two servers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from dashboard.app import build
from dashboard.gate import StoreGate, record
from dashboard.single_sign_on import BACK
from relay.config import load_text
from relay.demo.connections import free_port
from relay.store import open_store
from tests.acceptance.browser import Scheme, Sight, serving, sight
from tests.dashboard.house import CONFIG
from tests.support.oidc_provider import CLIENT, SECRET, LittleProvider, little_provider


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoServers:
    """The pages, and the provider that vouches for Sari."""

    base: str
    provider: LittleProvider

    def leave_out(self, seen: Sight) -> None:
        """Take what was asked of the provider off the faults: that it is asked is the point here."""
        seen.faults[:] = [fault for fault in seen.faults if self.provider.issuer not in fault]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[TwoServers]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    (tmp_path / "oidc.secret").write_text(SECRET)
    with little_provider(base + BACK) as provider, open_store("sqlite:data/waybill.db", tmp_path) as store:
        provider.person = {"sub": "u-17", "preferred_username": "sari", "groups": ["desk"]}
        text = f'{CONFIG}[dashboard]\naddress = "127.0.0.1:{port}"\n[dashboard.oidc]\nissuer = "{provider.issuer}"\n'
        text += f'client_id = "{CLIENT}"\nclient_secret_file = "oidc.secret"\nlabel = "Hotel login"\n'
        config = load_text(text + 'roles = { desk = "support" }\n', base_dir=tmp_path)
        app = build(config, store, gate=StoreGate(store), audit=record, nudge=lambda: None)
        with serving(app, port):
            yield TwoServers(base=base, provider=provider)


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
def test_one_press_leads_through_the_provider_to_the_page_that_was_asked_for(
    browser: Browser, servers: TwoServers, has_scripts: bool
) -> None:
    with sight(browser, servers.base, has_scripts=has_scripts) as seen:
        seen.open("/help?x=1")
        seen.page.keyboard.press("Tab")
        expect(seen.page.get_by_role("link", name="Sign in with Hotel login")).to_be_focused()
        seen.page.keyboard.press("Enter")
        seen.page.wait_for_url(servers.base + "/help?x=1")
        expect(seen.page.get_by_role("heading", level=1)).to_be_visible()
        names = {cookie.get("name") for cookie in seen.page.context.cookies()}
        assert names == {"waybill"}  # what was kept for the way is gone
        servers.leave_out(seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_the_sign_in_page_with_the_button_is_for_everybody(
    browser: Browser, servers: TwoServers, scheme: Scheme, width: int
) -> None:
    servers.provider.person["groups"] = []
    with sight(browser, servers.base, scheme=scheme, width=width, locale="de-DE") as seen:
        seen.open("/sign-in")
        assert (seen.violations(), seen.overflows(), seen.small_targets()) == ([], 0, [])
        seen.page.get_by_role("link", name="Anmelden mit Hotel login").click()
        expect(seen.page.get_by_role("alert")).to_contain_text("Ihre Gruppen bei Hotel login")
        servers.leave_out(seen)
        assert (seen.violations(), seen.overflows(), seen.small_targets()) == ([], 0, [])
