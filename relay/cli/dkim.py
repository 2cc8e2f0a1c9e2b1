"""`dkim new` and `dkim list`: the keys that sign our mail, and what to publish for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.context import configured
from relay.cli.output import print_columns, print_json, safe
from relay.cli.times import utc_now

if TYPE_CHECKING:
    from relay.delivery.dkim import SigningKey


@click.group(short_help="Make and list the keys that sign our mail.")
def dkim() -> None:
    """Make and list the keys that sign our mail, with the DNS records to publish."""


@dkim.command("new", short_help="Make a key and say what to publish.")
@click.argument("domain")
@click.option("--selector", metavar="NAME", help='Default: "wb" and the year and month; a new key needs a new one.')
@click.option(
    "--type",
    "kind",
    type=click.Choice(["rsa", "ed25519", "both"]),
    default="rsa",
    show_default=True,
    help='"both": two keys, for receivers that know Ed25519 and for those that do not.',
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def new(config_path: Path | None, domain: str, selector: str | None, kind: str, as_json: bool) -> int:
    """Make a key for the mail of DOMAIN. Prints the DNS record and the lines for the configuration.

    To roll a key: make a new one with another selector, publish its record, add its lines, wait a day, then take the
    old lines out, and the old record a week later.
    """
    from relay.address import to_a_label

    name = to_a_label(domain.lstrip("@"))
    if name is None:
        raise click.UsageError(safe(f"{domain} is not a domain name"))
    config, _ = configured(config_path)
    chosen = selector or f"wb{utc_now():%Y%m}"
    folder = config.data_dir / "dkim"
    for one in ("rsa", "ed25519") if kind == "both" else (kind,):
        _make(folder, name, chosen if one == "rsa" else f"{chosen}e", one, as_json=as_json)
    return 0


def _make(folder: Path, domain: str, selector: str, kind: str, *, as_json: bool) -> None:
    from relay.delivery.dkim import SigningKey
    from relay.delivery.dkim_keys import new_key, write_key
    from relay.settings import Dkim

    path = folder / f"{domain}-{selector}.pem"
    key = SigningKey(domain=domain, selector=selector, key=new_key(kind))
    try:
        Dkim(domain=domain, selector=selector, key_file=path)
    except ValueError as error:
        raise click.UsageError(safe(f'"{selector}" cannot be a selector: letters, digits, hyphens and dots')) from error
    try:
        write_key(path, key.key)
    except FileExistsError as error:
        raise click.UsageError(safe(f"{path} exists; choose another --selector")) from error
    if as_json:
        print_json(_as_json(key) | {"key_file": str(path)})
        return
    click.echo(f"Key: {path}\n\nPublish this TXT record:\n")
    click.echo(f"{key.record_name}. IN TXT {_quoted(key.record)}\n")
    click.echo("Then add these lines to the configuration and restart delivery:\n")
    click.echo(f'[[dkim]]\ndomain = "{domain}"\nselector = "{selector}"\nkey_file = "{path}"\n')


@dkim.command("list", short_help="List the keys of the configuration.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_keys(config_path: Path | None, as_json: bool) -> int:
    """List the keys of the configuration with the record each needs."""
    from relay.delivery.dkim_keys import load_keys

    config, _ = configured(config_path)
    keys = load_keys(config)
    if as_json:
        for key in keys:
            print_json(_as_json(key))
    elif not keys:
        click.echo("No key is configured: mail is not signed. waybill dkim new DOMAIN makes one.")
    else:
        print_columns(("DOMAIN", "SELECTOR", "TYPE"), [(key.domain, key.selector, key.algorithm) for key in keys])
        for key in keys:
            click.echo(f"\n{key.record_name}. IN TXT {_quoted(key.record)}")
    return 0


def _as_json(key: SigningKey) -> dict[str, object]:
    return {
        "domain": key.domain,
        "selector": key.selector,
        "algorithm": key.algorithm,
        "record_name": key.record_name,
        "record": key.record,
    }


def _quoted(record: str) -> str:
    """A TXT record is made of strings of at most 255 octets."""
    parts = [record[at : at + 250] for at in range(0, len(record), 250)]
    return " ".join(f'"{part}"' for part in parts)
