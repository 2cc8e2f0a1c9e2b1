"""The domain pages: the last examination, the records to create, and a check behind the page."""

from __future__ import annotations

import asyncio
import html
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient

from dashboard.checking import Checker
from dashboard.findings import Record, about, records_of
from relay import doctor
from relay.config import load_text
from relay.doctor import Examination, Finding, State
from relay.settings import Config
from relay.store.protocols import Store
from tests.dashboard.house import CONFIG, House, token_of
from tests.support.peers import FakeDns, Records


def finding(check: str, subject: str, state: State = State.GOOD, *, fix: str = "") -> Finding:
    return Finding(
        id=check, subject=subject, state=state, found="what is there", expected="what should be", fix=fix, why="because"
    )


MISSING = finding(
    "sender.dmarc", "hotel.example", State.BAD, fix='_dmarc.hotel.example. IN TXT "v=DMARC1; p=none; " "rua=x"'
)
FOUND = [
    finding("sender.spf", "hotel.example"),
    finding("sender.dkim", "wb1._domainkey.hotel.example"),
    MISSING,
    finding("sender.alignment", "hotel.example sent as hotel.example"),
    finding("identity.ptr", "192.0.2.25", State.BAD, fix="25.2.0.192.in-addr.arpa. IN PTR relay.example.org."),
    finding("local.disk", "/var/lib/waybill"),
]


class Examiner:
    """Finds what it was told to find."""

    def __init__(self, *found: Finding) -> None:
        self.found = list(found)
        self.asked: list[str | None] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, config: Config, store: Store, domain: str | None) -> list[Finding]:
        self.asked.append(domain)
        await self.may_end.wait()
        return self.found


def sits(client: TestClient, examiner: Examiner) -> Checker:
    """Put an examiner behind the pages."""
    checker = Checker(examiner)
    client.app.state.checker = checker  # type: ignore[attr-defined]
    return checker


def keep(house: House, *found: Finding, domain: str | None = None) -> None:
    one = Examination(at=datetime.now(UTC) - timedelta(hours=3), findings=found)
    house.store.write_now(lambda tx: doctor.save(tx, one, domain=domain))


def test_before_the_first_mail_the_page_says_what_to_do(house: House) -> None:
    page = house.client("olga").get("/domains").text
    assert "No sending domain yet" in page
    assert "Check now" in page


def test_each_domain_says_how_it_stands_and_when_it_was_checked(house: House) -> None:
    house.desk.accept("anna@example.com")
    client = house.client("olga")
    assert "not checked" in client.get("/domains").text
    keep(house, *FOUND)
    page = client.get("/domains").text
    assert "Checked 3 hours ago" in re.sub(r"<[^>]+>", "", page)
    row = page[page.index('href="/domains/hotel.example"') : page.index("</tr>", page.index("/domains/hotel.example"))]
    assert re.findall(r"</svg>([A-Z][a-z ]+)</span>", row) == ["Good", "Good", "Wrong", "Good"]
    assert "25.2.0.192.in-addr.arpa" in page
    assert "/var/lib/waybill" in page


def test_a_record_to_create_is_shown_in_the_fields_of_a_dns_panel(house: House) -> None:
    keep(house, *FOUND)
    page = house.client("olga").get("/domains/hotel.example").text
    assert ">_dmarc.hotel.example</code>" in page
    assert ">v=DMARC1; p=none; rua=x</code>" in page
    assert 'data-copy="' in page
    assert "192.0.2.25" not in page


def test_j11_a_new_domain_is_looked_at_published_checked_and_good(house: House) -> None:
    examiner = Examiner(MISSING)
    with house.client("olga") as client:
        checker = sits(client, examiner)
        answer = client.get("/domains?look=Hotel.example")
        assert answer.headers["location"] == "/domains/hotel.example"
        page = client.get("/domains/hotel.example").text
        assert "Not checked yet" in page
        assert "waybill dkim new hotel.example" in page
        assert "[[dkim]]\ndomain = &#34;hotel.example&#34;" in page
        for _ in range(2):
            answer = client.post("/domains/hotel.example/check", data={"token": token_of(page)})
            assert answer.status_code == 303
        client.portal.call(checker.wait)  # type: ignore[union-attr]
        assert examiner.asked == ["hotel.example"]
        page = client.get("/domains/hotel.example").text
        assert "_dmarc.hotel.example" in page
        examiner.found = [finding("sender.dmarc", "hotel.example")]
        client.post("/domains/hotel.example/check", data={"token": token_of(page)})
        client.portal.call(checker.wait)  # type: ignore[union-attr]
        assert "All good" in client.get("/domains/hotel.example/found").text
    assert [(row["action"], row["on"]) for row in house.audited] == [("check", "hotel.example")] * 2


def test_one_check_runs_at_a_time_and_the_page_waits_for_it(house: House) -> None:
    examiner = Examiner(*FOUND)
    with house.client("olga") as client:
        checker = sits(client, examiner)
        examiner.may_end.clear()
        client.post("/domains/check", data={"token": token_of(client.get("/domains").text)})
        page = client.get("/domains").text
        assert "Being checked" in page
        assert "data-final" not in page
        answer = client.post("/domains/hotel.example/check", data={"token": token_of(page)})
        assert "Another check is running" in client.get(answer.headers["location"]).text
        client.portal.call(lambda: examiner.may_end.set())  # type: ignore[union-attr]
        client.portal.call(checker.wait)  # type: ignore[union-attr]
        assert "data-final" in client.get("/domains/found").text
    assert examiner.asked == [None]


