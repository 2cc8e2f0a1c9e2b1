"""What the commands that change something share: run the action in one transaction, say what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from relay.cli.output import print_json, safe
from relay.errors import Refused

if TYPE_CHECKING:
    from relay.actions import Answer
    from relay.store.protocols import Store, Tx


def perform(store: Store, action: Callable[[Tx], Answer], *, as_json: bool = False) -> int:
    """Run one action and print its answer; 0 when it was done, 1 when the answer is no.

    Raises:
        click.UsageError: an argument is no address or domain.
    """
    try:
        answer = store.write_now(action)
    except Refused as error:
        raise click.UsageError(safe(error.text)) from error
    return report(answer, as_json=as_json)


def report(answer: Answer, *, as_json: bool = False) -> int:
    """Print an answer: on stdout when it was done, on stderr when the answer is no."""
    if as_json:
        print_json(
            {
                "done": answer.is_done,
                "key": answer.key,
                "sentence": answer.sentence,
                "count": answer.count,
                "deliveries": list(answer.deliveries),
            }
        )
    else:
        click.echo(safe(answer.sentence), err=not answer.is_done)
        for delivery_id in answer.deliveries:
            click.echo(f"  {delivery_id}")
    return 0 if answer.is_done else 1
