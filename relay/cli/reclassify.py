"""`reclassify`: replay today's rules over history, as a table first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.context import asker, configured, opened
from relay.cli.output import print_columns, print_json, safe
from relay.cli.times import Time, utc_now

if TYPE_CHECKING:
    from relay.actions import Reclassified
    from relay.reclassify import Change
    from relay.settings import Suppressions
    from relay.store.protocols import Store

_ADDRESSES = 50  #: in one transaction
_REPLY = 100  #: characters of a sample

#: (class, category, rule) as it was, and as it is read today.
_Key = tuple[str, str, str, str, str, str]


@dataclass(slots=True)
class _Row:
    count: int = 0
    reply: str = ""
    delivery: str = ""


@dataclass(slots=True, kw_only=True)
class _Replay:
    """What a replay over the whole store found."""

    seen: int = 0
    passed_over: int = 0
    rows: dict[_Key, _Row] = field(default_factory=dict)
    by_address: dict[str, list[Change]] = field(default_factory=dict)

    def add(self, change: Change) -> None:
        old, new = change.past.outcome, change.outcome
        key = (old.reply_class, old.category, old.rule, new.reply_class, new.category, new.rule)
        row = self.rows.setdefault(key, _Row(reply=change.past.reply.text, delivery=change.past.id))
        row.count += 1
        self.by_address.setdefault(change.past.address_key, []).append(change)


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """What follows, or followed, for addresses."""

    deliveries: int = 0
    recounted: int = 0
    unblocked: list[str] = field(default_factory=list)
    blocked: list[str] = field(default_factory=list)

    def add(self, one: Reclassified) -> None:
        self.deliveries += len(one.changes)
        self.recounted += one.effect.by != 0
        if one.effect.lifts and one.effect.block_reason is None:
            self.unblocked.append(one.address)
        elif one.effect.block_reason is not None and not one.effect.lifts:
            self.blocked.append(one.address)


@click.command(short_help="Replay today's rules over history.")
@click.option("--since", type=Time(utc_now), help="Only what failed from this time on.")
@click.option("--dry-run", is_flag=True, help="Show the same tables and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def reclassify(config_path: Path | None, since: datetime | None, dry_run: bool, as_json: bool) -> int:
    """Read the answers of failed mail again by today's rules, and put statuses, error counters and blocks right."""
    config, _ = configured(config_path)
    with opened(config) as store:
        replay = _read(store, since)
        if not as_json:
            _print_rows(replay)
        outcome = _Outcome()
        for one in _effects(store, replay.by_address, config.suppression, dry_run=dry_run):
            outcome.add(one)
    if as_json:
        _print_json(replay, outcome, dry_run=dry_run)
    elif replay.rows:
        _print_outcome(outcome, dry_run=dry_run)
    return 0


def _read(store: Store, since: datetime | None) -> _Replay:
    from relay import actions

    replay = _Replay()
    place: actions.Place | None = actions.Place()
    while place is not None:
        page = store.read_now(lambda tx, place=place: actions.changed_readings(tx, place=place, since=since))  # type: ignore[misc]
        replay.seen += page.seen
        replay.passed_over += page.passed_over
        for change in page.changes:
            replay.add(change)
        place = page.next
    return replay


def _effects(
    store: Store, by_address: Mapping[str, list[Change]], settings: Suppressions, *, dry_run: bool
) -> Iterator[Reclassified]:
    """Foresee or do what follows, some addresses at a time."""
    from relay import actions

    who, waiting = asker(), iter(by_address.items())
    while part := dict(islice(waiting, _ADDRESSES)):
        now = utc_now()
        if dry_run:
            yield from store.read_now(
                lambda tx, part=part, now=now: [  # type: ignore[misc]
                    actions.foresee(tx, key, changes, now=now, settings=settings) for key, changes in part.items()
                ]
            )
        else:
            yield from store.write_now(
                lambda tx, part=part, now=now: actions.reclassify(tx, part, by=who, now=now, settings=settings)  # type: ignore[misc]
            )


def _print_rows(replay: _Replay) -> None:
    if replay.rows:
        print_columns(
            ("COUNT", "WAS", "CATEGORY", "RULE", "IS NOW", "CATEGORY", "RULE", "ANSWER"),
            [
                (str(row.count), *key, " ".join(row.reply.split())[:_REPLY])
                for key, row in sorted(replay.rows.items(), key=lambda pair: -pair[1].count)
            ],
        )
    changed = sum(row.count for row in replay.rows.values())
    untold = f"; {replay.passed_over} of them without an answer that can be read again" if replay.passed_over else ""
    click.echo(f"{replay.seen} failed deliveries read again, {changed} differently{untold}.")


def _print_outcome(outcome: _Outcome, *, dry_run: bool) -> None:
    begin = "Would change" if dry_run else "Changed"
    click.echo(
        f"{begin} {outcome.deliveries} deliveries and {outcome.recounted} error counters, "
        f"unblock{'' if dry_run else 'ed'} {len(outcome.unblocked)} addresses, "
        f"block{'' if dry_run else 'ed'} {len(outcome.blocked)}."
    )
    for word, addresses in (("unblock", outcome.unblocked), ("block", outcome.blocked)):
        for address in addresses[:20]:
            click.echo(safe(f"  {word}{'' if dry_run else 'ed'} {address}"))
        if len(addresses) > 20:
            click.echo(f"  … and {len(addresses) - 20} more (--json lists all)")


def _print_json(replay: _Replay, outcome: _Outcome, *, dry_run: bool) -> None:
    for key, row in replay.rows.items():
        old, new = key[:3], key[3:]
        names = ("class", "category", "rule")
        print_json(
            {
                "count": row.count,
                "old": dict(zip(names, old, strict=True)),
                "new": dict(zip(names, new, strict=True)),
                "reply": row.reply,
                "delivery": row.delivery,
            }
        )
    print_json(
        {
            "done": not dry_run,
            "seen": replay.seen,
            "passed_over": replay.passed_over,
            "deliveries": outcome.deliveries,
            "counters": outcome.recounted,
            "unblocked": outcome.unblocked,
            "blocked": outcome.blocked,
        }
    )
