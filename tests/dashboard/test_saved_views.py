"""Saved views on the pages: saved from the log, shared, in everybody's own scope, seen to by their owners."""

from __future__ import annotations

import html
import re
from urllib.parse import parse_qs, urlsplit

from relay.store import saved_views
from tests.dashboard.house import House, token_of


def _save(house: House, who: str, name: str, address: str, **changed: str) -> str:
    """Save what the log page shows, as the form of that page does; return the address that leads on."""
    client = house.client(who)
    page = client.get(address).text
    form = page[page.index('action="/log/views"') :].split("</form>")[0]
    sent = {key: html.unescape(value) for key, value in re.findall(r'name="(\w+)" value="([^"]*)"', form)}
    answer = client.post("/log/views", data=sent | {"name_of_view": name} | changed)
    assert answer.status_code == 303
    return str(answer.headers["location"])


def _views(page: str) -> dict[str, str]:
    if '<nav class="views' not in page:
        return {}
    block = page[page.index('<nav class="views') :].split("</nav>")[0]
    return {
        html.unescape(name): html.unescape(url)
        for url, name in re.findall(r'<li><a href="([^"]+)"[^>]*><bdi>([^<]+)<', block)
    }


def test_what_the_log_shows_is_saved_and_opens_again(house: House) -> None:
    house.desk.accept("anna@example.com")
    house.desk.accept("ben@other.example")
    page = (
        house.client("bob")
        .get(_save(house, "bob", "To example.com", "/log?q=domain:example.com&since=7d&order=oldest"))
        .text
    )
    assert "The view is saved." in page
    assert 'aria-current="true"><bdi>To example.com' in page
    assert "Save this view" not in page  # it is saved
    url = _views(house.client("vera").get("/log").text)["To example.com"]
    assert parse_qs(urlsplit(url).query) == {
        "q": ["domain:example.com"], "since": ["7d"], "order": ["oldest"], "list": ["1"],
    }  # fmt: skip
    rows = house.client("vera").get(url).text
    assert "anna@" in rows
    assert "ben@" not in rows
    (kept,) = house.store.read_now(saved_views.every)
    assert (kept.by, kept.apps) == ("bob", ())
    assert house.audited[-1] | {"at": None} == {
        "by": "bob", "ip": "testclient", "action": "save_view", "kind": "view", "on": "To example.com",
        "note": "domain:example.com", "at": None,
    }  # fmt: skip


def test_a_form_that_comes_twice_saves_once(house: House) -> None:
    house.desk.accept("anna@example.com")
    token = "t" * 20
    _save(house, "bob", "Mine", "/log?q=anna&since=7d", token=token)
    sent = {"token": token, "q": "anna", "since": "7d", "name_of_view": "Mine"}
    saved = house.client("bob").post("/log/views", data=sent).headers["location"]
    assert "The view is saved." in house.client("bob").get(saved).text
    assert [one["action"] for one in house.audited] == ["save_view"]
    again = _save(house, "bob", "mine", "/log?q=ben&since=7d&list=1")
    page = house.client("bob").get(again).text
    assert "Not saved: there is a view of that name already." in page


def test_everything_is_no_view_and_a_viewer_saves_none(house: House) -> None:
    house.desk.accept("anna@example.com")
    assert "Save this view" not in house.client("bob").get("/log").text
    assert "Save this view" not in house.client("vera").get("/log?since=7d").text
    assert house.client("vera").post("/log/views", data={"name_of_view": "x", "q": "a"}).status_code == 403
    assert house.client("vera").get("/log/views").status_code == 403


def test_a_view_shows_everybody_their_own_mail_and_hides_apps_they_do_not_see(house: House) -> None:
    house.desk.accept("anna@example.com", app="hotel")
    house.desk.accept("anna@spa.example", app="spa")
    _save(house, "bob", "Anna", "/log?q=anna&since=7d")
    _save(house, "bob", "Spa", "/log?q=app:spa&since=7d")
    _save(house, "bob", "No spa", "/log?q=-app:spa&since=7d")
    views = _views(house.client("sven").get("/log").text)
    assert list(views) == ["Anna"]
    page = house.client("sven").get(views["Anna"]).text
    assert "anna@example.com" in page.replace("<wbr>", "")
    assert "spa.example" not in page
    assert "Spa" not in house.client("sven").get("/log/views").text
    assert list(_views(house.client("vera").get("/log").text)) == ["Anna", "No spa", "Spa"]


def test_views_are_renamed_and_deleted_by_their_owner_or_an_admin(house: House) -> None:
    _save(house, "bob", "Anna", "/log?q=anna&since=7d")
    (kept,) = house.store.read_now(saved_views.every)
    page = house.client("bob").get("/log/views").text
    assert f"/log/views/{kept.id}/rename" in page
    assert "/rename" not in house.client("olga").get("/log/views").text
    data = {"token": token_of(page), "name": "Annas"}
    answer = house.client("bob").post(f"/log/views/{kept.id}/rename", data=data)
    assert "The view has its new name." in house.client("bob").get(answer.headers["location"]).text
    for who, said in (("olga", "Only whoever saved a view"), ("alice", "The view is deleted.")):
        token = "x" * 20 + who
        answer = house.client(who).post(f"/log/views/{kept.id}/delete", data={"token": token})
        assert said in house.client(who).get(answer.headers["location"]).text
    assert house.store.read_now(saved_views.every) == []
    said = [(one["by"], one["action"], one["on"]) for one in house.audited[1:]]
    assert said == [
        ("bob", "rename_view", "Anna"),
        ("olga", "delete_view (not_yours)", "Annas"),
        ("alice", "delete_view", "Annas"),
    ]


def test_what_hostile_names_say_is_text(house: House) -> None:
    _save(house, "bob", "<b>&\"'", "/log?q=anna&since=7d")
    for address in ("/log", "/log/views"):
        page = house.client("bob").get(address).text
        assert "<b>&" not in page
        assert "&lt;b&gt;&amp;" in page
