"""The guard, over every route there is: signed in or not, enough of a role or not, from our own page or not."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from dashboard.access import Role, is_our_own
from dashboard.app import ROUTES
from dashboard.desk import local_path
from tests.dashboard.house import PEOPLE, House

GUARDED = [route for route in ROUTES if route.need is not None]  # type: ignore[attr-defined]

#: The only addresses that answer somebody who is not signed in.
PUBLIC = {
    "/open/bookings/{ref:path}",
    "/healthz",
    "/static/{version}/{name}",
    "/sign-in",
    "/sign-in/code",
    "/sign-in/outside",
    "/sign-in/outside/back",
    "/sign-out",
    "/link/{token}",
    "/badge/booking/{ref}.svg",
}


def _path(route: Route) -> str:
    return re.sub(r"\{[^}]+\}", "1", route.path)


def _method(route: Route) -> str:
    return "GET" if "GET" in (route.methods or ()) else "POST"


def test_only_what_is_named_here_is_open_to_all() -> None:
    assert {route.path for route in ROUTES if route.need is None} == PUBLIC  # type: ignore[attr-defined]


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{_method(route)} {route.path}")
def test_nobody_gets_in_without_signing_in(house: House, route: Route) -> None:
    answer = house.client().request(_method(route), _path(route))
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.parametrize("name", sorted(PEOPLE))
@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{_method(route)} {route.path}")
def test_a_role_opens_what_it_may_and_nothing_else(house: House, route: Route, name: str) -> None:
    needed: Role = route.need  # type: ignore[attr-defined]
    answer = house.client(name).request(_method(route), _path(route))
    if PEOPLE[name].role.allows(needed):
        assert answer.status_code != 403 or not PEOPLE[name].may_read_content
        assert answer.status_code < 500
    else:
        assert answer.status_code == 403
        assert house.audited == []


@pytest.mark.parametrize("route", [r for r in ROUTES if _method(r) == "POST"], ids=lambda route: route.path)
@pytest.mark.parametrize("said", ["cross-site", "same-site"])
def test_a_change_from_another_site_is_refused(house: House, route: Route, said: str) -> None:
    answer = house.client("alice", **{"sec-fetch-site": said}).post(_path(route))
    assert answer.status_code == 403
    assert house.audited == []


@pytest.mark.parametrize(
    ("headers", "is_ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://desk", "host": "desk"}, False),
        ({"origin": "http://desk:8025", "host": "desk:8025"}, True),
        ({"origin": "http://other", "host": "desk"}, False),
        ({"origin": "null", "host": "desk"}, False),
        ({"host": "desk"}, False),
    ],
)
def test_where_a_change_comes_from(headers: dict[str, str], is_ours: bool) -> None:
    assert is_our_own(headers) is is_ours


@pytest.mark.parametrize("address", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "/a\r\nb"])
def test_nobody_is_sent_to_another_site(address: str) -> None:
    assert local_path(address) == "/"


def test_a_page_that_does_not_exist_says_so_in_words(house: House) -> None:
    answer = house.client("vera").get("/no-such-page")
    assert answer.status_code == 404
    assert "Nothing here" in answer.text


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere(house: House) -> None:
    answer = house.client("vera").get("/no-such-page")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "http://" not in answer.text
    assert "https://" not in answer.text


def test_another_name_for_this_server_is_refused(house: House) -> None:
    assert house.client("vera").get("/", headers={"host": "evil.example"}).status_code == 400


def test_style_and_script_are_served_under_their_version_only(house: House) -> None:
    page = house.client("vera").get("/no-such-page").text
    for address in re.findall(r'"(/static/[^"#]+)', page):
        answer = house.client().get(address)
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
        assert house.client().get(re.sub(r"static/\w+", "static/0", address)).status_code == 404
