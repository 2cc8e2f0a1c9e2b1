"""`redirect OLD NEW`, `redirect list`, `redirect end OLD`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.acting import perform
from relay.cli.context import asker, configured, opened
from relay.cli.output import json_time, print_columns, print_json, shown_time
from relay.cli.times import End, utc_now

if TYPE_CHECKING:
    from relay.store.redirects import Redirect


class _AddressFirst(click.Group):
    """A group in which an address in place of a command's name means the command `to`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["to", *args]
        return super().resolve_command(ctx, args)


@click.group(
    cls=_AddressFirst,
    short_help="Send new mail for one address to another for a while.",
    subcommand_metavar="OLD NEW | list | end OLD",
)
def redirect() -> None:
    """Send new mail of any app for the address OLD to NEW, until a time; the mail itself is not changed."""


@redirect.command("to", hidden=True)
@click.argument("old")
@click.argument("new")
@click.option(
    "--until",
    type=End(utc_now),
    default="30d",
    show_default=True,
    help="When it ends by itself: 2026-03-01, 2026-03-01T14:30, or a span such as 12h or 30d.",
)
@click.option("--note", default="", help="Why; shown beside it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def to(config_path: Path | None, old: str, new: str, until: datetime, note: str, as_json: bool) -> int:
    """Send new mail for OLD to NEW. Exits 1 when that cannot be: a chain, a circle, a second redirect."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        return perform(
            store,
            lambda tx: actions.redirect(tx, old, new, by=asker(), now=utc_now(), until=until, note=note),
            as_json=as_json,
        )


@redirect.command("end", short_help="End one: new mail goes to OLD again.")
@click.argument("old")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def end(config_path: Path | None, old: str, as_json: bool) -> int:
    """Let new mail for OLD go there again. Exits 1 when it was not redirected."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        return perform(store, lambda tx: actions.end_redirect(tx, old, by=asker(), now=utc_now()), as_json=as_json)


@redirect.command("list", short_help="List those in force.")
@click.option("--all", "with_ended", is_flag=True, help="Those that have ended too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(config_path: Path | None, with_ended: bool, as_json: bool) -> int:
    """List the redirects in force, oldest first."""
    from relay.store import redirects

    config, _ = configured(config_path)
    now = utc_now()
    with opened(config) as store:
        found = store.read_now(lambda tx: redirects.every(tx) if with_ended else redirects.active(tx, now=now))
    if as_json:
        for one in found:
            print_json(_as_dict(one, now))
        return 0
    if not found:
        click.echo("No mail is redirected.")
        return 0
    print_columns(("OLD", "NEW", "SINCE", "UNTIL", "BY", "NOTE"), [_line(one) for one in found])
    return 0


def _line(one: Redirect) -> tuple[str, ...]:
    until = f"{shown_time(one.ended_at)} (ended by {one.ended_by})" if one.ended_at else shown_time(one.until_at)
    return one.address, one.new_address, shown_time(one.since_at), until, one.by, one.note or "-"


def _as_dict(one: Redirect, now: datetime) -> dict[str, object]:
    return {
        "old": one.address,
        "new": one.new_address,
        "since": json_time(one.since_at),
        "until": json_time(one.until_at),
        "by": one.by,
        "note": one.note or None,
        "active": one.is_active(now),
        "ended_at": json_time(one.ended_at),
        "ended_by": one.ended_by,
    }
