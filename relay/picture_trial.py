"""Try a picture of booking numbers on mail that an app sent lately, before it is written into the configuration.

It finds what intake would find: the same extractor reads the stored mail, or the subject alone where the content is
not kept. Only pictures are tried. A regular expression is the administrator's own and may be slow on some text, and
this runs inside a process that serves people; for the same reason a picture has few signs that match a varying length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from relay.errors import Refused, StoreError
from relay.headers import parse_block
from relay.intake.references import Extractor
from relay.model import MessageId, Reference
from relay.store import apps, content
from relay.store.apps import RecentMail
from relay.store.protocols import Tx

_LONGEST = 60
_MOST_STARS = 3

#: How many of the newest messages it is tried on.
MAILS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One message, with what it carries now and what the picture finds."""

    id: MessageId
    accepted_at: datetime
    subject: str
    known: str | None  #: the booking that was found when it came
    found: tuple[str, ...]
    is_subject_only: bool  #: its content is not kept


def fault_of_picture(picture: str) -> str | None:
    """Say what is wrong with a picture; None when it can be tried."""
    if picture.startswith("re:"):
        return "Only pictures are tried here, no regular expressions."
    if len(picture) > _LONGEST:
        return "A picture has at most 60 signs."
    if not re.search(r"[#@*]", picture):
        return "A picture needs a # for a digit, an @ for a letter, or a * for some of both."
    if len(re.findall(r"\*+", picture)) > _MOST_STARS or "*" * 4 in picture:
        return "A picture has at most three * here."
    return None


def try_picture(tx: Tx, app: str, picture: str, *, mails: int = MAILS) -> list[TrialRow]:
    """Try a picture on the newest messages of an app.

    Raises:
        ValueError: it is no picture that can be tried.
    """
    fault = fault_of_picture(picture)
    if fault is not None:
        raise ValueError(fault)
    extractor = Extractor(patterns=(picture,))
    return [_row(tx, extractor, mail) for mail in apps.of_app(tx, app, each=mails).mails]


def _row(tx: Tx, extractor: Extractor, mail: RecentMail) -> TrialRow:
    raw = _content(tx, mail.id)
    found = _find(extractor, raw or b"Subject: " + mail.subject.encode() + b"\r\n\r\n")
    return TrialRow(
        id=mail.id,
        accepted_at=mail.accepted_at,
        subject=mail.subject,
        known=mail.booking,
        found=tuple(one.value for one in found if one.kind == "booking" and one.source == "pattern"),
        is_subject_only=raw is None,
    )


def _content(tx: Tx, message_id: MessageId) -> bytes | None:
    try:
        return content.load(tx, message_id)
    except StoreError:
        return None  # damaged: `waybill verify` says so


def _find(extractor: Extractor, raw: bytes) -> tuple[Reference, ...]:
    try:
        return extractor.find(parse_block(raw), raw).references
    except Refused:
        return ()
