"""No sentence of ours stays English on a page in another language: pages, banners and faults of forms are compared.

A page is made in English and in each other language; a run of words that both have is a sentence that was left. What
people and servers wrote is data, and is taken out first: names, subjects, notes, addresses, paths, what stands in
<code> and <pre>. The technical report is for the other side's admin and stays English.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import cache
from html.parser import HTMLParser
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.app import build
from dashboard.gate import StoreGate, record
from dashboard.tongue import LANGUAGES
from relay.accounts import Role
from relay.actions import accounts
from relay.config import load_text
from relay.store import accounts as kept
from relay.store import open_store
from relay.store.audit import Actor, Via
from relay.store.protocols import Tx
from tests.acceptance.seed import ANSWERS, GUESTS, HOSTILE
from tests.acceptance.seed import fill as fill_house
from tests.dashboard.deeds import NOTE, do_everything
from tests.dashboard.house import CONFIG
from tests.dashboard.house import OURS as FROM_US

PAGES = [
    *("/", "/home/steps", "/no-such-page", "/todo", "/todo?state=closed", "/todo/1", "/todo/2", "/me"),
    *("/log", "/log?q=virtanen", "/log?q=status:invalid", "/log?q=nothing-like-this", "/log?q=zzz:1"),
    *("/m/{unknown}", "/m/{deferred}", "/m/{delivered}", "/m/{blocked_id}", "/m/{archived}", "/m/{hostile}"),
    *("/m/{unknown}/resend", "/m/{blocked_id}/resend", "/m/{unknown}/correct", "/m/{delivered}/content"),
    *("/m/{delivered}/proof", "/customers", "/customers?q=sari", "/customers?q=nobody.got.this@posti.example"),
    *("/customers/of/{delivered}", "/customers/of/{archived}", "/customers/of/{blocked_id}", "/customers/of/{unknown}"),
    *("/bookings/{booking}", "/bookings/BK-29013", "/bookings/BK-20877", "/bookings/BK-20877/resend"),
    *("/suppressions", "/suppressions?q=nothing", "/suppressions/1", "/suppressions/2", "/suppressions/add"),
    *("/suppressions/import", "/suppressions/undo", "/suppressions/undo?since=2020-01-01"),
    *("/queue", "/queue/posti.example", "/domains", "/domains/hotel.example", "/incidents?show=all", "/incidents/1"),
    *("/audit", "/settings", "/senders", "/senders/hotel", "/users", "/users/zoe", "/help", "/help/statuses"),
]

#: Runs of words that are rightly the same: names of things, and words that two languages share.
SAME = {
    *("DKIM DMARC", "SPF DKIM", "SPF DKIM DMARC", "one click unsubscribe", "Harbour Hotel", "img src"),
}

#: What people and servers of the seeded house write, and what is called so everywhere.
DATA = [
    *(NOTE, "Maija Mehiläinen", "message refused", "Hotel desk", "bad name", "zed"),
    *(f"Your {what}" for what in ("booking", "change", "confirmation", "reminder")),
    *(name for name, *_ in GUESTS),
    *(piece.strip() for *_, subject, _ in GUESTS for piece in subject.split("{}")),
    *(re.sub(r"^[\d. ]+(?:<\{\}>: )?", "", line) for line, _ in ANSWERS),
    *HOSTILE,
]

_DATA = re.compile(
    "|".join(map(re.escape, sorted(filter(None, DATA), key=len, reverse=True))) + r"|\S+@\S+|/\S+|\w+(?:[._-]\w+)+"
)
_RUN = re.compile(r"[^\W\d_]{2,}(?:['’ \n]+[^\W\d_]{2,})+")
_SKIPPED = {"code", "pre", "script", "style", "textarea", "svg", "bdi"}
_SAID = {"title", "aria-label", "placeholder", "alt", "data-label"}
_VOID = {"input", "br", "link", "meta", "img", "hr", "wbr", "use", "path", "circle"}


class _Words(HTMLParser):
    """Collects what a page says."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._skipped: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SKIPPED or self._skipped:
            if tag not in _VOID:
                self._skipped.append(tag)
            return
        self.said += [value for name, value in attrs if name in _SAID and value and tag != "time"]

    def handle_endtag(self, tag: str) -> None:
        if self._skipped and tag not in _VOID:
            self._skipped.pop()

    def handle_data(self, data: str) -> None:
        if not self._skipped and data.strip():
            self.said.append(data)


