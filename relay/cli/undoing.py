"""What `suppressions undo` prints and does: the table of a selection first, then page by page what the table said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from relay.cli.output import print_columns, print_json, safe
from relay.cli.times import utc_now

if TYPE_CHECKING:
    from relay.actions import Undone
    from relay.model import DeliveryId
    from relay.settings import Suppressions
    from relay.store.protocols import Store
    from relay.store.suppressions import Undoing

_PAGE = 200
_SHOWN = 20  #: ids that are printed; --json has all


@dataclass(slots=True)
class _Group:
    """Blocks of one reason and rule."""

    blocks: int = 0
    errors: int = 0
    unsent: int = 0
    example: str = ""
    reply: str = ""


@dataclass(slots=True, kw_only=True)
class _Total:
    groups: dict[tuple[str, str, str], _Group] = field(default_factory=dict)
    unsent: list[DeliveryId] = field(default_factory=list)

    def add(self, one: Undone) -> None:
        block = one.block
        key = (block.reason, block.category.value if block.category else "-", block.rule or "-")
        group = self.groups.setdefault(key, _Group(example=block.value, reply=block.reply))
        group.blocks += 1
        group.errors += len(one.taken_back)
        group.unsent += len(one.unsent)
        self.unsent += one.unsent

    @property
    def blocks(self) -> int:
        return sum(group.blocks for group in self.groups.values())

    @property
    def errors(self) -> int:
        return sum(group.errors for group in self.groups.values())


class Undo:
    """One run of the command."""

    def __init__(self, store: Store, chosen: Undoing, *, settings: Suppressions, by: str) -> None:
        self._store, self._chosen = store, chosen
        self._settings, self._by = settings, by

    def run(self, *, dry_run: bool, as_json: bool) -> int:
        """Print the table; unless it is a dry run, do what it says."""
        planned = _Total()
        for page in self._planned():
            for one in page:
                planned.add(one)
                if as_json and dry_run:
                    _print_one(one, is_done=False)
        if not planned.groups:
            click.echo("No automatic block fits.", err=True)
            return 1
        if not as_json:
            _print_table(planned)
        done = planned if dry_run else self._do(as_json=as_json)
        if not as_json:
            _print_end(done, dry_run=dry_run)
        return 0

    def _planned(self) -> Iterator[list[Undone]]:
        from relay import actions

        after = 0
        while True:
            page = self._store.read_now(
                lambda tx, after=after: actions.plan_undo(  # type: ignore[misc]
                    tx, self._chosen, settings=self._settings, after=after, limit=_PAGE
                )
            )
            if page:
                yield page
            if len(page) < _PAGE:
                return
            after = page[-1].block.id

    def _do(self, *, as_json: bool) -> _Total:
        from relay import actions

        total = _Total()
        for page in self._planned():
            blocks = [one.block for one in page]
            done = self._store.write_now(
                lambda tx, blocks=blocks: actions.undo(  # type: ignore[misc]
                    tx, self._chosen, blocks, by=self._by, now=utc_now(), settings=self._settings
                )
            )
            for one in done:
                total.add(one)
                if as_json:
                    _print_one(one, is_done=True)
        return total


def _print_one(one: Undone, *, is_done: bool) -> None:
    block = one.block
    print_json(
        {
            "done": is_done,
            "address": block.value,
            "since": block.since_at,
            "reason": block.reason,
            "category": block.category,
            "rule": block.rule,
            "reply": block.reply or None,
            "taken_back": list(one.taken_back),
            "count_before": one.count_before,
            "count_after": one.count_after,
            "unsent": list(one.unsent),
        }
    )


def _print_table(total: _Total) -> None:
    print_columns(
        ("BLOCKS", "REASON", "CATEGORY", "RULE", "ERRORS", "UNSENT", "FOR EXAMPLE", "ANSWER"),
        [
            (
                str(group.blocks),
                *key,
                str(group.errors),
                str(group.unsent),
                group.example,
                " ".join(group.reply.split()),
            )
            for key, group in sorted(total.groups.items(), key=lambda pair: -pair[1].blocks)
        ],
    )


def _print_end(total: _Total, *, dry_run: bool) -> None:
    would, back = ("Would lift", "take back") if dry_run else ("Lifted", "took back")
    blocks, errors = (
        f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((total.blocks, "block"), (total.errors, "error"))
    )
    click.echo(f"{would} {blocks} and {back} {errors} from their counters.")
    if not total.unsent:
        return
    click.echo("What did not arrive can be sent again:")
    for one in total.unsent[:_SHOWN]:
        click.echo(safe(f"  waybill resend {one}"))
    if len(total.unsent) > _SHOWN:
        click.echo(f"  … and {len(total.unsent) - _SHOWN} more (--json lists all)")
