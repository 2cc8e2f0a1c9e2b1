"""Sending one mail again from the pages: said before what happens, done once, and back where one came from."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from starlette.testclient import TestClient

from dashboard.access import Person, Role
from relay.model import Delivery
from relay.status import Status
from relay.store import content, spool
from tests.dashboard.house import PEOPLE, House, token_of
from tests.dashboard.mails import full_mail, html_mail


@pytest.fixture
def mail(house: House) -> Delivery:
    _, (delivery,) = house.desk.accept("anna@example.com", content=full_mail())
    house.desk.answer(delivery, "250 2.0.0 Ok", status=Status.DELIVERED)
    return delivery


def send(client: TestClient, delivery: Delivery, **fields: str) -> str:
    """Fill in the form and send it; give where it leads."""
    token = token_of(client.get(f"/m/{delivery.id}/resend").text)
    answer = client.post(f"/m/{delivery.id}/resend", data={"token": token, **fields})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def copies(house: House, delivery: Delivery) -> list[Delivery]:
    with house.desk.store() as store:
        found = store.read_now(lambda tx: spool.deliveries_of(tx, delivery.message_id))
    return [one for one in found if one.resend_of]


def test_m001_7_after_a_resend_one_is_back_and_the_copy_is_pending_then_delivered(house: House, mail: Delivery) -> None:
    bob = house.client("bob")
    back = send(bob, mail, form="full", to="current", next="/customers/7?x=1")
    assert back.startswith("/customers/7?x=1&did=resend&done=")
    (copy,) = copies(house, mail)
    assert (copy.status, copy.address, copy.by) == (Status.QUEUED, "anna@example.com", "bob")
    house.desk.answer(copy, "250 2.0.0 Ok", status=Status.DELIVERED)
    assert "confirmed" in bob.get(f"/m/{copy.id}").text
    assert [(row["action"], row["on"]) for row in house.audited] == [("resend", mail.id)]
    assert house.nudges == 1


def test_without_a_page_to_go_back_to_the_copy_itself_is_shown(house: House, mail: Delivery) -> None:
    bob = house.client("bob")
    page = bob.get(send(bob, mail, form="full", to="current")).text
    (copy,) = copies(house, mail)
    assert f'data-live="/m/{copy.id}/live?part=answer"' in page
    assert "Queued again" in page


def test_nobody_is_sent_to_another_site(house: House, mail: Delivery) -> None:
    assert send(house.client("bob"), mail, to="current", next="https://evil.example/").startswith(f"/m/{mail.id}?")


@pytest.mark.parametrize(("form", "part"), [("plain", b"text/plain"), ("full", b"multipart/mixed")])
def test_m001_8_plain_sends_plain_text_only(house: House, mail: Delivery, form: str, part: bytes) -> None:
    send(house.client("bob"), mail, form=form, to="current")
    (copy,) = copies(house, mail)
    with house.desk.store() as store:
        raw = store.read_now(lambda tx: content.load(tx, mail.message_id, delivery_id=copy.id))
    assert raw is not None
    assert b"Content-Type: " + part in raw
    assert (b"text/html" in raw) is (form == "full")


def test_a_double_click_sends_once(house: House, mail: Delivery) -> None:
    bob = house.client("bob")
    token = token_of(bob.get(f"/m/{mail.id}/resend").text)
    for _ in range(3):
        bob.post(f"/m/{mail.id}/resend", data={"token": token, "to": "current"})
    (copy,) = copies(house, mail)
    house.desk.answer(copy, "250 2.0.0 Ok", status=Status.DELIVERED)
    bob.post(f"/m/{mail.id}/resend", data={"token": token, "to": "current"})  # the back button, much later
    assert len(copies(house, mail)) == 1
    assert len(house.audited) == 1


def test_going_back_and_pressing_again_sends_one_more_only_when_that_is_meant(house: House, mail: Delivery) -> None:
    bob = house.client("bob")
    send(bob, mail, to="current")
    house.desk.answer(copies(house, mail)[0], "250 2.0.0 Ok", status=Status.DELIVERED)
    form = bob.get(f"/m/{mail.id}/resend").text
    assert 'name="again"' in form
    assert "nothing was sent" in bob.get(send(bob, mail, to="current")).text
    assert len(copies(house, mail)) == 1
    send(bob, mail, to="other", other="boss@example.com")
    send(bob, mail, to="current", again="yes")
    assert [one.address for one in copies(house, mail)] == ["anna@example.com", "boss@example.com", "anna@example.com"]


def test_m001_11_a_blocked_address_gets_nothing_and_the_form_says_so_before(house: House, mail: Delivery) -> None:
    house.desk.run("block", "anna@example.com", "--note", "moved away")
    bob = house.client("bob")
    form = bob.get(f"/m/{mail.id}/resend").text
    assert "nothing is sent" in form
    assert "moved away" in form
    address = re.search(r'href="(/suppressions/\d+)"', form)
    assert address
    assert bob.get(address[1]).status_code == 200
    page = bob.get(send(bob, mail, to="current")).text
    assert "moved away" in page
    assert 'class="banner bad"' in page
    (copy,) = copies(house, mail)
    assert (copy.status, copy.attempts) == (Status.SUPPRESSED, 0)
    assert house.audited[0]["action"] == "resend (blocked)"


@pytest.mark.parametrize(("to", "address"), [("current", "new@example.com"), ("same", "anna@example.com")])
def test_m001_15_it_goes_to_the_current_address_or_to_the_same(
    house: House, mail: Delivery, to: str, address: str
) -> None:
    house.desk.run("correct", "anna@example.com", "new@example.com")
    bob = house.client("bob")
    assert "new@example.com" in bob.get(f"/m/{mail.id}/resend").text
    send(bob, mail, to=to)
    assert copies(house, mail)[-1].address == address


def test_it_goes_to_another_address_this_once(house: House, mail: Delivery) -> None:
    send(house.client("bob"), mail, to="other", other="boss@example.com")
    assert copies(house, mail)[0].address == "boss@example.com"


@pytest.mark.parametrize("other", ["", "nobody", "a@", "<script>@x", "a@b.example, c@d.example", "a@b.example\r\nX: y"])
def test_an_address_that_is_none_keeps_the_form(house: House, mail: Delivery, other: str) -> None:
    bob = house.client("bob")
    token = token_of(bob.get(f"/m/{mail.id}/resend").text)
    answer = bob.post(f"/m/{mail.id}/resend", data={"token": token, "to": "other", "other": other, "form": "plain"})
    assert answer.status_code == 422
    assert "Type the address" in answer.text
    assert 'value="plain" checked' in answer.text
    assert "<script>@x" not in answer.text
    assert copies(house, mail) == []
    assert house.audited == []


def test_to_me_is_offered_to_whose_name_is_an_address(house: House, mail: Delivery) -> None:
    assert "To me" not in house.client("bob").get(f"/m/{mail.id}/resend").text
    send(house.client("bob"), mail, to="me")  # typed by hand: goes to the customer, never to "bob"
    assert copies(house, mail)[0].address == "anna@example.com"
    PEOPLE["mia@hotel.example"] = Person(id="m", name="mia@hotel.example", role=Role.SUPPORT)
    try:
        mia = house.client("mia@hotel.example")
        assert "To me" in mia.get(f"/m/{mail.id}/resend").text
        send(mia, mail, to="me")
    finally:
        del PEOPLE["mia@hotel.example"]
    assert copies(house, mail)[-1].address == "mia@hotel.example"


def test_a_form_that_is_not_possible_is_not_offered(house: House) -> None:
    _, (mail,) = house.desk.accept("anna@example.com", content=html_mail("<p>x</p>"))
    bob = house.client("bob")
    assert 'value="plain"' not in bob.get(f"/m/{mail.id}/resend").text
    page = bob.get(send(bob, mail, form="plain", to="current")).text
    assert "no plain text part" in page
    assert copies(house, mail) == []


def test_what_is_too_late_is_not_sent(house: House) -> None:
    over = datetime.now(UTC) - timedelta(minutes=5)
    _, (mail,) = house.desk.accept("anna@example.com", expires_at=over)
    page = house.client("bob").get(f"/m/{mail.id}/resend").text
    assert "Too late" in page
    assert 'class="main"' not in page
    answer = house.client("bob").post(f"/m/{mail.id}/resend", data={"token": "0" * 24, "to": "current"})
    assert "Not sent again" in house.client("bob").get(answer.headers["location"]).text
    assert copies(house, mail) == []


def test_m001_4_the_original_date_stays(house: House, mail: Delivery) -> None:
    send(house.client("bob"), mail, to="current")
    (copy,) = copies(house, mail)
    page = house.client("bob").get(f"/m/{copy.id}").text
    assert "This was sent again" in page
    original = house.client("bob").get(f"/m/{mail.id}").text
    assert "data-final" not in original  # what becomes of the copy shows here too
    sent = original.partition("Originally sent</dt>")[2][:120]
    assert sent == page.partition("Originally sent</dt>")[2][:120]
    assert "Sent again to anna@example.com" in original
