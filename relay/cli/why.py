"""`why`: the one-sentence answer, the proof, the next step."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.context import configured, opened
from relay.cli.output import print_columns, print_json, safe, shown_time
from relay.cli.times import utc_now

if TYPE_CHECKING:
    from relay.actions import Inquiry
    from relay.store.log import LogRow

_LISTED = 30  #: rows that fit on a screen
_WHAT = 30  #: characters of a subject
_WHO = {"customer": "the customer", "you": "you", "admin": "your admin", "wait": "nobody: wait"}


@click.command(short_help="Say in one sentence what became of somebody's mail.")
@click.argument("question", metavar="ADDRESS|BOOKING|CUSTOMER|ID")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def why(config_path: Path | None, question: str, as_json: bool) -> int:
    """Say what became of the mail to an address or a customer, for a booking, or with an id.

    Exits 1 when nothing was ever handed to us.
    """
    from relay import actions

    config, _ = configured(config_path)
    now = utc_now()
    with opened(config) as store:
        found = store.read_now(
            lambda tx: actions.why(
                tx,
                question,
                now=now,
                give_up_after=config.delivery.give_up_after,
                zone=None if as_json else now.astimezone().tzinfo,
            )
        )
    if as_json:
        _print_json(found)
    else:
        _print(found, question)
    return 0 if found.rows else 1


def _print_json(found: Inquiry) -> None:
    print_json(
        {
            "answer": found.why.verdict,
            "sentence": found.why.sentence,
            "next_step": found.why.next_step,
            "who": found.why.who,
            "title": found.why.title,
            "happened": found.why.happened,
            "proof": list(found.why.proof),
            "deliveries": [row.as_json() for row in found.rows],
        }
    )


def _print(found: Inquiry, question: str) -> None:
    answer = found.why
    click.echo(safe(answer.title))
    click.echo(safe(answer.sentence))
    click.echo(f"\nWhat happened: {safe(answer.happened)}")
    click.echo("Proof:")
    for line in answer.proof:
        click.echo(f"  {safe(line)}")
    click.echo(f"Next step: {safe(answer.next_step)}")
    if answer.who is not None:
        click.echo(f"Who can act: {_WHO.get(answer.who, answer.who)}")
    if len(found.rows) > 1:
        _print_list(found, question)


def _print_list(found: Inquiry, question: str) -> None:
    """Print every mail the question is about, oldest last, each with its kind and where it stands."""
    click.echo("\nThe newest first:")
    print_columns(("WHEN", "WHAT", "TO", "STANDS", "ID"), [_line(row) for row in found.rows[:_LISTED]])
    command = f"waybill log {shlex.quote(question)}"
    click.echo(f"{len(found.rows)} deliveries in all; to list them: {safe(command)}")


def _line(row: LogRow) -> tuple[str, ...]:
    from relay.status import FAILED
    from relay.why import standing

    is_returned = row.delivered_at is not None and row.status in FAILED
    stands = standing(row.status, is_returned=is_returned, is_held=row.held is not None)
    what = (row.kind or row.subject or "-").replace("_", " ")[:_WHAT]
    again = " (sent again)" if row.resend_of else ""
    to = f"{row.to} (for {row.intended})" if row.intended else row.to
    return shown_time(row.created_at), f"{what}{again}", to, stands, row.id
