"""Find the recipients that a report in free text speaks of, each with the lines that give its reason.

Policy. Every address outside the returned mail is weighed by how it stands there: named by X-Failed-Recipients, before
a colon, after a recipient's label, alone on a line, in a sentence about the failure, inside an SMTP reply, in a summary
of the mail. Only the best kind counts. The address the report was sent to, the reporting server's own and those of
helpers (postmaster, support) are recipients only where a list of failed recipients names them. A server that lists its
own mailboxes without their domain is understood too. Pure; linear in the lines.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from relay.classify.report_human import Human
from relay.classify.report_phrases import Phrases, load_phrases, plain

_MAX_RECIPIENTS = 50
_MAX_REASON_LINES = 14

ADDRESS = re.compile(
    r"(?<![\w.+%=@/&-])([A-Za-z0-9!#$%&*+/=?^_{|}~.'-]{1,64}@"
    r"(?:[A-Za-z0-9_-]{1,63}\.){1,8}[A-Za-z0-9-]{1,40})(?![\w@-])"
)
_BRACKETED = re.compile(r"<([^<>\s@]{1,64}@[^<>\s@]{1,255})>")
_BEFORE_COLON = re.compile(r"\W{0,12}(?:smtp:)?\W{0,3}\Z", re.IGNORECASE)
_LABEL = re.compile(
    r"([^:@<>]{1,60}(?:[:：]|(?<=[\u3040-\ud7ff])\s))\W{0,6}(?:(?:smtp|rfc822|mailto|local)[:;]\W{0,4})?\Z",
    re.IGNORECASE,
)
_LEFT_OVER = re.compile(r"(?:smtp|rfc822|mailto|local)\s{0,2}[:;]|[\W_\d]+", re.IGNORECASE)
_EXPANDED = re.compile(
    r"\(?(?:expanded from|generated from|original address|forwarded from|alias of)\W{0,4}\Z", re.IGNORECASE
)
_RCPT = re.compile(r"rcpt(?: to)?\W{0,4}\Z", re.IGNORECASE)
_MAILBOX = re.compile(r"<?[A-Za-z0-9][A-Za-z0-9._+-]{1,31}>?\Z")
_RULED = re.compile(r"[-=_*#]{5,}\Z")
_HELPERS = re.compile(
    r"(?:postmaster|mailer-daemon|abuse|support|help|helpdesk|hostmaster|webmaster|no-?reply|info-?desk|admin|security)@",
    re.IGNORECASE,
)


class Weight(IntEnum):
    """How an address stands in the text."""

    SUMMARY = 1  #: "To:" of a summary of the mail
    REPLY = 2  #: inside an SMTP reply, or somewhere in the text of a report
    SENTENCE = 3  #: in a sentence about the failure
    ALONE = 4  #: alone on its line, or leading it
    LISTED = 5  #: before a colon, or after a recipient's label
    HEADER = 6  #: X-Failed-Recipients


@dataclass(slots=True)
class Found:
    """One address as it stands in the text."""

    address: str
    weight: Weight
    line: int  #: where it stands, -1 for the header
    original: str | None = None
    rest: str = ""  #: of its line


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRecipient:
    """One recipient and what is said about it."""

    address: str
    original: str | None
    reason: str
    weight: Weight


def find_recipients(human: Human, *, failed: Sequence[str], ours: Sequence[str]) -> list[TextRecipient]:
    """Find the recipients; `failed` are those a header names, `ours` the addresses the report was sent to."""
    own = {address.lower() for address in ours}
    found = [*_in_lines(human.lines, own=own)]
    named = _distinct([Found(address, Weight.HEADER, -1) for address in failed])
    places = {place.address.lower(): place for place in reversed(found) if place.weight >= Weight.REPLY}
    if named and (not _is_listed(found) or any(place.address.lower() in places for place in named)):
        for place in named:
            seen = places.get(place.address.lower())
            if seen is not None:
                place.line, place.rest, place.original = seen.line, seen.rest, seen.original
        chosen = named
    else:
        chosen = _best(found)
    starts = sorted({place.line for place in chosen})
    return [
        TextRecipient(
            address=place.address,
            original=place.original,
            reason=_reason(human.lines, place, starts),
            weight=place.weight,
        )
        for place in chosen
    ]


def find_local_recipients(human: Human, *, domain: str) -> list[TextRecipient]:
    """Find mailboxes of the reporting server itself that it lists without their domain."""
    phrases = load_phrases()
    lines = human.lines if "." in domain else ()
    found: list[TextRecipient] = []
    is_listing = False
    for number, line in enumerate(lines):
        stripped = line.strip()
        if is_listing and _MAILBOX.match(stripped) and line[:1] in (" ", "\t", "<"):
            place = Found(f"{stripped.strip('<>')}@{domain}", Weight.ALONE, number)
            reason = _reason(lines, place, [])
            found.append(TextRecipient(address=place.address, original=None, reason=reason, weight=place.weight))
        elif stripped:
            words = plain(stripped)
            is_listing = "recipient" in words and phrases.has("failure", words)
    return found[:_MAX_RECIPIENTS]


def _is_listed(found: list[Found]) -> bool:
    return any(place.weight >= Weight.ALONE for place in found)


def _best(found: list[Found]) -> list[Found]:
    """Keep the best kind; a list and lines with an address alone are one kind."""
    if not found:
        return []
    top = max(place.weight for place in found)
    least = Weight.ALONE if top >= Weight.ALONE else top
    chosen = _distinct([place for place in found if place.weight >= least])
    if top < Weight.ALONE:
        return chosen[:1] if top is Weight.SUMMARY else chosen[:3]
    forwarded = {place.original.lower() for place in chosen if place.original}
    return [place for place in chosen if place.address.lower() not in forwarded]


def _distinct(found: list[Found]) -> list[Found]:
    kept: dict[str, Found] = {}
    for place in found:
        key = place.address.lower()
        if key in kept:
            kept[key].original = kept[key].original or place.original
            if not kept[key].rest:
                kept[key].rest = place.rest
        elif len(kept) < _MAX_RECIPIENTS:
            kept[key] = place
    return list(kept.values())


def _in_lines(lines: Sequence[str], *, own: set[str]) -> list[Found]:
    """Weigh every address of every line; what the lines before announced counts too."""
    phrases = load_phrases()
    found: list[Found] = []
    is_listing = is_contact = False
    for number, line in enumerate(lines):
        stripped = line.strip()
        if not stripped:
            continue
        words = plain(stripped)
        if "@" not in stripped:
            is_contact = phrases.has("boilerplate", words) and not phrases.has("failure", words)
            is_listing = _opens_list(stripped, phrases) or (is_listing and line[:1] in (" ", "\t"))
            continue
        for match in [*_BRACKETED.finditer(line), *ADDRESS.finditer(line)]:
            if found and _EXPANDED.search(line[: match.start(1)].rstrip(" <\"'(")):
                _note_original(found[-1], match[1])
                continue
            place = _weigh(line, match, number=number, words=words, is_listing=is_listing, own=own, phrases=phrases)
            if place is None or (place.weight is Weight.ALONE and is_contact):
                continue
            if not found or found[-1].line != number or found[-1].address.lower() != place.address.lower():
                found.append(place)
        is_listing = is_listing or _opens_list(stripped, phrases)
    return found


def _note_original(place: Found, address: str) -> None:
    """Keep the address before forwarding, which follows in brackets."""
    if place.original is None and address.lower() != place.address.lower():
        place.original = address


def _opens_list(line: str, phrases: Phrases) -> bool:
    """Tell whether a line announces recipients: "… to the following addresses:", "--- failed recipients ---"."""
    if not line.endswith((":", "-", "=", "：", ".", ",")) and not line.startswith(("-", "*", "=")):
        return False
    words = plain(line)
    return any(sign in words for sign in _LISTING) and (phrases.has("failure", words) or phrases.has("delay", words))


_LISTING = (
    *(" recipient", " address", " following", " to ", " empfanger", " adresse", " destinat", " direccion", " enderec"),
    *(
        " indirizz",
        " ontvanger",
        " adres",
        " mottag",
        " modtag",
        " получател",
        " адрес",
        "宛先",
        "収件",
        "收件",
        "地址",
        "받는",
    ),
)


def _weigh(
    line: str,
    match: re.Match[str],
    *,
    number: int,
    words: str,
    is_listing: bool,
    own: set[str],
    phrases: Phrases,
) -> Found | None:
    """Say how one address stands on its line; None when it is nobody's."""
    address = match[1].strip("'*.-").removeprefix("mailto:")
    before, after = line[: match.start(1)], line[match.end(1) :]
    label = _LABEL.search(before)
    label_words = plain(label[1]) if label else ""
    place = Found(address, Weight.REPLY, number, rest=f"{before.strip(' <')} {after.lstrip('> :')}".strip())
    if _RCPT.search(before) or (label_words and _is_label(label_words, phrases)):
        place.weight = Weight.LISTED
        return place
    if label_words and _is_foreign(label_words, phrases):
        return None
    is_other = address.lower() in own or bool(_HELPERS.match(address))
    if is_other and not is_listing:
        if address.lower() in own or phrases.has("boilerplate", words):
            return None
        leads = _BEFORE_COLON.match(before) and after.lstrip("> \t")[:1] == ":"
        if not leads:
            place.weight = Weight.SUMMARY
            return place if phrases.has("failure", words) else None
    if label_words.strip() in _SUMMARY:
        place.weight = Weight.SUMMARY
        return place
    place.weight = _standing(before, after, words=words, is_listing=is_listing, phrases=phrases)
    if place.weight is Weight.REPLY and phrases.has("boilerplate", words) and not phrases.has("failure", words):
        return None
    return place


