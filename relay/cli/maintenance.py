"""`verify` and `migrate`: look the store over, bring it up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.context import configured, opened
from relay.cli.output import print_json, safe

if TYPE_CHECKING:
    from relay.store.verify import Progress


@click.command(short_help="Check the store for faults.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def verify(config_path: Path | None, as_json: bool) -> int:
    """Check the whole store and change nothing. Exits 1 when something is wrong; each finding is one line."""
    from relay.store.verify import verify as look

    config, _ = configured(config_path)
    with opened(config) as store:
        findings = store.read_now(lambda tx: look(tx, progress=progress_bar()))
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", err=True, nl=False)
    for finding in findings:
        if as_json:
            print_json({"kind": finding.kind, "subject": finding.subject or None, "text": finding.text})
        else:
            click.echo(safe(finding.text))
    if not findings and not as_json:
        click.echo("The store is sound.")
    return 1 if findings else 0


def progress_bar() -> Progress:
    """Make what shows progress on stderr, if that is a terminal."""
    if not sys.stderr.isatty():
        return lambda name, done, total: None

    def show(name: str, done: int, total: int) -> None:
        click.echo(f"\r\x1b[Kchecking {name} {done}/{total}", err=True, nl=False)

    return show


@click.command(short_help="Bring the store to the form this version needs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def migrate(config_path: Path | None, as_json: bool) -> int:
    """Bring the store to the form this version needs; a store that is there already stays as it is."""
    from relay.store import migrate as run

    config, _ = configured(config_path)
    if sys.stderr.isatty():
        click.echo("migrating; on a large store this takes a while ...", err=True)
    applied = run(config.store.url, config.base_dir)
    for name in applied:
        if as_json:
            print_json({"applied": name})
        else:
            click.echo(f"applied {name}")
    if not applied and not as_json:
        click.echo("The store is up to date.")
    return 0
