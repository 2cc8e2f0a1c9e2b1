"""`send-test`: put one short message into the queue, past intake, and if wanted wait for what becomes of it."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.context import configured, nudge, opened
from relay.cli.output import print_json, safe
from relay.cli.times import Span, utc_now
from relay.errors import Refused
from relay.status import OPEN, Status

if TYPE_CHECKING:
    from relay.model import Delivery, Message
    from relay.store.protocols import Store

_POLL = 0.2  # seconds between looks at the store while waiting


@click.command("send-test", short_help="Send a short test message.")
@click.argument("address", metavar="ADDR")
@click.option("--from", "sender", metavar="ADDR", help="Sender; default postmaster@ our own name.")
@click.option("--wait", type=Span(), metavar="DURATION", help="Wait so long for what becomes of it, such as 30s.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def send_test(config_path: Path | None, address: str, sender: str | None, wait: timedelta | None, as_json: bool) -> int:
    """Put a short test message into the queue. With --wait exits 1 when it was not delivered in that time."""
    from relay.actions import make_test
    from relay.address import validate
    from relay.store import spool

    config, _ = configured(config_path)
    try:
        validate(address, is_smtputf8=True)
        validate(sender or "", is_sender=True, is_smtputf8=True)
    except Refused as error:
        raise click.UsageError(safe(error.text)) from error
    submission = make_test(address, sender=sender, hostname=config.node.hostname, now=utc_now())
    delivery = submission.deliveries[0]
    with opened(config) as store:
        store.write_now(lambda tx: spool.accept(tx, submission))
        nudge(config)
        if not as_json:
            click.echo(f"queued as {submission.message.id}")
        if wait is not None:
            delivery = _wait(store, delivery, seconds=wait.total_seconds())
    _print(submission.message, delivery, waited=wait is not None, as_json=as_json)
    return 1 if wait is not None and delivery.delivered_at is None and delivery.status is not Status.SENT else 0


def _wait(store: Store, delivery: Delivery, *, seconds: float) -> Delivery:
    """Look at the delivery until it has ended or the time is over."""
    from relay.store import log

    wanted = delivery.id
    end = time.monotonic() + seconds
    while True:
        found = store.read_now(lambda tx: log.find(tx, wanted))
        if found is not None:
            delivery = next(one for one in found.deliveries if one.id == wanted)
        if delivery.status not in OPEN or time.monotonic() >= end:
            return delivery
        time.sleep(_POLL)


def _print(message: Message, delivery: Delivery, *, waited: bool, as_json: bool) -> None:
    if as_json:
        print_json({"message": message.id, "id": delivery.id, "to": delivery.address, "status": delivery.status})
    elif waited:
        said = " ".join(str(part) for part in (delivery.code, delivery.enhanced, delivery.reply) if part)
        click.echo(safe(f"{delivery.status}: {said}" if said else delivery.status))
    else:
        click.echo(f"To see what becomes of it: waybill why {message.id}")
