"""`queue slow` and `queue reroute`: mail sent more slowly, or through another host, for a while."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.acting import perform
from relay.cli.context import asker, configured, nudge, opened
from relay.cli.output import shown_time
from relay.cli.scopes import one_scope, selection_options
from relay.cli.times import End, utc_now
from relay.settings import HostPort, Rate, parse_address, parse_rate

if TYPE_CHECKING:
    from relay.actions import Answer
    from relay.store.protocols import Tx
    from relay.store.steering import Steer

_NOTE = click.option("--note", default="", help="Why; shown in the queue.")
_UNTIL = click.option("--until", type=End(utc_now), help="End it by itself: 2h, 2026-03-01T14:30.")
_END = click.option("--end", "is_end", is_flag=True, help="End it; the same options as when it began.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")


class _Rate(click.ParamType[Rate]):
    name = "rate"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Rate:
        try:
            return parse_rate(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Host(click.ParamType[HostPort]):
    name = "host"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> HostPort:
        if isinstance(value, HostPort):
            return value
        try:
            found = parse_address(_with_port(str(value)))
        except ValueError:
            found = HostPort("0.0.0.0", 0)
        if found.host == "0.0.0.0" or found.port == 0:
            self.fail('write a host such as "mx.example.com", "192.0.2.9:2525" or "[2001:db8::9]:25"', param, ctx)
        return found


def _with_port(text: str) -> str:
    if text.startswith("["):
        return text if "]:" in text else f"{text}:25"
    if text.count(":") > 1:  # a bare IPv6 address
        return f"[{text}]:25"
    return text if ":" in text else f"{text}:25"


@click.command("slow", short_help="Send more slowly for a while.")
@click.argument("name", required=False, metavar="[SITE]")
@selection_options
@click.option("--rate", type=_Rate(), help="At most so many mails in a time, such as 60/1m.")
@_UNTIL
@_NOTE
@_END
@_JSON
@click.pass_obj
def slow(
    config_path: Path | None,
    name: str | None,
    domain: str | None,
    site: str | None,
    app: str | None,
    rate: Rate | None,
    until: datetime | None,
    note: str,
    is_end: bool,
    as_json: bool,
) -> int:
    """Send more slowly to a site or domain, of an app, or (without an option) altogether, until it is ended.

    All delivery processes together keep to the rate. Exits 1 when there was nothing to end.
    """
    from relay import actions

    if name and site:
        raise click.UsageError("name the site once")
    scope, value = one_scope(domain=domain, site=site or name, app=app)
    if (rate is None) != is_end:
        raise click.UsageError("say --rate, or --end")
    if rate is None:
        return _run(config_path, lambda tx: actions.end_slow(tx, scope, value, by=asker(), now=utc_now()), as_json)
    return _run(
        config_path,
        lambda tx: actions.slow(tx, scope, value, rate, by=asker(), now=utc_now(), note=note, until=until),
        as_json,
    )


@click.command("reroute", short_help="Send through another host for a while.")
@click.argument("host", required=False, type=_Host(), metavar="[HOST[:PORT]]")
@selection_options
@_UNTIL
@_NOTE
@_END
@_JSON
@click.pass_obj
def reroute(
    config_path: Path | None,
    host: HostPort | None,
    domain: str | None,
    site: str | None,
    app: str | None,
    until: datetime | None,
    note: str,
    is_end: bool,
    as_json: bool,
) -> int:
    """Send what is for a domain or site, of an app, or (without an option) everything through another host.

    What waits is tried there at once. What that host takes is `sent`, for it is not the recipient's server.
    Exits 1 when there was nothing to end.
    """
    from relay import actions

    scope, value = one_scope(domain=domain, site=site, app=app)
    if (host is None) != is_end:
        raise click.UsageError("say HOST, or --end")
    if host is None:
        return _run(config_path, lambda tx: actions.end_reroute(tx, scope, value, by=asker(), now=utc_now()), as_json)
    return _run(
        config_path,
        lambda tx: actions.reroute(tx, scope, value, host, by=asker(), now=utc_now(), note=note, until=until),
        as_json,
    )


def _run(config_path: Path | None, action: Callable[[Tx], Answer], as_json: bool) -> int:
    config, _ = configured(config_path)
    with opened(config) as store:
        code = perform(store, action, as_json=as_json)
    nudge(config)
    return code


def steer_line(steer: Steer) -> str:
    """Say in a line what is ordered, for `queue show`."""
    what = "everything" if steer.scope == "all" else f"{steer.scope} {steer.value}"
    how = f"Slowed down to {steer.target}" if steer.kind == "slow" else f"Rerouted through {steer.target}"
    until = f" until {shown_time(steer.until_at)}" if steer.until_at else ""
    reason = f": {steer.reason}" if steer.reason else ""
    return f"{how}: {what} since {shown_time(steer.since_at)}{until} by {steer.by}{reason}"
