"""What the relay of the demo says about the samples: the rows of `waybill log`, the sentence of `waybill why`.

Reads the store in this process, as the command line does in its own; a process for each question would take longer
than the deliveries. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from relay import actions
from relay.config import load
from relay.settings import Config
from relay.store import log
from relay.store.filters import Query
from relay.store.open import open_store
from relay.store.protocols import Store


class Answers:
    """The store of a running relay."""

    def __init__(self, config: Config, store: Store) -> None:
        self._config, self._store = config, store

    def rows(self) -> list[dict[str, Any]]:
        """Give the newest rows of the log as `waybill log --json` prints them."""
        return [row.as_json() for row in self._store.read_now(lambda tx: log.search(tx, Query(limit=1000)))]

    def sentence(self, delivery_id: str) -> str:
        """Give the one-sentence answer about one delivery."""
        give_up_after = self._config.delivery.give_up_after
        found = self._store.read_now(
            lambda tx: actions.why(tx, delivery_id, now=datetime.now(UTC), give_up_after=give_up_after)
        )
        return found.why.sentence


@contextmanager
def answers(config_path: Path) -> Iterator[Answers]:
    """Open the store of a relay that runs, for as long as the block does."""
    config = load(config_path)
    store = open_store(config.store.url, config.base_dir)
    try:
        yield Answers(config, store)
    finally:
        store.close()
