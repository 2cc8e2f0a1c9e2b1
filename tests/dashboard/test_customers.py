"""The page of a customer: does email flow, everything that was sent, errors, block and unblock."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.causes import in_words
from dashboard.tongue import Tongue
from relay import actions
from relay.model import Delivery
from relay.status import Status
from tests.dashboard.house import House, token_of

OK = "250 2.0.0 Ok"
UNKNOWN = "550 5.1.1 User unknown"
FULL = "552 5.2.2 Mailbox full"


def _page_of(house: House, delivery: Delivery, who: str = "bob") -> str:
    """The address of a customer's page, as another page links to it."""
    answer = house.client(who).get(f"/customers/of/{delivery.id}")
    assert answer.status_code == 303
    return answer.headers["location"]


def _blocked(house: House, address: str = "anna@example.com") -> Delivery:
    _, (one,) = house.desk.accept(address, subject="Your booking", phone="+358 40 1")
    house.desk.answer(one, UNKNOWN, status=Status.INVALID)
    return one


def test_no_email_address_stands_in_the_address_of_the_page(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com")
    url = _page_of(house, one)
    assert re.fullmatch(r"/customers/[A-Za-z0-9_-]{30,}", url)
    assert url == _page_of(house, one)
    assert house.client("vera").get(url).status_code == 200


@pytest.mark.parametrize("wrong", ["1", "anna@example.com", "A" * 60, "%00", "é", "x" * 3000])
def test_a_name_that_was_not_made_here_leads_nowhere(house: House, wrong: str) -> None:
    house.desk.accept("anna@example.com")
    assert house.client("bob").get(f"/customers/{wrong}").status_code == 404


def test_a_customer_of_another_app_does_not_exist(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com", app="spa")
    url = _page_of(house, one)
    sven = house.client("sven")
    assert sven.get(url).status_code == 404
    assert sven.get(f"/customers/of/{one.id}").status_code == 404
    assert sven.post(url + "/reset", data={"token": "x" * 24}).status_code == 404
    assert "anna@example.com" not in sven.get("/customers?q=anna").text


def test_m001_3_everything_that_was_sent_is_listed_newest_first(house: House) -> None:
    house.desk.accept("anna@example.com", subject="First")
    house.desk.accept("other@example.com", subject="Not hers")
    _, (one,) = house.desk.accept("Anna@example.com", subject="Second")
    page = house.client("vera").get(_page_of(house, one)).text
    assert page.index("Second") < page.index("First")
    assert "Not hers" not in page


def test_m001_4_a_resend_keeps_its_row_and_its_date(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com", subject="Only one")
    house.desk.answer(one, FULL, status=Status.SOFT_BOUNCED)
    url = _page_of(house, one)
    assert "Not delivered" in house.client("bob").get(url).text
    house.desk.run("resend", one.id)
    page = house.client("bob").get(url).text
    assert page.count("<tr data-row>") == 1
    assert "Queued" in page
    assert "pending" in page
    assert "sent again" in page


def test_m001_4_symbols_are_those_of_the_forms_that_are_possible(house: House) -> None:
    html = b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>Hello</p>\r\n"
    _, (both,) = house.desk.accept("anna@example.com", subject="With text")
    _, (one,) = house.desk.accept("anna@example.com", subject="Html alone", content=html)
    page = house.client("vera").get(_page_of(house, one)).text
    assert f'href="/m/{both.id}/content?form=plain&amp;next=' in page
    assert f'href="/m/{one.id}/content?form=formatted&amp;next=' in page
    assert f'href="/m/{one.id}/content?form=plain' not in page


def test_m001_9_what_is_older_than_a_month_is_in_the_archive(house: House) -> None:
    house.desk.now -= timedelta(days=70)
    house.desk.accept("anna@example.com", subject="Long ago")
    house.desk.now += timedelta(days=70)
    _, (one,) = house.desk.accept("anna@example.com", subject="Lately")
    client, url = house.client("vera"), _page_of(house, one)
    now, then = client.get(url).text, client.get(url + "?archived=yes").text
    assert "View archived messages" in now
    assert ("Lately" in now, "Long ago" in now) == (True, False)
    assert ("Lately" in then, "Long ago" in then) == (False, True)


def test_m001_12_the_badge_says_whether_email_flows(house: House) -> None:
    _, (fine,) = house.desk.accept("fine@example.com")
    assert "Email OK" in house.client("vera").get(_page_of(house, fine)).text
    page = house.client("vera").get(_page_of(house, _blocked(house))).text
    assert "Email bounced" in page
    assert "Confirm action" not in page  # a viewer changes nothing


def test_m001_13_without_the_tick_nothing_changes(house: House) -> None:
    url, client = _page_of(house, _blocked(house)), house.client("bob")
    token = token_of(client.get(url).text)
    answer = client.post(url + "/block", data={"token": token, "act": "unblock", "note": "rang her"})
    assert answer.status_code == 422
    assert "That did not work yet." in answer.text
    assert 'href="#f-confirm-0"' in answer.text
    assert 'value="rang her"' in answer.text
    assert house.audited == []
    assert house.desk.run("suppressions", "list", "--json").lines() != []


def test_m001_14_with_the_tick_mail_flows_again(house: House) -> None:
    url, client = _page_of(house, _blocked(house)), house.client("bob")
    form = {"token": token_of(client.get(url).text), "act": "unblock", "confirm": "yes", "note": "rang her"}
    answer = client.post(url + "/block", data=form)
    assert answer.status_code == 303
    page = client.get(answer.headers["location"]).text
    assert "no longer blocked" in page
    assert "Email OK" in page
    assert "rang her" in page
    assert [(row["action"], row["on"], row["note"]) for row in house.audited] == [
        ("unblock", "anna@example.com", "rang her")
    ]
    assert client.post(url + "/block", data=form).headers["location"] == answer.headers["location"]
    assert len(house.audited) == 1


def test_the_same_form_blocks(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com")
    url, client = _page_of(house, one), house.client("bob")
    form = {"token": token_of(client.get(url).text), "act": "block", "confirm": "yes"}
    client.post(url + "/block", data=form)
    assert "Email bounced" in client.get(url).text
    assert "Blocked by bob." in client.get(url).text


def test_a_note_is_needed_where_the_house_wants_one(house: House) -> None:
    house.config_text += "[dashboard]\nrequire_note = true\n"
    url, client = _page_of(house, _blocked(house)), house.client("bob")
    form = {"token": token_of(client.get(url).text), "act": "unblock", "confirm": "yes"}
    answer = client.post(url + "/block", data=form)
    assert answer.status_code == 422
    assert 'href="#f-note-0"' in answer.text


def test_an_operator_alone_lifts_the_block_of_a_complaint(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com")
    from relay.model import Suppression
    from relay.store import suppressions

    wanted = Suppression(
        id=0, scope="address", value="anna@example.com", reason="complaint", since_at=house.desk.now, source="complaint"
    )
    house.store.write_now(lambda tx: suppressions.block(tx, wanted))
    url = _page_of(house, one)
    form = {"token": "t" * 24, "act": "unblock", "confirm": "yes"}
    refused = house.client("bob").post(url + "/block", data=form)
    assert refused.status_code == 422
    assert "Only an operator may unblock" in refused.text
    assert house.client("olga").post(url + "/block", data=form).status_code == 303


def test_somebody_with_one_app_blocks_for_that_app(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com")
    url, client = _page_of(house, one), house.client("sven")
    client.post(url + "/block", data={"token": "t" * 24, "act": "block", "confirm": "yes"})
    (block,) = house.desk.run("suppressions", "list", "--json").lines()
    assert block["app"] == "hotel"


def test_an_address_of_somebody_else_is_not_changed_here(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com")
    url = _page_of(house, one)
    form = {"token": "t" * 24, "act": "block", "confirm": "yes", "address": "other@example.com"}
    assert house.client("bob").post(url + "/block", data=form).status_code == 404
    assert house.audited == []


def test_m003_9_a_number_stands_beside_the_name_only_when_there_are_errors(house: House) -> None:
    _, (fine,) = house.desk.accept("fine@example.com")
    assert 'href="#errors"' not in house.client("vera").get(_page_of(house, fine)).text
    _, (one,) = house.desk.accept("anna@example.com")
    house.desk.answer(one, FULL, status=Status.SOFT_BOUNCED)
    page = house.client("vera").get(_page_of(house, one)).text
    assert re.search(r'href="#errors"[^>]*>1<', page)
    assert "1 of 12 errors" in page


def test_m003_10_the_last_error_is_shown_in_words(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com", subject="The reminder")
    house.desk.answer(one, FULL, status=Status.SOFT_BOUNCED)
    page = house.client("vera").get(_page_of(house, one)).text
    assert "mailbox is full" in page
    outside = re.sub(r"<details>.*?</details>", "", page, flags=re.S)
    assert "552" in page
    assert "552" not in outside


def test_m003_11_the_bin_resets_the_counter_and_lifts_the_block(house: House) -> None:
    url, client = _page_of(house, _blocked(house)), house.client("bob")
    token = re.findall(r'name="token" value="([^"]+)"', client.get(url).text)[-1]
    answer = client.post(url + "/reset", data={"token": token, "address": "anna@example.com"})
    page = client.get(answer.headers["location"]).text
    assert "Email OK" in page
    assert 'href="#errors"' not in page
    assert [row["action"] for row in house.audited] == ["reset"]


def test_m000_7_corrected_addresses_are_one_customer(house: House) -> None:
    _, (old,) = house.desk.accept("ana@example.com", subject="To the wrong one")
    house.desk.answer(old, UNKNOWN, status=Status.INVALID)
    house.desk.run("correct", "ana@example.com", "anna@example.com")
    _, (new,) = house.desk.accept("anna@example.com", subject="To the right one")
    for one in (old, new):
        page = house.client("vera").get(_page_of(house, one)).text
        assert "To the wrong one" in page
        assert "To the right one" in page
        assert "earlier, corrected to" in page


def test_addresses_of_one_customer_number_are_one_customer(house: House) -> None:
    from relay.model import Reference

    for address, subject in (("anna@example.com", "Home"), ("anna@work.example", "Work")):
        found = (Reference(kind="customer", value="C-7", source="header"),)
        _, (one,) = house.desk.accept(address, subject=subject, customer="C-7", references=found)
        house.desk.answer(one, OK, status=Status.DELIVERED)
    other = (Reference(kind="customer", value="C-7", source="header"),)
    _, (foreign,) = house.desk.accept("zoe@example.com", customer="C-7", references=other, app="spa", subject="Zoe")
    house.desk.answer(foreign, OK, status=Status.DELIVERED)
    page = house.client("vera").get(_page_of(house, one)).text
    assert "Home" in page
    assert "Work" in page
    assert "Zoe" not in page


def test_a_filter_narrows_the_list_and_says_when_nothing_fits(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com", kind="reminder", subject="A reminder")
    house.desk.accept("anna@example.com", kind="confirmation", subject="A confirmation")
    client, url = house.client("vera"), _page_of(house, one)
    page = client.get(url + "?kind=reminder&status=pending").text
    assert ("A reminder" in page, ">A confirmation<" in page) == (True, False)
    assert "No email fits" in client.get(url + "?status=delivered").text


def test_a_long_history_has_pages_both_ways(house: House) -> None:
    for number in range(100):
        _, (one,) = house.desk.accept("anna@example.com", subject=f"Mail {number:03}")
    client, url = house.client("vera"), _page_of(house, one)
    seen = []
    for _ in range(3):
        page = client.get(url).text
        seen += re.findall(r">(Mail \d+)</a>", page)
        older = re.search(r'<a class="button" href="([^"]+)">Older', page)
        url = older.group(1).replace("&amp;", "&") if older else ""
    assert seen == [f"Mail {number:03}" for number in reversed(range(100))]
    assert url == ""
    newer = re.search(r'<a class="button" href="([^"]+)">Newer', page)
    assert newer
    assert "Mail 040" in client.get(newer.group(1)).text


def test_pending_rows_are_asked_for_again_until_they_are_final(house: House) -> None:
    _, (one,) = house.desk.accept("anna@example.com")
    client, url = house.client("vera"), _page_of(house, one)
    live = re.search(r'<tbody data-live="([^"]+)">', client.get(url).text)
    assert live
    address = live.group(1).replace("&amp;", "&")
    first = client.get(address)
    assert first.text.lstrip().startswith("<tbody")
    assert client.get(address, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    house.desk.accept("anna@example.com", subject="Came later")
    house.desk.answer(one, OK, status=Status.DELIVERED)
    later = client.get(address, headers={"if-none-match": first.headers["etag"]})
    assert "data-final" in later.text
    assert "Came later" not in later.text


def test_a_customer_is_found_by_any_detail(house: House) -> None:
    house.desk.accept("anna@example.com", booking="BK-4", phone="+358 40 555", customer="C-9")
    for text in ("anna", "BK-4", "555", "C-9"):
        page = house.client("vera").get(f"/customers?q={text}").text
        assert "anna@example.com" in page, text
    page = house.client("vera").get("/customers?q=nobody@nowhere.example").text
    assert 'class="nothing"' in page


def test_hostile_text_is_only_text(house: House) -> None:
    nasty = "<script>alert(1)</script>"
    _, (one,) = house.desk.accept("anna@example.com", subject=nasty, kind=nasty, customer=nasty, phone=nasty)
    house.desk.answer(one, f"552 5.2.2 {nasty}", status=Status.SOFT_BOUNCED)
    client = house.client("bob")
    for url in (_page_of(house, one), f"/customers?q={nasty}", "/customers?q=anna"):
        assert nasty not in client.get(url).text


def test_notes_say_reasons_in_words(house: House) -> None:
    mail = _blocked(house)
    wanted, now = actions.Wanted(address="anna@example.com"), datetime.now(UTC)
    assert house.store.write_now(lambda tx: actions.clear_notices(tx, wanted, by="bob", now=now)).is_done
    page = house.client("bob").get(_page_of(house, mail)).text
    notes = page[page.index('id="notes"') :].split("</section>")[0]
    assert "Notice cleared (Address does not exist" in notes
    assert "no-mailbox" not in notes


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (
            "undo",
            "Automatic block undone (invalid_address, rule x)",
            "Automatic block undone (Address does not exist, rule x)",
        ),
        ("reclassify", "now invalid, blocked (errors)", "now invalid, blocked (Blocked after errors)"),
        ("notice", "Notice cleared: she (moved) (unheard-of)", "Notice cleared: she (moved) (unheard-of)"),
        ("redirected", "Meant for a@b.example, redirected to c@b.example (moved)", ""),
    ],
)
def test_only_words_of_ours_are_put_in_words(kind: str, text: str, said: str) -> None:
    assert in_words(kind, text, Tongue("en")) == (said or text)
