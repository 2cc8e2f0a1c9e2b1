"""Saved views as the store keeps them: one name each, owners, and who does not see them."""

from __future__ import annotations

import pytest

from relay import actions
from relay.actions import Answer, Owner
from relay.store import saved_views
from relay.store.engine import EngineStore
from relay.store.saved_views import SavedView
from tests.store.making import NOW

SARI = Owner(by="sari", is_admin=False, apps=None)
ADMIN = Owner(by="root", is_admin=True, apps=None)


def view(
    name: str = "Held up", text: str = "status:deferred", *, by: str = "sari", apps: tuple[str, ...] = ()
) -> SavedView:
    return SavedView(name=name, text=text, span="7d", is_oldest_first=True, apps=apps, by=by, saved_at=NOW)


def save(store: EngineStore, wanted: SavedView) -> Answer:
    return store.write_now(lambda tx: actions.save_view(tx, wanted))


def names(store: EngineStore, apps: tuple[str, ...] | None = None) -> list[str]:
    return [one.name for one in store.read_now(lambda tx: actions.list_views(tx, apps=apps))]


def test_a_view_is_kept_whole(store: EngineStore) -> None:
    assert save(store, view("  Held   up ", apps=("hotel", "spa"))).is_done
    (kept,) = store.read_now(saved_views.every)
    assert kept == SavedView(
        id=kept.id, name="Held up", text="status:deferred", span="7d", is_oldest_first=True, apps=("hotel", "spa"),
        by="sari", saved_at=NOW,
    )  # fmt: skip


def test_a_name_is_one_views_alone_whatever_its_case(store: EngineStore) -> None:
    assert save(store, view("Äiti")).is_done
    assert save(store, view("äITI", "other")).key == "taken"
    assert save(store, view("Other")).is_done
    wanted = next(one for one in store.read_now(saved_views.every) if one.name == "Other")
    assert store.write_now(lambda tx: actions.rename_view(tx, wanted.id, "ÄITI", owner=SARI)).key == "taken"
    assert store.write_now(lambda tx: actions.rename_view(tx, wanted.id, "OTHER", owner=SARI)).is_done
    assert names(store) == ["OTHER", "Äiti"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "a\x00b", "a\x1bb"])
def test_a_name_that_is_none_is_refused(store: EngineStore, name: str) -> None:
    assert save(store, view(name)).key == "bad_name"
    assert names(store) == []


def test_there_are_at_most_fifty(store: EngineStore) -> None:
    for number in range(actions.MOST_VIEWS):
        assert save(store, view(f"View {number}")).is_done
    assert save(store, view("One more")).key == "too_many"
    assert len(names(store)) == actions.MOST_VIEWS == 50


@pytest.mark.parametrize(
    ("owner", "key"),
    [
        (SARI, "done"),
        (ADMIN, "done"),
        (Owner(by="bob", is_admin=False, apps=None), "not_yours"),
        (Owner(by="sari", is_admin=True, apps=("spa",)), "not_found"),
    ],
)
def test_it_is_changed_by_whoever_saved_it_or_an_admin_who_sees_it(store: EngineStore, owner: Owner, key: str) -> None:
    save(store, view(apps=("hotel",)))
    (kept,) = store.read_now(saved_views.every)
    assert store.write_now(lambda tx: actions.rename_view(tx, kept.id, "Late", owner=owner)).key == key
    assert names(store) == (["Late"] if key == "done" else ["Held up"])
    assert store.write_now(lambda tx: actions.delete_view(tx, kept.id, owner=owner)).key == key
    assert names(store) == ([] if key == "done" else ["Held up"])


def test_a_view_that_names_an_app_is_none_for_who_does_not_see_it(store: EngineStore) -> None:
    save(store, view("All"))
    save(store, view("Both", apps=("hotel", "spa")))
    save(store, view("Hotel", apps=("hotel",)))
    assert names(store) == ["All", "Both", "Hotel"]
    assert names(store, ("hotel",)) == ["All", "Hotel"]
    assert names(store, ()) == ["All"]


def test_what_is_gone_cannot_be_changed(store: EngineStore) -> None:
    assert store.write_now(lambda tx: actions.delete_view(tx, 7, owner=ADMIN)).key == "not_found"
