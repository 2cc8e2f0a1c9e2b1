"""What an account or a token is allowed, as options of a command and as words in a list."""

from __future__ import annotations

from collections.abc import Sequence

import click

from relay.accounts import Role
from relay.cli.context import asker
from relay.cli.output import safe
from relay.settings import Config
from relay.store.audit import Actor, Via


class RoleName(click.ParamType[Role]):
    """An option whose value is a role."""

    name = "role"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Role:
        try:
            return Role(str(value).lower())
        except ValueError:
            raise click.BadParameter(f'"{value}" is no role: {", ".join(Role)}', ctx, param) from None

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "|".join(Role)


def read_apps(config: Config, text: str) -> tuple[str, ...]:
    """Read names of apps between commas or spaces; "all" is none, and one that is not configured is remarked on."""
    names = tuple(text.replace(",", " ").split())
    if names == ("all",):
        return ()
    known = {app.name for app in config.app}
    for name in names:
        if name not in known:
            click.echo(f'waybill: no app "{safe(name)}" is configured now; "waybill app list" shows them', err=True)
    return names


def shown_apps(apps: Sequence[str]) -> str:
    """Say which apps somebody sees."""
    return ", ".join(apps) or "all"


def this_person() -> Actor:
    """Whoever sits at the command line, as the audit log names them."""
    return Actor(by=asker(), via=Via.CLI)
