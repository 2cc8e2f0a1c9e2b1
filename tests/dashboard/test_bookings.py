"""The page of a booking: one sentence, a line for each mail, and what it says when there is none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from relay.booking_links import Link, Shows, key_of
from relay.model import Delivery, Reference
from relay.status import Status
from relay.store import meta
from tests.dashboard.house import CONFIG, House, token_of

OK = "250 2.0.0 Ok"
UNKNOWN = "550 5.1.1 User unknown"
GREY = "451 4.7.1 Greylisted"
NEVER = "f" * 24


def _three(house: House) -> list[Delivery]:
    """A confirmation and a change that arrived, a reminder that is still being tried."""
    made = []
    for kind in ("confirmation", "change", "reminder"):
        _, (one,) = house.desk.accept("anna@example.com", kind=kind, subject=f"Your {kind}", booking="BK-20931")
        made.append(one)
    house.desk.answer(made[0], OK, status=Status.DELIVERED)
    house.desk.answer(made[1], OK, status=Status.DELIVERED)
    house.desk.answer(made[2], GREY, status=Status.DEFERRED, next_in=timedelta(hours=3))
    return made


def test_m002_2_one_time_line_holds_every_mail_oldest_first(house: House) -> None:
    _three(house)
    page = house.client("vera").get("/bookings/BK-20931").text
    assert page.index("Your confirmation") < page.index("Your change") < page.index("Your reminder")
    assert "2 of 3 emails reached the customer's mail server." in page.replace("&#39;", "'")
    assert "Reminder: still being tried, next at " in page


def test_m002_4_only_what_their_server_confirmed_is_green(house: House) -> None:
    _three(house)
    _, (failed,) = house.desk.accept("old@example.com", booking="BK-20931")
    house.desk.answer(failed, UNKNOWN, status=Status.INVALID)
    page = house.client("vera").get("/bookings/bk 20931").text
    assert page.count('class="tag ok"') == 2
    assert "Address does not exist" in page
    assert 'class="answer bad"' in page


def test_m002_5_nothing_handed_to_us_looks_different_and_lists_the_checks(house: House) -> None:
    _three(house)
    house.desk.refuse(to="guest@example.com", text="no mail for BK-20913")
    page = house.client("vera").get("/bookings/BK-20913").text
    assert 'class="nothing"' in page
    assert 'class="answer' not in page
    assert "did not hand one to us" in page
    assert 'href="/bookings/BK-20931"' in page
    assert "192.0.2.7" in page or "refused it" in page
    assert "Is this notice switched on" in page


def test_m002_7_a_page_says_since_when_there_is_a_log(house: House) -> None:
    _three(house)
    day = f"{house.desk.now:%Y}"
    assert "kept on record here since" in house.client("vera").get("/bookings/BK-20931").text
    assert day in house.client("vera").get("/bookings/BK-1").text


def test_an_empty_log_says_so(house: House) -> None:
    page = house.client("vera").get("/bookings/BK-1").text
    assert "Nothing was ever handed to us" in page


def test_a_mail_of_another_app_does_not_exist_for_whoever_may_not_see_it(house: House) -> None:
    house.desk.accept("anna@example.com", booking="BK-77777", app="spa")
    house.desk.refuse(to="x@example.com", text="BK-77777")
    page = house.client("sven").get("/bookings/BK-77777").text
    assert "did not hand one to us" in page
    assert "shop@other.example" not in page
    assert "did not hand" not in house.client("bob").get("/bookings/BK-77777").text


def test_a_sender_narrows_the_page(house: House) -> None:
    house.desk.accept("anna@example.com", booking="BK-77777", app="spa", subject="Massage")
    house.desk.accept("anna@example.com", booking="BK-77777", app="hotel", subject="Room")
    page = house.client("bob").get("/bookings/BK-77777?sender=spa").text
    assert "Massage" in page
    assert "Room" not in page


def test_all_undelivered_mail_is_sent_again_once(house: House) -> None:
    _, (failed,) = house.desk.accept("old@example.com", booking="BK-5")
    house.desk.answer(failed, "552 5.2.2 Mailbox full", status=Status.SOFT_BOUNCED)
    _, (blocked,) = house.desk.accept("blocked@example.com", booking="BK-5")
    house.desk.answer(blocked, UNKNOWN, status=Status.INVALID)
    client = house.client("bob")
    page = client.get("/bookings/BK-5/resend").text
    assert "This email did not arrive" in page
    assert "blocked@example.com is blocked" in page
    form = {"token": token_of(page), "id": [failed.id, blocked.id]}
    first = client.post("/bookings/BK-5/resend", data={**form, "id": [failed.id]})
    again = client.post("/bookings/BK-5/resend", data={**form, "id": [failed.id]})
    assert (first.status_code, again.status_code) == (303, 303)
    assert first.headers["location"].startswith("/bookings/BK-5?did=resend_booking")
    assert len(house.desk.run("log", "old@example.com", "--json").lines()) == 2
    assert [row["action"] for row in house.audited] == ["resend_booking"]
    assert "Queued again: 1" in client.get(first.headers["location"]).text


def test_nothing_ticked_sends_nothing(house: House) -> None:
    _, (failed,) = house.desk.accept("old@example.com", booking="BK-5")
    house.desk.answer(failed, "552 5.2.2 Mailbox full", status=Status.SOFT_BOUNCED)
    client = house.client("bob")
    token = token_of(client.get("/bookings/BK-5/resend").text)
    answer = client.post("/bookings/BK-5/resend", data={"token": token})
    assert answer.status_code == 422
    assert "Nothing is ticked" in answer.text
    assert house.audited == []


def test_a_viewer_sends_nothing(house: House) -> None:
    _three(house)
    assert house.client("vera").post("/bookings/BK-20931/resend", data={"token": NEVER}).status_code == 403
    assert "/resend" not in house.client("vera").get("/bookings/BK-20931").text


def test_the_rows_say_when_nothing_changed(house: House) -> None:
    made = _three(house)
    client = house.client("vera")
    first = client.get("/bookings/BK-20931/rows")
    assert "data-final" not in first.text
    same = client.get("/bookings/BK-20931/rows", headers={"if-none-match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    house.desk.answer(made[2], OK, status=Status.DELIVERED)
    later = client.get("/bookings/BK-20931/rows", headers={"if-none-match": first.headers["etag"]})
    assert later.status_code == 200
    assert "data-final" in later.text


def test_m002_8_everything_is_handed_over_in_one_file(house: House) -> None:
    _three(house)
    answer = house.client("bob").get("/bookings/BK-20931/package")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert "/bookings/BK-20931" in answer.text
    assert "Should have gone to: anna@example.com" in " ".join(answer.text.split())
    assert [row["action"] for row in house.audited] == ["escalate"]


def _signed(house: House, booking: str, *, app: str = "hotel", seconds: int = 600) -> str:
    secret = house.store.write_now(lambda tx: meta.secret(tx, "booking_links"))
    link = Link(shows=Shows.BOOKING, app=app, booking=booking, expires=int(datetime.now(UTC).timestamp()) + seconds)
    return link.address("", key_of(secret, app))


def test_a_signed_link_shows_one_apps_mail_and_leads_nowhere(house: House) -> None:
    _three(house)
    house.desk.accept("anna@example.com", booking="BK-20931", app="spa", subject="Massage")
    answer = house.client().get(_signed(house, "BK-20931"))
    assert answer.status_code == 200
    assert "2 of 3 emails" in answer.text
    assert "Your reminder" in answer.text
    assert "Massage" not in answer.text
    assert "<a " not in answer.text
    assert "<form" not in answer.text


def test_a_signed_link_to_a_booking_without_mail_tells_nothing_else(house: House) -> None:
    _three(house)
    house.desk.refuse(to="guest@example.com", text="no mail for BK-20913")
    page = house.client().get(_signed(house, "BK-20913")).text
    assert "did not hand one to us" in page
    assert "BK-20931" not in page
    assert "refused" not in page


def test_a_link_that_is_over_or_changed_opens_nothing(house: House) -> None:
    _three(house)
    good = _signed(house, "BK-20931")
    for address in (
        _signed(house, "BK-20931", seconds=-1),
        good.replace("BK-20931", "BK-20932"),
        good.replace("app=hotel", "app=spa"),
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.partition("?")[0],
    ):
        assert house.client().get(address).status_code == 404


def test_kinds_that_most_bookings_get_are_named_when_missing(house: House) -> None:
    for number in range(6):
        for kind in ("confirmation", "reminder"):
            house.desk.accept("guest@example.com", booking=f"BK-{number}", kind=kind)
    house.desk.accept("anna@example.com", booking="BK-900", kind="confirmation")
    assert "Not seen for this booking: Reminder." in house.client("vera").get("/bookings/BK-900").text
    assert "Not seen for this booking" not in house.client("vera").get("/bookings/BK-1").text


def test_hostile_text_is_only_text(house: House) -> None:
    nasty = '"><svg onload=alert(1)>'
    reference = Reference(kind="booking", value=nasty, source="header")
    house.desk.accept("a@example.com", booking=None, references=(reference,), subject=nasty, kind=nasty)
    for path in ("/bookings/%22%3E%3Csvg%20onload=alert(1)%3E", "/bookings/%3Cscript%3Ealert(1)%3C%2Fscript%3E"):
        page = house.client("bob").get(path).text
        assert "<svg onload" not in page
        assert "<script>alert" not in page


# -- the way back to the app

IN_APP = 'booking_url = "https://booking.example/b/{ref}?from=mail"'


def test_the_page_and_its_mails_lead_to_the_booking_in_the_app(house: House) -> None:
    _, (mail,) = house.desk.accept("anna@example.com", booking="BK 1/2?&<é")
    house.desk.accept("anna@example.com", booking="BK 1/2?&<é", app="spa")
    house.config_text = CONFIG.replace('booking_pattern = "BK-#####"', IN_APP)
    url = 'href="https://booking.example/b/BK%201%2F2%3F%26%3C%C3%A9?from=mail" rel="noreferrer">Open in hotel</a>'
    page = house.client("vera").get("/bookings/BK%201%2F2%3F%26%3C%C3%A9").text
    assert page.count("Open in ") == 1
    assert url in page
    assert url in house.client("vera").get(f"/m/{mail.id}").text


def test_without_a_template_or_a_number_nothing_leads_there(house: House) -> None:
    _, (mail,) = house.desk.accept("anna@example.com", booking="..")
    _, (other,) = house.desk.accept("anna@example.com", booking=None)
    _, (spa,) = house.desk.accept("anna@example.com", booking="BK-20931", app="spa")
    house.config_text = CONFIG.replace('booking_pattern = "BK-#####"', IN_APP)
    for path in (f"/m/{mail.id}", f"/m/{other.id}", f"/m/{spa.id}", "/bookings/BK-20931"):
        answer = house.client("vera").get(path)
        assert answer.status_code == 200
        assert "Open in " not in answer.text


def test_a_signed_link_leads_to_no_other_page(house: House) -> None:
    house.desk.accept("anna@example.com", booking="BK-20931")
    house.config_text = CONFIG.replace('booking_pattern = "BK-#####"', IN_APP)
    assert "Open in " not in house.client().get(_signed(house, "BK-20931")).text
