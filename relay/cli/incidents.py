"""`incidents`: what is our own fault, what it stopped, and sending again what failed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.acting import perform, report
from relay.cli.context import asker, configured, nudge, opened
from relay.cli.output import json_time, print_columns, print_json, print_pairs, safe, shown_time
from relay.cli.times import utc_now

if TYPE_CHECKING:
    from relay.actions import Answer
    from relay.actions.incidents import Report
    from relay.model import DeliveryId
    from relay.settings import Config
    from relay.store.protocols import Store


@click.group(short_help="List what is our own fault, and send again what failed in it.")
def incidents() -> None:
    """List failures that are our own fault, end the pause they caused, and send again what failed."""


@incidents.command("list", short_help="List open incidents.")
@click.option("--all", "with_closed", is_flag=True, help="Closed ones too.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def list_(config_path: Path | None, with_closed: bool, limit: int, as_json: bool) -> int:
    """List open incidents, the newest first."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        found = store.read_now(lambda tx: actions.list_incidents(tx, with_closed=with_closed, limit=limit))
    if as_json:
        for one in found:
            print_json(_as_json(one))
    elif found:
        headings = ("ID", "STATE", "SINCE", "LAST", "FAILED", "WAITING", "WHAT")
        print_columns(headings, [_columns(one) for one in found])
        click.echo("\nwaybill incidents show ID says what to do.")
    else:
        click.echo("No incident.")
    return 0


