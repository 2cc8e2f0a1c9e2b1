"""`suppressions`: list, export and import the block list, and undo what was blocked by mistake."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.block_lists.entries import Format
from relay.cli.address import block_dict
from relay.cli.blocks import check_app
from relay.cli.context import asker, configured, opened
from relay.cli.output import json_time, print_json, print_wide, safe, shown_time
from relay.cli.times import Time, utc_now
from relay.model import Category

if TYPE_CHECKING:
    from relay.actions import ImportTally
    from relay.model import Suppression
    from relay.store.protocols import Store
    from relay.store.suppressions import BlockQuery, Listing

_PAGE = 1000
_CHUNK = 1 << 16
_SHOWN = 20  #: lines of one kind that are shown; the rest is counted

REASONS = ("manual", "invalid_address", "invalid_domain", "errors", "complaint")
SOURCES = ("automatic", "manual", "complaint", "import")

_HEADINGS = ("SINCE", "UNTIL", "REASON", "SOURCE", "APP", "BLOCKED", "NOTE")
_WIDTHS = (19, 19, 15, 9, 12, 34)


@click.group(short_help="The block list: list, export, import, undo.")
def suppressions() -> None:
    """List, export and import what gets no mail, and undo what was blocked by mistake."""


@suppressions.command("list", short_help="List what is blocked.")
@click.argument("words", nargs=-1)
@click.option("--reason", type=click.Choice(REASONS), help="Why it is blocked.")
@click.option("--source", type=click.Choice(SOURCES), help="Who blocked it.")
@click.option("--since", type=Time(utc_now), help="Blocked from this time on.")
@click.option("--app", help="Blocks for this app alone.")
@click.option("--all", "with_lifted", is_flag=True, help="Also what was lifted or has ended.")
@click.option("--limit", type=click.IntRange(1, 10_000_000), default=50, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(
    config_path: Path | None,
    words: tuple[str, ...],
    reason: str | None,
    source: str | None,
    since: datetime | None,
    app: str | None,
    with_lifted: bool,
    limit: int,
    as_json: bool,
) -> int:
    """List what is blocked, newest first. WORDS match a part of address, domain, reason, note or who."""
    from relay.store.suppressions import BlockQuery

    query = BlockQuery(
        words=" ".join(words), reason=reason, source=source, since=since, app=app, with_lifted=with_lifted, limit=limit
    )
    config, _ = configured(config_path)
    with opened(config) as store:
        headings: tuple[str, ...] | None = _HEADINGS
        for rows in _pages(store, query):
            if as_json:
                for one in rows:
                    print_json(_listing_dict(one))
                continue
            print_wide(headings, [_listing_line(one) for one in rows], widths=_WIDTHS)
            headings = None
        if headings and not as_json:
            click.echo("Nothing is blocked." if query == BlockQuery(limit=limit) else "No block fits.")
    return 0


def _pages(store: Store, query: BlockQuery) -> Iterator[list[Listing]]:
    """Read a long list page by page, so that neither memory nor the store is held."""
    from dataclasses import replace

    from relay.store import suppressions as units

    now, left = utc_now(), query.limit
    while left > 0:
        part = replace(query, limit=min(left, _PAGE))
        rows = store.read_now(lambda tx, part=part: units.search(tx, part, now=now))  # type: ignore[misc]
        if rows:
            yield rows
        if len(rows) < part.limit:
            return
        left -= len(rows)
        query = replace(query, before=rows[-1].suppression.id)


def _listing_dict(one: Listing) -> dict[str, Any]:
    return {
        **block_dict(one.suppression),
        "lifted_at": json_time(one.lifted_at),
        "lifted_by": one.lifted_by,
        "lifted_note": one.lifted_note or None,
    }


def _listing_line(one: Listing) -> tuple[str, ...]:
    block = one.suppression
    end = one.lifted_at or block.until_at
    words = f"{block.note}{f' (by {block.by})' if block.by else ''}".strip() or block.reply
    return (
        shown_time(block.since_at),
        shown_time(end),
        block.reason,
        block.source,
        block.app or "-",
        f"@{block.value}" if block.scope == "domain" else block.value,
        words or "-",
    )


@suppressions.command("export", short_help="Write the block list to stdout.")
@click.option(
    "--format", "form", type=click.Choice(("csv", "json")), default="csv", show_default=True, help="For whom it is."
)
@click.pass_obj
def export(config_path: Path | None, form: str) -> int:
    """Write what is blocked now to stdout, oldest first: a table for spreadsheets, or one JSON object a line.

    `suppressions import` reads both back without loss.
    """
    from relay.block_lists import csv_lines, json_lines

    config, _ = configured(config_path)
    with opened(config) as store:
        write = csv_lines if form == "csv" else json_lines
        for line in write(_blocks(store)):
            click.echo(line, nl=False)
    return 0


def _blocks(store: Store) -> Iterator[Suppression]:
    from relay.store import suppressions as units

    after, now = 0, utc_now()
    while True:
        found = store.read_now(lambda tx, after=after: units.page(tx, after=after, now=now, limit=_PAGE))  # type: ignore[misc]
        yield from found
        if len(found) < _PAGE:
            return
        after = found[-1].id


@suppressions.command("import", short_help="Block what another system's list names.")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True))
@click.option(
    "--format",
    "form",
    type=click.Choice(["auto", *(one.value for one in Format)]),
    default="auto",
    show_default=True,
    help="Whose list it is; auto tells by its columns.",
)
@click.option("--app", help="Block it for this app only, where the list names none.")
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def import_(config_path: Path | None, file: Path, form: str, app: str | None, dry_run: bool, as_json: bool) -> int:
    """Block what a list names: our own export, or one of SES, Postmark, SendGrid, Mailgun or Postal, CSV or JSON.

    What is blocked already stays as it is, so that an import that was cut short can be run again. Temporary entries
    are left out and lines that cannot be read are named with their number; exits 1 when there were such lines.
    """
    from relay.actions import ImportTally, import_blocks
    from relay.block_lists import UnknownFormat, read

    config, _ = configured(config_path)
    check_app(config, app)
    tally = ImportTally(by=asker(), name=file.name, is_dry_run=dry_run, apps=frozenset(one.name for one in config.app))
    with opened(config) as store, _open(file) as stream:
        chunks = _chunks(stream, file, is_quiet=as_json)
        try:
            list_format, results = read(
                chunks,
                now=utc_now(),
                by=tally.by,
                name=file.name,
                list_format=None if form == "auto" else Format(form),
                app=app,
            )
        except UnknownFormat as error:
            raise click.UsageError(safe(f"{error}; name it with --format")) from error
        import_blocks(store, results, tally, now=utc_now)
    if as_json:
        print_json({"format": list_format, **tally.as_json()})
    else:
        _print_tally(tally, list_format)
    return 1 if tally.bad else 0


def _open(file: Path) -> Any:
    return click.open_file(str(file), "rb")


def _chunks(stream: Any, file: Path, *, is_quiet: bool) -> Iterator[bytes]:
    """Read a file piece by piece; on a terminal a bar on stderr shows how far."""
    size = file.stat().st_size if str(file) != "-" else 0
    hidden = is_quiet or not size or not sys.stderr.isatty()
    with click.progressbar(length=size or 1, label="Importing", file=sys.stderr, hidden=hidden) as bar:
        while piece := stream.read(_CHUNK):
            yield piece
            bar.update(len(piece))


def _print_tally(tally: ImportTally, list_format: Format) -> None:
    would = "would be " if tally.is_dry_run else ""
    click.echo(
        f"{tally.seen} entries of a {list_format} list: {tally.added} {would}blocked, {tally.known} known already"
    )
    for why, left in tally.left_out.items():
        click.echo(
            safe(f"{left.count} left out: {why} (line {left.line}: {left.address}{', …' if left.count > 1 else ''})")
        )
    for app, count in tally.unknown_apps.items():
        click.echo(safe(f'{count} for an app "{app}" that is not configured: they stop nothing until it is'), err=True)
    for line, text in tally.bad_lines[:_SHOWN]:
        click.echo(safe(f"line {line}: {text}"), err=True)
    if tally.bad > _SHOWN:
        click.echo(f"… and {tally.bad - _SHOWN} more lines that cannot be read", err=True)
    if tally.bad:
        click.echo(f"{tally.bad} lines were kept out because they cannot be read", err=True)


@suppressions.command("undo", short_help="Lift automatic blocks that were a mistake.")
@click.option(
    "--since", type=Time(utc_now), required=True, help="Blocked from this time on: 14:00 today is 2h or a date."
)
@click.option("--until", type=Time(utc_now), help="Blocked before this time.")
@click.option("--rule", help="Only what this rule led to; `classify` and `show` name rules.")
@click.option("--category", type=click.Choice([one.value for one in Category]), help="Only for this reason.")
@click.option("--domain", help="Only addresses of this domain.")
@click.option("--dry-run", is_flag=True, help="Show the same table and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each address.")
@click.pass_obj
def undo(
    config_path: Path | None,
    since: datetime,
    until: datetime | None,
    rule: str | None,
    category: str | None,
    domain: str | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Lift the automatic blocks of a time, rule, category or domain, and take their errors back from the counters.

    Blocks by hand, of complaints and of imported lists stay. Exits 1 when no block fits.
    """
    from relay.address import to_a_label
    from relay.cli.undoing import Undo
    from relay.store.suppressions import Undoing

    label = to_a_label(domain.removeprefix("@")) if domain else None
    if domain and label is None:
        raise click.UsageError(safe(f'"{domain}" is not a domain name'))
    chosen = Undoing(
        since=since, until=until, rule=rule, category=Category(category) if category else None, domain=label
    )
    config, _ = configured(config_path)
    with opened(config) as store:
        return Undo(store, chosen, settings=config.suppression, by=asker()).run(dry_run=dry_run, as_json=as_json)
