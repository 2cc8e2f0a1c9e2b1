"""`classify`: what a server's answer means. Needs no configuration, store or network."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import click

from relay.classify import classify as read_reply
from relay.classify.reply import parse_reply
from relay.cli.output import print_json, print_pairs
from relay.model import Blame, Category, Outcome, Reply, ReplyClass, Stage

_STAGES = [stage.value for stage in Stage]


@click.command(short_help="Say what a server's answer means.")
@click.argument("text", required=False)
@click.option("--stage", type=click.Choice(_STAGES), help="When the answer came; without it nobody knows.")
@click.option(
    "--jsonl", is_flag=True, help='Read lines {"reply": ..., "stage": ...} from stdin, print one line for each.'
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def classify(text: str | None, stage: str | None, jsonl: bool, as_json: bool) -> int:
    """Say what a server's answer means: class, category, blame and the rule that decided.

    Example: waybill classify "550 5.1.1 no such user"
    """
    if jsonl:
        if text is not None:
            raise click.UsageError("with --jsonl the answers come from stdin, not from the command line")
        _classify_lines(sys.stdin.buffer)
        return 0
    if text is None:
        raise click.UsageError('give the answer in quotes, such as "550 5.1.1 no such user", or use --jsonl')
    reply = parse_reply(text, Stage(stage) if stage else None)
    if as_json:
        print_json(_line(reply))
    else:
        _print_words(reply)
    return 0


def _classify_lines(lines: Iterable[bytes]) -> None:
    for line in lines:
        print_json(_line(_read(line)))


def _read(line: bytes) -> Reply | None:
    """Read one input line; None when it holds no answer."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("reply"), str):
        return None
    stage = values.get("stage")
    return parse_reply(values["reply"], Stage(stage) if stage in _STAGES else None)


def _line(reply: Reply | None) -> dict[str, object]:
    outcome = _unreadable() if reply is None else read_reply(reply)
    return {
        "class": outcome.reply_class,
        "category": outcome.category,
        "blame": outcome.blame,
        "suppress": outcome.suppress,
        "rule": outcome.rule,
    }


def _unreadable() -> Outcome:
    return Outcome(
        reply_class=ReplyClass.DEFERRED, category=Category.UNKNOWN, blame=Blame.THEIR_SERVER, rule="unreadable_line"
    )


def _print_words(reply: Reply) -> None:
    from relay.classify.explain import explain, render

    outcome = read_reply(reply)
    words = render(explain(reply=reply, outcome=outcome))
    print_pairs(
        [
            ("class", outcome.reply_class),
            ("category", outcome.category),
            ("blame", outcome.blame),
            ("rule", outcome.rule),
            ("blocks the address", "yes" if outcome.suppress else "no"),
            ("in words", words.title),
            ("what happened", words.happened),
            ("what to do", words.next_step),
        ]
    )
