"""The queue's pages: what waits and why, and every way to steer it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from dashboard.queue_state import OrderKind, all_orders
from relay.model import Category
from relay.status import Status
from relay.store import pauses, queue, sites, steering
from relay.store.pauses import Pause
from tests.dashboard.house import House, token_of

HOUR = timedelta(hours=1)


def wait_at(house: House, address: str, *, reply: str = "452 4.2.2 mailbox full") -> None:
    (delivery,) = house.desk.accept(address)[1]
    if reply:
        house.desk.answer(delivery, reply, status=Status.DEFERRED, next_in=2 * HOUR)


def order(client: TestClient, page: str, what: str, **fields: str) -> str:
    """Give an order with the form token of a page; return the page that follows."""
    token = token_of(client.get(page).text)
    answer = client.post("/queue/order", data={"token": token, "what": what, **fields})
    assert answer.status_code == 303, answer.text
    return client.get(answer.headers["location"]).text


def on(domain: str) -> dict[str, str]:
    return {"scope": "domain", "value": domain}


def test_an_empty_queue_says_so(house: House) -> None:
    page = house.client("olga").get("/queue").text
    assert "Queue is empty" in page
    assert 'href="/log"' in page


def test_each_domain_says_what_waits_and_what_its_server_said(house: House) -> None:
    wait_at(house, "anna@example.com")
    wait_at(house, "ben@example.com", reply="")
    wait_at(house, "cleo@example.org", reply="421 4.7.0 <b>slow</b> down")
    page = house.client("olga").get("/queue").text
    assert "3 emails wait" in page
    assert "mailbox is full" in page
    assert "mx1.example.com" in page
    assert "&lt;b&gt;slow&lt;/b&gt;" in page
    shown = re.sub(r"<details>.*?</details>", "", page, flags=re.S)
    assert "452" not in shown


@pytest.mark.parametrize(
    ("asked", "shown"),
    [("?domain=EXAMPLE.o", {"example.org"}), ("?state=new", {"example.org"}), ("?state=delayed", {"example.com"})],
)
def test_the_list_shows_what_is_chosen(house: House, asked: str, shown: set[str]) -> None:
    wait_at(house, "anna@example.com")
    wait_at(house, "cleo@example.org", reply="")
    page = house.client("olga").get(f"/queue{asked}").text
    assert set(re.findall(r'href="/queue/([^"?]+)"', page)) == shown
    assert "Nothing waits there" in house.client("olga").get("/queue?domain=nowhere").text


def test_the_list_is_fetched_again_only_when_it_changed(house: House) -> None:
    client = house.client("olga")
    first = client.get("/queue/rows")
    tag = first.headers["etag"]
    assert client.get("/queue/rows", headers={"if-none-match": tag}).status_code == 304
    wait_at(house, "anna@example.com")
    fresh = client.get("/queue/rows", headers={"if-none-match": tag})
    assert (fresh.status_code, fresh.headers["etag"] != tag) == (200, True)
    assert fresh.text.lstrip().startswith('<div id="queue" data-live="/queue/rows')


def test_j10_trouble_is_paused_resumed_and_tried_now(house: House) -> None:
    wait_at(house, "anna@example.com")
    client = house.client("olga")
    page = order(client, "/queue/example.com", "pause", reason="they asked us to", until="3600", **on("example.com"))
    assert "Paused. New mail is still taken in and waits." in page
    assert "they asked us to" in page
    assert "Until " in page
    (row,) = house.store.read_now(lambda tx: queue.waiting(tx, "example.com"))
    assert row.held == "paused: they asked us to"
    page = order(client, "/queue/example.com", "resume", **on("example.com"))
    assert "Sending goes on." in page
    answer = client.post("/queue/example.com/try", data={"token": token_of(page)})
    assert "Emails to be tried now: 1." in client.get(answer.headers["location"]).text
    assert house.nudges == 3
    assert [(row["action"], row["on"], row["note"]) for row in house.audited] == [
        ("pause", "example.com", "they asked us to"),
        ("resume", "example.com", ""),
        ("try", "example.com", ""),
    ]


def test_mail_is_slowed_and_rerouted_and_goes_its_usual_way_again(house: House) -> None:
    client = house.client("olga")
    here = "/queue/example.com"
    page = order(client, here, "slow", rate_count="30", rate_per="m", reason="gently", **on("example.com"))
    assert "At most 30 in 1 minute" in page
    page = order(client, here, "reroute", host="mx.other.example", **on("example.com"))
    assert "Through mx.other.example:25" in page
    order(client, here, "end_slow", **on("example.com"))
    page = order(client, here, "end_reroute", **on("example.com"))
    assert "usual way again" in page
    assert house.store.read_now(lambda tx: steering.every(tx, now=datetime.now(UTC))) == []


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"what": "slow", "rate_count": "many"}, "whole number"),
        ({"what": "slow", "rate_count": "0"}, "whole number"),
        ({"what": "reroute", "host": "not a host:x"}, "Write a host"),
        ({"what": "reroute", "host": ""}, "Write a host"),
    ],
)
def test_an_order_that_cannot_be_read_is_shown_again(house: House, fields: dict[str, str], said: str) -> None:
    client = house.client("olga")
    token = token_of(client.get("/queue/example.com").text)
    answer = client.post("/queue/order", data={"token": token, "reason": 'kept "so"', **on("example.com"), **fields})
    assert answer.status_code == 422
    assert said in answer.text
    assert house.audited == []


def test_all_mail_is_paused_with_the_tick_only(house: House) -> None:
    wait_at(house, "anna@example.com")
    client = house.client("olga")
    token = token_of(client.get("/queue").text)
    fields = {"token": token, "what": "pause", "scope": "all", "value": "", "reason": "fire drill"}
    answer = client.post("/queue/order", data=fields)
    assert (answer.status_code, "Tick the box" in answer.text) == (422, True)
    page = order(client, "/queue", "pause", scope="all", value="", confirm="yes", reason="fire drill")
    assert "All mail" in page
    assert "fire drill" in page
    assert 'id="all-reason"' not in page
    order(client, "/queue", "resume", scope="all", value="")
    assert house.store.read_now(pauses.every) == []


def test_giving_up_asks_for_the_domain_and_cannot_happen_twice(house: House) -> None:
    wait_at(house, "anna@example.com")
    wait_at(house, "ben@example.org")
    client = house.client("olga")
    token = token_of(client.get("/queue/example.com").text)
    wrong = client.post("/queue/example.com/give-up", data={"token": token, "typed": "example.org"})
    assert (wrong.status_code, "Type the domain" in wrong.text) == (422, True)
    for _ in range(2):
        answer = client.post("/queue/example.com/give-up", data={"token": token, "typed": "Example.com"})
        assert "Emails given up: 1." in client.get(answer.headers["location"]).text
    assert [row["action"] for row in house.audited] == ["give_up"]
    assert [one.domain for one in house.store.read_now(queue.overview)] == ["example.org"]


def test_what_is_held_is_released(house: House) -> None:
    wait_at(house, "anna@example.com")
    client = house.client("olga")
    token = token_of(client.get("/queue/example.com").text)
    answer = client.post("/queue/example.com/hold", data={"token": token, "reason": "wait for Monday"})
    page = client.get(answer.headers["location"]).text
    assert "Held: wait for Monday" in page
    answer = client.post("/queue/example.com/release", data={"token": token_of(page)})
    assert "Released: 1 delivery." in client.get(answer.headers["location"]).text


def test_a_domain_that_nothing_waits_for_says_so(house: House) -> None:
    answer = house.client("olga").get("/queue/example.com")
    assert (answer.status_code, "Nothing waits for example.com" in answer.text) == (200, True)


@pytest.mark.parametrize("path", ["/queue/a b", "/queue/..x", "/queue/%3Cb%3E"])
def test_what_is_no_domain_is_not_there(house: House, path: str) -> None:
    assert house.client("olga").get(path).status_code == 404


def test_support_may_not_steer(house: House) -> None:
    client = house.client("bob")
    assert client.get("/queue").status_code == 403
    assert client.post("/queue/order", data={"what": "pause", "scope": "all"}).status_code == 403


def test_many_emails_are_paged(house: House) -> None:
    house.desk.accept(*(f"guest{number:02}@example.com" for number in range(53)))
    client = house.client("olga")
    page = client.get("/queue/example.com").text
    (following,) = re.findall(r'href="(/queue/example.com\?after=\d+)"', page)
    assert len(re.findall(r'href="/m/', page)) == 50
    assert set(re.findall(r"guest(\d\d)", client.get(following).text)) == {"50", "51", "52"}


def test_what_stops_mail_stands_first_and_what_is_over_counts_no_more() -> None:
    now = datetime(2026, 11, 30, 12, tzinfo=UTC)
    over = Pause(id=1, scope="all", value="", reason="", by="olga", since_at=now - HOUR, until_at=now)
    pause = Pause(id=2, scope="domain", value="a.example", reason="olga: x", by="olga", since_at=now)
    slow = steering.Steer(
        kind=steering.SteerKind.SLOW, scope="all", value="", target="1/1s", reason="", by="x", since_at=now - HOUR
    )
    site = sites.SiteRow(
        key="mx1.b.example,mx2.b.example x", step=2, updated_at=now, until_at=now + HOUR, category=Category.NETWORK
    )
    found = all_orders([over, pause], [slow], [site], now=now)
    assert [one.kind for one in found] == [OrderKind.PAUSE, OrderKind.SLOW, OrderKind.BACK_OFF]
    assert found[0].reason == "x"
    assert [one.concerns("b.example", "MX2.b.example") for one in found] == [False, True, True]
    assert [one.concerns("a.example", None) for one in found] == [True, True, False]
