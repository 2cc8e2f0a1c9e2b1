"""A house with people in it: a real store with mail, the pages over it, and somebody who looks at them.

Alice is admin, Olga operator, Bob works at the support desk, Vera only looks, Sven sees the app "hotel" alone and may
read no content. Mallory has no account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.access import Person, Role
from dashboard.app import build
from relay.config import load_text
from relay.store import open_store
from relay.store.protocols import Store, Tx
from tests.cli.desk import Desk

PEOPLE = {
    "alice": Person(id="a", name="alice", role=Role.ADMIN),
    "olga": Person(id="o", name="olga", role=Role.OPERATOR),
    "bob": Person(id="b", name="bob", role=Role.SUPPORT),
    "vera": Person(id="v", name="vera", role=Role.VIEWER),
    "sven": Person(id="s", name="sven", role=Role.SUPPORT, apps=("hotel",), may_read_content=False),
}

#: What a browser says of a request that one of our own pages makes.
OURS = {"sec-fetch-site": "same-origin"}

CONFIG = """
[node]
hostname = "relay.example.org"
data_dir = "data"
[intake]
min_free_space = "16MiB"
[[listener]]
address = "127.0.0.1:2525"
[[app]]
name = "hotel"
networks = ["127.0.0.0/8"]
booking_pattern = "BK-#####"
[[app]]
name = "spa"
networks = ["10.0.0.0/8"]
"""


class KnownGate:
    """Knows the people above by their names."""

    async def person_of(self, token: str, *, now: datetime) -> Person | None:
        return PEOPLE.get(token)


@dataclass
class House:
    """The pages over one store."""

    desk: Desk  #: puts mail and answers into the store
    store: Store
    url: str
    folder: Path
    config_text: str = CONFIG
    audited: list[dict[str, Any]] = field(default_factory=list)
    nudges: int = 0

    def client(self, name: str | None = None, **headers: str) -> TestClient:
        """Look at the pages as somebody; None: without signing in."""
        config = load_text(self.config_text + f'[store]\nurl = "{self.url}"\n', base_dir=self.folder)
        app = build(config, self.store, gate=KnownGate(), audit=self._audit, nudge=self._nudge)
        cookies = {"waybill": name} if name else {}
        return TestClient(
            app, base_url="http://127.0.0.1:8025", cookies=cookies, headers={**OURS, **headers}, follow_redirects=False
        )

    def _audit(self, tx: Tx, **row: Any) -> None:
        self.audited.append(row)

    def _nudge(self) -> None:
        self.nudges += 1


@contextmanager
def house(tmp_path: Path, capsys: pytest.CaptureFixture[str], url: str = "") -> Iterator[House]:
    """Open a house over an empty store."""
    url = url or f"sqlite:{tmp_path}/data/waybill.db"
    with open_store(url, tmp_path) as store:
        yield House(Desk(tmp_path, capsys, url=url), store, url, tmp_path)


def token_of(page: str) -> str:
    """Give the first form token of a page."""
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found, page
    return found.group(1)
