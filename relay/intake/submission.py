"""Turn one finished transaction into what is committed: message, deliveries, references, content. Pure.

The envelope decides the recipients, never the headers; of the headers only names, subject and references are read.
The app's From rule is checked here too, since only the content says what the From header is. In mode hold every
delivery is held; in mode redirect each goes to the one configured address and keeps the intended one beside it, so
that a test system cannot reach a guest. Until when the mail is worth delivering is relay/deadline.py's word.
RFC 5321 3.3, RFC 6409 6.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from relay import dsn_rules
from relay.address import address_key, domain_of
from relay.deadline import deadline_of
from relay.errors import Refused
from relay.headers import HeaderBlock, decode_value, hides_address, message_ids, parse_addresses
from relay.intake.policy import Policy
from relay.intake.references import Extractor, Found
from relay.intake.repair import Origin, Repaired, is_unreal_from, repair
from relay.model import APP_HOLD, Delivery, DeliveryId, Message, MessageId, Submission, new_id
from relay.settings import App
from relay.status import Status

_MAX_SUBJECT = 998
_MAX_MESSAGE_ID = 998


@dataclass(slots=True)
class Recipient:
    """One RCPT."""

    address: str
    notify: str | None = None
    orcpt: str | None = None


@dataclass(slots=True, kw_only=True)
class Transaction:
    """What MAIL and RCPT have said so far."""

    app: App
    mail_from: str
    size: int = 0
    is_8bit: bool = False
    is_smtputf8: bool = False
    ret: str | None = None
    envid: str | None = None
    repairs: list[str] = field(default_factory=list)
    other_apps: tuple[App, ...] = ()  #: with the null sender: apps the From header may yet decide for
    recipients: dict[str, Recipient] = field(default_factory=dict)  #: by address key


@dataclass(slots=True)
class Tried:
    """What the commands under way named, for the record of a refusal."""

    user: str | None = None
    app: str | None = None
    sender: str | None = None
    recipient: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When, where and by whom the mail was given."""

    id: MessageId
    at: datetime
    hostname: str
    listener: str = ""
    bare_newline: str = "normalize"
    client_ip: str = ""
    helo: str = ""
    is_extended: bool = True
    auth_user: str | None = None
    tls: str | None = None


def build(
    transaction: Transaction,
    content: bytes,
    given: Circumstances,
    policy: Policy,
    extractor: Callable[[App], Extractor],
) -> Submission:
    """Make the submission.

    Raises:
        Refused: the content or its From cannot be taken.
    """
    repaired = repair(content, _origin(transaction, given))
    app = transaction.app = _settled_app(transaction, repaired, policy)
    header_from, from_name = _check_from(repaired, transaction, policy)
    block = repaired.block
    found = extractor(app).find(block, repaired.content)
    message = _message(transaction, given, repaired, found, header_from=header_from, from_name=from_name)
    names = _names(block)
    is_answer = dsn_rules.is_answer(block)
    deliveries = tuple(
        _delivery(transaction, given, recipient, name=names.get(key, ""), is_answer=is_answer)
        for key, recipient in transaction.recipients.items()
    )
    return Submission(message=message, content=repaired.content, deliveries=deliveries, references=found.references)


def _origin(transaction: Transaction, given: Circumstances) -> Origin:
    return Origin(
        message_id=given.id,
        hostname=given.hostname,
        at=given.at,
        protocol=protocol(given, is_smtputf8=transaction.is_smtputf8),
        mail_from=transaction.mail_from,
        default_from=transaction.app.default_from,
        bare_newline=given.bare_newline,
        is_smtputf8=transaction.is_smtputf8,
    )


def protocol(given: Circumstances, *, is_smtputf8: bool) -> str:
    """Name the protocol as a Received line does (RFC 3848, RFC 6531 4.3)."""
    if not given.is_extended:
        return "SMTP"
    base = "UTF8SMTP" if is_smtputf8 else "ESMTP"
    return base + "S" * (given.tls is not None) + "A" * (given.auth_user is not None)


def _settled_app(transaction: Transaction, repaired: Repaired, policy: Policy) -> App:
    """Choose by the From header where the null sender left it open."""
    if transaction.other_apps:
        addresses = [address for value in repaired.block.all("from") for _, address in parse_addresses(value)]
        for app in (transaction.app, *transaction.other_apps):
            if addresses and all(policy.is_allowed(app, address) for address in addresses):
                return app
    return transaction.app