_SUMMARY = frozenset(
    {"to", "an", "a", "para", "aan", "till", "til", "do", "komu", "кому", "宛先", "收件人", "받는 사람"}
)


def _standing(before: str, after: str, *, words: str, is_listing: bool, phrases: Phrases) -> Weight:
    leads = bool(_BEFORE_COLON.match(before))
    if leads and after.lstrip("> \t\"'])")[:1] in (":", "："):
        return Weight.LISTED
    left = _LEFT_OVER.sub("", before + ADDRESS.sub("", after))
    is_remark = after.lstrip("> \t\"'")[:1] in ("(", "[", ",", ";") or " on " in after[:6]
    if not left or (leads and (is_listing or is_remark)):
        return Weight.LISTED if is_listing else Weight.ALONE
    if phrases.has("failure", words) or phrases.has("delay", words) or phrases.has("delivered", words):
        return Weight.SENTENCE
    return Weight.REPLY


def _is_label(words: str, phrases: Phrases) -> bool:
    return any(words.endswith((f"{label} ", f"{label}s ")) for label in phrases.groups["recipient_label"])


def _is_foreign(words: str, phrases: Phrases) -> bool:
    return any(words.endswith(label.rstrip() + " ") for label in phrases.groups["foreign_label"]) or " x " in words


def _reason(lines: Sequence[str], place: Found, starts: list[int]) -> str:
    """Give the rest of the line and what follows, up to the next recipient."""
    if place.line < 0:
        return ""
    following = next((start for start in starts if start > place.line), len(lines))
    kept = [place.rest]
    for line in lines[place.line + 1 : min(following, place.line + 1 + _MAX_REASON_LINES)]:
        if _RULED.match(line.strip()) and any(kept):
            break
        kept.append(line.strip())
    return "\n".join(kept).strip()
