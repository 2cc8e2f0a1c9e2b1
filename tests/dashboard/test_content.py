"""What a mail says, on the pages: for whom, written down, locked up, and what is left when it is gone."""

from __future__ import annotations

import pytest

from relay.model import Delivery
from relay.store import content, spool
from tests.dashboard.house import House
from tests.dashboard.mails import FILE_NAMES, full_mail, html_mail

PATHS = ["content", "content?form=plain", "content?form=headers", "content?form=attachments", "formatted", "source"]
PATHS += ["attachments/4"]


@pytest.fixture
def mail(house: House) -> Delivery:
    _, (delivery,) = house.desk.accept("anna@example.com", content=full_mail())
    return delivery


@pytest.mark.parametrize("path", PATHS)
def test_content_is_for_those_who_may_read_it(house: House, mail: Delivery, path: str) -> None:
    assert house.client("vera").get(f"/m/{mail.id}/{path}").status_code == 200
    hidden = house.client("sven").get(f"/m/{mail.id}/{path}")
    assert hidden.status_code == 403
    assert "Content is hidden" in hidden.text
    assert "See you" not in hidden.text


@pytest.mark.parametrize("path", PATHS)
def test_content_of_another_app_or_of_nothing_is_not_there(house: House, path: str) -> None:
    _, (other,) = house.desk.accept("anna@example.com", app="spa", content=full_mail())
    for wanted in (other.id, "1", "x" * 300, "%00", "..%2f..%2fetc"):
        assert house.client("sven").get(f"/m/{wanted}/{path}").status_code == 404


@pytest.mark.parametrize("path", PATHS[1:])
def test_each_reading_is_written_down_once(house: House, mail: Delivery, path: str) -> None:
    house.client("vera").get(f"/m/{mail.id}/{path}")
    (row,) = house.audited
    assert (row["by"], row["action"], row["on"], row["kind"]) == ("vera", "read", mail.id, "message")


def test_the_page_around_the_formatted_text_leaves_the_writing_down_to_its_frame(house: House, mail: Delivery) -> None:
    page = house.client("vera").get(f"/m/{mail.id}/content").text
    assert house.audited == []
    assert f'<iframe class="formatted" sandbox="" referrerpolicy="no-referrer" src="/m/{mail.id}/formatted"' in page


def test_m001_5_the_full_mail_opens_in_either_form(house: House, mail: Delivery) -> None:
    bob = house.client("bob")
    assert "See you <b>soon</b>." in bob.get(f"/m/{mail.id}/formatted").text
    assert "See you soon." in bob.get(f"/m/{mail.id}/content?form=plain").text


@pytest.mark.parametrize(("form", "sent"), [("formatted", "full"), ("plain", "plain")])
def test_m001_6_a_resend_button_stands_before_the_mail(house: House, mail: Delivery, form: str, sent: str) -> None:
    page = house.client("bob").get(f"/m/{mail.id}/content?form={form}&next=/customers/7").text
    link = f"/m/{mail.id}/resend?form={sent}&amp;next=%2Fcustomers%2F7"
    assert link in page
    assert page.index(link) < page.index("<h1>")
    assert "Resend email" not in house.client("vera").get(f"/m/{mail.id}/content?form={form}").text


