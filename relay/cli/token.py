"""`token`: what programs show instead of a name and a password."""

from __future__ import annotations

from pathlib import Path

import click

from relay.accounts import Role
from relay.actions import Answer
from relay.actions import accounts as acting
from relay.cli.acting import perform, report
from relay.cli.context import configured, opened
from relay.cli.output import print_columns, print_json, shown_time
from relay.cli.rights import RoleName, read_apps, shown_apps, this_person
from relay.cli.times import utc_now
from relay.store import tokens
from relay.store.tokens import Token


@click.group(short_help="Tokens for programs.")
def token() -> None:
    """List, make and revoke the tokens with which programs ask."""


@token.command("list")
@click.option("--all", "with_revoked", is_flag=True, help="Also those that were revoked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_tokens(config_path: Path | None, with_revoked: bool, as_json: bool) -> int:
    """List the tokens in use; of each only its beginning is known."""
    config, _ = configured(config_path)
    with opened(config) as store:
        found = [one for one in store.read_now(tokens.every) if with_revoked or one.revoked_at is None]
    if as_json:
        for one in found:
            print_json(_as_json(one))
    elif not found:
        click.echo("There is no token.")
    else:
        headings = ("NAME", "BEGINS WITH", "ROLE", "APPS", "LAST USED", "MADE", "BY", "STATE")
        print_columns(headings, [_columns(one) for one in found])
    return 0


@token.command("add", short_help="Make a token.")
@click.argument("name")
@click.option("--role", type=RoleName(), default=Role.VIEWER.value, help="What it may do; viewer if not given.")
@click.option("--apps", metavar="NAME,…", default="all", help="See mail of these apps alone; all if not given.")
@click.pass_obj
def add(config_path: Path | None, name: str, role: Role, apps: str) -> int:
    """Make a token and print it, this once: only its hash is kept."""
    config, _ = configured(config_path)
    chosen = read_apps(config, apps)
    with opened(config) as store:
        made = store.write_now(
            lambda tx: acting.add_token(tx, name, role=role, apps=chosen, actor=this_person(), now=utc_now())
        )
    if isinstance(made, Answer):
        return report(made)
    click.echo("waybill: keep it safe, it is not shown again", err=True)
    click.echo(made)
    return 0


@token.command("revoke", short_help="Let a token count no more.")
@click.argument("name")
@click.pass_obj
def revoke(config_path: Path | None, name: str) -> int:
    """Let a token count no more, from this moment on."""
    config, _ = configured(config_path)
    with opened(config) as store:
        return perform(store, lambda tx: acting.revoke_token(tx, name, actor=this_person(), now=utc_now()))


def _columns(one: Token) -> tuple[str, ...]:
    used = shown_time(one.last_used_at) if one.last_used_at else "never"
    state = "revoked" if one.revoked_at else "in use"
    return (one.name, one.prefix, one.role, shown_apps(one.apps), used, shown_time(one.created_at), one.by, state)


def _as_json(one: Token) -> dict[str, object]:
    return {
        "name": one.name,
        "prefix": one.prefix,
        "role": one.role,
        "apps": list(one.apps),
        "created_at": one.created_at,
        "last_used_at": one.last_used_at,
        "revoked_at": one.revoked_at,
        "by": one.by,
    }
