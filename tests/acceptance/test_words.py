"""The support desk reads no word of the trade, on any page it works with; those words stand in details that it opens.

Read is the page as it is sent, with what is folded away taken out; titles, labels and hints count as read. Allowed are
the badge "Email bounced", which is worded by mission 001.12, and the name that the house gave this machine.
"""

from __future__ import annotations

import re
import urllib.request
from html.parser import HTMLParser

import pytest

from relay.store import log, notice_list
from relay.store.log import Query
from relay.store.notice_list import Listing
from tests.acceptance.conftest import FullHouse
from tests.acceptance.seed import ANSWERS

BANNED = re.compile(
    r"\b(?:E?SMTP|MX|MTA|DSNs?|NDRs?|EHLO|HELO|bounc\w*|relay\w*|suppress\w*|[45]xx|[245]\d\d [245](\.\d{1,3}){2})\b",
    re.IGNORECASE,
)

_ALLOWED = ("Email bounced", "relay.example.org")

_NOT_READ = {"details", "script", "style", "template", "textarea"}
_ALONE = {"meta", "link", "input", "br", "wbr", "img", "hr", "use", "rect", "path"}
_SAID = {"title", "alt", "aria-label", "placeholder", "data-label"}


class _Reader(HTMLParser):
    """Gathers what a person reads without opening anything; a summary is read."""

    def __init__(self) -> None:
        super().__init__()
        self._inside: list[str] = []
        self.text: list[str] = []

    @property
    def _is_read(self) -> bool:
        shut = [at for at, tag in enumerate(self._inside) if tag in _NOT_READ]
        return not shut or self._inside[-1] == "summary"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _ALONE:
            self._inside.append(tag)
        if self._is_read:
            self.text += [value for name, value in attrs if name in _SAID and value]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        while tag in self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._is_read and data.strip():
            self.text.append(data.strip())


def words_of_the_trade(page: str) -> list[str]:
    """Give each line that has a banned word in it."""
    reader = _Reader()
    reader.feed(page)
    allowed = re.compile("|".join(map(re.escape, _ALLOWED)))
    return [line for line in reader.text if BANNED.search(allowed.sub("", line))]


def test_the_reader_reads_what_people_read() -> None:
    page = '<p title="a DSN">An MX<br>of 550 5.1.1</p><details><summary>bounced</summary>SMTP</details><p>relay'
    assert words_of_the_trade(page) == ["a DSN", "An MX", "of 550 5.1.1", "bounced", "relay"]
    assert words_of_the_trade("<span>Email bounced</span> <p>details</p>") == []


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/?span=30d", "/log", "/log?q=virtanen", "/log?status=not_delivered", "/log?q=nothing-like-this"),
        *("/log?refused=1", "/log?q=nobody.got.this@posti.example", "/customers", "/customers?q=sari"),
        *("/customers?q=nobody.got.this@posti.example", "/todo", "/todo?tab=cleared", "/suppressions"),
        *("/suppressions?q=nothing", "/suppressions/1", "/suppressions/add", "/suppressions/import", "/me"),
        *("/bookings/BK-20931", "/bookings/BK-20877", "/bookings/BK-29013", "/bookings/BK-20877/resend"),
    ],
)
def test_a_page_of_the_desk_has_none(full_house: FullHouse, path: str) -> None:
    assert words_of_the_trade(_page(full_house, path)) == []


@pytest.mark.parametrize("turn", range(len(ANSWERS)))
def test_what_became_of_a_mail_is_said_without_them(full_house: FullHouse, turn: int) -> None:
    """Whatever a server answered: the page of the mail, of its customer and of its booking, and what can be done."""
    rows = full_house.store.read_now(lambda tx: log.search(tx, Query(booking=f"BK-{30000 + turn}")))
    mail = rows[-1].id
    paths = [f"/m/{mail}{end}" for end in ("", "/resend", "/correct", "/proof", "/content")]
    for path in (*paths, f"/customers/of/{mail}", f"/bookings/BK-{30000 + turn}"):
        assert words_of_the_trade(_page(full_house, path)) == [], path


def test_a_to_do_is_said_without_them(full_house: FullHouse) -> None:
    entries = full_house.store.read_now(
        lambda tx: notice_list.page(tx, Listing(), now=log.search(tx, Query(limit=1))[0].created_at)
    )
    assert len(entries) > 5
    for entry in entries:
        assert words_of_the_trade(_page(full_house, f"/todo/{entry.notice.id}")) == [], entry.notice.cause


def _page(house: FullHouse, path: str) -> str:
    request = urllib.request.Request(house.base + path, headers={"Cookie": f"waybill={house.sessions['bob']}"})
    with urllib.request.urlopen(request) as answer:
        return str(answer.read().decode())
