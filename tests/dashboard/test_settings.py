"""The settings page: every value, its source, its unit in words, and no secret."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from dashboard.setting_words import KEYS, SECTIONS
from dashboard.tongue import Tongue
from dashboard.values import said
from relay.config import effective, load_text
from relay.settings import Config, Rate
from tests.dashboard.house import CONFIG, House
from tests.test_docs import keys_of_settings

HASH = "$scrypt$ln=14,r=8,p=1$" + "A" * 22 + "$" + "B" * 43


def rows(page: str) -> dict[str, tuple[str, str]]:
    found = re.findall(r'<tr><th scope="row">(.*?)</th>\s*<td[^>]*>(.*?)</td>\s*<td[^>]*>(.*?)</td>', page, re.S)
    text = re.compile(r"<[^>]+>")
    return {text.sub(" ", name).split()[-1]: (value, text.sub("", source)) for name, value, source in found}


def test_each_value_says_where_it_comes_from(house: House) -> None:
    house.config_text = CONFIG + '[delivery]\ngive_up_after = "36h"\n'
    found = rows(house.client("alice").get("/settings").text)
    assert found["give_up_after"] == ("36 hours", "file")
    assert found["max_errors"] == ("12", "default")
    assert found["memory"] == ("268.4\u00a0MB", "default")
    assert found["retry"] == ("1 minute, 5 minutes, 15 minutes, 1 hour, 4 hours", "default")


def test_what_the_file_says_can_be_seen_alone(house: House) -> None:
    found = rows(house.client("alice").get("/settings?show=file").text)
    assert {source for _, source in found.values()} == {"file"}
    assert "max_errors" not in found
    assert found["hostname"] == ("relay.example.org", "file")


def test_no_secret_is_shown(house: House) -> None:
    house.config_text = CONFIG + f'username = "spa"\npassword_hash = "{HASH}"\n'
    page = house.client("alice").get("/settings").text
    assert "********" in page
    assert "AAAAAA" not in page


def test_only_an_admin_sees_the_settings(house: House) -> None:
    assert house.client("olga").get("/settings").status_code == 403


def test_what_the_loader_fills_in_counts_as_a_default(house: House) -> None:
    config = load_text("", base_dir=house.folder)
    assert all(one.is_default for one in effective(config))
    assert {one.key for one in effective(config)} >= {"node.hostname", "listener.1.address"}


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "not set"),
        ([], "not set"),
        (True, "yes"),
        (0, "0"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(days=60), "60 days"),
        (timedelta(seconds=1.5), "1.5 seconds"),
        (Rate(100, timedelta(minutes=1)), "100 in 1 minute"),
        ({"Varaus": "confirmation"}, "Varaus → confirmation"),
    ],
)
def test_a_value_is_said_exactly(value: object, words: str) -> None:
    assert said(value, Tongue("en")) == words


def test_the_words_are_of_keys_that_exist() -> None:
    known = set(keys_of_settings(Config))
    assert set(KEYS) <= known
    assert {key.partition(".")[0] for key in known} == set(SECTIONS)


def test_a_provider_is_shown_without_its_secret(house: House) -> None:
    (house.folder / "oidc.secret").write_text("hidden words\n")
    house.config_text += (
        '[dashboard.oidc]\nissuer = "https://login.example.com"\nclient_id = "waybill"\n'
        'client_secret_file = "oidc.secret"\nroles = { "the desk" = "support" }\n'
    )
    page = house.client("alice").get("/settings").text
    assert "Provider that people sign in with" in page
    assert "https://login.example.com" in page
    assert "the desk" in page
    assert "hidden words" not in page
