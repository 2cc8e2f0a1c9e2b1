"""`check-config`: the configuration alone, without network, DNS or store."""

from __future__ import annotations

from pathlib import Path

import click

from relay.cli.output import print_json, safe
from relay.config import effective_lines, file_problems, find_config, load, warnings
from relay.errors import ConfigError


@click.command("check-config", short_help="Check the configuration.")
@click.option("--show", is_flag=True, help="Print every setting in force, secrets masked.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def check_config(config_path: Path | None, show: bool, as_json: bool) -> int:
    """Say what is wrong with the configuration: every fault at once, with its line. Exits 1 when there is any."""
    found = None
    lines: list[str] = []
    notices: list[str] = []
    try:
        found = find_config(config_path)
        config = load(found)
        problems = file_problems(config)
        notices = warnings(config)
        lines = effective_lines(config) if show else []
    except ConfigError as error:
        problems = error.problems
    if as_json:
        _print_json(problems, notices, lines)
    else:
        _print_text(problems, notices, lines, place=str(found or "no file: safe defaults"))
    return 1 if problems else 0


def _print_json(problems: list[str], notices: list[str], lines: list[str]) -> None:
    for level, texts in (("error", problems), ("warning", notices), ("setting", lines)):
        for text in texts:
            print_json({"level": level, "text": text})


def _print_text(problems: list[str], notices: list[str], lines: list[str], *, place: str) -> None:
    for line in lines:
        click.echo(safe(line))
    for problem in problems:
        click.echo(safe(problem))
    for notice in notices:
        click.echo(f"warning: {safe(notice)}")
    if not problems:
        click.echo(f"The configuration is good ({safe(place)}).")
