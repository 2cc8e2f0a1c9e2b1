"""`app list`, `app password` and `app link`: who may send, and the links an old app can show."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from relay.cli.context import configured, opened
from relay.cli.output import print_columns, print_json, safe
from relay.cli.passwords import ask_password
from relay.cli.times import Span, utc_now
from relay.settings import App


@click.group(short_help="List apps, make a password hash.")
def app() -> None:
    """List the apps that may send, or make a password hash for one."""


@app.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_apps(config_path: Path | None, as_json: bool) -> int:
    """List the apps of the configuration."""
    config, _ = configured(config_path)
    if as_json:
        for one in config.app:
            print_json(_as_json(one))
    elif not config.app:
        click.echo("No app is configured: only this machine itself may send.")
    else:
        headings = ("NAME", "RECOGNISED BY", "SENDS AS", "MODE")
        rows = [(one.name, _recognised_by(one), ", ".join(one.from_domains) or "any", one.mode) for one in config.app]
        print_columns(headings, rows)
    return 0


def _as_json(one: App) -> dict[str, object]:
    return {
        "name": one.name,
        "networks": [str(network) for network in one.networks],
        "listeners": [str(listener) for listener in one.listeners],
        "username": one.username,
        "from_domains": one.from_domains,
        "mode": one.mode,
        "store_content": one.store_content,
    }


def _recognised_by(one: App) -> str:
    signs = [f"user {one.username}"] if one.username else []
    signs += [str(network) for network in one.networks] + [f"at {listener}" for listener in one.listeners]
    return ", ".join(signs)


@app.command("password", short_help="Make a password hash.")
def password() -> int:
    """Ask for a password (or read one line from stdin) and print its hash for `password_hash`."""
    from relay.passwords import hash_password

    click.echo(hash_password(ask_password()))
    return 0


@app.command("link", short_help="Make a signed link and a picture for a booking.")
@click.argument("name", metavar="APP")
@click.argument("booking", required=False)
@click.option("--for", "span", type=Span(), default="10m", show_default=True, help="How long the link opens.")
@click.pass_obj
def link(config_path: Path | None, name: str, booking: str | None, span: timedelta) -> int:
    """Print the signed link and the badge of a BOOKING of an app; without one, the key to make them with."""
    from relay.booking_links import Link, Shows, key_of
    from relay.store import meta

    config, _ = configured(config_path)
    if name not in {one.name for one in config.app}:
        click.echo(safe(f"There is no app {name} in the configuration."), err=True)
        return 1
    with opened(config) as store:
        key = key_of(store.write_now(lambda tx: meta.secret(tx, "booking_links")), name)
    if booking is None:
        click.echo(key)
        return 0
    page = Link(shows=Shows.BOOKING, app=name, booking=booking, expires=int((utc_now() + span).timestamp()))
    click.echo(page.address(config.dashboard.url, key))
    click.echo(Link(shows=Shows.BADGE, app=name, booking=booking).address(config.dashboard.url, key))
    return 0
