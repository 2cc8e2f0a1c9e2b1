"""The health check, over a real store."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from dashboard.app import warm
from dashboard.rendering import environment
from tests.dashboard.house import House


@pytest.fixture
def listening(house: House) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        house.config_text = house.config_text.replace("2525", str(port))
        yield port


def test_health_is_good_when_store_disk_and_listeners_are(house: House, listening: int) -> None:
    answer = house.client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "problems": []})


def test_health_names_a_listener_that_does_not_answer(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    house.config_text = house.config_text.replace("2525", str(port))
    answer = house.client().get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == [f"nothing listens on 127.0.0.1:{port}"]


def test_health_says_that_the_disk_is_nearly_full(house: House, listening: int) -> None:
    house.config_text = house.config_text.replace('min_free_space = "16MiB"', 'min_free_space = "900000GiB"')
    answer = house.client().get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["the disk is nearly full: new mail is being refused"]


def test_health_is_bad_when_the_store_is_closed(house: House, listening: int) -> None:
    house.store.close()
    answer = house.client().get("/healthz")
    assert answer.status_code == 503
    assert "the store cannot be read" in answer.json()["problems"][0]


def test_what_the_first_reader_would_wait_for_is_read_beforehand() -> None:
    environment.cache_clear()
    warm()
    loaded = environment().cache
    assert loaded is not None
    assert len(loaded) == len(environment().list_templates()) > 40
