"""The relay as it is started, its pages in a browser: the first account, and signing in and out."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.acceptance.browser import sight
from tests.acceptance.inn import Inn, at_the_desk, inn
from tests.acceptance.test_journeys_desk import SOON, Hand
from tests.support.asking import wait_for
from tests.support.peers import ACCEPTS, Background, FakeDns, FakeMx, Records
from tests.support.process import config_file, running

#: What somebody writes into the file after reading the first step.
APP = """
[[app]]
name = "hotel"
networks = ["127.0.0.0/8"]
"""


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


@pytest.mark.slow
def test_j15_from_an_empty_database_to_the_first_mail_that_arrived(browser: Browser, tmp_path: Path) -> None:
    with Background() as world:
        server = world.enter(FakeMx(ACCEPTS, host="127.0.7.3"))
        zone = {
            "mx.guest.example": Records(a=("127.0.7.3",)),
            "guest.example": Records(mx=((10, "mx.guest.example"),)),
        }
        dns = world.enter(FakeDns(zone))
        config = config_file(tmp_path, mx_port=server.port, dns=dns.address, apps=[])
        with running(config) as node:
            node.wait_listening([config.dashboard])
            link = wait_for(lambda: re.search(r"(http://\S+)(/link/\S+)", node.log.read_text("utf-8")))
            with sight(browser, link[1]) as seen:
                hand = Hand(seen.open(link[2]).page)
                page = hand.page
                page.get_by_label("Name").fill("ada")
                page.get_by_label("Password").fill("a few easy words")
                hand.press("Set the password and sign in")
                page.wait_for_url(f"{link[1]}/")
                steps = page.locator(".step")
                done = page.locator(".step.done")
                expect(steps).to_have_count(4)
                expect(done).to_have_count(0)

                hand.press("Copy the lines")
                lines = page.evaluate("navigator.clipboard.readText()")
                assert "[[app]]" in lines
                config.path.write_text(config.path.read_text("utf-8").replace("app = []", "") + APP, "utf-8")
                node.reload()
                expect(done).to_have_count(1, timeout=SOON)  # without a reload of the page

                page.get_by_label("To", exact=True).fill("anna@guest.example")
                hand.press("Send a test email")
                expect(page.locator(".banner").first).to_contain_text("test email")
                expect(done).to_have_count(2, timeout=SOON)
                assert server.received[0].recipients == ("anna@guest.example",)

                hand.press("Copy")
                host = page.evaluate("navigator.clipboard.readText()")
                port = page.locator("#port-1").inner_text()
                assert f"{host}:{port}" == str(config.smtp)
                with smtplib.SMTP(host, int(port)) as client:
                    client.sendmail("desk@hotel.example", "bea@guest.example", "Subject: Hello\r\n\r\nHello\r\n")
                expect(done).to_have_count(3, timeout=SOON)

                hand.follow("Check now")
                hand.press("Check now")
                expect(page.locator("#found[data-final] .finding").first).to_be_visible(timeout=SOON)

                hand.follow("Log", within="nav")
                row = page.locator("tr[data-row]", has_text="anna@guest.example")
                expect(row.locator(".tag.ok")).to_contain_text("Delivered")
                assert hand.clicks <= 10
                # While the pages started anew nobody answered.
                seen.faults[:] = [fault for fault in seen.faults if "ERR_CONNECTION" not in fault]


def test_somebody_signs_in_and_out(browser: Browser, house: Inn) -> None:
    with at_the_desk(browser, house) as seen:
        page = seen.page
        assert page.get_by_role("link", name="bob").is_visible()
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{house.base}/sign-in")
        seen.open("/log")
        assert page.url.startswith(f"{house.base}/sign-in?next=")