@cache
def runs(page: str) -> frozenset[str]:
    """Give every three words that follow one another on a page, and every pair that stands alone."""
    words = _Words()
    words.feed(page)
    found: set[str] = set()
    for text in words.said:
        for run in _RUN.findall(_DATA.sub(" | ", text)):
            each = run.split()
            size = min(3, len(each))
            found |= {" ".join(each[at : at + size]) for at in range(len(each) - size + 1)}
    return frozenset(found)


#: A day that forms take.
SOON = f"{datetime.now(UTC) + timedelta(days=30):%Y-%m-%d}"

#: What is done on pages, and what is done wrong there: address and what the form says.
DEEDS: list[tuple[str, dict[str, str]]] = [
    *(("/m/{unknown}/resend", {"to": "other", "other": other}) for other in ("nonsense", "a@b", "x@posti.example")),
    *(("/m/{blocked_id}/resend", {}), ("/m/{delivered}/resend", {}), ("/m/{delivered}/resend", {})),
    *((f"/m/{{deferred}}/{step}", {"note": NOTE}) for step in ("try", "hold", "release", "cancel", "cancel")),
    *(("/m/{delivered}/booking", {"booking": "BK-1"}), ("/m/{delivered}/booking", {"booking": "BK-1"})),
    *(("/m/{unknown}/to-do", {}), ("/m/{unknown}/dealt-with", {}), ("/m/{unknown}/dealt-with", {})),
    *(("/m/{delivered}/to-do", {}), ("/m/{delivered}/booking", {})),
    *(
        ("/m/{unknown}/correct", {"new": new, "resend": "yes", "redirect": "yes", "until": SOON})
        for new in ("nope", "sari@gmial.example", "blocked.guest@posti.example", "sari@posti.example")
    ),
    *(("/suppressions/add", {"address": address, "confirm": "yes"}) for address in ("no", "@", "a@posti.example") * 2),
    *(("/suppressions/2/extend", {"until": until}) for until in ("2001-01-01", SOON, "")),
    *(("/suppressions/1/unblock", {"note": NOTE, "confirm": "yes"}),) * 2,
    *(("/suppressions/undo", {"since": "2020-01-01", "confirm": "yes"}), ("/suppressions/undo", {})),
    *(
        ("/queue/order", {"what": what, "scope": "domain", "value": "q.example", "reason": NOTE, **more})
        for what, more in (
            *(
                ("slow", {}),
                ("reroute", {}),
                ("slow", {"rate_count": "5", "rate_per": "m"}),
                ("reroute", {"host": "h:25"}),
            ),
            *((what, {}) for what in ("pause", "pause", "resume", "resume", "end_slow", "end_slow", "end_reroute")),
        )
    ),
    *((f"/queue/posti.example/{what}", {"reason": NOTE}) for what in ("try", "hold", "release", "give-up")),
    *(("/users", {"name": name, "role": "viewer"}) for name in ("bad name", "zoe", "zac")),
    *((f"/users/zoe/{what}", {}) for what in ("disable", "disable", "enable", "enable", "sign-out", "remove-step")),
    *(("/users/zoe", {"role": "support", "apps": "hotel"}), ("/users/alice/disable", {}), ("/users/nobody/enable", {})),
    *(("/tokens", {"name": name, "role": "viewer"}) for name in ("bad name", "zed")),
    *(("/tokens/revoke", {"name": "zed"}),) * 2,
    *(("/me/password", {"old": "x", "new": "short"}), ("/me", {"keys": "yes"})),
    *(("/incidents/1/resend", {}), ("/incidents/1/resend", {}), ("/incidents/1/close", {"note": NOTE})),
    *(("/incidents/1/close", {}),),
    *((f"/todo/{what}", {"ids": "3", "to": "bob", "note": NOTE}) for what in ("assign", "note", "note", "resolve")),
    *((f"/todo/{what}", {"ids": "3"}) for what in ("resolve", "undo", "undo", "clear", "reopen", "reopen")),
    *(("/todo/resolve", {"ids": "99999"}), ("/todo/resolve", {})),
    *(("{customer}/correct", {"new": new, "seen": seen}) for new in ("no", "x@posti.example") for seen in ("", "yes")),
    *(
        ("{customer}/redirect/end", {}),
        ("{customer}/reset", {"note": NOTE, "confirm": "yes"}),
        ("{customer}/block", {}),
    ),
    *(
        ("{customer}/erase", {"typed": "no"}),
        ("/home/test", {"address": "no"}),
        ("/home/test", {"address": "x@y.example"}),
    ),
    *(("/log/resend", {"what": "all", "q": "virtanen"}), ("/log/resend/go", {"q": "status:invalid"})),
]

