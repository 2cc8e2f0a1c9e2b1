"""The options that say on what a command of the queue works: one domain, one site, one app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def selection_options(function: F) -> F:
    """Add --domain, --site and --app."""
    for option in (
        click.option("--app", help="Only of this app."),
        click.option("--site", help="Only for this MX host, or set of hosts as `queue` and the log name it."),
        click.option("--domain", help="Only for this recipient domain."),
    ):
        function = option(function)
    return function


def one_scope(**given: str | None) -> tuple[str, str]:
    """Return which option was given and its value; ("all", "") for none.

    Raises:
        click.UsageError: more than one was given.
    """
    chosen = [(scope, value) for scope, value in given.items() if value]
    if len(chosen) > 1:
        raise click.UsageError("this is on one of --domain, --site or --app")
    return chosen[0] if chosen else ("all", "")