def test_the_formatted_text_is_locked_up(house: House, mail: Delivery) -> None:
    answer = house.client("vera").get(f"/m/{mail.id}/formatted")
    assert answer.headers["content-security-policy"] == (
        "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; "
        "frame-ancestors 'self'"
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_who_came_from_a_page_gets_the_page_around_the_text(house: House, mail: Delivery) -> None:
    for path, form in (("formatted", "formatted"), ("plain", "plain")):
        answer = house.client("vera").get(f"/m/{mail.id}/{path}?next=/customers/7")
        assert answer.status_code == 303
        assert answer.headers["location"] == f"/m/{mail.id}/content?form={form}&next=%2Fcustomers%2F7"


def test_the_source_is_a_file_of_text(house: House, mail: Delivery) -> None:
    answer = house.client("vera").get(f"/m/{mail.id}/source")
    assert answer.content == full_mail()
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["content-disposition"] == f'attachment; filename="waybill-{mail.id}.eml"'
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_attachment_is_a_file_of_bytes(house: House, mail: Delivery) -> None:
    page = house.client("vera").get(f"/m/{mail.id}/content?form=attachments").text
    assert f'href="/m/{mail.id}/attachments/4"' in page
    answer = house.client("vera").get(f"/m/{mail.id}/attachments/4")
    assert answer.content == b"%PDF-1.4 paper"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="4-invoice.pdf"'


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_file_name_neither_leads_away_nor_acts(house: House, name: str) -> None:
    _, (delivery,) = house.desk.accept("anna@example.com", content=full_mail(file_name=name.replace("\r\n", " ")))
    page = house.client("vera").get(f"/m/{delivery.id}/content?form=attachments").text
    assert "<svg onload" not in page
    said = house.client("vera").get(f"/m/{delivery.id}/attachments/4").headers["content-disposition"]
    assert said.isascii()
    assert not any(sign in said for sign in ("/", "\\", ".."))
    assert said.count('"') == 2


@pytest.mark.parametrize("number", ["1", "2", "99", "0", "-1", "x", "9" * 400])
def test_an_attachment_that_is_none_is_not_there(house: House, mail: Delivery, number: str) -> None:
    assert house.client("vera").get(f"/m/{mail.id}/attachments/{number}").status_code == 404


def test_a_form_that_is_not_there_says_what_is(house: House) -> None:
    _, (delivery,) = house.desk.accept("anna@example.com", content=html_mail("<p>Hello</p>"))
    page = house.client("vera").get(f"/m/{delivery.id}/content?form=plain").text
    assert "No plain text" in page
    assert f"/m/{delivery.id}/content?form=formatted" in page
    assert house.client("vera").get(f"/m/{delivery.id}/content?form=nonsense").status_code == 404


def test_content_that_is_gone_says_so_with_what_is_known(house: House, mail: Delivery) -> None:
    with house.desk.store() as store:
        store.write_now(lambda tx: tx.run("retention.drop_content", {"id": mail.message_id}))
    for page in (f"/m/{mail.id}", f"/m/{mail.id}/content?form=plain"):
        text = house.client("bob").get(page).text
        assert "not kept any more" in text
        assert "Your booking" in text
    assert house.client("bob").get(f"/m/{mail.id}/formatted").status_code == 404
    assert house.client("bob").get(f"/m/{mail.id}/source").status_code == 404
    assert "cannot be sent again from here" in house.client("bob").get(f"/m/{mail.id}/resend").text
    assert house.audited == []


def test_a_resend_in_plain_text_shows_what_was_sent(house: House, mail: Delivery) -> None:
    house.desk.run("resend", mail.id, "--plain", "--to", "other@example.com")
    with house.desk.store() as store:
        _, copy = (one.id for one in store.read_now(lambda tx: spool.deliveries_of(tx, mail.message_id)))
    assert f'"/m/{copy}/resend"' in house.client("bob").get(f"/m/{mail.id}?copy=last").text
    assert "No formatted text" in house.client("bob").get(f"/m/{copy}/content").text


def test_ten_megabytes_of_text_are_cut_with_a_word(house: House) -> None:
    raw = full_mail(markup="<p>" + "hello there " * 900_000)
    _, (delivery,) = house.desk.accept("anna@example.com", content=raw)
    answer = house.client("vera").get(f"/m/{delivery.id}/formatted")
    assert answer.status_code == 200
    assert len(answer.content) < 1_000_000


def test_content_of_a_store_that_keeps_none_is_never_shown(house: House) -> None:
    message, (delivery,) = house.desk.accept("anna@example.com", content=full_mail(), store_content="none")
    with house.desk.store() as store:
        assert store.read_now(lambda tx: content.is_kept(tx, message.id))  # until it has been sent
    page = house.client("vera").get(f"/m/{delivery.id}/content?form=plain").text
    assert "content is never kept" in page
    assert "See you" not in page