#: Lists of blocks that are not what they should be.
LISTS = ["address\nzzz 4711\n", "a,b\n1,2,3\n", "address,reason\nx@posti.example,zz\n", "{", "[[[[]]]]"]


@pytest.fixture(scope="module")
def seeded() -> dict[str, str]:
    """What stands in the addresses of pages; filled by the house."""
    return {}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, seeded: dict[str, str]) -> Iterator[TestClient]:
    """A house where everything has happened, and its admin before it."""
    folder = tmp_path_factory.mktemp("tongues")
    with open_store("sqlite:data/waybill.db", folder) as store:
        found = fill_house(store)
        session = store.write_now(_signed_in)
        do_everything(store, found)
        seeded |= {name: str(value) for name, value in asdict(found).items()} | {"hostile": found.hostile[1]}
        app = build(load_text(CONFIG, base_dir=folder), store, gate=StoreGate(store), audit=record, nudge=lambda: None)
        client = TestClient(app, base_url="http://127.0.0.1:8025", cookies={"waybill": session}, headers=FROM_US)
        seeded["customer"] = client.get("/customers/of/{unknown}".format(**seeded)).url.path
        yield client


def _signed_in(tx: Tx) -> str:
    root, now = Actor(by="root", via=Via.CLI), datetime.now(UTC)
    accounts.create_account(tx, "alice", role=Role.ADMIN, actor=root, now=now)
    account = kept.named(tx, "alice")
    assert account is not None
    return accounts.begin_session(tx, account, ip="127.0.0.1", agent="test", now=now)


def left(english: str, other: str, code: str) -> frozenset[str]:
    """Say what a page in a language has in common with the English one."""
    assert f'lang="{code}"' in other or "<html" not in other
    return runs(english) & runs(other) - SAME


def in_each(desk: TestClient, address: str) -> dict[str, str]:
    """Get a page in every language."""
    found = {code: desk.get(address, headers={"accept-language": code}) for code in LANGUAGES}
    assert {answer.status_code for answer in found.values()} <= {200, 404}, address
    return {code: answer.text for code, answer in found.items()}


def after(desk: TestClient, address: str, **form: Any) -> dict[str, str]:
    """Do something, and give the page that says what came of it, in every language."""
    first = desk.post(address, headers={"accept-language": "en"}, **_with_token(form))
    assert first.status_code < 500, address
    if first.history and "done=" in str(first.url):
        return in_each(desk, str(first.url))
    codes = [code for code in LANGUAGES if code != "en"]
    again = {code: desk.post(address, headers={"accept-language": code}, **_with_token(form)).text for code in codes}
    return {"en": first.text, **again}


def _with_token(form: dict[str, Any]) -> dict[str, Any]:
    return {**form, "data": {**form.get("data", {}), "token": secrets.token_urlsafe(18)}}


def compared(pages: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    """Give what stays English, by address and language."""
    found = {
        f"{code} {address}": sorted(left(texts["en"], texts[code], code))
        for address, texts in pages.items()
        for code in LANGUAGES
        if code != "en"
    }
    return {where: words for where, words in found.items() if words}


def test_nothing_of_ours_stays_english_on_a_page(desk: TestClient, seeded: dict[str, str]) -> None:
    assert compared({page: in_each(desk, page.format(**seeded)) for page in PAGES}) == {}


def test_nothing_of_ours_stays_english_in_what_came_of_a_deed(desk: TestClient, seeded: dict[str, str]) -> None:
    pages = {
        f"{at} {path} {form}": after(desk, path.format(**seeded), data=form) for at, (path, form) in enumerate(DEEDS)
    }
    for text in LISTS:
        pages[text] = after(desk, "/suppressions/import/preview", files={"file": ("list.csv", text)})
    assert compared(pages) == {}
