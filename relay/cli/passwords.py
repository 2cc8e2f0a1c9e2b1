"""How commands get a new password: asked for twice at a terminal, one line from standard input otherwise."""

from __future__ import annotations

import sys

import click


def ask_password() -> str:
    """Ask for a password, or read one line from stdin.

    Raises:
        click.UsageError: it is empty.
    """
    if sys.stdin.isatty():
        secret = str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    if not secret:
        raise click.UsageError("the password is empty")
    return secret
