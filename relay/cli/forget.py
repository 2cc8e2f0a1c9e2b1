"""`prune`, `erase` and `export`: what is forgotten with time, forgotten for a person, and given to one."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.cli.acting import perform, report
from relay.cli.context import asker, configured, opened
from relay.cli.output import print_json, safe
from relay.cli.times import utc_now
from relay.errors import Refused

if TYPE_CHECKING:
    from relay.settings import Config
    from relay.store.erasure import Found
    from relay.store.protocols import Store

_SCRUB_SECONDS = 10


@click.command(short_help="Forget what is older than [retention] allows.")
@click.option("--dry-run", is_flag=True, help="Only count the contents and messages that would be forgotten.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def prune(config_path: Path | None, dry_run: bool, as_json: bool) -> int:
    """Forget what is older than [retention] allows, now. The delivery process does this by itself once an hour."""
    from relay.pruning import prune as run

    config, _ = configured(config_path)
    with opened(config) as store:
        done = asyncio.run(run(store, config.retention, now=utc_now(), is_dry=dry_run))
    if as_json:
        values = {"contents": done.contents, "messages": done.messages}
        print_json(values if dry_run else values | {"rows": done.rows, "addresses": done.addresses})
        return 0
    would = "Would forget" if dry_run else "Forgot"
    click.echo(f"{would}: the content of {_messages(done.contents)}, and {_messages(done.messages)} whole.")
    return 0


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"


@click.command(short_help="Erase one person from the store.")
@click.argument("address", metavar="ADDR")
@click.option("--dry-run", is_flag=True, help="Only say what would be erased.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; needs --yes or --dry-run.")
@click.pass_obj
def erase(config_path: Path | None, address: str, dry_run: bool, yes: bool, as_json: bool) -> int:
    """Erase one person: mail, subjects, names, bookings and the address itself go, for ever.

    Counts stay, and so do a block and the error counter, under a keyed hash. A mail with several recipients loses its
    content for all of them. Exits 1 while mail to the address has not ended.
    """
    from relay import actions
    from relay.actions import Answer

    config, _ = configured(config_path)
    with opened(config) as store:
        try:
            found = store.read_now(lambda tx: actions.look_for_person(tx, address))
        except Refused as error:
            raise click.UsageError(safe(error.text)) from error
        if isinstance(found, Answer):
            return report(found, as_json=as_json)
        about = f"{_messages(len(found.messages))} and all that is known about {found.address}"
        if dry_run:
            sentence = f"Would erase {about}.{actions.untouched(found)}"
            answer = Answer(key="dry_run", sentence=sentence, count=len(found.messages))
            return report(answer, as_json=as_json)
        if not yes:
            click.confirm(safe(f"Erase {about}? This cannot be undone"), abort=True)
        code = _erase(store, found, as_json=as_json)
    if code == 0:
        _scrub(config)
    return code


def _erase(store: Store, found: Found, *, as_json: bool) -> int:
    from relay import actions

    place: int | None = 0
    while place is not None:
        place = store.write_now(partial(actions.erase_some, found=found, start=place))
    return perform(store, lambda tx: actions.erase_person(tx, found, by=asker(), now=utc_now()), as_json=as_json)


def _scrub(config: Config) -> None:
    """Wipe what is left in the database's files; a reader may be in the way for a moment."""
    from relay.store import scrub

    end = time.monotonic() + _SCRUB_SECONDS
    while not scrub(config.store.url, config.base_dir):
        if time.monotonic() > end:
            click.echo(
                "waybill: others kept the store busy; old pages are wiped when it is next idle, or by erasing again",
                err=True,
            )
            return
        time.sleep(0.1)


@click.command(short_help="Give all that is known about an address, as JSON.")
@click.argument("address", metavar="ADDR")
@click.option(
    "--content",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also write the mails that are kept into DIR, one .eml file each.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the object on one line.")
@click.pass_obj
def export(config_path: Path | None, address: str, content: Path | None, as_json: bool) -> int:
    """Print all that is known about an address as one JSON object. Exits 1 when nothing is known."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        try:
            known = store.read_now(lambda tx: actions.export_person(tx, address))
        except Refused as error:
            raise click.UsageError(safe(error.text)) from error
        if known is None:
            click.echo(safe(f"Nothing is known about {address}."), err=True)
            return 1
        if content is not None:
            _write_mails(store, known, content)
    json.dump(known, sys.stdout, ensure_ascii=True, indent=None if as_json else 2)
    click.echo()
    return 0


def _write_mails(store: Store, known: dict[str, Any], folder: Path) -> None:
    from relay.store.content import load

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for message in known["messages"]:
        for delivery in message["deliveries"]:
            raw = store.read_now(partial(load, message_id=message["id"], delivery_id=delivery["id"]))
            if raw is not None:
                (folder / f"{delivery['id']}.eml").write_bytes(raw)
