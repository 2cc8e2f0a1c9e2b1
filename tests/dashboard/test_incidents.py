"""Incidents: what to tell customers, what is affected, and how an operator ends one and sends again."""

from __future__ import annotations

import re
from html import unescape

import pytest

from relay.status import Status
from relay.store import incidents, log, pauses
from tests.dashboard.house import House, token_of

OURS = "550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy"


def fail(house: House, count: int = 1, *, start: int = 0, **values: object) -> None:
    for turn in range(start, start + count):
        _, (one,) = house.desk.accept(f"g{turn}@outlook.example", **values)  # type: ignore[arg-type]
        house.desk.answer(one, OURS, status=Status.SOFT_BOUNCED)


def shown(house: House, name: str = "olga", path: str = "/incidents/1") -> str:
    answer = house.client(name).get(path)
    assert answer.status_code == 200
    return unescape(answer.text)


def queued(house: House) -> int:
    return len(house.store.read_now(lambda tx: log.search(tx, log.Query(status=(Status.QUEUED,), limit=200))))


def test_the_list_is_for_operators_and_says_what_is_paused(house: House) -> None:
    assert "No incident" in shown(house, path="/incidents")
    fail(house, 7)
    page = shown(house, path="/incidents")
    assert "outlook.example refuses our emails." in page
    assert "Sending is paused" in page
    assert house.client("bob").get("/incidents").status_code == 403


def test_support_reads_what_to_tell_customers_and_has_no_button(house: House) -> None:
    fail(house, 2)
    page = shown(house, "bob")
    assert "What you can tell customers" in page
    assert "It is not your fault, we are on it" in page
    assert "There is nothing to do at the desk." in page
    assert "g1@outlook.example" in page
    assert "/incidents/1/close" not in page
    for action in ("close", "resend"):
        assert house.client("bob").post(f"/incidents/1/{action}", data={"token": "t" * 20}).status_code == 403


def test_technical_words_are_one_level_lower(house: House) -> None:
    fail(house)
    head, _, details = shown(house, "bob").partition("<details>")
    assert "DMARC" in details
    words = re.sub(r"<[^>]+>", " ", head)
    assert not re.search(r"\b(DMARC|SMTP|MX|bounce|5\.7\.26|550)\b", words)


def test_marking_as_fixed_ends_the_pause_and_lets_waiting_mail_go(house: House) -> None:
    house.desk.accept("waits@outlook.example")
    fail(house, 7)
    client = house.client("olga")
    page = shown(house)
    assert "Sending is paused: 1 email waits." in page
    form = {"token": token_of(page), "note": "key  renewed"}
    answers = [client.post("/incidents/1/close", data=form) for _ in range(2)]
    assert "What waited for it goes out now: 1." in client.get(answers[0].headers["location"]).text
    assert house.store.read_now(pauses.every) == []
    found = house.store.read_now(lambda tx: incidents.get(tx, 1))
    assert found is not None
    assert (found.by, found.note) == ("olga", "key renewed")
    assert [row["action"] for row in house.audited] == ["incident_close"]
    assert "It is closed" in shown(house)
    assert "No incident" in shown(house, path="/incidents")
    assert "outlook.example" in shown(house, path="/incidents?show=all")


def test_what_gave_up_is_sent_again_once(house: House) -> None:
    fail(house, 3)
    client = house.client("olga")
    page = shown(house)
    assert "Send 3 emails again" in page
    for token in (token_of(page), token_of(page), "u" * 20):
        assert client.post("/incidents/1/resend", data={"token": token}).status_code == 303
    assert queued(house) == 3
    assert "Nothing: all of it arrived, is on its way or was sent again." in shown(house)


def test_more_than_fifty_need_their_number_typed(house: House) -> None:
    fail(house, 51)
    client = house.client("olga")
    token = token_of(shown(house))
    for typed in ("", "50"):
        answer = client.post("/incidents/1/resend", data={"token": token, "number": typed})
        assert answer.status_code == 422
        assert "Type the number of emails that will be sent again: 51." in answer.text
    assert (queued(house), house.audited) == (0, [])
    assert client.post("/incidents/1/resend", data={"token": token, "number": "51"}).status_code == 303
    assert queued(house) == 51


@pytest.mark.parametrize("path", ["/incidents/9", "/incidents/x", "/incidents/99999999999999999999"])
def test_what_is_not_there_is_not_found(house: House, path: str) -> None:
    assert house.client("olga").get(path).status_code == 404
    for action in ("close", "resend"):
        assert house.client("olga").post(f"{path}/{action}", data={"token": "t" * 20}).status_code == 404


def test_a_scoped_person_sees_only_own_mail_of_an_incident(house: House) -> None:
    fail(house, 1)
    fail(house, 1, start=5, app="spa")
    page = shown(house, "sven")
    assert "g0@outlook.example" in page
    assert "g5@outlook.example" not in page


def test_hostile_text_is_shown_as_text(house: House) -> None:
    _, (one,) = house.desk.accept("g@outlook.example", subject="<script>alert(1)</script>")
    house.desk.answer(one, OURS + " <script>alert(2)</script>", status=Status.SOFT_BOUNCED)
    assert "<script>alert" not in house.client("olga").get("/incidents/1").text
