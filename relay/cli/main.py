"""The `waybill` command: options that stand before the command, the list of commands, and how it ends.

Exit codes: 0 good, 1 the answer is "no", 2 wrong use, 3 failed. A failure is one plain sentence on stderr.
Each command's module is imported only when it is run, so that `waybill classify` starts fast and needs no store.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

import click

from relay import __version__
from relay.cli.output import safe
from relay.errors import RelayError

#: command -> (module, attribute, help line). The help stands here so that `waybill --help` imports nothing.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "serve": ("relay.cli.running", "serve", "Run everything: take mail, deliver it, show it."),
    "intake": ("relay.cli.running", "intake", "Run only the process that takes mail."),
    "deliver": ("relay.cli.running", "deliver", "Run only the process that delivers."),
    "dashboard": ("relay.cli.running", "dashboard", "Run only the process that shows the pages."),
    "demo": ("relay.cli.running", "demo", "Try it: a small internet on this machine, with sample mail."),
    "check-config": ("relay.cli.check", "check_config", "Say what is wrong with the configuration."),
    "doctor": ("relay.cli.doctor", "doctor", "Say what is wrong with DNS, port 25, the clock, the disk and more."),
    "log": ("relay.cli.log", "log", "Search the log of deliveries."),
    "show": ("relay.cli.show", "show", "Show one message: time line, attempts, conversation."),
    "why": ("relay.cli.why", "why", "Say in one sentence what became of somebody's mail."),
    "resend": ("relay.cli.change", "resend", "Send a message again."),
    "correct": ("relay.cli.correct", "correct", "Correct an address and send again what it did not get."),
    "redirect": ("relay.cli.redirect", "redirect", "Send new mail for one address to another for a while."),
    "cancel": ("relay.cli.change", "cancel", "Stop a delivery that has not ended."),
    "block": ("relay.cli.blocks", "block", "Send nothing more to an address or a domain."),
    "unblock": ("relay.cli.blocks", "unblock", "Let mail to an address or a domain flow again."),
    "address": ("relay.cli.address", "address", "Show what is known about an address, or reset its error counter."),
    "suppressions": ("relay.cli.suppressions", "suppressions", "The block list: list, export, import, undo."),
    "notices": ("relay.cli.notices", "notices", "List what did not reach a customer, and end what is done."),
    "incidents": ("relay.cli.incidents", "incidents", "List what is our own fault, and send again what failed in it."),
    "reports": ("relay.cli.reports", "reports", "Show what came back by mail: bounces, complaints, answers."),
    "queue": ("relay.cli.queue", "queue", "Show and steer what waits to be sent."),
    "classify": ("relay.cli.classify", "classify", "Say what a server's answer means."),
    "parse-report": ("relay.cli.parse_report", "parse_report", "Say what a returned mail means."),
    "reclassify": ("relay.cli.reclassify", "reclassify", "Replay today's rules over history."),
    "send-test": ("relay.cli.send_test", "send_test", "Send a short test message."),
    "stats": ("relay.cli.stats", "stats", "Count what happened to the mail of the last days."),
    "prune": ("relay.cli.forget", "prune", "Forget what is older than [retention] allows."),
    "erase": ("relay.cli.forget", "erase", "Erase one person from the store."),
    "export": ("relay.cli.forget", "export", "Give all that is known about an address, as JSON."),
    "verify": ("relay.cli.maintenance", "verify", "Check the store for faults."),
    "migrate": ("relay.cli.maintenance", "migrate", "Bring the store to the form this version needs."),
    "nodes": ("relay.cli.nodes", "nodes", "Show which machines work on the store."),
    "dkim": ("relay.cli.dkim", "dkim", "Make and list the keys that sign our mail."),
    "user": ("relay.cli.user", "user", "Who may sign in to the pages: add, change, disable."),
    "token": ("relay.cli.token", "token", "Tokens for programs: add, list, revoke."),
    "audit": ("relay.cli.audit", "audit", "Show who did what in the pages and with accounts."),
    "app": ("relay.cli.app", "app", "List the apps that may send, or make a password hash."),
}


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, _, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            if args and not args[0].startswith("-"):
                ctx.fail(f'there is no command "{args[0]}"; waybill --help lists them')
            raise


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Configuration file; default $WAYBILL_CONFIG, ./config.toml, /etc/waybill/config.toml.",
)
@click.version_option(__version__, prog_name="waybill")
@click.pass_context
def cli(ctx: click.Context, config_path: Path | None) -> None:
    """A mail relay that remembers what happened to every mail."""
    ctx.obj = config_path


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(args=args, prog_name="waybill", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return 2
    except (click.Abort, KeyboardInterrupt):
        click.echo("waybill: stopped", err=True)
        return 3
    except (BrokenPipeError, SystemExit):
        # The reader has seen enough (`waybill log | head`); click turns that into SystemExit, and nothing else does.
        # The interpreter's own flush at exit must stay silent too.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except RelayError as error:
        for line in str(error).splitlines():
            click.echo(f"waybill: {safe(line)}", err=True)
        return 3
    except Exception as error:
        _log_traceback()
        click.echo(f"waybill: {_unexpected(error)}", err=True)
        return 3
    return code if isinstance(code, int) else 0


def _log_traceback() -> None:
    """In a process that keeps a log (`serve` and its children), whoever mends it needs the whole story."""
    import logging

    if logging.getLogger().handlers:
        logging.getLogger("relay").exception("the process ends on an unexpected error")


def _unexpected(error: Exception) -> str:
    """Make one sentence of what nobody foresaw, with the place for whoever mends it."""
    if isinstance(error, OSError) and error.strerror:
        return safe(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = safe(f"{type(error).__name__}: {error}")
    return f"this should not happen, please report it: {what} ({Path(place.filename).name} line {place.lineno})"
