"""The pages of the apps: what each does, what to type into it, and a booking picture tried on its mail."""

from __future__ import annotations

from dashboard.access import Person, Role
from dashboard.app_words import REASONS, REPAIRS
from tests.dashboard.house import CONFIG, PEOPLE, House


def test_every_app_is_listed_with_what_it_sent(house: House) -> None:
    house.desk.accept("anna@example.com")
    house.desk.accept("ben@example.com", booking=None)
    page = house.client("alice").get("/senders").text
    assert 'href="/senders/hotel"' in page
    assert 'href="/senders/spa"' in page
    assert "50" in page
    assert "none lately" in page


def test_without_an_app_the_page_says_what_to_do(house: House) -> None:
    house.config_text = CONFIG.partition("[[app]]")[0]
    assert "No app is set up" in house.client("alice").get("/senders").text


def test_an_app_shows_its_rules_its_mistakes_and_what_to_type(house: House) -> None:
    house.desk.accept("anna@example.com", repairs=("bare_lf",), kind="reminder")
    page = house.client("alice").get("/senders/hotel").text
    for text in ("127.0.0.1", "2525", "BK-#####", "of emails carry a booking", "reminder", "LF alone"):
        assert text in page


def test_an_app_shows_where_its_bookings_open(house: House) -> None:
    assert "write booking_url into its [[app]]" in house.client("alice").get("/senders/hotel").text
    house.config_text = CONFIG.replace('"BK-#####"', '"BK-#####"\nbooking_url = "http://desk:8080/?b={ref}"')
    assert "<code>http://desk:8080/?b={ref}</code>" in house.client("alice").get("/senders/hotel").text


def test_refused_mail_of_nobody_is_counted_in_words(house: House) -> None:
    house.desk.refuse(to="anna@example.com")
    page = house.client("alice").get("/senders").text
    assert "nobody knows whose" in page
    assert "The From address is none that the app may use." in page


def test_a_picture_is_tried_on_its_mail_and_nothing_changes(house: House) -> None:
    house.desk.accept("anna@example.com", subject="Stay <b>7-12345</b>", booking=None)
    client = house.client("alice")
    page = client.get("/senders/hotel?picture=7-%23%23%23%23%23").text
    assert "Found in 0 of 1 emails." in page  # the stored content has another subject
    content = b"Subject: Stay 7-12345\r\n\r\nx\r\n"
    house.desk.accept("anna@example.com", subject="Stay 7-12345", booking=None, content=content)
    page = client.get("/senders/hotel?picture=7-%23%23%23%23%23").text
    assert "Found in 1 of 2 emails." in page
    assert "booking_pattern = [&#34;7-#####&#34;]" in page
    assert "Stay &lt;b&gt;" in page
    page = client.get("/senders/hotel?picture=re:x").text
    assert "no regular expressions" in page
    assert house.audited == []


def test_an_app_that_is_not_there_is_not_there(house: House) -> None:
    assert house.client("alice").get("/senders/nobody").status_code == 404
    assert house.client("alice").get("/senders/%3Cb%3E").status_code == 404
    assert house.client("olga").get("/senders/hotel").status_code == 403


def test_an_admin_of_one_app_sees_that_app_alone(house: House) -> None:
    PEOPLE["adam"] = Person(id="ad", name="adam", role=Role.ADMIN, apps=("spa",))
    try:
        house.desk.refuse(to="anna@example.com")
        client = house.client("adam")
        page = client.get("/senders").text
        assert 'href="/senders/spa"' in page
        assert "/senders/hotel" not in page
        assert "nobody knows whose" not in page
        assert 'href="/queue"' not in page
        assert client.get("/senders/hotel").status_code == 404
        assert client.get("/settings").status_code == 404
        assert client.get("/queue").status_code == 404
        assert client.get("/domains").status_code == 404
        assert client.get("/audit").status_code == 404
    finally:
        del PEOPLE["adam"]


def test_a_hold_is_told_on_the_page(house: House) -> None:
    house.config_text = CONFIG + 'mode = "hold"\n'
    assert "hold mode" in house.client("alice").get("/senders/spa").text


def test_every_word_of_intake_has_words_for_people() -> None:
    import re
    from pathlib import Path

    intake = "\n".join(path.read_text(encoding="utf-8") for path in Path("relay/intake").glob("*.py"))
    assert set(re.findall(r'reason="([a-z_]+)"', intake)) <= set(REASONS)
    repair = Path("relay/intake/repair.py").read_text(encoding="utf-8")
    words = set(re.findall(r'repairs(?:\.append\(| \+= \[)"([a-z_]+)"', repair))
    assert words
    assert words <= set(REPAIRS)
