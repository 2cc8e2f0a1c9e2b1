"""`queue`: what waits to be sent, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from relay.cli.acting import perform
from relay.cli.context import asker, configured, nudge, opened
from relay.cli.output import json_time, print_columns, print_json, safe, shown_time
from relay.cli.queue_steering import reroute, slow, steer_line
from relay.cli.scopes import one_scope, selection_options
from relay.cli.times import Span, utc_now

if TYPE_CHECKING:
    from relay.actions import Answer
    from relay.store.pauses import Pause
    from relay.store.protocols import Tx
    from relay.store.queue import DomainQueue, Selection

F = TypeVar("F", bound=Callable[..., Any])


def _json_option(function: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")(function)


@click.group(invoke_without_command=True, short_help="Show and steer what waits to be sent.")
@_json_option
@click.pass_context
def queue(ctx: click.Context, as_json: bool) -> int:
    """Show and steer what waits to be sent; without a command: show."""
    if ctx.invoked_subcommand is not None:
        return 0
    return _show(ctx.obj, limit=100, as_json=as_json)


@queue.command("show", short_help="List what waits, by domain.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many domains.")
@_json_option
@click.pass_obj
def show(config_path: Path | None, limit: int, as_json: bool) -> int:
    """List what waits, by domain, the most first, with the last answer of its servers; and what is ordered."""
    return _show(config_path, limit=limit, as_json=as_json)


def _show(config_path: Path | None, *, limit: int, as_json: bool) -> int:
    from relay.store import pauses, steering
    from relay.store import queue as units

    config, _ = configured(config_path)
    with opened(config) as store:
        domains, all_pauses, steers, totals = store.read_now(
            lambda tx: (
                units.overview(tx, limit=limit),
                pauses.every(tx),
                steering.every(tx, now=utc_now()),
                units.totals(tx),
            )
        )
    if as_json:
        for one in domains:
            print_json(_domain_json(one))
        return 0
    for pause in all_pauses:
        click.echo(safe(_pause_line(pause)))
    for steer in steers:
        click.echo(safe(steer_line(steer)))
    if not domains:
        click.echo("Nothing waits to be sent.")
        return 0
    click.echo(f"{totals.waiting} waiting, {totals.held} of them held.")
    print_columns(
        ("DOMAIN", "WAITING", "HELD", "SENDING", "OLDEST", "NEXT TRY", "TRIES", "LAST ANSWER"),
        [_domain_line(one) for one in domains],
    )
    return 0


def _domain_json(one: DomainQueue) -> dict[str, object]:
    return {
        "domain": one.domain,
        "waiting": one.waiting,
        "held": one.held,
        "sending": one.sending,
        "oldest_at": json_time(one.oldest_at),
        "next_at": json_time(one.next_at),
        "attempts": one.attempts,
        "mx": one.mx,
        "code": one.code,
        "enhanced": one.enhanced,
        "reply": one.reply,
        "category": one.category,
    }


def _domain_line(one: DomainQueue) -> tuple[str, ...]:
    answer = " ".join(str(part) for part in (one.code, one.enhanced, one.reply) if part)
    return (
        one.domain,
        str(one.waiting),
        str(one.held),
        str(one.sending),
        shown_time(one.oldest_at),
        shown_time(one.next_at),
        str(one.attempts),
        f"{one.mx}: {answer}" if one.mx and answer else answer or "-",
    )


def _pause_line(pause: Pause) -> str:
    what = {"all": "everything"}.get(pause.scope, f"{pause.scope} {pause.value}")
    until = f" until {shown_time(pause.until_at)}" if pause.until_at else ""
    since = f"Paused: {what} since {shown_time(pause.since_at)}{until}"
    if pause.reason.startswith(f"{pause.by}: "):  # an incident, which names itself
        return f"{since} by {pause.reason}"
    return f"{since} by {pause.by}{f': {pause.reason}' if pause.reason else ''}"


def _run(config_path: Path | None, action: Callable[[Tx], Answer], *, as_json: bool) -> int:
    config, _ = configured(config_path)
    with opened(config) as store:
        code = perform(store, action, as_json=as_json)
    nudge(config)
    return code


@queue.command("pause", short_help="Send nothing there until it is resumed.")
@selection_options
@click.option("--note", default="", help="Why; shown beside what waits.")
@click.option("--for", "span", type=Span(), help="End it by itself after this time, such as 2h.")
@_json_option
@click.pass_obj
def pause(
    config_path: Path | None,
    domain: str | None,
    site: str | None,
    app: str | None,
    note: str,
    span: timedelta | None,
    as_json: bool,
) -> int:
    """Send nothing to a domain or site, of an app, or (without an option) nothing at all, until it is resumed."""
    from relay import actions

    scope, value = one_scope(domain=domain, site=site, app=app)
    now = utc_now()
    until = now + span if span else None
    return _run(
        config_path,
        lambda tx: actions.pause(tx, scope, value, by=asker(), now=now, note=note, until=until),
        as_json=as_json,
    )


@queue.command("resume")
@selection_options
@_json_option
@click.pass_obj
def resume(config_path: Path | None, domain: str | None, site: str | None, app: str | None, as_json: bool) -> int:
    """End a pause; the same options as when it began. Exits 1 when there was none."""
    from relay import actions

    scope, value = one_scope(domain=domain, site=site, app=app)
    return _run(config_path, lambda tx: actions.resume(tx, scope, value, by=asker(), now=utc_now()), as_json=as_json)


queue.add_command(slow)
queue.add_command(reroute)


@queue.command("flush")
@selection_options
@_json_option
@click.pass_obj
def flush(config_path: Path | None, domain: str | None, site: str | None, app: str | None, as_json: bool) -> int:
    """Try now what waits for a later try."""
    from relay import actions

    chosen = _selection(domain=domain, site=site, app=app)
    return _run(config_path, lambda tx: actions.flush(tx, chosen, by=asker(), now=utc_now()), as_json=as_json)


@queue.command("hold", short_help="Keep what waits now until it is released.")
@selection_options
@click.option("--note", default="", help="Why; shown beside what is held.")
@_json_option
@click.pass_obj
def hold(
    config_path: Path | None, domain: str | None, site: str | None, app: str | None, note: str, as_json: bool
) -> int:
    """Keep what waits now from being sent until it is released; mail that comes later is not touched."""
    from relay import actions

    chosen = _selection(domain=domain, site=site, app=app)
    return _run(config_path, lambda tx: actions.hold(tx, chosen, by=asker(), now=utc_now(), note=note), as_json=as_json)


@queue.command("release")
@selection_options
@_json_option
@click.pass_obj
def release(config_path: Path | None, domain: str | None, site: str | None, app: str | None, as_json: bool) -> int:
    """Let held mail go; that of an app in hold mode only when --app names it, since it may be a test system's."""
    from relay import actions

    chosen = _selection(domain=domain, site=site, app=app)
    return _run(config_path, lambda tx: actions.release(tx, chosen, by=asker(), now=utc_now()), as_json=as_json)


@queue.command("cancel")
@selection_options
@click.option("--note", default="", help="Why; kept with each delivery.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json_option
@click.pass_obj
def cancel(
    config_path: Path | None,
    domain: str | None,
    site: str | None,
    app: str | None,
    note: str,
    yes: bool,
    as_json: bool,
) -> int:
    """Stop what waits for a domain or site or of an app, for good. Asks first."""
    from relay import actions
    from relay.store import queue as units

    if not (domain or site or app):
        raise click.UsageError("say what to cancel: --domain, --site or --app")
    chosen = _selection(domain=domain, site=site, app=app)
    config, _ = configured(config_path)
    with opened(config) as store:
        count = len(store.read_now(lambda tx: units.selected(tx, chosen)))
        if count and not yes and not click.confirm(f"Stop {count} deliveries for good?", err=True):
            return 1
        return perform(
            store, lambda tx: actions.cancel_many(tx, chosen, by=asker(), now=utc_now(), note=note), as_json=as_json
        )


def _selection(*, domain: str | None, site: str | None, app: str | None) -> Selection:
    from relay.address import to_a_label
    from relay.store.queue import Selection

    return Selection(domain=(to_a_label(domain) or domain.lower()) if domain else None, site=site, app=app)
