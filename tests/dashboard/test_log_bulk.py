"""Many mails of the log at once: sent again after a look at what that would do, and put on the to-do list."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from relay import actions
from relay.model import Delivery
from relay.status import Status
from relay.store import log, notices
from tests.dashboard.house import House, token_of

OK = "250 2.0.0 ok"
UNKNOWN = "550 5.1.1 <{}>: user unknown"
FULL = "552 5.2.2 mailbox is full"


def _mail(house: House, address: str, *, line: str = "", status: Status | None = None, **values: object) -> Delivery:
    _, (delivery,) = house.desk.accept(address, **values)  # type: ignore[arg-type]
    if status is not None:
        house.desk.answer(delivery, line.format(address), status=status)
    return delivery


def _statuses(house: House) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in house.store.read_now(lambda tx: log.search(tx, log.Query(oldest_first=True, limit=500))):
        found.setdefault(row.to, []).append(row.status.value)
    return found


def test_many_are_sent_again_after_a_look(house: House) -> None:
    gone = _mail(house, "full@example.com", line=FULL, status=Status.SOFT_BOUNCED)
    unknown = _mail(house, "nobody@example.com", line=UNKNOWN, status=Status.INVALID)
    done = _mail(house, "fine@example.com", line=OK, status=Status.DELIVERED)
    waiting = _mail(house, "queued@example.com")
    client = house.client("bob")
    page = client.post("/log/resend", data={"id": [gone.id, unknown.id, done.id, waiting.id]}).text
    assert "1 email will be sent again, to 1 address." in page
    assert "the address is blocked" in page
    assert "it was delivered already" in page
    assert "still on its way" in page
    form = {"token": token_of(page), "ids": re.search(r'name="ids" value="([^"]+)"', page).group(1)}  # type: ignore[union-attr]
    for _ in range(2):  # a double click
        answer = client.post("/log/resend/go", data=form)
        assert answer.status_code == 303
    assert "Queued again: 1." in client.get(answer.headers["location"]).text
    assert _statuses(house) == {
        "full@example.com": ["soft_bounced", "queued"],
        "nobody@example.com": ["invalid"],
        "fine@example.com": ["delivered"],
        "queued@example.com": ["queued"],
    }
    assert [(one["action"], one["kind"]) for one in house.audited] == [("resend_many", "log")]
    assert house.nudges == 1


def test_what_was_delivered_goes_again_only_when_ticked(house: House) -> None:
    done = _mail(house, "fine@example.com", line=OK, status=Status.DELIVERED)
    client = house.client("bob")
    page = client.post("/log/resend", data={"id": done.id}).text
    client.post("/log/resend/go", data={"token": token_of(page), "ids": done.id})
    assert _statuses(house) == {"fine@example.com": ["delivered"]}
    page = client.post("/log/resend", data={"id": done.id}).text
    client.post("/log/resend/go", data={"token": token_of(page), "ids": done.id, "delivered": "yes"})
    assert _statuses(house) == {"fine@example.com": ["delivered", "queued"]}


def test_all_that_fit_need_their_number_typed(house: House) -> None:
    for number in range(52):
        _mail(house, f"guest{number}@example.com", line=FULL, status=Status.SOFT_BOUNCED)
    client = house.client("bob")
    assert "Resend all 52 matching" in client.get("/log?q=reason:mailbox_full").text
    page = client.post("/log/resend", data={"what": "all", "q": "reason:mailbox_full"}).text
    assert "52 emails will be sent again, to 52 different addresses." in page
    ids = re.search(r'name="ids" value="([^"]+)"', page).group(1)  # type: ignore[union-attr]
    answer = client.post("/log/resend/go", data={"token": token_of(page), "ids": ids, "number": "25"})
    assert answer.status_code == 422
    assert "Type the number" in answer.text
    assert sum(map(len, _statuses(house).values())) == 52
    answer = client.post("/log/resend/go", data={"token": token_of(answer.text), "ids": ids, "number": "52"})
    assert answer.status_code == 303
    assert all(found == ["soft_bounced", "queued"] for found in _statuses(house).values())


def test_too_many_are_refused(house: House) -> None:
    house.desk.accept(*[f"guest{number}@example.com" for number in range(1001)])
    client = house.client("bob")
    assert "Resend all" not in client.get("/log").text
    answer = client.post("/log/resend", data={"what": "all"})
    assert answer.status_code == 422
    assert "too many at once" in answer.text


def test_nothing_ticked_says_so(house: House) -> None:
    answer = house.client("bob").post("/log/resend")
    assert answer.status_code == 422
    assert "Nothing is ticked" in answer.text
    assert house.client("bob").post("/log/resend/go", data={"token": "a" * 20}).status_code == 422


def test_many_of_another_app_do_not_exist(house: House) -> None:
    other = _mail(house, "full@example.com", line=FULL, status=Status.SOFT_BOUNCED, app="spa")
    client = house.client("sven")
    page = client.post("/log/resend", data={"id": other.id}).text
    assert "full@example.com" not in page
    client.post("/log/resend/go", data={"token": "b" * 20, "ids": other.id})
    assert _statuses(house) == {"full@example.com": ["soft_bounced"]}
    assert house.client("vera").post("/log/resend", data={"id": other.id}).status_code == 403


# -- on the to-do list


def _add(house: House, who: str, *ids: str, **more: str) -> str:
    client = house.client(who)
    token = token_of(client.get("/log?q=full&list=1").text)
    answer = client.post("/log/to-do", data={"token": token, "id": list(ids), "q": "full", **more})
    return client.get(answer.headers["location"]).text


def _open_notices(house: House) -> list[tuple[str, str]]:
    return sorted((one.address, one.cause) for one in house.store.read_now(lambda tx: notices.search(tx, limit=100)))


def _clear(house: House) -> None:
    """Take off what the failures put on the list by themselves."""
    ids = tuple(one.id for one in house.store.read_now(lambda tx: notices.search(tx, limit=100)))
    now = datetime.now(UTC)
    house.store.write_now(lambda tx: actions.clear_notices(tx, actions.Wanted(ids=ids), by="bob", now=now))


def test_ticked_mails_go_on_the_to_do_list_once(house: House) -> None:
    full = _mail(house, "full@example.com", line=FULL, status=Status.SOFT_BOUNCED)
    twin = _mail(house, "full@example.com", line=FULL, status=Status.SOFT_BOUNCED)
    gone = _mail(house, "full.too@example.com", line=UNKNOWN, status=Status.INVALID)
    done = _mail(house, "fine@example.com", line=OK, status=Status.DELIVERED)
    _clear(house)
    assert "On the to-do list now: 2." in _add(house, "bob", full.id, gone.id)
    assert _open_notices(house) == [("full.too@example.com", "no-mailbox"), ("full@example.com", "mailbox-full")]
    assert "Nothing was added" in _add(house, "bob", twin.id, done.id)
    _clear(house)
    page = _add(house, "bob", twin.id, full.id, done.id)
    assert "On the to-do list now: 1. The others stand there already" in page
    assert _open_notices(house) == [("full@example.com", "mailbox-full")]
    assert [(one["action"], one["on"]) for one in house.audited] == [
        ("to-do_many", "full"), ("to-do_many (nothing)", "full"), ("to-do_many", "full"),
    ]  # fmt: skip
    assert house.audited[0]["note"] == "full@example.com, full.too@example.com"


def test_nobody_adds_to_do_what_they_do_not_see_or_did_not_tick(house: House) -> None:
    _mail(house, "full@example.com")
    other = _mail(house, "full@other.example", line=FULL, status=Status.SOFT_BOUNCED, app="spa")
    _clear(house)
    assert "Tick the emails" in _add(house, "sven", other.id)
    assert "Tick the emails" in _add(house, "bob")
    assert _open_notices(house) == []
    assert "to-do" not in house.client("vera").get("/log").text.split("<table")[1]
    assert house.client("vera").post("/log/to-do", data={"id": other.id}).status_code == 403
