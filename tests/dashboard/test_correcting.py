"""Correcting an address from the pages: everything that did not arrive follows, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from relay.model import Delivery
from relay.status import OPEN, Status
from relay.store import addresses, redirects, spool
from tests.dashboard.house import House, token_of
from tests.dashboard.mails import full_mail

NO_SUCH = "550 5.1.1 no such user"
OLD, NEW = "sari@gmial.example", "sari@gmail.example"


@pytest.fixture
def mail(house: House) -> Delivery:
    _, (delivery,) = house.desk.accept(OLD, content=full_mail())
    house.desk.answer(delivery, NO_SUCH, status=Status.INVALID)
    return delivery


def send(client: TestClient, delivery: Delivery, token: str = "", **fields: str) -> str:
    token = token or token_of(client.get(f"/m/{delivery.id}/correct").text)
    answer = client.post(f"/m/{delivery.id}/correct", data={"token": token, "new": NEW, **fields})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def of(house: House, *deliveries: Delivery) -> list[tuple[str, Status]]:
    ids = [one.message_id for one in deliveries]
    with house.desk.store() as store:
        found = store.read_now(lambda tx: [one for each in ids for one in spool.deliveries_of(tx, each)])
    return [(one.address, one.status) for one in found if one.resend_of]


def test_m000_6_correct_and_resend_goes_to_the_new_address(house: House, mail: Delivery) -> None:
    bob = house.client("bob")
    page = bob.get(send(bob, mail, resend="yes")).text
    assert of(house, mail) == [(NEW, Status.QUEUED)]
    assert "1 sent again" in page
    assert "Correct it in the booking system too" in page
    with house.desk.store() as store:
        assert store.read_now(lambda tx: addresses.corrected_to(tx, OLD)) == NEW
    (row,) = house.audited
    assert (row["action"], row["on"], row["note"]) == ("correct", OLD, f"to {NEW}")
    assert "booking system does not learn" in bob.get(f"/m/{mail.id}/correct").text


def test_all_that_did_not_arrive_follows_and_the_form_says_so_before(house: House, mail: Delivery) -> None:
    _, (second,) = house.desk.accept(OLD, subject="Reminder")
    _, (arrived,) = house.desk.accept(OLD, subject="Receipt")
    house.desk.answer(arrived, "250 2.0.0 Ok", status=Status.DELIVERED)
    bob = house.client("bob")
    form = bob.get(f"/m/{mail.id}/correct?new={NEW}").text
    assert "2 emails did not arrive" in form
    assert "Reminder" in form
    token = token_of(form)
    for _ in range(3):
        send(bob, mail, token, resend="yes", others="yes")
    assert of(house, mail, second, arrived) == [(NEW, Status.QUEUED), (NEW, Status.QUEUED)]
    with house.desk.store() as store:
        (first, _) = store.read_now(lambda tx: spool.deliveries_of(tx, second.message_id))
    assert first.status not in OPEN  # nobody tries the old address any more
    assert len(house.audited) == 1


def test_correcting_again_sends_nothing_twice(house: House, mail: Delivery) -> None:
    bob = house.client("bob")
    for _ in range(2):
        send(bob, mail, resend="yes", others="yes")
    assert of(house, mail) == [(NEW, Status.QUEUED)]


def test_only_the_address_can_be_corrected(house: House, mail: Delivery) -> None:
    send(house.client("bob"), mail)
    assert of(house, mail) == []


def test_mail_of_an_app_that_is_not_seen_is_not_sent(house: House, mail: Delivery) -> None:
    _, (other,) = house.desk.accept(OLD, app="spa", content=full_mail())
    sven = house.client("sven")
    assert "1 email did not arrive" in sven.get(f"/m/{mail.id}/correct?new={NEW}").text
    send(sven, mail, resend="yes", others="yes")
    assert of(house, mail, other) == [(NEW, Status.QUEUED)]


def test_new_mail_is_redirected_until_a_day(house: House, mail: Delivery) -> None:
    day = (datetime.now(UTC) + timedelta(days=10)).date()
    bob = house.client("bob")
    page = bob.get(send(bob, mail, redirect="yes", until=day.isoformat())).text
    assert f"New mail for {OLD} goes to {NEW} until" in page
    with house.desk.store() as store:
        found = store.read_now(lambda tx: redirects.active_for(tx, OLD, now=datetime.now(UTC)))
    assert found is not None
    assert found.until_at is not None
    assert (found.new_address, found.until_at.date(), found.by) == (NEW, day, "bob")


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"new": "nobody"}, "Type the address"),
        ({"new": ""}, "Type the address"),
        ({"new": '"><svg onload=alert(1)>@x'}, "Type the address"),
        ({"new": OLD}, "are the same address"),
        ({"redirect": "yes", "until": ""}, "Choose a day"),
        ({"redirect": "yes", "until": "2020-01-01"}, "Choose a day"),
        ({"redirect": "yes", "until": "9999-12-31"}, "Choose a day"),
        ({"redirect": "yes", "until": "0001-01-01"}, "Choose a day"),
    ],
)
def test_what_cannot_be_done_keeps_the_form(house: House, mail: Delivery, fields: dict[str, str], problem: str) -> None:
    values = {"token": "0" * 24, "new": NEW, "resend": "yes", **fields}
    answer = house.client("bob").post(f"/m/{mail.id}/correct", data=values)
    assert answer.status_code == 422
    assert problem in answer.text
    assert "<svg onload" not in answer.text
    assert of(house, mail) == []
    assert house.audited == []


def test_a_blocked_new_address_is_refused_before_anything_is_done(house: House, mail: Delivery) -> None:
    house.desk.run("block", NEW)
    answer = house.client("bob").post(f"/m/{mail.id}/correct", data={"token": "0" * 24, "new": NEW, "resend": "yes"})
    assert answer.status_code == 422
    assert "is blocked" in answer.text
    with house.desk.store() as store:
        assert store.read_now(lambda tx: addresses.corrected_to(tx, OLD)) is None


def test_a_form_without_its_token_does_nothing(house: House, mail: Delivery) -> None:
    _, (second,) = house.desk.accept(OLD)
    values = {"new": NEW, "resend": "yes", "others": "yes"}
    assert house.client("bob").post(f"/m/{mail.id}/correct", data=values).status_code == 400
    assert of(house, mail, second) == []
