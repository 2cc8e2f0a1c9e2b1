"""`doctor`: what is wrong around the relay, each with the record or command that mends it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relay.cli.context import configured, opened
from relay.cli.output import print_json, safe, safe_lines
from relay.cli.times import utc_now
from relay.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from relay.doctor import Finding
    from relay.settings import Config


@click.command(short_help="Say what is wrong with DNS, port 25, the clock, the disk and more.")
@click.option("--domain", metavar="D", help="Only what DNS says about mail from this domain; it need not send yet.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.pass_obj
def doctor(config_path: Path | None, domain: str | None, as_json: bool) -> int:
    """Look at DNS (SPF, DKIM, DMARC, PTR), port 25 outwards, block lists, name servers, clock, disk and certificates.

    Each finding says what was found, what was expected, and the record or command that mends it. Nothing is changed
    and no mail is sent. What cannot be found out is "unknown". Exits 1 when something is bad.
    """
    from relay.address import to_a_label
    from relay.doctor import State, check_settings

    name = to_a_label(domain.lstrip("@")) if domain is not None else None
    if domain is not None and name is None:
        raise click.UsageError(safe(f"{domain} is not a domain name"))
    try:
        config, _ = configured(config_path)
    except ConfigError as error:
        findings = check_settings(error.problems, [])
    else:
        findings = _examine(config, name)
    if as_json:
        for finding in findings:
            print_json(_as_json(finding))
    else:
        _print(findings)
    return 1 if any(finding.state is State.BAD for finding in findings) else 0


def _examine(config: Config, domain: str | None) -> list[Finding]:
    from relay.doctor import examine, store_fault
    from relay.store import is_there

    if not is_there(config.store.url, config.base_dir):
        return asyncio.run(examine(config, None, now=utc_now, domain=domain))  # makes no store just to look at it
    try:
        with opened(config) as store:
            return asyncio.run(examine(config, store, now=utc_now, domain=domain))
    except StoreError as error:
        found = asyncio.run(examine(config, None, now=utc_now, domain=domain))
        return [*found, store_fault(str(error))]


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.id,
        "subject": finding.subject,
        "state": finding.state.value,
        "found": finding.found,
        "expected": finding.expected,
        "fix": finding.fix or None,
        "why": finding.why,
    }


def _print(findings: Sequence[Finding]) -> None:
    """What is bad first, each with all there is to say; what is good in one line."""
    from relay.doctor import ORDER, State

    for finding in sorted(findings, key=lambda each: ORDER.index(each.state)):
        click.echo(safe(f"{finding.state.value:<8}{finding.id}  {finding.subject}: {finding.found}"))
        if finding.state is State.GOOD:
            continue
        click.echo(safe(f"        expected: {finding.expected}"))
        click.echo(safe(f"        why: {finding.why}"))
        for line in safe_lines(finding.fix).splitlines():
            click.echo(f"            {line}")
    counts = Counter(finding.state for finding in findings)
    click.echo("\n" + ", ".join(f"{counts[state]} {state.value}" for state in ORDER))
