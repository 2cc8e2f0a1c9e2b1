"""The page of blocked addresses: the list, one block, adding, lists of other systems, and undoing mistakes."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from relay.model import Suppression
from relay.status import Status
from relay.store import suppressions
from tests.dashboard.house import House, token_of

UNKNOWN = "550 5.1.1 User unknown"
TOKEN = "t" * 24


def _block(house: House, value: str = "anna@example.com", *, reason: str = "manual", **values: str | None) -> int:
    """Put a block on the list; give its id."""
    wanted = Suppression(
        id=0,
        value=value,
        reason=reason,
        since_at=house.desk.now,
        **{"scope": "address", "source": "manual", "by": "sari", **values},  # type: ignore[arg-type]
    )
    made = house.store.write_now(lambda tx: suppressions.block(tx, wanted))
    assert made is not None
    return made.id


def _failed(house: House, address: str) -> None:
    _, (one,) = house.desk.accept(address)
    house.desk.answer(one, UNKNOWN, status=Status.INVALID)


def test_an_empty_list_says_what_it_is_for(house: House) -> None:
    page = house.client("vera").get("/suppressions").text
    assert "Nothing is blocked" in page
    assert "more than 12 errors" in page
    assert "/suppressions/add" not in page
    assert 'href="/suppressions/add"' in house.client("bob").get("/suppressions").text


def test_the_list_says_why_who_and_how_many_were_kept_back(house: House) -> None:
    _failed(house, "anna@example.com")
    house.desk.accept("anna@example.com")
    house.desk.run("flush", "--all")
    _block(house, "example.org", scope="domain", note="spam trap")
    page = house.client("vera").get("/suppressions").text
    assert "Address does not exist" in page
    assert "@example.org" in page
    assert "by hand, sari" in page
    assert "spam trap" in page


def test_mail_that_a_block_kept_back_is_counted(house: House) -> None:
    number = _block(house)
    house.desk.now += timedelta(seconds=5)
    _, (one,) = house.desk.accept("anna@example.com")
    house.desk.run("resend", one.id)
    page = house.client("vera").get("/suppressions").text
    assert re.search(r'data-label="Not sent meanwhile" class="num">1<', page)
    assert "1 email" in house.client("vera").get(f"/suppressions/{number}").text


def test_filters_narrow_the_list(house: House) -> None:
    _block(house, "anna@example.com")
    _block(house, "bob@example.com", reason="complaint", source="complaint")
    client = house.client("vera")
    for query in ("q=bob", "reason=complaint", "source=complaint"):
        page = client.get(f"/suppressions?{query}").text
        assert ("bob@example.com" in page, "anna@example.com" in page) == (True, False), query
    assert "No blocked address fits" in client.get("/suppressions?q=nobody").text


def test_a_long_list_has_pages_both_ways(house: House) -> None:
    for number in range(60):
        _block(house, f"guest{number:02}@example.com")
    client = house.client("vera")
    first = client.get("/suppressions").text
    older = re.search(r'<a class="button" href="([^"]+)">Older', first)
    assert older
    second = client.get(older.group(1)).text
    assert "guest59@" in first
    assert "guest00@" in second
    assert "guest10@" in first
    assert "guest10@" not in second
    assert '<a class="button" href="/suppressions">Newer' in second


@pytest.mark.parametrize("path", ["/suppressions/99", "/suppressions/abc", "/suppressions/99999999999999999999"])
def test_a_block_that_is_not_there_is_not_found(house: House, path: str) -> None:
    assert house.client("bob").get(path).status_code == 404


def test_blocking_needs_the_tick_and_keeps_what_was_typed(house: House) -> None:
    client = house.client("bob")
    token = token_of(client.get("/suppressions/add").text)
    form = {"token": token, "address": "anna@example.com", "note": "asked us"}
    refused = client.post("/suppressions/add", data=form)
    assert refused.status_code == 422
    assert 'value="anna@example.com"' in refused.text
    assert house.audited == []
    done = client.post("/suppressions/add", data={**form, "confirm": "yes"})
    again = client.post("/suppressions/add", data={**form, "confirm": "yes"})
    assert (done.status_code, again.status_code) == (303, 303)
    assert [(row["action"], row["on"]) for row in house.audited] == [("block", "anna@example.com")]
    assert "anna@example.com" in client.get(done.headers["location"]).text
    assert len(house.desk.run("suppressions", "list", "--json").lines()) == 1


@pytest.mark.parametrize(
    ("typed", "field"),
    [
        ({"address": "no address"}, "address"),
        ({"address": "anna@example.com", "until": "2020-01-01"}, "until"),
        ({"address": "anna@example.com", "until": "soon"}, "until"),
    ],
)
def test_what_cannot_be_blocked_is_said_at_its_field(house: House, typed: dict[str, str], field: str) -> None:
    answer = house.client("bob").post("/suppressions/add", data={"token": TOKEN, "confirm": "yes", **typed})
    assert answer.status_code == 422
    assert f'href="#f-{field}"' in answer.text
    assert house.audited == []


def test_unblocking_needs_the_tick(house: House) -> None:
    number = _block(house)
    client = house.client("bob")
    refused = client.post(f"/suppressions/{number}/unblock", data={"token": TOKEN, "note": "rang"})
    assert refused.status_code == 422
    assert 'value="rang"' in refused.text
    done = client.post(f"/suppressions/{number}/unblock", data={"token": TOKEN, "note": "rang", "confirm": "yes"})
    page = client.get(done.headers["location"]).text
    assert "This block has ended" in page
    assert "bob: rang" in page
    assert "f-confirm" not in page


def test_a_complaint_is_lifted_by_an_operator_alone(house: House) -> None:
    number = _block(house, reason="complaint", source="complaint")
    form = {"token": TOKEN, "confirm": "yes"}
    assert house.client("bob").post(f"/suppressions/{number}/unblock", data=form).status_code == 422
    assert "f-confirm" not in house.client("bob").get(f"/suppressions/{number}").text
    assert house.client("olga").post(f"/suppressions/{number}/unblock", data=form).status_code == 303


def test_a_block_is_made_to_end_on_another_day(house: House) -> None:
    number = _block(house)
    client = house.client("bob")
    day = f"{house.desk.now + timedelta(days=40):%Y-%m-%d}"
    answer = client.post(f"/suppressions/{number}/extend", data={"token": TOKEN, "until": day})
    assert answer.status_code == 303
    (block,) = house.desk.run("suppressions", "list", "--json").lines()
    assert block["until"][:10] == f"{house.desk.now + timedelta(days=41):%Y-%m-%d}"
    assert (
        client.post(f"/suppressions/{number}/extend", data={"token": TOKEN, "until": "1999-01-01"}).status_code == 422
    )


def test_whoever_has_one_app_sees_and_changes_what_concerns_it(house: House) -> None:
    house.desk.accept("mine@example.com")
    house.desk.accept("theirs@example.com", app="spa")
    mine, theirs = _block(house, "mine@example.com"), _block(house, "theirs@example.com")
    other, domain = _block(house, "mine@example.com", app="spa"), _block(house, "example.net", scope="domain")
    sven = house.client("sven")
    page = sven.get("/suppressions").text
    assert f'href="/suppressions/{mine}"' in page
    assert f'href="/suppressions/{domain}"' in page
    assert "theirs@example.com" not in page
    assert [sven.get(f"/suppressions/{one}").status_code for one in (mine, theirs, other)] == [200, 404, 404]
    form = {"token": TOKEN, "confirm": "yes"}
    assert sven.post(f"/suppressions/{domain}/unblock", data=form).status_code == 404
    everywhere = sven.post("/suppressions/add", data={**form, "address": "x@example.com"})
    assert everywhere.status_code == 422
    for path in ("/suppressions/import", "/suppressions/undo"):
        assert sven.get(path).status_code in {403, 404}
    assert "theirs@example.com" not in sven.get("/suppressions/export.csv").text


def test_the_list_is_exported_with_defused_cells(house: House) -> None:
    _block(house, note='=HYPERLINK("http://evil.example")')
    answer = house.client("bob").get("/suppressions/export.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "'=HYPERLINK" in answer.text
    assert [row["action"] for row in house.audited] == ["export"]
    assert house.client("vera").get("/suppressions/export.csv").status_code == 403


def test_a_list_is_shown_before_it_blocks_and_blocks_once(house: House) -> None:
    client = house.client("bob")
    content = b"address,reason\nanna@example.com,manual\nno address,manual\nbob@example.com,manual\n"
    preview = client.post("/suppressions/import/preview", files={"file": ("ours.csv", content)}, data={"token": TOKEN})
    assert preview.status_code == 200
    assert "Block 2 addresses" in preview.text
    assert house.desk.run("suppressions", "list", "--json").lines() == []
    packed = re.search(r'name="packed" value="([^"]+)"', preview.text)
    assert packed
    form = {"token": token_of(preview.text), "packed": packed.group(1), "name": "ours.csv", "app": ""}
    done = client.post("/suppressions/import", data=form)
    again = client.post("/suppressions/import", data=form)
    assert (done.status_code, again.headers["location"]) == (303, done.headers["location"])
    assert "2 blocked" in client.get(done.headers["location"]).text
    assert len(house.desk.run("suppressions", "list", "--json").lines()) == 2
    assert [row["action"] for row in house.audited] == ["import"]


@pytest.mark.parametrize("content", [b"", b"colour,size\nred,3\n"])
def test_a_file_that_is_no_list_is_refused_in_words(house: House, content: bytes) -> None:
    answer = house.client("bob").post(
        "/suppressions/import/preview", files={"file": ("x.csv", content)}, data={"token": TOKEN}
    )
    assert answer.status_code == 422
    assert 'href="#f-file"' in answer.text


@pytest.mark.parametrize("packed", ["", "!!!", "AAAA", "eJw"])
def test_a_packed_list_that_is_not_ours_blocks_nothing(house: House, packed: str) -> None:
    form = {"token": TOKEN, "packed": packed, "name": "x"}
    assert house.client("bob").post("/suppressions/import", data=form).status_code == 422


def test_a_long_list_fits_into_the_form(house: House) -> None:
    content = b"address\n" + b"".join(b"guest%d@example.com\n" % number for number in range(5000))
    assert len(content) > 64 * 1024
    client = house.client("bob")
    preview = client.post("/suppressions/import/preview", files={"file": ("x.csv", content)}, data={"token": TOKEN})
    assert "Block 5,000 addresses" in preview.text or "Block 5000 addresses" in preview.text


def test_blocks_by_mistake_are_undone_after_a_look(house: House) -> None:
    _failed(house, "anna@example.com")
    _failed(house, "bob@example.com")
    _block(house, "sari@example.com")
    client = house.client("olga")
    since = f"{house.desk.now - timedelta(days=1):%Y-%m-%dT%H:%M}"
    page = client.get(f"/suppressions/undo?since={since}").text
    assert "2 addresses would be unblocked" in page
    form = {"token": token_of(page), "since": since, "until": "", "rule": "", "category": "", "domain": ""}
    assert client.post("/suppressions/undo", data=form).status_code == 422
    done = client.post("/suppressions/undo", data={**form, "confirm": "yes"})
    left = client.get(done.headers["location"]).text
    assert "2 addresses are no longer blocked" in left
    assert "sari@example.com" in left
    assert ">anna@example.com<" not in left
    assert house.client("bob").get("/suppressions/undo").status_code == 403


def test_hostile_text_is_only_text(house: House) -> None:
    number = _block(house, note="<script>alert(1)</script>", by='"><svg onload=alert(1)>')
    for path in ("/suppressions", f"/suppressions/{number}", "/suppressions?q=<script>alert(1)</script>"):
        page = house.client("bob").get(path).text
        assert "<script>alert" not in page
        assert "<svg onload" not in page
