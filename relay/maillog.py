"""The mail log: one function for each thing that happens to a mail, so that every line of a kind looks the same.

Lines are `event id=… key=value …` on the logger "waybill.mail": one line for each recipient and attempt. What a
remote server says is INFO, whatever it says, for it is our data; a person is needed only for WARNING and ERROR lines
elsewhere. Values are escaped: a value with a space, a quote or a control character stands in double quotes with
backslashes, so that neither an address nor a server's reply can forge a line. Never contents, passwords or tokens.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from relay.model import Attempt, Claimed, Disposition, Message, Refusal, Reply
from relay.status import Status

if TYPE_CHECKING:
    from relay.store.reports import ReturnedMail, Taken

logger = logging.getLogger("waybill.mail")

_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")  # printable ASCII without space, quote, equals sign and backslash
_ADDRESS_SAFE = re.compile(r"[!#-;=?-\[\]-~]*")  # the same without angle brackets, with the equals sign
_LONGEST_REPLY = 400

#: Back-offs that a person should look into: a whole provider has something against us.
_ABOUT_US = frozenset({"rate_limited", "reputation_block"})


def quoted(value: str) -> str:
    """Write a value so that it cannot be taken for anything but one value."""
    if _PLAIN.fullmatch(value):
        return value
    return '"' + "".join(_escaped(c) for c in value) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character == "\n":
        return "\\n"
    if character.isprintable():
        return character
    number = ord(character)
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65536 else f"\\U{number:08x}"


def span(value: timedelta) -> str:
    """Write a length of time in the largest unit that keeps it readable: 45s, 20m, 4h, 2d."""
    seconds = value.total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length or seconds == length:
            return f"{seconds / length:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def accepted(message: Message, recipients: Iterable[str]) -> None:
    """Log that a message was committed, one line for each recipient."""
    if not logger.isEnabledFor(logging.INFO):
        return
    tail = f"from={_address(message.mail_from)} app={quoted(message.app)} client={quoted(message.client_ip)}"
    tail += f" size={message.size}"
    if message.booking:
        tail += f" booking={quoted(message.booking)}"
    if message.repairs:
        tail += f" repairs={','.join(message.repairs)}"
    for address in recipients:
        logger.info("accepted id=%s to=%s %s", message.id, _address(address), tail)


def refused(refusal: Refusal) -> None:
    """Log that intake said no."""
    if not logger.isEnabledFor(logging.INFO):
        return
    parts = [f"refused client={quoted(refusal.client_ip)} stage={refusal.stage} reason={quoted(refusal.reason)}"]
    if refusal.app is not None:
        parts.append(f"app={quoted(refusal.app)}")
    if refusal.mail_from is not None:
        parts.append(f"from={_address(refusal.mail_from)}")
    if refusal.rcpt_to is not None:
        parts.append(f"to={_address(refusal.rcpt_to)}")
    parts.append(f"reply={quoted(f'{refusal.code} {refusal.enhanced} {refusal.text}')}")
    logger.info(" ".join(parts))


def attempt(claim: Claimed, disposition: Disposition) -> None:
    """Log one finished attempt of one delivery: the deciding host and what follows."""
    if not logger.isEnabledFor(logging.INFO):
        return
    delivery = claim.delivery
    parts = [f"attempt id={delivery.id} message={delivery.message_id} to={_address(delivery.address)}"]
    row = _deciding_row(disposition)
    if row is not None:
        parts.append(_server(row))
    parts.append(f"delay={(disposition.at - delivery.created_at).total_seconds():.2f}")
    parts.append(_reading(disposition))
    if disposition.next_at is not None:
        parts.append(f"next={span(disposition.next_at - disposition.at)}")
    if disposition.is_unknown:
        parts.append("outcome=unknown")
    if disposition.reply is not None:
        parts.append(f"reply={quoted(reply_line(disposition.reply)[:_LONGEST_REPLY])}")
    logger.info(" ".join(parts))


def suppressed(claim: Claimed) -> None:
    """Log that a delivery was not tried because its address is blocked."""
    reason = claim.blocked.reason if claim.blocked is not None else ""
    logger.info(
        "suppressed id=%s message=%s to=%s status=suppressed reason=%s",
        claim.delivery.id,
        claim.delivery.message_id,
        _address(claim.delivery.address),
        quoted(reason),
    )


def expired(claim: Claimed, disposition: Disposition) -> None:
    """Log that a delivery ended without a further attempt because its time ran out."""
    parts = [
        f"expired id={claim.delivery.id} message={claim.delivery.message_id} to={_address(claim.delivery.address)}"
    ]
    parts.append(_reading(disposition))
    if disposition.reply is not None:
        parts.append(f"reply={quoted(reply_line(disposition.reply)[:_LONGEST_REPLY])}")
    logger.info(" ".join(parts))


def held(claim: Claimed, reason: str) -> None:
    """Log that a delivery needs a person."""
    logger.warning(
        "held id=%s message=%s to=%s reason=%s",
        claim.delivery.id,
        claim.delivery.message_id,
        _address(claim.delivery.address),
        quoted(reason),
    )


def site_backs_off(site: str, *, step: int, until: datetime, now: datetime, category: str, reply: str) -> None:
    """Log that a whole site is left alone for a while."""
    level = logging.WARNING if category in _ABOUT_US else logging.INFO  # a dead server of a guest is everyday
    logger.log(
        level,
        "site-backs-off site=%s step=%d for=%s category=%s reply=%s",
        quoted(site),
        step,
        span(until - now),
        category,
        quoted(reply[:_LONGEST_REPLY]),
    )


def site_recovered(site: str) -> None:
    """Log that a site took part in a transaction again."""
    logger.info("site-recovered site=%s", quoted(site))


def reply_line(reply: Reply) -> str:
    """Write a reply as one line, as the server said it."""
    parts = [] if reply.code is None else [str(reply.code)]
    if reply.code is not None and reply.enhanced is not None:
        parts.append(reply.enhanced)
    parts.append(reply.text)
    return " ".join(parts)


def _deciding_row(disposition: Disposition) -> Attempt | None:
    for row in reversed(disposition.attempt_rows):
        if row.reply is disposition.reply:
            return row
    return disposition.attempt_rows[-1] if disposition.attempt_rows else None


def _server(row: Attempt) -> str:
    host = quoted(row.mx) if row.mx else "none"
    address = f"[{row.ip}]" if row.ip else ""
    tls = row.tls.split(" ")[0].removeprefix("TLSv") if row.tls else "none"
    return f"mx={host}{address} tls={tls}"


def _reading(disposition: Disposition) -> str:
    reply, outcome = disposition.reply, disposition.outcome
    parts = []
    if reply is not None and reply.enhanced is not None:
        parts.append(f"dsn={quoted(reply.enhanced)}")
    parts.append(f"status={disposition.status}")
    if outcome is not None and disposition.status is not Status.DELIVERED:
        parts.append(f"category={outcome.category} blame={outcome.blame} rule={quoted(outcome.rule)}")
    return " ".join(parts)


def _address(address: str) -> str:
    if _ADDRESS_SAFE.fullmatch(address):
        return f"<{address}>"
    return quoted(f"<{address}>")


def returned(mail: ReturnedMail, taken: Taken) -> None:
    """Log that something came back, and what it did."""
    report = mail.report
    parts = [f"returned id={mail.id} kind={report.kind.value}"]
    if taken.delivery_id is not None:
        parts.append(f"delivery={taken.delivery_id} to={_address(taken.address)} found={taken.found_by}")
    if taken.status is not None:
        parts.append(f"status={taken.status}")
    if taken.category is not None:
        parts.append(f"category={taken.category}")
    if not taken.is_new:
        parts.append("known=yes")
    if not taken.is_read:
        parts.append("read=no")
    logger.info(" ".join(parts))
