"""`block` and `unblock`."""

from __future__ import annotations

import difflib
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.acting import perform
from relay.cli.context import asker, configured, opened
from relay.cli.output import safe
from relay.cli.times import End, utc_now

if TYPE_CHECKING:
    from relay.settings import Config


@click.command(short_help="Send nothing more to an address or a domain.")
@click.argument("target", metavar="ADDR|@DOMAIN")
@click.option("--note", default="", help="Why; shown beside the block.")
@click.option("--until", type=End(utc_now), help="It ends by itself then: a date, a time, or a span such as 7d.")
@click.option("--app", help="Only mail of this app.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def block(
    config_path: Path | None, target: str, note: str, until: datetime | None, app: str | None, as_json: bool
) -> int:
    """Send nothing more to an address, or to every address of a domain, until it is unblocked."""
    from relay import actions

    config, _ = configured(config_path)
    check_app(config, app)
    with opened(config) as store:
        return perform(
            store,
            lambda tx: actions.block(tx, target, by=asker(), now=utc_now(), note=note, until=until, app=app),
            as_json=as_json,
        )


@click.command(short_help="Let mail to an address or a domain flow again.")
@click.argument("target", metavar="ADDR|@DOMAIN")
@click.option("--note", default="", help="Why; kept beside the block.")
@click.option("--app", help="Only the blocks for this app.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def unblock(config_path: Path | None, target: str, note: str, app: str | None, as_json: bool) -> int:
    """Let mail to an address or a domain flow again. Exits 1 when it was not blocked."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:  # an app that was taken out of the configuration may still have blocks
        return perform(
            store,
            lambda tx: actions.unblock(tx, target, by=asker(), now=utc_now(), note=note, app=app),
            as_json=as_json,
        )


def check_app(config: Config, app: str | None) -> None:
    """Refuse the name of an app that is not configured: a block for it would stop nothing.

    Raises:
        click.UsageError: there is no such app.
    """
    names = [one.name for one in config.app]
    if app is None or app in names:
        return
    near = difflib.get_close_matches(app, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else "; waybill app list shows them"
    raise click.UsageError(safe(f'there is no app "{app}"{hint}'))
