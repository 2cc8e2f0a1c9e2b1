"""The page of one mail: its answer, its time line, its buttons, and that it turns by itself."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from relay.model import Delivery
from relay.status import Status
from relay.store import notices
from tests.dashboard.house import House, token_of
from tests.dashboard.mails import PAYLOADS, full_mail

NO_SUCH = "550 5.1.1 no such user"


@pytest.fixture
def mail(house: House) -> Delivery:
    _, (delivery,) = house.desk.accept("anna@example.com", content=full_mail())
    return delivery


def outside_details(page: str) -> str:
    """What is seen of a page before anything is opened."""
    return re.sub(r"<[^>]*>", " ", re.sub(r"<details.*?</details>", "", page, flags=re.S))


def press(house: House, who: str, delivery: Delivery, what: str, **fields: str) -> str:
    """Press a button of the page; give the page that follows."""
    client = house.client(who)
    token = token_of(client.get(f"/m/{delivery.id}").text)
    answer = client.post(f"/m/{delivery.id}/{what}", data={"token": token, **fields})
    assert answer.status_code == 303
    return client.get(answer.headers["location"]).text


def test_the_page_begins_with_the_same_answer_as_the_command_line(house: House, mail: Delivery) -> None:
    house.desk.answer(mail, NO_SUCH, status=Status.INVALID)
    said = house.desk.run("why", mail.id, "--json").one()
    page = outside_details(house.client("bob").get(f"/m/{mail.id}").text)
    assert said["title"] in page
    assert said["next_step"] in page
    assert page.index(said["title"]) < page.index("What happened")
    assert "Who can fix it: the customer" in page


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (None, Status.QUEUED),
        ("250 2.0.0 Ok: queued", Status.DELIVERED),
        ("451 4.7.1 greylisted", Status.DEFERRED),
        (NO_SUCH, Status.INVALID),
        ("552 5.2.2 mailbox full", Status.SOFT_BOUNCED),
        ("550 5.7.1 blocked using spamhaus", Status.SOFT_BOUNCED),
        ("554 5.7.1 rejected by policy", Status.SOFT_BOUNCED),
    ],
)
def test_words_of_mail_servers_stand_in_details_only(
    house: House, mail: Delivery, text: str | None, status: Status
) -> None:
    if text:
        next_in = timedelta(minutes=5) if status is Status.DEFERRED else None
        house.desk.answer(mail, text, status=status, next_in=next_in)
    page = house.client("bob").get(f"/m/{mail.id}").text
    seen = outside_details(page)
    assert not re.search(r"\b(?:SMTP|MX|DSN|[245]\d\d|bounce|relay|suppression)\b", seen.split("Log", 1)[1])
    if text:
        assert text.split(" ", 2)[2] in page
        assert "EHLO relay" in page


def test_m002_3_only_what_was_confirmed_is_green(house: House, mail: Delivery) -> None:
    assert 'class="answer ok"' not in house.client("vera").get(f"/m/{mail.id}").text
    house.desk.answer(mail, "250 2.0.0 Ok", status=Status.DELIVERED)
    assert 'class="answer ok"' in house.client("vera").get(f"/m/{mail.id}").text


def test_a_viewer_gets_no_buttons(house: House, mail: Delivery) -> None:
    house.desk.answer(mail, NO_SUCH, status=Status.INVALID)
    page = house.client("vera").get(f"/m/{mail.id}").text
    assert page.count("<form") == 2  # search and sign out
    for word in ("/resend", "/correct", "/dealt-with", "/cancel", "Copy technical report"):
        assert word not in page


@pytest.mark.parametrize("path", ["", "/live", "/live?part=timeline", "/proof", "/resend", "/correct"])
def test_mail_of_another_app_or_of_nothing_is_not_there(house: House, path: str) -> None:
    _, (other,) = house.desk.accept("anna@example.com", app="spa")
    for wanted in (other.id, other.message_id, "1", "x" * 300, "%00", "é", "' OR 1=1 --"):
        assert house.client("sven").get(f"/m/{wanted}{path}").status_code == 404
    assert house.client("bob").get(f"/m/{other.id}{path}").status_code == 200


@pytest.mark.parametrize("what", ["resend", "correct", "dealt-with", "to-do"])
def test_nobody_changes_mail_of_an_app_they_do_not_see(house: House, what: str) -> None:
    _, (other,) = house.desk.accept("anna@example.com", app="spa")
    fields = {"token": "0" * 24, "new": "a@example.com", "to": "current"}
    assert house.client("sven").post(f"/m/{other.id}/{what}", data=fields).status_code == 404
    assert house.audited == []


@pytest.mark.parametrize("what", ["try", "hold", "release", "cancel"])
def test_only_an_operator_steers_a_mail(house: House, mail: Delivery, what: str) -> None:
    assert house.client("bob").post(f"/m/{mail.id}/{what}", data={"token": "0" * 24}).status_code == 403


def test_the_parts_tell_when_nothing_changed_and_when_they_are_final(house: House, mail: Delivery) -> None:
    client = house.client("vera")
    for part in ("answer", "timeline"):
        first = client.get(f"/m/{mail.id}/live?part={part}")
        assert f'data-live="/m/{mail.id}/live?part={part}"' in first.text
        assert first.text.lstrip().startswith("<")
        assert "data-final" not in first.text
        again = client.get(f"/m/{mail.id}/live?part={part}", headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.text) == (304, "")
    house.desk.answer(mail, "250 2.0.0 Ok", status=Status.DELIVERED)
    fresh = client.get(f"/m/{mail.id}/live", headers={"if-none-match": first.headers["etag"]})
    assert fresh.status_code == 200
    assert "data-final" in fresh.text
    assert "Delivered" in fresh.text
    assert client.get(f"/m/{mail.id}/live?part=other").status_code == 404


def test_the_parts_stand_in_the_page_as_they_are_fetched(house: House, mail: Delivery) -> None:
    page = house.client("bob").get(f"/m/{mail.id}").text
    for part in ("answer", "timeline"):
        assert house.client("bob").get(f"/m/{mail.id}/live?part={part}").text.strip() in page


def test_the_time_line_is_oldest_first_with_a_line_for_each_day(house: House, mail: Delivery) -> None:
    house.desk.answer(mail, "451 4.7.1 try later", status=Status.DEFERRED, next_in=timedelta(minutes=5))
    house.desk.now += timedelta(days=2)
    house.desk.answer(mail, "250 2.0.0 Ok", status=Status.DELIVERED)
    part = house.client("vera").get(f"/m/{mail.id}/live?part=timeline").text
    assert len(re.findall('class="day"', part)) == 2
    times = re.findall(r'<time datetime="([^"]+)"', part)
    assert times == sorted(times)
    assert part.index("Received from hotel") < part.index("asked us to wait") < part.index("confirmed that it has")


def test_times_are_on_the_readers_clock_or_in_utc(house: House, mail: Delivery) -> None:
    house.config_text += '[dashboard]\ntime_zone = "Asia/Kathmandu"\n'
    mine = house.client("vera").get(f"/m/{mail.id}").text
    utc = house.client("vera").get(f"/m/{mail.id}?utc=1").text
    at = re.search(r'<span class="at"><time datetime="([^"]+)" title="[^"]+">([^<]+)<', utc)
    assert at
    assert at[1][11:19] == at[2]
    assert at[2] not in outside_details(mine).split("What happened")[1].split("Details")[0]
    assert f"/m/{mail.id}/live?utc=1&amp;part=answer" in utc
    assert ("Times: Asia/Kathmandu" in mine, "Times: UTC" in utc) == (True, True)


def test_several_recipients_have_a_switch_and_the_worst_is_shown_first(house: House) -> None:
    message, (one, two) = house.desk.accept("anna@example.com", "bo@example.com")
    house.desk.answer(one, "250 2.0.0 Ok", status=Status.DELIVERED)
    house.desk.answer(two, NO_SUCH, status=Status.INVALID)
    page = house.client("vera").get(f"/m/{message.id}").text
    assert "no mailbox bo@example.com" in page
    assert f'<a href="/m/{one.id}">' in page
    assert f'<a href="/m/{two.id}" aria-current="true">' in page


def test_two_thousand_recipients_make_no_endless_page(house: House) -> None:
    message, _ = house.desk.accept(*(f"guest{n}@example.com" for n in range(2000)))
    page = house.client("vera").get(f"/m/{message.id}").text
    assert "1980 more recipients" in page
    assert len(page) < 60_000


def test_an_operator_holds_releases_hurries_and_stops(house: House, mail: Delivery) -> None:
    assert "Held: nothing is sent" in press(house, "olga", mail, "hold")
    assert "sending is paused" in house.client("vera").get(f"/m/{mail.id}").text
    assert "Released: 1 delivery" in press(house, "olga", mail, "release")
    assert "It will be tried now" in press(house, "olga", mail, "try")
    page = press(house, "olga", mail, "cancel")
    assert "olga stopped this email" in page
    assert [row["action"] for row in house.audited] == ["hold-mail", "release", "try-mail", "cancel"]
    assert {row["on"] for row in house.audited} == {mail.id}
    assert house.nudges == 4
    assert "Try now" not in page


def test_m000_10_a_problem_is_marked_as_dealt_with_and_put_back(house: House, mail: Delivery) -> None:
    house.desk.answer(mail, NO_SUCH, status=Status.INVALID)
    page = press(house, "bob", mail, "dealt-with")
    assert "Marked as dealt with" in page
    assert "Add to to-do" in page
    assert house.desk.run("notices", "--json").lines() == []
    page = press(house, "bob", mail, "to-do")
    assert "It is on the to-do list now" in page
    with house.desk.store() as store:
        (notice,) = store.read_now(lambda tx: notices.search(tx, address="anna@example.com"))
    assert (notice.cause, notice.count) == ("no-mailbox", 1)


def test_problems_of_an_app_that_is_not_seen_stay(house: House, mail: Delivery) -> None:
    _, (other,) = house.desk.accept("anna@example.com", app="spa")
    house.desk.answer(other, NO_SUCH, status=Status.INVALID)
    answer = house.client("sven").post(f"/m/{mail.id}/dealt-with", data={"token": "0" * 24})
    assert "There is nothing to do" in house.client("sven").get(answer.headers["location"]).text
    with house.desk.store() as store:
        assert store.read_now(lambda tx: notices.search(tx, address="anna@example.com"))


@pytest.mark.parametrize(
    ("text", "status", "button"),
    [
        (NO_SUCH, Status.INVALID, "Correct the address and resend"),
        ("552 5.2.2 mailbox full", Status.SOFT_BOUNCED, ">Resend<"),
        ("550 5.7.1 Mail from you is refused by policy", Status.SOFT_BOUNCED, "Copy technical report"),
    ],
)
def test_the_one_button_that_helps(house: House, mail: Delivery, text: str, status: Status, button: str) -> None:
    house.desk.answer(mail, text, status=status)
    assert button in house.client("bob").get(f"/m/{mail.id}/live").text


def test_a_blocked_mail_leads_to_the_block(house: House, mail: Delivery) -> None:
    house.desk.run("block", "anna@example.com", "--note", "asked us to stop")
    part = house.client("bob").get(f"/m/{mail.id}/live").text
    assert 'class="answer block"' in part
    assert re.search(r'href="/suppressions/\d+">Unblock<', part)
    assert "Unblock<" not in house.client("vera").get(f"/m/{mail.id}/live").text


def test_m000_1_the_desk_says_which_booking_a_mail_belongs_to(house: House, mail: Delivery) -> None:
    page = press(house, "bob", mail, "booking", booking=" BK-77 ")
    assert "The booking is set" in page
    assert "set by a person" in page
    assert house.desk.run("why", "BK-77").code == 0
    assert [(row["action"], row["note"]) for row in house.audited] == [("booking", "BK-77")]
    assert "Type the number" in press(house, "bob", mail, "booking", booking="x" * 101)
    assert house.client("vera").post(f"/m/{mail.id}/booking", data={"booking": "x"}).status_code == 403


def test_m000_11_all_three_texts_can_be_copied(house: House, mail: Delivery) -> None:
    house.desk.answer(mail, NO_SUCH, status=Status.INVALID)
    page = house.client("bob").get(f"/m/{mail.id}").text
    for name, words in (("t-customer", "could not be delivered"), ("t-report", "550 5.1.1"), ("t-package", "BK-10042")):
        text = re.search(rf'<textarea id="{name}"[^>]*>(.*?)</textarea>', page, re.S)
        assert text
        assert words in text[1]
        assert f'data-copy="{name}"' in page


def test_the_proof_is_written_down_and_holds_the_answer_of_the_server(house: House, mail: Delivery) -> None:
    house.desk.answer(mail, "250 2.0.0 Ok: queued as 77", status=Status.DELIVERED)
    page = house.client("vera").get(f"/m/{mail.id}/proof").text
    assert "queued as 77" in page
    assert [row["action"] for row in house.audited] == ["proof"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_others_wrote_is_shown_and_does_nothing(house: House, payload: str) -> None:
    values: dict[str, Any] = {
        "subject": payload,
        "booking": payload,
        "from_name": payload,
        "reply_to": payload,
        "helo": payload,
    }
    _, (mail,) = house.desk.accept("anna@example.com", customer=payload, kind=payload, phone=payload, **values)
    house.desk.answer(mail, f"550 5.1.1 {payload}", status=Status.INVALID)
    for path in (
        "",
        "/live",
        "/live?part=timeline",
        "/content",
        "/content?form=headers",
        "/proof",
        "/resend",
        "/correct",
    ):
        page = house.client("alice").get(f"/m/{mail.id}{path}").text
        assert "<svg onload" not in page
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert ">49<" not in page
    page = house.client("alice").get(f"/m/{mail.id}").text
    heading = re.search("<h1>(.*?)</h1>", page)
    assert heading
    assert heading[1].startswith("<bdi>")


def test_an_empty_subject_has_a_name(house: House) -> None:
    _, (mail,) = house.desk.accept("anna@example.com", subject="")
    assert "<h1><bdi>(no subject)</bdi></h1>" in house.client("vera").get(f"/m/{mail.id}").text
