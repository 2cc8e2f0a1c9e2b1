"""What each provider's list says, in our words: which entries are blocks, for what reason, since when, until when.

Policy. A bounce whose reply is given is read by our own rules: one that is temporary, or about the sender or the mail,
is left out, because it says nothing about the address; one that nobody understands is believed. A complaint becomes
`complaint`, an unsubscribe or a block by hand `manual`. What has ended is left out. A time that cannot be read is no
reason to lose a block: it then begins now.

The lists, as their makers document them: SES ListSuppressedDestinations and its import files; Postmark's suppression
dump; SendGrid's bounces, blocks, spam reports, invalid emails and unsubscribes; Mailgun's bounces, complaints,
unsubscribes and allow list; the table `suppressions` of Postal. Each as JSON or CSV, in any spelling of the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from relay.address import address_key, to_a_label, validate
from relay.block_lists.entries import Bad, Context, Format, Found, LeftOut, Record, Result
from relay.block_lists.times import read_time
from relay.block_lists.writing import unguarded
from relay.classify import classify, parse_reply
from relay.errors import Refused
from relay.model import Blame, Category, DeliveryId, Outcome, ReplyClass, Suppression
from relay.wording import say

TEMPORARY = say("temporary, so it says nothing about the address")
NOT_THE_ADDRESS = say("about the sender or the mail, not about the address")
FIXABLE = say("a reason that can pass or be mended, not a dead address")
ENDED = say("it has ended")
ALLOWED = say("an allow list: nothing to block")
BLOCKS_LIST = say("SendGrid's blocks are temporary")
ONE_TAG = say("unsubscribed from one kind of mail only")

_ADDRESS = ("address", "emailaddress", "email", "recipient", "value", "column0")
_HARD = frozenset({Category.INVALID_ADDRESS, Category.INVALID_DOMAIN})
_REASONS = frozenset({"manual", "invalid_address", "invalid_domain", "errors", "complaint"})
_SOURCES = frozenset({"automatic", "manual", "complaint", "import"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """What a provider's entry means."""

    reason: str
    note: str = ""
    when: str = ""
    until: str = ""
    category: Category | None = None
    reply: str = ""
    rule: str | None = None


_Meaning = _Reading | LeftOut | Bad


def format_of(record: Record) -> Format | None:
    """Tell by its columns whose entry it is."""
    names = record.values.keys()
    if {"address", "reason", "source", "since"} <= names:
        return Format.WAYBILL
    if "keepuntil" in names or {"type", "address", "timestamp"} <= names:
        return Format.POSTAL
    if "suppressionreason" in names or {"emailaddress", "origin"} <= names:
        return Format.POSTMARK
    is_ses = record.text("reason").upper() in ("BOUNCE", "COMPLAINT")
    if "lastupdatetime" in names or (is_ses and names & {"emailaddress", "address", "email"}):
        return Format.SES
    if "email" in names and "created" in names:
        return Format.SENDGRID
    if {"value", "createdat"} <= names or ("address" in names and names & {"code", "error", "createdat", "tags"}):
        return Format.MAILGUN
    return Format.WAYBILL if names & {"address", "email", "emailaddress", "recipient"} else None


def block_of(record: Record, list_format: Format, context: Context) -> Result:
    """Make a block of an entry, or say why not."""
    shown = record.text(*_ADDRESS)
    shown = (unguarded(shown) if record.is_table and list_format is Format.WAYBILL else shown).strip(" <>")
    target = _target(shown, is_ours=list_format is Format.WAYBILL)
    if isinstance(target, str):
        return Bad(record.line, target)
    scope, value = target
    if list_format is Format.WAYBILL:
        return _ours(record, scope, value, context)
    meaning = _READERS[list_format](record, context)
    if isinstance(meaning, LeftOut):
        return replace(meaning, address=shown)
    if isinstance(meaning, Bad):
        return meaning
    until_at = read_time(meaning.until)
    if until_at is not None and until_at <= context.now:
        return LeftOut(record.line, shown, ENDED)
    return Found(
        record.line,
        Suppression(
            id=0,
            scope=scope,
            value=value,
            reason=meaning.reason,
            source="import",
            category=meaning.category,
            note=meaning.note,
            by=context.by,
            since_at=min(read_time(meaning.when) or context.now, context.now),
            until_at=until_at,
            reply=meaning.reply,
            app=context.app,
            rule=meaning.rule,
        ),
    )


def _target(shown: str, *, is_ours: bool) -> tuple[str, str] | str:
    """Read the address or @domain; a text says what is wrong with it."""
    if not shown:
        return say("there is no address")
    if is_ours and shown.startswith("@"):
        domain = to_a_label(shown[1:])
        return ("domain", domain) if domain else say("{domain} is not a domain name", domain=repr(shown[1:80]))
    try:
        validate(shown, is_smtputf8=True)
    except Refused as error:
        return say("'{text}': {why}", text=repr(shown[:80])[1:-1], why=error.text)
    return "address", address_key(shown)