@pytest.mark.parametrize(
    ("fails", "said"), [(TimeoutError(), "took too long"), (RuntimeError("<oops>"), "the log of the dashboard")]
)
def test_a_check_that_fails_says_so(house: House, fails: Exception, said: str) -> None:
    async def examine(config: Config, store: Store, domain: str | None) -> list[Finding]:
        raise fails

    async def run() -> None:
        checker = Checker(examine)
        assert checker.start(load_text(CONFIG, base_dir=house.folder), house.store)
        assert not checker.start(load_text(CONFIG, base_dir=house.folder), house.store)
        await checker.wait()

    asyncio.run(run())
    page = house.client("olga").get("/domains").text
    assert said in page
    assert "oops" not in page


def test_a_check_ends_when_its_time_is_over(house: House) -> None:
    async def run() -> None:
        examiner = Examiner()
        examiner.may_end.clear()
        checker = Checker(examiner, longest=timedelta(milliseconds=1))
        checker.start(load_text(CONFIG, base_dir=house.folder), house.store, domain="hotel.example")
        await checker.wait()

    asyncio.run(run())
    found = house.store.read_now(lambda tx: doctor.load(tx, "hotel.example"))
    assert found is not None
    assert "too long" in found.fault


@pytest.mark.parametrize("path", ["/domains/1", "/domains/a b.c", "/domains/-/found"])
def test_what_is_no_domain_is_not_there(house: House, path: str) -> None:
    assert house.client("olga").get(path).status_code == 404


def test_a_name_that_is_no_domain_is_asked_for_again(house: House) -> None:
    answer = house.client("olga").get("/domains?look=%3Cscript%3E")
    assert (answer.status_code, "Write a domain" in answer.text, "<script>" in answer.text) == (422, True, False)


def test_support_has_no_domain_pages(house: House) -> None:
    assert house.client("bob").get("/domains").status_code == 403
    assert house.client("bob").post("/domains/check").status_code == 403


@pytest.mark.parametrize(
    ("fix", "records"),
    [
        ("waybill dkim new hotel.example", ()),
        ("", ()),
        ("relay.example.org. IN A 192.0.2.25", (Record("A", "relay.example.org", "192.0.2.25"),)),
        ('a.b. IN TXT "x" "y"', (Record("TXT", "a.b", "xy"),)),
        ("a.b. IN A 192.0.2.1\nthen run something", ()),
    ],
)
def test_a_fix_is_taken_apart_only_when_it_is_records(fix: str, records: tuple[Record, ...]) -> None:
    assert records_of(fix) == records


def test_what_concerns_a_domain_is_chosen_by_what_it_is_sent_as() -> None:
    found = [
        finding("sender.alignment", "hotel.example sent as bounce.other.example"),
        finding("sender.spf", "bounce.other.example"),
        finding("sender.spf", "spa.example"),
        finding("sender.dkim", "wb._domainkey.hotel.example"),
        finding("sender.dmarc", "spa.example"),
        finding("local.disk", "hotel.example"),
    ]
    assert [one.id for one in about("hotel.example", found)] == ["sender.alignment", "sender.spf", "sender.dkim"]
    assert [one.id for one in about("mail.hotel.example", found)] == ["sender.dkim"]


def test_j11_the_records_that_are_read_from_the_page_make_it_green(house: House) -> None:
    """The real examination against a name server that publishes what the page said, and nothing else."""
    key = house.desk.run("dkim", "new", "hotel.example", "--type", "ed25519", "--json").one()
    zone: dict[str, Records] = {"hotel.example": Records(mx=((10, "mx.hotel.example"),))}
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(FakeDns(zone)) as dns:
        house.config_text += (
            f'[dns]\nservers = ["{dns.address}"]\n'
            '[doctor]\nprobe = ""\nclock = ""\npublic_addresses = ["192.0.2.25"]\n'
            f'[[dkim]]\ndomain = "hotel.example"\nselector = "{key["selector"]}"\nkey_file = "{key["key_file"]}"\n'
        )
        with house.client("olga") as client:
            page = _checked(client)
            assert "All good" not in page
            wanted = _records_on(page)
            assert key["record_name"] in wanted
            for host, text in wanted.items():
                dns.set(host, replace(zone.get(host, Records()), txt=(text,)))
            page = _checked(client)
            states = re.findall(r'<li class="finding (\w+)">.*?<h3>(.*?)</h3>', page, re.S)
            assert {state for state, title in states if not title.startswith("Rules")} == {"ok"}


def _checked(client: TestClient) -> str:
    page = client.get("/domains/hotel.example").text
    client.post("/domains/hotel.example/check", data={"token": token_of(page)})
    checker: Checker = client.app.state.checker  # type: ignore[attr-defined]
    client.portal.call(checker.wait)  # type: ignore[union-attr]
    return client.get("/domains/hotel.example").text


def _records_on(page: str) -> dict[str, str]:
    """Read host and value of each record, as somebody at a DNS panel would."""
    field = r'<code id="d\d+-{}\d" class="wrap">(.*?)</code>'
    found = re.findall(f"{field.format('h')}.*?{field.format('v')}", page, re.S)
    return {html.unescape(host): html.unescape(value) for host, value in found}
