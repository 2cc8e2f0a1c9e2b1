"""Saved views: the filters of the log under a name, for everybody who may see that mail.

A view holds what was asked, never what was found: whoever opens it sees what they may see. One that names an app does
not exist for people who do not see that app's mail. Who may change what is decided by relay/actions/saved_views.py.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from relay.store.protocols import Row, Tx, Value
from relay.store.text import fold


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedView:
    """One view."""

    id: int = 0  #: 0: not kept yet
    name: str
    text: str  #: what stands in the search box
    span: str = ""  #: a span before now, as the log page names it; "" = whenever
    is_oldest_first: bool = False
    apps: tuple[str, ...] = ()  #: those that the text names
    by: str
    saved_at: datetime

    def is_for(self, apps: Collection[str] | None) -> bool:
        """Tell whether it exists for somebody who sees the mail of these apps; None: of all."""
        return apps is None or all(app in apps for app in self.apps)


def add(tx: Tx, view: SavedView) -> bool:
    """Keep a view; False when another has its name."""
    params: dict[str, Value] = {
        "name": view.name,
        "name_key": fold(view.name),
        "text": view.text,
        "span": view.span,
        "is_oldest_first": int(view.is_oldest_first),
        "apps": " ".join(view.apps),
        "by": view.by,
        "saved_at": view.saved_at,
    }
    return tx.run("saved_views.insert", params) == 1


def every(tx: Tx) -> list[SavedView]:
    """All views, by name."""
    return [_view(row) for row in tx.rows("saved_views.every")]


def get(tx: Tx, view_id: int) -> SavedView | None:
    """One view."""
    row = tx.one("saved_views.get", {"id": view_id})
    return _view(row) if row is not None else None


def rename(tx: Tx, view_id: int, *, name: str) -> bool:
    """Give a view another name; False when another view has that."""
    return tx.run("saved_views.rename", {"id": view_id, "name": name, "name_key": fold(name)}) == 1


def delete(tx: Tx, view_id: int) -> None:
    """Forget a view."""
    tx.run("saved_views.delete", {"id": view_id})


def _view(row: Row) -> SavedView:
    return SavedView(
        id=row["id"],
        name=row["name"],
        text=row["text"],
        span=row["span"],
        is_oldest_first=bool(row["is_oldest_first"]),
        apps=tuple(row["apps"].split()),
        by=row["by"],
        saved_at=row["saved_at"],
    )
