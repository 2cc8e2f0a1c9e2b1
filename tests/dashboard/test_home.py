"""Home: the state in one sentence, numbers that lead to the log, what needs somebody, and the first steps."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from relay import doctor
from relay.doctor import Examination, Finding, State
from relay.model import Delivery
from relay.status import Status
from relay.store import pauses, spool, tallies
from tests.dashboard.house import House, token_of
from tests.store.making import claim

UNKNOWN = "550 5.1.1 User unknown"
FULL = "552 5.2.2 Mailbox is full"
GOOD = "250 2.0.0 ok"


def deliver(house: House, address: str = "anna@example.com", **values: object) -> Delivery:
    _, (one,) = house.desk.accept(address, **values)  # type: ignore[arg-type]
    house.desk.answer(one, GOOD, status=Status.DELIVERED)
    return one


def fail(house: House, address: str = "gone@example.com", text: str = UNKNOWN, **values: object) -> Delivery:
    _, (one,) = house.desk.accept(address, **values)  # type: ignore[arg-type]
    house.desk.answer(one, text, status=Status.INVALID if text is UNKNOWN else Status.SOFT_BOUNCED)
    return one


def home(house: House, name: str = "bob", address: str = "/") -> str:
    answer = house.client(name).get(address)
    assert answer.status_code == 200
    return answer.text


def number(page: str, kind: str) -> int:
    found = re.search(rf'<li class="{kind}"><a [^>]*><strong>([\d,]+)</strong>', page)
    assert found, kind
    return int(found.group(1).replace(",", ""))


def test_when_all_is_well_the_first_words_say_so(house: House) -> None:
    deliver(house)
    page = home(house)
    assert "Everything is working." in page
    assert re.search(r"Last email delivered <time[^>]*>\d+ minutes ago</time>", page)
    assert page.count("<h1") == 1


def test_numbers_are_links_to_the_log_that_shows_what_they_count(house: House) -> None:
    deliver(house)
    deliver(house, "bea@example.com")
    fail(house, text=FULL)
    house.desk.accept("wait@example.com")
    page = home(house)
    assert [number(page, kind) for kind in ("delivered", "pending", "not_delivered", "blocked")] == [2, 1, 1, 0]
    for kind in ("delivered", "pending", "not_delivered", "blocked"):
        assert f"/log?status={kind}&since=24h" in unescape(page)


@pytest.mark.parametrize(("span", "want"), [("24h", 1), ("7d", 2), ("30d", 3), ("nonsense", 1)])
def test_the_time_counted_is_chosen_in_the_address(house: House, span: str, want: int) -> None:
    for days in (20, 3):
        house.desk.now = datetime.now(UTC) - timedelta(days=days)
        deliver(house)
    house.desk.now = datetime.now(UTC) - timedelta(hours=1)
    deliver(house)
    assert number(home(house, address=f"/?span={span}"), "delivered") == want


def test_what_needs_somebody_stands_there_with_its_button(house: House) -> None:
    fail(house)
    fail(house, "full@example.com", FULL)
    page = home(house)
    assert "Address does not exist" in page
    assert "gone@example.com" in page
    assert page.count(">Correct and resend</a>") == 1
    assert 'href="/todo/1"' in page


def test_support_sees_no_machine_and_operators_do(house: House) -> None:
    deliver(house)
    assert "Emails over time" not in home(house, "bob")
    page = home(house, "olga")
    assert "Emails over time" in page
    assert "The machine" in page
    assert "Show as table" in page


def test_domains_and_reasons_lead_to_the_log(house: House) -> None:
    deliver(house)
    fail(house, text=FULL)
    page = unescape(home(house, "olga"))
    assert "/log?q=domain%3Aexample.com&since=24h" in page
    assert "/log?q=domain%3Aexample.com&status=not_delivered&since=24h" in page
    assert "/log?q=reason%3Amailbox_full&since=24h" in page
    assert "50 %" in page.replace("\u00a0", " ")


def test_only_mail_of_ones_own_apps_counts(house: House) -> None:
    deliver(house, app="spa")
    fail(house, "other@example.com", app="spa")
    fail(house, "own@example.com")
    page = home(house, "sven")
    assert (number(page, "delivered"), number(page, "not_delivered")) == (0, 1)
    assert "own@example.com" in page
    assert "other@example.com" not in page


def test_a_pause_of_everything_is_said_first(house: House) -> None:
    deliver(house)
    house.store.write_now(
        lambda tx: pauses.pause(tx, scope="all", value="", reason="new line", by="olga", now=house.desk.now)
    )
    page = home(house)
    assert "Everything is working." not in page
    assert "Sending is paused since" in page
    assert "new line" in page


def test_mail_that_nobody_takes_says_that_nobody_sends(house: House) -> None:
    deliver(house)
    house.desk.accept("wait@example.com")
    assert "the part that sends does not answer" in home(house)


def test_m003_2_too_few_deliveries_say_so_from_fifty_mails_up(house: House) -> None:
    for turn in range(48):
        deliver(house, f"g{turn}@example.com")
    fail(house, text=FULL)
    assert "Everything is working." in home(house)
    fail(house, "other@example.com", FULL)
    assert "Only 96 % of the emails of the last 24 hours were delivered." in home(house).replace("\u00a0", " ")


def test_an_incident_is_said_with_a_link(house: House) -> None:
    deliver(house)
    fail(house, text="550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy")
    page = home(house)
    assert "example.com refuses our emails. 1 email is affected." in page
    assert 'href="/incidents/1"' in page


def test_an_incident_of_another_app_is_not_told(house: House) -> None:
    deliver(house)
    fail(house, text="550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy", app="spa")
    assert "refuses our emails" not in home(house, "sven")
    assert house.client("sven").get("/incidents/1").status_code == 404


def test_the_live_part_is_sent_only_when_it_changed(house: House) -> None:
    deliver(house)
    client = house.client("bob")
    first = client.get("/home/steps")
    again = client.get("/home/steps", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, again.status_code, again.text) == (200, 304, "")
    live = client.get("/home/live?span=7d")
    assert live.text.strip().startswith('<div data-live="/home/live?span=7d" data-slow>')
    assert "etag" in live.headers


def test_hostile_text_is_shown_as_text(house: House) -> None:
    fail(house, "<script>alert(1)</script>@example.com")
    assert "<script>alert" not in home(house, "olga")


# The first steps.


def test_an_empty_store_shows_four_steps_and_nothing_else(house: House) -> None:
    page = home(house, "alice")
    assert "Four steps to the first email" in page
    assert "Everything is working" not in page
    assert ">127.0.0.1</code>" in page
    assert ">2525</code>" in page
    assert page.count('class="step done"') == 1  # the apps are configured


def test_without_an_app_there_are_lines_to_paste(house: House) -> None:
    house.config_text = house.config_text.partition("[[app]]")[0]
    page = home(house, "alice")
    assert "[[app]]" in page
    assert page.count('class="step done"') == 0


def test_the_ticks_turn_green_and_the_steps_go(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com")
    assert home(house).count('class="step done"') == 2
    house.desk.answer(one, GOOD, status=Status.DELIVERED)
    assert "Four steps" not in home(house)
    assert "data-final" in house.client("bob").get("/home/steps").text


def test_an_operator_sends_a_test_once_however_often_the_form_is_sent(house: House) -> None:
    client = house.client("olga")
    form = {"token": token_of(client.get("/").text), "address": "me@example.com"}
    answers = [client.post("/home/test", data=form) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]
    (claimed,) = claim(house.store, now=datetime.now(UTC) + timedelta(minutes=1))
    assert (claimed.delivery.address, claimed.message.app) == ("me@example.com", "waybill")
    assert [row["action"] for row in house.audited] == ["send_test"]
    assert house.nudges == 2
    assert "The test email is queued." in client.get(answers[0].headers["location"]).text


def test_a_test_to_what_is_no_address_sends_nothing(house: House) -> None:
    client = house.client("olga")
    answer = client.post("/home/test", data={"token": token_of(client.get("/").text), "address": "nonsense"})
    assert "banner bad" in client.get(answer.headers["location"]).text
    assert house.store.read_now(tallies.first_apps) == []


def test_support_may_not_send_tests(house: House) -> None:
    assert house.client("bob").post("/home/test", data={"token": "x" * 20, "address": "a@b.example"}).status_code == 403


def test_our_own_test_is_not_mail_of_an_app(house: House) -> None:
    _, (one,) = house.desk.accept("me@example.com", app="waybill")
    house.desk.answer(one, GOOD, status=Status.DELIVERED)
    page = home(house)
    assert "Four steps" in page
    assert number(page, "delivered") == 1


def test_what_a_person_cancelled_is_in_no_number(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com")
    gone = replace(one, status=Status.CANCELLED)
    house.store.write_now(
        lambda tx: spool.add_delivery(tx, replace(gone, id=type(one.id)("01ZZZZZZZZZZZZZZZZZZZZZZZZ"), next_at=None))
    )
    page = home(house)
    assert sum(number(page, kind) for kind in ("delivered", "pending", "not_delivered", "blocked")) == 1


def test_the_tick_of_the_records_is_that_of_the_last_examination(house: House) -> None:
    def finding(state: State) -> Finding:
        return Finding(id="sender.spf", subject="hotel.example", state=state, found="", expected="", why="")

    for state, ticks in ((State.BAD, 1), (State.GOOD, 2)):
        one = Examination(at=datetime.now(UTC), findings=(finding(State.GOOD), finding(state)))
        house.store.write_now(lambda tx, one=one: doctor.save(tx, one))  # type: ignore[misc]
        assert home(house, "alice").count('class="step done"') == ticks
