"""`parse-report`: what returned mails, complaints and automatic answers say. Needs no configuration and no store."""

from __future__ import annotations

import sys

import click

from relay.classify.mime import MAX_BYTES
from relay.classify.report import Report, ReportedRecipient, ReportKind, read_report
from relay.cli.output import print_json, print_pairs, safe

_NOTHING = Report(kind=ReportKind.NONE)


@click.command(short_help="Say what a returned mail means.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--jsonl", is_flag=True, help="Print one JSON object for each file, in the order given.")
def parse_report(files: tuple[str, ...], jsonl: bool) -> int:
    """Say what a returned mail, a complaint or an automatic answer means; FILE - is standard input.

    Example: waybill parse-report bounce.eml
    """
    for name in files:
        raw = _read(name)
        report = _NOTHING if raw is None else read_report(raw)
        if jsonl:
            print_json(_line(report))
        else:
            _print_words(name, report, is_readable=raw is not None)
    return 0


def _read(name: str) -> bytes | None:
    """Read as much of a mail as is looked at; None when there is nothing to read."""
    try:
        if name == "-":
            return sys.stdin.buffer.read(MAX_BYTES)
        with open(name, "rb") as file:
            return file.read(MAX_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        click.echo(f"waybill: {safe(name)} cannot be read: {safe(reason)}", err=True)
        return None


def _line(report: Report) -> dict[str, object]:
    return {"kind": report.kind, "recipients": [_recipient(recipient) for recipient in report.recipients]}


def _recipient(recipient: ReportedRecipient) -> dict[str, object]:
    return {
        "address": recipient.address,
        "class": recipient.reply_class,
        "category": recipient.category,
        "status": recipient.status,
        "reply": recipient.reply or None,
    }


_KINDS = {
    ReportKind.BOUNCE: "a bounce: the mail was not delivered",
    ReportKind.COMPLAINT: "a complaint: the recipient marked the mail as spam",
    ReportKind.AUTO_REPLY: "an automatic answer; it says nothing about delivery",
    ReportKind.DELAY: "a notice of delay: the mail is still being tried",
    ReportKind.DELIVERED: "a confirmation: the mail was delivered",
    ReportKind.NONE: "nothing that could be read as a report",
}


def _print_words(name: str, report: Report, *, is_readable: bool) -> None:
    click.echo(f"{safe(name)}: {_KINDS[report.kind] if is_readable else 'cannot be read'}")
    for recipient in report.recipients:
        print_pairs(
            [
                ("  recipient", recipient.address or "not named; the return address tells"),
                ("  forwarded from", recipient.original or ""),
                ("  class", recipient.reply_class or ""),
                ("  category", recipient.category or ""),
                ("  blame", recipient.blame or ""),
                ("  rule", recipient.rule or ""),
                ("  status", recipient.status or ""),
                ("  reply", recipient.reply),
            ]
        )
    if report.feedback_type and report.kind is ReportKind.COMPLAINT:
        print_pairs([("  complaint", report.feedback_type)])
    if report.kind is not ReportKind.NONE and report.original_message_id:
        print_pairs([("  about", report.original_message_id)])
