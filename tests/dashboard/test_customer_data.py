"""Correcting a customer's address, handing out what is known, and erasing it."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from relay.model import Delivery
from relay.status import Status
from tests.dashboard.house import House, token_of

UNKNOWN = "550 5.1.1 User unknown"
TOKEN = "t" * 24


def _page_of(house: House, delivery: Delivery) -> str:
    return house.client("alice").get(f"/customers/of/{delivery.id}").headers["location"]


def _lost(house: House, *, app: str = "hotel") -> Delivery:
    """One mail to an address that does not exist."""
    _, (one,) = house.desk.accept("ana@example.com", subject="Your room", app=app)
    house.desk.answer(one, UNKNOWN, status=Status.INVALID)
    return one


def _form(house: House, **more: str) -> dict[str, str]:
    until = f"{house.desk.now + timedelta(days=9):%Y-%m-%d}"
    return {
        "token": TOKEN,
        "old": "ana@example.com",
        "new": "anna@example.com",
        "resend": "yes",
        "days": "30",
        "redirect": "yes",
        "until": until,
        **more,
    }


def test_m000_6_a_correction_is_shown_first_then_sends_to_the_new_address_once(house: House) -> None:
    url, client = _page_of(house, _lost(house)), house.client("bob")
    assert client.get(url + "/correct").status_code == 200
    preview = client.post(url + "/correct", data=_form(house))
    assert preview.status_code == 200
    assert "Your room" in preview.text
    assert house.audited == []
    form = _form(house, seen="yes", token=token_of(preview.text))
    done = client.post(url + "/correct", data=form)
    again = client.post(url + "/correct", data=form)
    assert (done.status_code, done.headers["location"]) == (303, again.headers["location"])
    page = client.get(done.headers["location"]).text
    assert "Sent again: 1." in page
    assert "goes to anna@example.com" in page
    sent = house.desk.run("log", "--to", "anna@example.com", "--json").lines()
    assert [row["resend_of"] is not None for row in sent] == [True]
    assert [row["action"] for row in house.audited] == ["correct"]
    token = token_of(page.split("redirect/end", 1)[1])
    client.post(url + "/redirect/end", data={"token": token, "address": "ana@example.com"})
    assert "goes to anna@example.com" not in client.get(url).text


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"new": "no address"}, "new"),
        ({"new": "ANA@example.com"}, "new"),
        ({"days": "0"}, "days"),
        ({"days": "many"}, "days"),
        ({"until": "2020-01-01"}, "until"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(house: House, typed: dict[str, str], field: str) -> None:
    url = _page_of(house, _lost(house))
    answer = house.client("bob").post(url + "/correct", data=_form(house, seen="yes", **typed))
    assert answer.status_code == 422
    assert f'href="#f-{field}"' in answer.text
    assert house.audited == []


def test_the_address_of_somebody_else_is_not_corrected_here(house: House) -> None:
    url = _page_of(house, _lost(house))
    answer = house.client("bob").post(url + "/correct", data=_form(house, seen="yes", old="zoe@example.com"))
    assert answer.status_code == 404


def test_mail_of_other_apps_is_not_sent_again_by_whoever_does_not_see_it(house: House) -> None:
    _lost(house, app="spa")
    url = _page_of(house, _lost(house))
    house.client("sven").post(url + "/correct", data=_form(house, seen="yes"))
    sent = house.desk.run("log", "--to", "anna@example.com", "--json").lines()
    assert [row["app"] for row in sent] == ["hotel"]


def test_all_that_is_known_is_handed_out_as_one_file(house: House) -> None:
    url = _page_of(house, _lost(house))
    assert house.client("bob").get(url + "/export").status_code == 403
    answer = house.client("alice").get(url + "/export")
    (known,) = json.loads(answer.text)
    assert known["messages"][0]["subject"] == "Your room"
    assert "attachment" in answer.headers["content-disposition"]
    assert [row["action"] for row in house.audited] == ["export"]


def test_erasing_needs_the_address_typed_and_leaves_no_trace(house: House) -> None:
    url, client = _page_of(house, _lost(house)), house.client("alice")
    token = token_of(client.get(url + "/erase").text)
    wrong = client.post(url + "/erase", data={"token": token, "typed": "yes"})
    assert wrong.status_code == 422
    assert house.client("olga").post(url + "/erase", data={"token": token}).status_code == 403
    done = client.post(url + "/erase", data={"token": token, "typed": "Ana@example.com"})
    assert done.headers["location"].startswith("/customers?")
    assert "Erased: 1 message." in client.get(done.headers["location"]).text
    assert client.get(url).status_code == 404
    assert "ana@example.com" not in str(house.audited)
    assert [row["action"] for row in house.audited] == ["erase"]


def test_nobody_is_erased_while_mail_to_them_has_not_ended(house: House) -> None:
    _, (one,) = house.desk.accept("ana@example.com")
    url = _page_of(house, one)
    answer = house.client("alice").post(url + "/erase", data={"token": TOKEN, "typed": "ana@example.com"})
    assert answer.status_code == 422
    assert "cannot be erased yet" in answer.text
