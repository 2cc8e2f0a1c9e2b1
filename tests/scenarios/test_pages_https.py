"""The pages over https of their own: what a browser on another machine gets.

Setup: a self-signed certificate for 127.0.0.1, `waybill dashboard` in its own process. Test: a client that trusts
this certificate -> the pages -> the cookie it is given; a client that speaks http is told nothing.
"""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest

from relay.accounts import Role
from relay.actions import accounts
from relay.demo.node import Node
from relay.store import open_store
from relay.store.audit import Actor, Via
from tests.delivery.certificates import Authority
from tests.support.process import ConfigFile, config_file, running

PASSWORD = "a few easy words"


@pytest.fixture
def config(tmp_path: Path) -> Iterator[ConfigFile]:
    chain = Authority(tmp_path).chain("localhost", is_self_signed=True)
    (tmp_path / "key.pem").write_bytes(chain.read_bytes())
    more = {"dashboard": {"cert_file": str(chain), "key_file": str(tmp_path / "key.pem")}}
    made = config_file(tmp_path, more=more)
    with open_store("sqlite:data/waybill.db", tmp_path) as store:
        hashed = accounts.make_hash(PASSWORD)
        actor = Actor(by="root", via=Via.CLI)
        store.write_now(
            lambda tx: accounts.create_account(
                tx, "bob", role=Role.SUPPORT, actor=actor, now=datetime.now(UTC), password_hash=hashed
            )
        )
    with running(made, command="dashboard") as node:
        node.wait_listening([made.dashboard])
        yield made


def talk(config: ConfigFile, tmp_path: Path) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(tmp_path / "chain-1.pem"))
    return http.client.HTTPSConnection("localhost", config.dashboard.port, timeout=20, context=context)


def test_cookie_is_bound_to_this_host_and_never_goes_out_in_clear(config: ConfigFile, tmp_path: Path) -> None:
    connection = talk(config, tmp_path)
    connection.request("GET", "/sign-in")
    page = connection.getresponse()
    form = page.read().decode()
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form))
    origin = f"https://localhost:{config.dashboard.port}"
    body = urlencode({**hidden, "name": "bob", "password": PASSWORD})
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": origin}
    connection.request("POST", "/sign-in", body, kind)
    answer = connection.getresponse()
    answer.read()
    connection.close()

    assert page.getheader("strict-transport-security")
    assert answer.status == 303
    cookie = answer.getheader("set-cookie") or ""
    assert cookie.startswith("__Host-waybill=")
    assert {"secure", "httponly", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert "domain" not in cookie.lower()


def test_plain_http_gets_no_page(config: ConfigFile) -> None:
    with pytest.raises((http.client.HTTPException, OSError)):
        urllib.request.urlopen(f"http://{config.dashboard}/sign-in", timeout=20)


def test_plain_http_to_other_machines_is_refused_before_it_begins(tmp_path: Path) -> None:
    made = config_file(tmp_path, more={"dashboard": {"address": "0.0.0.0:8025"}})

    checked = Node(made.path).ask("check-config")

    assert checked.returncode == 1
    assert "passwords and mail would cross the network in clear" in checked.stdout + checked.stderr
