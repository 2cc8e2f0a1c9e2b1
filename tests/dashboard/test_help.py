"""Help: every status and every reason has words, the keys are those of the script, and somebody can be asked."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dashboard.labels import WHO
from dashboard.status_help import KEYS, STATUS_HELP
from relay.accounts import Account, Role
from relay.classify.entries import every_entry, with_pending
from relay.status import Status
from relay.store import accounts
from tests.dashboard.house import PEOPLE, House


def test_m004_1_every_status_has_an_explanation_and_a_resolution(house: House) -> None:
    page = house.client("vera").get("/help/statuses").text
    assert set(STATUS_HELP) == set(Status)
    for status in Status:
        assert f'id="{status.value}"' in page
        assert STATUS_HELP[status].means.replace("'", "&#39;") in page
        assert STATUS_HELP[status].to_do.replace("'", "&#39;") in page


def test_every_reason_of_the_catalogue_is_told(house: House) -> None:
    page = house.client("vera").get("/help/statuses").text
    catalogue = tomllib.loads(Path("relay/classify/catalogue.toml").read_text(encoding="utf-8"))["entry"]
    assert set(every_entry()) == set(catalogue)
    assert {entry["who"] for entry in catalogue.values()} <= set(WHO)
    reasons = page[page.index('id="reasons"') :]
    assert reasons.count("<tr><th") - 1 == len(catalogue) + len(with_pending())
    assert "Not delivered: “example.com” does not exist" in reasons
    assert "{" not in reasons


def test_m003_3_delivered_may_be_the_spam_folder(house: House) -> None:
    assert "spam folder" in house.client("vera").get("/help").text


def test_m003_14_the_page_says_whom_to_ask(house: House) -> None:
    client = house.client("vera")
    assert "whoever set up Waybill" in client.get("/help").text
    now = datetime.now(UTC)
    people = [
        Account(id="1", name="olli", shown="Olli <IT>", role=Role.ADMIN, created_at=now),
        Account(id="2", name="gone", role=Role.ADMIN, created_at=now, disabled_at=now),
        Account(id="3", name="bob", role=Role.SUPPORT, created_at=now),
    ]
    for one in people:
        house.store.write_now(lambda tx, one=one: accounts.add(tx, one))  # type: ignore[misc]
    page = client.get("/help").text
    assert "Admins here: Olli &lt;IT&gt;<" in page


def test_the_keys_are_those_that_the_script_knows(house: House) -> None:
    script = Path("dashboard/static/waybill.js").read_text(encoding="utf-8")
    known = set(re.findall(r'key === "(.)"', script))
    places = set(re.findall(r"(\w): \"/", script))
    shown = {press for presses, _ in KEYS for press in presses if len(press) == 1}
    assert shown == known | places
    assert 'id="keys"' in house.client("vera").get("/help").text


@pytest.mark.parametrize("name", sorted(PEOPLE))
def test_help_is_for_everybody(house: House, name: str) -> None:
    assert house.client(name).get("/help").status_code == 200
    assert house.client(name).get("/help/statuses").status_code == 200
