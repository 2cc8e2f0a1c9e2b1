"""Save, rename and delete views of the log, which everybody shares who may see that mail.

A view belongs to whoever saved it: they and an admin may rename and delete it. A name is one view's alone. Names and
words of a view are seen by others, so each change stands in the audit log like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from relay.actions.answer import Answer, no
from relay.store import saved_views
from relay.store.protocols import Tx
from relay.store.saved_views import SavedView
from relay.wording import say

#: More than anybody finds their way through.
MOST_VIEWS = 50

LONGEST_NAME = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Who wants to change a view."""

    by: str
    is_admin: bool
    apps: tuple[str, ...] | None  #: views that name other apps do not exist for them; None: all exist

    def may_change(self, view: SavedView) -> bool:
        return self.is_admin or view.by == self.by


def list_views(tx: Tx, *, apps: Collection[str] | None) -> list[SavedView]:
    """List the views that exist for somebody who sees the mail of these apps, by name."""
    return [one for one in saved_views.every(tx) if one.is_for(apps)]


def save_view(tx: Tx, wanted: SavedView) -> Answer:
    """Keep what was asked of the log under a name."""
    name = " ".join(wanted.name.split())
    if (fault := _fault(name)) is not None:
        return fault
    if len(saved_views.every(tx)) >= MOST_VIEWS:
        return no("too_many", say("There are {count} views already; delete one first.", count=MOST_VIEWS))
    if not saved_views.add(tx, replace(wanted, name=name)):
        return _taken(name)
    return Answer(key="done", sentence=say("The view {name} is saved.", name=name), count=1)


def rename_view(tx: Tx, view_id: int, name: str, *, owner: Owner) -> Answer:
    """Give a view another name."""
    name = " ".join(name.split())

    def work(view: SavedView) -> Answer:
        if (fault := _fault(name)) is not None:
            return fault
        if not saved_views.rename(tx, view.id, name=name):
            return _taken(name)
        return Answer(
            key="done", sentence=say("The view {name} is called {wanted} now.", name=view.name, wanted=name), count=1
        )

    return _change(tx, view_id, work, owner=owner)


def delete_view(tx: Tx, view_id: int, *, owner: Owner) -> Answer:
    """Delete a view; the mail it showed stays."""

    def work(view: SavedView) -> Answer:
        saved_views.delete(tx, view.id)
        return Answer(key="done", sentence=say("The view {name} is deleted.", name=view.name), count=1)

    return _change(tx, view_id, work, owner=owner)


def _change(tx: Tx, view_id: int, work: Callable[[SavedView], Answer], *, owner: Owner) -> Answer:
    view = saved_views.get(tx, view_id)
    if view is None or not view.is_for(owner.apps):
        return no("not_found", say("There is no such view any more."))
    if not owner.may_change(view):
        return no("not_yours", say("Only {by} or an admin may change the view {name}.", by=view.by, name=view.name))
    return work(view)


def _fault(name: str) -> Answer | None:
    """Say what is wrong with a name; None: nothing."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        return no("bad_name", say("Give the view a name of at most {count} letters.", count=LONGEST_NAME))
    return None


def _taken(name: str) -> Answer:
    return no("taken", say("There is a view called {name} already.", name=name))
