"""`resend` and `cancel`."""

from __future__ import annotations

from pathlib import Path

import click

from relay.cli.acting import perform, report
from relay.cli.context import asker, configured, nudge, opened
from relay.cli.output import safe
from relay.cli.times import utc_now
from relay.errors import Refused


@click.command(short_help="Send a message again.")
@click.argument("wanted", metavar="ID")
@click.option("--to", metavar="NEW", help="Send it to this address, not to the customer's current one.")
@click.option("--plain", is_flag=True, help="Send only the text part.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def resend(config_path: Path | None, wanted: str, to: str | None, plain: bool, as_json: bool) -> int:
    """Send a delivery, or every delivery of a message, again, to the customer's current address.

    A blocked address gets nothing; exits 1 then. What waits already is not sent twice.
    """
    from relay import actions

    config, _ = configured(config_path)
    form = "plain" if plain else "full"
    with opened(config) as store:
        try:
            plan = store.read_now(
                lambda tx: actions.plan_resend(
                    tx, wanted, by=asker(), now=utc_now(), hostname=config.node.hostname, to=to, form=form
                )
            )
        except Refused as error:
            raise click.UsageError(safe(error.text)) from error
        if isinstance(plan, actions.Answer):
            return report(plan, as_json=as_json)
        code = perform(store, lambda tx: actions.resend(tx, plan), as_json=as_json)
    nudge(config)
    return code


@click.command(short_help="Stop a delivery that has not ended.")
@click.argument("wanted", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def cancel(config_path: Path | None, wanted: str, as_json: bool) -> int:
    """Stop a delivery, or every delivery of a message, that has not ended. Exits 1 when there is nothing to stop."""
    from relay import actions

    config, _ = configured(config_path)
    with opened(config) as store:
        return perform(store, lambda tx: actions.cancel(tx, wanted, by=asker(), now=utc_now()), as_json=as_json)
