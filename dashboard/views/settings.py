"""The configuration as it is in force: every value, where it comes from, in words. Nothing is changed here.

Secrets never leave the configuration: hashes are masked, and what is kept in files shows the name of the file alone.
The page tells about all apps, so that a person who sees the mail of some only does not have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.routing import Route

from dashboard.access import Role
from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.setting_words import KEYS, SECTIONS
from dashboard.tongue import Tongue
from dashboard.values import said
from relay.config import InForce, effective, file_problems, warnings

#: Keys whose number is one of bytes.
_SIZES = frozenset({"memory", "min_free_space", "size"})

_NUMBER = re.compile(r"\.\d+(?=\.|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One value as it is shown."""

    key: str
    words: str  #: what it is about; "" when the key says it
    value: str
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The values of one section, or of one table of a list."""

    title: str  #: "listener 2"
    lines: tuple[Line, ...]

    @property
    def has_changes(self) -> bool:
        return any(not line.is_default for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A section with its blocks."""

    name: str
    words: str
    blocks: tuple[Block, ...]


async def show(desk: Desk) -> Response:
    """Show every value in force."""
    if desk.apps is not None:
        return await desk.missing()
    only_changes = desk.asked("show") == "file"
    groups = _groups(effective(desk.config), desk.tongue, only_changes=only_changes)
    return await desk.page(
        "settings.html",
        groups=groups,
        only_changes=only_changes,
        problems_found=file_problems(desk.config),
        warnings=warnings(desk.config),
    )


def _groups(found: Iterable[InForce], tongue: Tongue, *, only_changes: bool) -> list[Group]:
    blocks: dict[str, dict[str, list[Line]]] = {name: {} for name in SECTIONS}
    for one in found:
        section = one.key.partition(".")[0]
        if only_changes and one.is_default:
            continue
        line = _line(one, tongue)
        blocks.setdefault(section, {}).setdefault(_title(one.key), []).append(line)
    return [
        Group(
            name=name,
            words=SECTIONS.get(name, ""),
            blocks=tuple(Block(title=title, lines=tuple(lines)) for title, lines in parts.items()),
        )
        for name, parts in blocks.items()
        if parts
    ]


def _title(key: str) -> str:
    """Name the table that a key stands in: "listener 2", "delivery.site"."""
    table = key.rpartition(".")[0] or key  # a list of tables without any
    return table.replace(".", " ", 1) if _NUMBER.search(table) else table


def _line(one: InForce, tongue: Tongue) -> Line:
    name = one.key.rpartition(".")[2]
    return Line(
        key=name,
        words=KEYS.get(_NUMBER.sub("", one.key), ""),
        value=said(one.value, tongue, is_size=name in _SIZES),
        is_default=one.is_default,
    )


ROUTES: list[Route] = [at("/settings", show, need=Role.ADMIN)]