def _ours(record: Record, scope: str, value: str, context: Context) -> Result:
    """Read an entry of our own export, or of a plain list, where everything but the address may be missing."""

    def cell(name: str) -> str:
        found = record.cell(name)
        return unguarded(found) if record.is_table else found

    reason, source = cell("reason").strip() or "manual", cell("source").strip() or "import"
    if source not in _SOURCES:
        return Bad(record.line, say("{text} is no source of a block", text=repr(source[:40])))
    note, category = cell("note"), cell("category").strip()
    if reason not in _REASONS:
        note, reason = note or reason, "manual"  # a list kept by hand: its words are the note
    if category and category not in {one.value for one in Category}:
        return Bad(record.line, say("{text} is no category", text=repr(category[:40])))
    until_at = read_time(cell("until"))
    if cell("until").strip() and until_at is None:
        return Bad(
            record.line, say("{text} is no time", text=repr(cell("until")[:40]))
        )  # without its end it would hold for ever
    if until_at is not None and until_at <= context.now:
        return LeftOut(record.line, value, ENDED)
    return Found(
        record.line,
        Suppression(
            id=0,
            scope=scope,
            value=value,
            reason=reason,
            source=source,
            category=Category(category) if category else None,
            note=note,
            by=cell("by") or (context.by if source == "import" else ""),
            since_at=min(read_time(cell("since")) or context.now, context.now),
            until_at=until_at,
            delivery_id=DeliveryId(cell("delivery")) if cell("delivery") else None,
            reply=cell("reply"),
            app=cell("app") or context.app,
            rule=cell("rule") or None,
        ),
    )


def _ses(record: Record, context: Context) -> _Meaning:
    reason = record.text("reason", "suppressionreason", "column1").upper()
    when = record.text("lastupdatetime", "lastupdated", "dateadded", "createdat")
    if reason == "BOUNCE":
        return _Reading(reason="invalid_address", note="SES: bounce", when=when)
    if reason == "COMPLAINT":
        return _Reading(reason="complaint", note="SES: complaint", when=when)
    return Bad(record.line, say("{text} is no reason that SES gives", text=repr(reason[:40])))


def _postmark(record: Record, context: Context) -> _Meaning:
    given = record.text("suppressionreason", "reason", "type")
    when, origin = record.text("createdat", "created", "date"), record.text("origin").lower()
    reason = given.lower().replace(" ", "")
    if reason == "hardbounce":
        return _Reading(reason="invalid_address", note="Postmark: hard bounce", when=when)
    if reason == "spamcomplaint":
        return _Reading(reason="complaint", note="Postmark: spam complaint", when=when)
    if reason in ("manualsuppression", "unsubscribe"):
        note = "Postmark: unsubscribed" if origin == "recipient" else "Postmark: blocked by hand"
        return _Reading(reason="manual", note=note, when=when)
    if reason in ("softbounce", "transient"):
        return LeftOut(record.line, "", TEMPORARY)
    return Bad(record.line, say("{text} is no reason that Postmark gives", text=repr(given[:40])))


def _sendgrid(record: Record, context: Context) -> _Meaning:
    when, words = record.text("created"), record.text("reason")
    if "block" in context.name:
        return LeftOut(record.line, "", BLOCKS_LIST)
    if "ip" in record.values or "spam" in context.name:
        return _Reading(reason="complaint", note="SendGrid: spam report", when=when)
    if "status" in record.values:
        return _bounce(record, words, status=record.text("status"), note="SendGrid: bounce", when=when)
    if words or "invalid" in context.name:
        note = "SendGrid: invalid address"
        return _Reading(reason="invalid_address", note=note, when=when, reply=words, category=Category.INVALID_ADDRESS)
    return _Reading(reason="manual", note="SendGrid: unsubscribed", when=when)


def _mailgun(record: Record, context: Context) -> _Meaning:
    names, when = record.values.keys(), record.text("createdat")
    if "value" in names or "whitelist" in context.name or "allowlist" in context.name:
        return LeftOut(record.line, "", ALLOWED)
    if "code" in names or "error" in names:
        return _bounce(record, record.text("error"), status=record.text("code"), note="Mailgun: bounce", when=when)
    if "tags" in names or "tag" in names or "unsub" in context.name:
        tags = record.text("tags", "tag").strip("[]\"' ")
        if tags not in ("", "*"):
            return LeftOut(record.line, "", ONE_TAG)
        return _Reading(reason="manual", note="Mailgun: unsubscribed", when=when)
    return _Reading(reason="complaint", note="Mailgun: complaint", when=when)


def _postal(record: Record, context: Context) -> _Meaning:
    words = record.text("reason")
    if "soft" in words.lower():
        return LeftOut(record.line, "", TEMPORARY)
    reason = "invalid_address" if "hard" in words.lower() else "manual"
    return _Reading(
        reason=reason, note=f"Postal: {words}", when=record.text("timestamp"), until=record.text("keepuntil")
    )


def _bounce(record: Record, words: str, *, status: str, note: str, when: str) -> _Meaning:
    """Read a bounce by our own rules; without any code the provider's word that it is final is taken."""
    text = words
    if status and not words.startswith(status[:3]):
        # Mailgun's own 6yz codes: it did not even try, because the address bounced before.
        text = f"{'550' if status[:1] == '6' else status} {words}".strip()
    outcome = _read_answer(text)
    if outcome.reply_class is ReplyClass.DEFERRED:
        return LeftOut(record.line, "", TEMPORARY)
    if outcome.reply_class is ReplyClass.SOFT and outcome.category is not Category.UNKNOWN:
        is_ours = outcome.blame in (Blame.US, Blame.MESSAGE)
        return LeftOut(record.line, "", NOT_THE_ADDRESS if is_ours else FIXABLE)
    reason = outcome.category.value if outcome.category in _HARD else "errors"
    return _Reading(reason=reason, note=note, when=when, category=outcome.category, reply=words, rule=outcome.rule)


@lru_cache(maxsize=4096)  # a long list repeats the answers of a few providers
def _read_answer(text: str) -> Outcome:
    reply = parse_reply(text)
    if reply.code is None and reply.enhanced is None:
        reply = replace(reply, code=550)
    return classify(reply)


_READERS: dict[Format, Callable[[Record, Context], _Meaning]] = {
    Format.SES: _ses,
    Format.POSTMARK: _postmark,
    Format.SENDGRID: _sendgrid,
    Format.MAILGUN: _mailgun,
    Format.POSTAL: _postal,
}
