"""`serve`, `intake`, `deliver`, `dashboard`, `demo`: the commands that run until they are told to stop."""

from __future__ import annotations

from pathlib import Path

import click

from relay.cli.context import configured


@click.command(short_help="Run everything.")
@click.pass_obj
def serve(config_path: Path | None) -> int:
    """Run everything on this machine: take mail, deliver it, show the pages. Ends on SIGTERM; SIGHUP reloads."""
    from relay.supervise import serve as run

    config, found = configured(config_path)
    return run(config, found)


@click.command(short_help="Run only intake.")
@click.pass_obj
def intake(config_path: Path | None) -> int:
    """Run only the process that takes mail."""
    from relay.app import run_intake

    config, _ = configured(config_path)
    return run_intake(config)


@click.command(short_help="Run only delivery.")
@click.pass_obj
def deliver(config_path: Path | None) -> int:
    """Run only the process that delivers."""
    from relay.app import run_delivery

    config, _ = configured(config_path)
    return run_delivery(config)


@click.command(short_help="Run only the pages.")
@click.pass_obj
def dashboard(config_path: Path | None) -> int:
    """Run only the process that shows the pages."""
    from relay.app import run_dashboard

    config, _ = configured(config_path)
    return run_dashboard(config)


@click.command(short_help="Try it on this machine alone.")
@click.option("--once", is_flag=True, help="Send the samples, show what became of them, and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def demo(once: bool, as_json: bool) -> int:
    """Try it without any set-up: a small internet on this machine, sample mail, and a table of what happened."""
    from relay.demo.run import main as run

    return run(once=once, as_json=as_json)