def _check_from(repaired: Repaired, transaction: Transaction, policy: Policy) -> tuple[str, str]:
    """Give the From address and name, if the app may use them."""
    app = transaction.app
    values = repaired.block.all("from")
    pairs = [pair for value in values for pair in parse_addresses(value)]
    is_replaced = "from_replaced" in repaired.repairs
    if app.from_domains:
        kept = [value for value in values if not (is_replaced and is_unreal_from(value))]
        if not (all(_may_stand(value, app, policy) for value in kept) and (pairs or not kept)):
            text = "the From header's domain is not one of from_domains"
            raise Refused(550, "5.7.1", text, reason="sender_not_allowed")
    if is_replaced or "from_added" in repaired.repairs:
        return app.default_from or transaction.mail_from, pairs[0][0] if pairs else ""
    name, address = pairs[0] if pairs else ("", "")
    return address, name


def _may_stand(value: bytes, app: App, policy: Policy) -> bool:
    """Tell whether the app may use all that a From header names; an address we cannot read may be anybody's."""
    addresses = [address for _, address in parse_addresses(value)]
    return all(policy.is_allowed(app, address) for address in addresses) and not hides_address(value)


def _message(
    transaction: Transaction,
    given: Circumstances,
    repaired: Repaired,
    found: Found,
    *,
    header_from: str,
    from_name: str,
) -> Message:
    block = repaired.block
    reply_to = block.first("reply-to")
    repliers = parse_addresses(reply_to, limit=1) if reply_to else []
    return Message(
        id=given.id,
        accepted_at=given.at,
        app=transaction.app.name,
        mail_from=transaction.mail_from,
        header_from=header_from,
        from_name=from_name,
        reply_to=repliers[0][1] if repliers else "",
        subject=decode_value(block.first("subject") or b"", limit=_MAX_SUBJECT),
        message_id=_message_id(block, given),
        size=len(repaired.content),
        kind=found.kind,
        booking=found.first("booking"),
        customer=found.first("customer"),
        phone=found.first("phone"),
        expires_at=deadline_of(
            block,
            setting=transaction.app.deadline,
            kind=found.kind,
            event_until=found.event_until,
            accepted_at=given.at,
        ),
        event_at=found.event_at,
        listener=given.listener,
        client_ip=given.client_ip,
        helo=given.helo,
        auth_user=given.auth_user,
        tls=given.tls,
        is_8bit=not repaired.content.isascii(),
        is_smtputf8=transaction.is_smtputf8,
        ret=transaction.ret,
        envid=transaction.envid,
        repairs=(*transaction.repairs, *repaired.repairs),
        store_content=transaction.app.store_content,
    )


def _message_id(block: HeaderBlock, given: Circumstances) -> str:
    value = block.first("message-id")
    if not value:
        return f"<{given.id}@{given.hostname}>"
    ids = message_ids(value, limit=1)
    return ids[0] if ids and len(ids[0]) <= _MAX_MESSAGE_ID else decode_value(value, limit=_MAX_MESSAGE_ID)


def _names(block: HeaderBlock) -> dict[str, str]:
    """Give the display names by address key, from To and Cc."""
    names: dict[str, str] = {}
    for header in block.fields:
        if header.name in {"to", "cc"}:
            for name, address in parse_addresses(header.value):
                if name and name != address:
                    names.setdefault(address_key(address), name)
    return names


def _delivery(
    transaction: Transaction, given: Circumstances, recipient: Recipient, *, name: str, is_answer: bool
) -> Delivery:
    app = transaction.app
    kind, _, target = app.mode.partition(":")
    address = target if kind == "redirect" else recipient.address
    return Delivery(
        id=DeliveryId(new_id()),
        message_id=given.id,
        address=address,
        domain=domain_of(address),
        status=Status.QUEUED,
        created_at=given.at,
        name=name,
        intended=recipient.address if kind == "redirect" else None,
        next_at=given.at,
        held=APP_HOLD if kind == "hold" else None,
        notify=recipient.notify,
        orcpt=recipient.orcpt,
        dsn=dsn_rules.to_tell(
            notify=recipient.notify, setting=app.dsn, mail_from=transaction.mail_from, is_answer=is_answer
        ),
    )
