"""Decide which commands one transaction needs at this server, and what can be refused without asking it.

Policy: RCPT carries the stored address byte for byte. The one exception is an address whose only non-ASCII part is its
domain, at a server without SMTPUTF8: then the A-label form of the domain goes out (RFC 5890), because it names the
same mailbox. Non-ASCII left of the @, or a header in raw UTF-8 of a message handed in with SMTPUTF8, needs SMTPUTF8;
without it the recipient is refused with 553 5.6.7 (RFC 6531 3.6). A message larger than the server's SIZE is refused
with 552 5.3.4 and never sent (RFC 1870 6.3). DSN parameters go along where DSN is offered, else they are dropped
(then we tell the sender ourselves, dsn_rules.py).
8-bit content goes as it is to a server without 8BITMIME: MIME is never rebuilt, and such servers pass it in practice.
Nothing with a control character ever becomes a command. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from relay.address import split, to_a_label
from relay.delivery.contract import Envelope
from relay.delivery.replies import of_ours
from relay.model import Delivery, DeliveryId, Reply, Stage

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The commands of one transaction."""

    mail: bytes
    rcpts: tuple[tuple[Delivery, bytes], ...]
    refused: dict[DeliveryId, Reply]  #: decided without asking


def plan(envelope: Envelope, extensions: Mapping[str, str], *, host: str) -> Plan:
    """Make the commands for a server with these EHLO extensions (keywords in lower case)."""
    has_utf8 = "smtputf8" in extensions
    refusal = _whole_refusal(envelope, extensions, has_utf8=has_utf8, host=host)
    if refusal is not None:
        return Plan(mail=b"", rcpts=(), refused={delivery.id: refusal for delivery in envelope.deliveries})
    rcpts: list[tuple[Delivery, bytes]] = []
    refused: dict[DeliveryId, Reply] = {}
    for delivery in envelope.deliveries:
        line = _rcpt(delivery, has_utf8=has_utf8, has_dsn="dsn" in extensions)
        if line is None:
            refused[delivery.id] = _needs_utf8(host, Stage.RCPT)
        elif _CONTROL.search(line):
            text = "the address or its parameters hold a control character; not sent"
            refused[delivery.id] = of_ours(553, "5.1.3", text, stage=Stage.RCPT, host=host)
        else:
            rcpts.append((delivery, line.encode("utf-8", "surrogateescape")))
    mail = _mail(envelope, extensions, is_utf8=has_utf8 and _uses_utf8(envelope))
    return Plan(mail=mail.encode("utf-8", "surrogateescape"), rcpts=tuple(rcpts), refused=refused)


def _whole_refusal(envelope: Envelope, extensions: Mapping[str, str], *, has_utf8: bool, host: str) -> Reply | None:
    limit = extensions.get("size", "").strip()
    size = len(envelope.content)
    if limit.isdecimal() and len(limit) < 20 and 0 < int(limit) < size:
        text = f"the server takes messages of at most {int(limit)} bytes, this one has {size}; not sent"
        return of_ours(552, "5.3.4", text, stage=Stage.MAIL, host=host)
    if not has_utf8 and (_on_wire(envelope.mail_from, has_utf8=False) is None or _has_utf8_header(envelope)):
        return _needs_utf8(host, Stage.MAIL)
    message = envelope.message
    if _CONTROL.search(envelope.mail_from + (message.envid or "") + (message.ret or "")):
        text = "the sender address or its parameters hold a control character; not sent"
        return of_ours(553, "5.1.7", text, stage=Stage.MAIL, host=host)
    return None


def _mail(envelope: Envelope, extensions: Mapping[str, str], *, is_utf8: bool) -> str:
    message = envelope.message
    line = f"MAIL FROM:<{_on_wire(envelope.mail_from, has_utf8=is_utf8)}>"
    if "size" in extensions:
        line += f" SIZE={len(envelope.content)}"
    if message.is_8bit and "8bitmime" in extensions:
        line += " BODY=8BITMIME"
    if is_utf8:
        line += " SMTPUTF8"
    if "dsn" in extensions:
        line += f" RET={message.ret}" if message.ret else ""
        line += f" ENVID={message.envid}" if message.envid else ""
    return line


def _rcpt(delivery: Delivery, *, has_utf8: bool, has_dsn: bool) -> str | None:
    address = _on_wire(delivery.address, has_utf8=has_utf8)
    if address is None:
        return None
    line = f"RCPT TO:<{address}>"
    if has_dsn:
        line += f" NOTIFY={delivery.notify}" if delivery.notify else ""
        line += f" ORCPT={delivery.orcpt if has_utf8 else _in_ascii(delivery.orcpt)}" if delivery.orcpt else ""
    return line


def _in_ascii(orcpt: str) -> str:
    """Write an international ORCPT so that every server takes it (RFC 6533 3: utf-8-addr-xtext)."""
    return "".join(letter if letter.isascii() else f"\\x{{{ord(letter):X}}}" for letter in orcpt)


def _on_wire(address: str, *, has_utf8: bool) -> str | None:
    """Give the form an address has on the wire, None when the server cannot take it."""
    if has_utf8 or address.isascii():
        return address
    local, domain = split(address)
    label = to_a_label(domain)
    return f"{local}@{label}" if local.isascii() and label else None


def _uses_utf8(envelope: Envelope) -> bool:
    addresses = (envelope.mail_from, *(delivery.address for delivery in envelope.deliveries))
    return not all(address.isascii() for address in addresses) or _has_utf8_header(envelope)


def _has_utf8_header(envelope: Envelope) -> bool:
    # Old apps put raw 8-bit into headers without asking for SMTPUTF8; servers pass that, so it is no reason to refuse.
    return envelope.message.is_smtputf8 and not envelope.content.partition(b"\r\n\r\n")[0].isascii()


def _needs_utf8(host: str, stage: Stage) -> Reply:
    text = "the server cannot take international addresses (no SMTPUTF8); not sent"
    return of_ours(553, "5.6.7", text, stage=stage, host=host)
