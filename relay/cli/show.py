"""`show`: one message with everything that happened to it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.cli.context import configured, opened
from relay.cli.output import json_time, print_json, print_pairs, safe, safe_lines, shown_size, shown_time
from relay.cli.times import utc_now

if TYPE_CHECKING:
    from relay.model import Attempt, Delivery
    from relay.settings import Config
    from relay.store.log import Found
    from relay.store.protocols import Store


_FORMS = {"full": "the full mail", "plain": "plain text"}


@click.command(short_help="Show one message: time line, attempts, conversation.")
@click.argument("wanted", metavar="ID")
@click.option("--raw", is_flag=True, help="Print the mail itself, as it is sent.")
@click.option("--report", is_flag=True, help="Print the technical report for the recipient's IT.")
@click.option("--package", is_flag=True, help="Print all that whoever takes the case over needs.")
@click.option("--for-customer", is_flag=True, help="Print what can be told to the customer.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(
    config_path: Path | None,
    wanted: str,
    raw: bool,
    report: bool,
    package: bool,
    for_customer: bool,
    as_json: bool,
) -> int:
    """Show one message: who, what, when, every attempt and what was said. Exits 1 when there is no such id."""
    if sum((raw, report, package, for_customer, as_json)) > 1:
        raise click.UsageError("--raw, --report, --package, --for-customer and --json do not go together")
    from relay import actions
    from relay.store import log

    config, _ = configured(config_path)
    with opened(config) as store:
        found = store.read_now(lambda tx: log.find(tx, wanted))
        if found is None:
            click.echo(safe(f"There is no message or delivery {wanted}."), err=True)
            click.echo(safe(f"For an address or a booking number: waybill why {shlex.quote(wanted)}"), err=True)
            return 1
        if raw:
            return _print_raw(store, found)
        if report or package or for_customer:
            return _print_papers(store, config, wanted, "report" if report else "package" if package else "")
        forms = store.read_now(lambda tx: actions.possible_forms(tx, found.message))
    if as_json:
        print_json(as_dict(found, forms))
    else:
        _print(found, forms)
    return 0


def _print_papers(store: Store, config: Config, wanted: str, which: str) -> int:
    """Print one of the three texts, for each recipient of the message."""
    from relay import actions

    names = {source.address: source.hostname for source in config.delivery.source_addresses}
    ourselves = actions.Ourselves(hostname=config.node.hostname, names=names)
    made = store.read_now(
        lambda tx: actions.papers(
            tx, wanted, now=utc_now(), give_up_after=config.delivery.give_up_after, ourselves=ourselves
        )
    )
    texts = {"report": [one.report for one in made], "package": [one.package for one in made]}
    click.echo("\n\n".join(safe_lines(text) for text in texts.get(which, [one.for_customer for one in made])))
    return 0


def _print_raw(store: Store, found: Found) -> int:
    from relay.store import content

    message, delivery_id = found.message, found.delivery_id
    if message.store_content == "none":
        mail = None
    else:
        mail = store.read_now(lambda tx: content.load(tx, message.id, delivery_id=delivery_id))
    if mail is None:
        click.echo("The content of that message was not kept.", err=True)
        return 1
    if sys.stdout.isatty():  # a terminal obeys what stands in the mail; a file or program gets it byte for byte
        click.echo(safe_lines(mail.decode("utf-8", "replace")))
    else:
        sys.stdout.buffer.write(mail)
        sys.stdout.buffer.flush()
    return 0


def as_dict(found: Found, forms: Sequence[str]) -> dict[str, Any]:
    """The keys of `show --json`; `forms` are those in which it can be sent again."""
    message = found.message
    return {
        "message": message.id,
        "accepted_at": json_time(message.accepted_at),
        "app": message.app,
        "mail_from": message.mail_from,
        "from": message.header_from,
        "from_name": message.from_name or None,
        "reply_to": message.reply_to or None,
        "subject": message.subject,
        "message_id": message.message_id or None,
        "size": message.size,
        "kind": message.kind,
        "booking": message.booking,
        "customer": message.customer,
        "phone": message.phone,
        "event_at": json_time(message.event_at),
        "expires_at": json_time(message.expires_at),
        "listener": message.listener,
        "client_ip": message.client_ip or None,
        "user": message.auth_user,
        "tls": message.tls,
        "repairs": list(message.repairs),
        "duplicate_of": message.duplicate_of,
        "has_content": found.has_content,
        "forms": list(forms),
        "references": [
            {"kind": one.kind, "value": one.value, "source": one.source, "rule": one.rule or None}
            for one in found.references
        ],
        "deliveries": [_delivery(one, found) for one in _chosen(found)],
        "events": [
            {"at": json_time(one.at), "kind": one.kind, "text": one.text, "by": one.by or None, "id": one.delivery_id}
            for one in found.events
        ],
    }


def _chosen(found: Found) -> list[Delivery]:
    """The deliveries that were asked for: all of a message, or the one."""
    return [one for one in found.deliveries if found.delivery_id in (None, one.id)]


def _delivery(one: Delivery, found: Found) -> dict[str, Any]:
    return {
        "id": one.id,
        "to": one.address,
        "name": one.name or None,
        "intended": one.intended,
        "status": one.status,
        "category": one.category,
        "blame": one.blame,
        "rule": one.rule,
        "attempts": one.attempts,
        "next_at": None if one.is_being_tried else json_time(one.next_at),
        "held": one.held,
        "mx": one.mx,
        "code": one.code,
        "enhanced": one.enhanced,
        "reply": one.reply,
        "created_at": json_time(one.created_at),
        "delivered_at": json_time(one.delivered_at),
        "ended_at": json_time(one.ended_at),
        "resend_of": one.resend_of,
        "form": one.form,
        "by": one.by,
        "outcome_unknown": one.is_unknown,
        "marks": list(one.marks),
        "tries": [_attempt(attempt) for attempt in found.attempts_of(one.id)],
    }


def _attempt(one: Attempt) -> dict[str, Any]:
    outcome = one.outcome
    return {
        "number": one.number,
        "started_at": json_time(one.started_at),
        "took": one.took.total_seconds(),
        "mx": one.mx,
        "ip": one.ip,
        "source": one.source,
        "tls": one.tls,
        "tls_decision": one.tls_decision,
        "stage": one.reply.stage,
        "code": one.reply.code,
        "enhanced": one.reply.enhanced,
        "reply": one.reply.text,
        "class": outcome.reply_class if outcome else None,
        "category": outcome.category if outcome else None,
        "blame": outcome.blame if outcome else None,
        "rule": outcome.rule if outcome else None,
        "timings": one.timings,
        "outcome_unknown": one.is_unknown,
        "reused": one.reused,
        "conversation": one.conversation,
    }


def _print(found: Found, forms: Sequence[str]) -> None:
    message = found.message
    sender = f"{message.from_name} <{message.header_from}>" if message.from_name else message.header_from
    print_pairs(
        [
            ("message", message.id),
            ("accepted", shown_time(message.accepted_at)),
            ("app", message.app),
            ("from", sender),
            ("reply to", message.reply_to),
            ("subject", message.subject),
            ("booking", message.booking or ""),
            ("customer", message.customer or ""),
            ("phone", message.phone or ""),
            ("kind", message.kind or ""),
            ("event", shown_time(message.event_at) if message.event_at else ""),
            ("deadline", shown_time(message.expires_at) if message.expires_at else ""),
            ("message-id", message.message_id),
            ("size", shown_size(message.size)),
            ("came by", _came_by(found)),
            ("repaired", ", ".join(message.repairs)),
            ("duplicate of", message.duplicate_of or ""),
            ("content", "" if found.has_content else "not kept"),
            ("resend as", ", ".join(_FORMS[form] for form in forms)),
        ]
    )
    for one in _chosen(found):
        click.echo("")
        _print_delivery(one)
    click.echo("\nTime line")
    for at, text in _time_line(found):
        click.echo(f"  {shown_time(at)}  {safe(text)}")
    _print_conversations(found)


def _came_by(found: Found) -> str:
    message = found.message
    parts = [message.listener, f"from {message.client_ip}" if message.client_ip else ""]
    parts += [f"as {message.auth_user}" if message.auth_user else "", message.tls or ""]
    return ", ".join(part for part in parts if part)


def _print_delivery(one: Delivery) -> None:
    reply = " ".join(str(part) for part in (one.code, one.enhanced, one.reply) if part)
    reason = f"{one.category} (fault: {one.blame}, rule: {one.rule})" if one.category else ""
    again = f"{one.resend_of}, by {one.by}, {one.form}" if one.resend_of else ""
    print_pairs(
        [
            ("delivery", one.id),
            ("to", f"{one.name} <{one.address}>" if one.name else one.address),
            ("meant for", one.intended or ""),
            ("status", f"{one.status}{f', held: {one.held}' if one.held else ''}"),
            ("reason", reason),
            ("last answer", f"{one.mx}: {reply}" if one.mx and reply else reply),
            ("tries", str(one.attempts)),
            ("next try", "now" if one.is_being_tried else shown_time(one.next_at) if one.next_at else ""),
            ("resend of", again),
            ("note", "outcome of an earlier try unknown, sent again" if one.is_unknown else ""),
        ]
    )


def _time_line(found: Found) -> list[tuple[datetime, str]]:
    """Gather what happened, oldest first: accepted, every try, what people did, the ends."""
    message, chosen = found.message, _chosen(found)
    lines = [(message.accepted_at, f"accepted from {message.app}")]
    for one in chosen:
        lines += [(attempt.started_at, f"{one.address}: {_try(attempt)}") for attempt in found.attempts_of(one.id)]
    ids = {one.id for one in chosen}
    for event in found.events:
        if event.delivery_id is None or event.delivery_id in ids:
            lines.append((event.at, f"{event.text}{f' (by {event.by})' if event.by else ''}"))
    # The ends last, for what led to one may have its very time.
    lines += [(one.ended_at, f"{one.address}: {one.status}") for one in chosen if one.ended_at is not None]
    return sorted(lines, key=lambda line: line[0])


def _try(attempt: Attempt) -> str:
    from relay.model import Stage

    reply = attempt.reply
    said = " ".join(str(part) for part in (reply.code, reply.enhanced, reply.text) if part)
    took = f"{attempt.took.total_seconds():.2f} s"
    if reply.stage is Stage.DNS:
        return f"try {attempt.number}, look-up of the servers, {took}: {said}"
    place = f"{attempt.mx or attempt.ip or 'no server'}{f' [{attempt.ip}]' if attempt.ip else ''}"
    tls = attempt.tls or attempt.tls_decision or "no TLS"
    return f"try {attempt.number} at {place}, {tls}, {took}, {reply.stage}: {said}"


def _print_conversations(found: Found) -> None:
    for one in _chosen(found):
        for attempt in found.attempts_of(one.id):
            if attempt.conversation:
                click.echo("")
                click.echo(safe(f"Conversation with {attempt.mx or attempt.ip or 'no server'}, try {attempt.number}"))
                for line in safe_lines(attempt.conversation).splitlines():
                    click.echo(f"  {line}")
