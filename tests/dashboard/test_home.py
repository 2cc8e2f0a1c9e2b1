"""The page of numbers and the health check, over a real store."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.app import build
from relay.config import load_text
from relay.settings import Config
from relay.store import open_store
from relay.store.engine import EngineStore


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _config(folder: Path, port: int, *, free: str = "16MiB") -> Config:
    text = f"""
[node]
data_dir = "data"
[intake]
min_free_space = "{free}"
[[listener]]
address = "127.0.0.1:{port}"
[[app]]
name = "desk"
networks = ["127.0.0.0/8"]
"""
    return load_text(text, base_dir=folder)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EngineStore]:
    with open_store("sqlite:data/waybill.db", tmp_path) as opened:
        yield opened


def test_home_shows_numbers_and_loads_nothing_from_elsewhere(
    tmp_path: Path, store: EngineStore, listening: int
) -> None:
    with TestClient(build(_config(tmp_path, listening), store)) as client:
        page = client.get("/")
    assert page.status_code == 200
    assert "Delivered" in page.text
    assert f"127.0.0.1:{listening}" in page.text
    assert "http://" not in page.text
    assert "<script" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_health_is_good_when_store_disk_and_listeners_are(tmp_path: Path, store: EngineStore, listening: int) -> None:
    with TestClient(build(_config(tmp_path, listening), store)) as client:
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "problems": []})


def test_health_names_a_listener_that_does_not_answer(tmp_path: Path, store: EngineStore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with TestClient(build(_config(tmp_path, port), store)) as client:
        answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == [f"nothing listens on 127.0.0.1:{port}"]


def test_health_says_that_the_disk_is_nearly_full(tmp_path: Path, store: EngineStore, listening: int) -> None:
    with TestClient(build(_config(tmp_path, listening, free="900000GiB"), store)) as client:
        answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["problems"] == ["the disk is nearly full: new mail is being refused"]


def test_health_is_bad_when_the_store_is_closed(tmp_path: Path, store: EngineStore, listening: int) -> None:
    store.close()
    with TestClient(build(_config(tmp_path, listening), store)) as client:
        answer = client.get("/healthz")
    assert answer.status_code == 503
    assert "the store cannot be read" in answer.json()["problems"][0]


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_nothing_can_be_changed_here(tmp_path: Path, store: EngineStore, listening: int, method: str) -> None:
    with TestClient(build(_config(tmp_path, listening), store)) as client:
        assert getattr(client, method)("/").status_code == 405