@incidents.command("show", short_help="Show one incident with its mails.")
@click.argument("wanted", type=int, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(config_path: Path | None, wanted: int, as_json: bool) -> int:
    """Show one incident with its newest mails and what to do. Exits 1 when there is none."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        found = store.read_now(lambda tx: actions.show_incident(tx, wanted))
    if found is None:
        click.echo(f"There is no incident {wanted}.", err=True)
        return 1
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    return 0


@incidents.command("close", short_help="End an incident and let waiting mail go.")
@click.argument("wanted", type=int, metavar="ID")
@click.option("--note", default="", help="What it was.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def close(config_path: Path | None, wanted: int, note: str, as_json: bool) -> int:
    """End an incident and its pause: what waited goes out; what failed stays failed (see resend).

    Exits 1 when there is no such incident, or it is closed.
    """
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        code = perform(
            store,
            lambda tx: actions.close_incident(tx, wanted, by=asker(), now=utc_now(), note=note),
            as_json=as_json,
        )
    nudge(config)
    return code


@incidents.command("resend", short_help="End an incident and send again what failed in it.")
@click.argument("wanted", type=int, metavar="ID")
@click.option("--dry-run", is_flag=True, help="Only list what would be sent again.")
@click.option("--note", default="", help="What it was.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def resend(config_path: Path | None, wanted: int, dry_run: bool, note: str, as_json: bool) -> int:
    """End an incident and its pause, and send again what failed in it and has not arrived since, each mail once.

    A run that was cut short is finished by another one. Exits 1 when there is no such incident, or something could
    not be sent again.
    """
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        found = store.read_now(lambda tx: actions.show_incident(tx, wanted, limit=1_000_000))
        if found is None:
            click.echo(f"There is no incident {wanted}.", err=True)
            return 1
        if dry_run:
            _print_plan(found, as_json=as_json)
            return 0
        if found.incident.closed_at is None:
            store.write_now(lambda tx: actions.close_incident(tx, wanted, by=asker(), now=utc_now(), note=note))
        answer = _resend_all(store, config, found)
        code = report(answer, as_json=as_json)
    nudge(config)
    return code


def _resend_all(store: Store, config: Config, found: Report) -> Answer:
    from relay import actions

    sent: list[DeliveryId] = []
    refused: list[str] = []
    for number, delivery_id in enumerate(found.to_resend, start=1):
        answer = _resend_one(store, config, found.incident.id, delivery_id)
        if answer.is_done:
            sent += answer.deliveries
        elif answer.key != "left_out":
            refused.append(answer.sentence)
        if number % 100 == 0:
            click.echo(f"{number} of {len(found.to_resend)}", err=True)
    count = len(sent)
    said = [f"Incident {found.incident.id} is closed. Sent again: {count} {'mail' if count == 1 else 'mails'}."]
    said += refused[:10]
    if len(refused) > 10:
        said.append(f"{len(refused) - 10} more could not be sent again.")
    return actions.Answer(
        key="some_refused" if refused else "done",
        sentence=" ".join(said),
        is_done=not refused,
        count=count,
        deliveries=tuple(sent),
    )


def _resend_one(store: Store, config: Config, incident_id: int, delivery_id: DeliveryId) -> Answer:
    from relay import actions

    now = utc_now()
    plan = store.read_now(
        lambda tx: actions.plan_resend(tx, delivery_id, by=asker(), now=now, hostname=config.node.hostname)
    )
    if isinstance(plan, actions.Answer):
        return plan
    return store.write_now(lambda tx: actions.resend_part(tx, incident_id, delivery_id, plan, now=now))


def _print_plan(found: Report, *, as_json: bool) -> None:
    wanted = set(found.to_resend)
    parts = [part for part in found.parts if part.id in wanted]
    if as_json:
        for part in parts:
            print_json({"id": part.id, "message": part.message_id, "to": part.address, "subject": part.subject})
        return
    click.echo(f"{len(parts)} would be sent again, and {found.waiting} wait.")
    if parts:
        rows = [(part.id, part.address, part.booking or "-", part.subject) for part in parts]
        print_columns(("DELIVERY", "TO", "BOOKING", "SUBJECT"), rows)


def _state(found: Report) -> str:
    if found.incident.closed_at is not None:
        return "closed"
    return "paused" if found.is_paused else "open"


def _columns(found: Report) -> tuple[str, ...]:
    incident = found.incident
    return (
        str(incident.id),
        _state(found),
        shown_time(incident.since_at),
        shown_time(incident.last_at),
        str(incident.count),
        str(found.waiting),
        found.headline,
    )


def _print(found: Report) -> None:
    incident = found.incident
    click.echo(f"Incident {incident.id}: {safe(found.headline)}")
    closed = f"closed {shown_time(incident.closed_at)} by {incident.by or 'itself'}" if incident.closed_at else ""
    again = f"waybill incidents resend {incident.id}" if found.to_resend else ""
    goes_on = f"waybill incidents close {incident.id}" if incident.closed_at is None else ""
    print_pairs(
        (
            ("state", closed or _state(found)),
            ("note", incident.note),
            ("since", shown_time(incident.since_at)),
            ("last", shown_time(incident.last_at)),
            ("mails", str(incident.count)),
            ("waiting", str(found.waiting) if found.is_paused else ""),
            ("to send again", str(len(found.to_resend))),
            ("answer", f"{incident.reply} ({incident.category}, rule {incident.rule})"),
            ("what to do", found.advice if incident.closed_at is None else ""),
            ("go on", goes_on),
            ("send again", again),
        )
    )
    if found.parts:
        click.echo()
        rows = [(part.id, shown_time(part.at), part.status, part.address, part.subject) for part in found.parts]
        print_columns(("DELIVERY", "AT", "STATUS", "TO", "SUBJECT"), rows)


def _as_json(found: Report) -> dict[str, object]:
    incident = found.incident
    return {
        "id": incident.id,
        "state": _state(found),
        "kind": incident.subject.kind,
        "domain": incident.subject.domain or None,
        "app": incident.subject.app or None,
        "headline": found.headline,
        "advice": found.advice,
        "category": incident.category,
        "rule": incident.rule,
        "reply": incident.reply,
        "count": incident.count,
        "waiting": found.waiting,
        "to_resend": len(found.to_resend),
        "since": json_time(incident.since_at),
        "last_at": json_time(incident.last_at),
        "paused_at": json_time(incident.paused_at),
        "closed_at": json_time(incident.closed_at),
        "by": incident.by or None,
        "note": incident.note,
        "deliveries": [part.id for part in found.parts],
    }
