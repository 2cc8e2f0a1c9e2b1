"""Read the ESMTP parameters of MAIL and RCPT.

Keywords are taken in any case, values as they stand (ENVID and ORCPT are case-sensitive). An unknown keyword is 555, a
known one with a bad value 501. DSN parameters are kept in their xtext form, ready to be passed on.
RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), RFC 4954 5 (AUTH), RFC 3461 (RET, ENVID, NOTIFY, ORCPT).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relay.errors import Refused

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")
_ORCPT = re.compile(r"[A-Za-z0-9\-]{1,40};.{1,460}\Z")
_UTF8_ORCPT = re.compile(r"[Uu][Tt][Ff]-8;[^\x00-\x20\x7f]{1,460}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailParameters:
    """What MAIL may say beside the sender."""

    size: int = 0  #: 0: not said
    is_8bit: bool = False
    is_smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RcptParameters:
    """What RCPT may say beside the recipient."""

    notify: str | None = None
    orcpt: str | None = None


_NO_MAIL = MailParameters()
_NO_RCPT = RcptParameters()


def parse_mail(text: str) -> MailParameters:
    """Read the parameters of MAIL.

    Raises:
        Refused: 555 5.5.4 unknown, 501 5.5.4 bad.
    """
    if not text:
        return _NO_MAIL
    given = _pairs(text)
    _no_others(given, {"SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID"})
    body = (given.get("BODY") or "7BIT").upper()
    if body not in {"7BIT", "8BITMIME"}:
        raise _bad("BODY is 7BIT or 8BITMIME")
    if given.get("SMTPUTF8") is not None:
        raise _bad("SMTPUTF8 takes no value")
    ret = given.get("RET")
    if "RET" in given and (ret or "").upper() not in {"FULL", "HDRS"}:
        raise _bad("RET is FULL or HDRS")
    envid = given.get("ENVID")
    if "ENVID" in given and (not envid or len(envid) > 100 or not _XTEXT.match(envid)):
        raise _bad("bad ENVID")
    if "AUTH" in given and not (given["AUTH"] and _XTEXT.match(given["AUTH"].strip("<>"))):
        raise _bad("bad AUTH")
    return MailParameters(
        size=_size(given["SIZE"]) if "SIZE" in given else 0,
        is_8bit=body == "8BITMIME",
        is_smtputf8="SMTPUTF8" in given,
        ret=ret.upper() if ret else None,
        envid=envid,
    )


def _size(value: str | None) -> int:
    if value is None or not re.fullmatch(r"[0-9]{1,20}", value):
        raise _bad("bad SIZE")
    return int(value)


def parse_rcpt(text: str) -> RcptParameters:
    """Read the parameters of RCPT.

    Raises:
        Refused: 555 5.5.4 unknown, 501 5.5.4 bad.
    """
    if not text:
        return _NO_RCPT
    given = _pairs(text)
    _no_others(given, {"NOTIFY", "ORCPT"})
    notify = given.get("NOTIFY")
    if "NOTIFY" in given:
        words = (notify or "").upper().split(",")
        if words != ["NEVER"] and not (set(words) <= {"SUCCESS", "FAILURE", "DELAY"} and len(set(words)) == len(words)):
            raise _bad("NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY")
        notify = ",".join(words)
    orcpt = given.get("ORCPT")
    if "ORCPT" in given and not (orcpt and _is_orcpt(orcpt)):
        raise _bad("bad ORCPT")
    return RcptParameters(notify=notify, orcpt=orcpt)


def _is_orcpt(value: str) -> bool:
    if _UTF8_ORCPT.match(value):  # RFC 6533: its own escapes, and plain UTF-8
        return True
    return _ORCPT.match(value) is not None and _XTEXT.match(value.partition(";")[2]) is not None


def _pairs(text: str) -> dict[str, str | None]:
    given: dict[str, str | None] = {}
    for word in text.split():
        keyword, equals, value = word.partition("=")
        keyword = keyword.upper()
        if keyword in given:
            raise _bad("a parameter stands twice")
        given[keyword] = value if equals else None
    return given


def _no_others(given: dict[str, str | None], known: set[str]) -> None:
    if not given.keys() <= known:
        raise Refused(555, "5.5.4", "a parameter is not known here", reason="bad_command")


def _bad(text: str) -> Refused:
    return Refused(501, "5.5.4", text, reason="bad_command")
