"""Messages, envelopes and connectors for the tests of outbound SMTP."""

from __future__ import annotations

import time
from collections.abc import Container
from datetime import UTC, datetime, timedelta
from typing import Any

from relay.delivery.connector import SmtpConnector
from relay.delivery.contract import Credentials, Envelope, Host, HostResult, TlsMode
from relay.delivery.session import SmtpSession
from relay.delivery.tls import TlsContexts
from relay.model import Delivery, DeliveryId, Message, MessageId, Reply
from relay.settings import Config, DeliverySettings, Listener, Node, Timeouts
from relay.status import Status

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)
CONTENT = b"Subject: Booking BK-10042\r\n\r\nSee you on Friday.\r\n"
CONTEXTS = TlsContexts.build()

#: Long enough for an answer on a busy machine, short enough to wait for one that never comes.
IMPATIENT = Timeouts(
    connect=timedelta(seconds=5),
    greeting=timedelta(seconds=0.4),
    command=timedelta(seconds=0.4),
    data=timedelta(seconds=0.4),
    block=timedelta(seconds=0.4),
    final=timedelta(seconds=0.4),
)


def message(**changes: Any) -> Message:
    """A message of one hotel."""
    values: dict[str, Any] = {
        "id": MessageId("M1"),
        "accepted_at": NOW,
        "app": "hotel-desk",
        "mail_from": "desk@hotel.example",
        "header_from": "desk@hotel.example",
    }
    return Message(**{**values, **changes})


def delivery(address: str, **changes: Any) -> Delivery:
    """A delivery whose id is its address."""
    values: dict[str, Any] = {
        "id": DeliveryId(address),
        "message_id": MessageId("M1"),
        "address": address,
        "domain": address.rpartition("@")[2],
        "status": Status.QUEUED,
        "created_at": NOW,
    }
    return Delivery(**{**values, **changes})


def envelope(
    *addresses: str | Delivery, content: bytes = CONTENT, mail_from: str = "desk@hotel.example", **changes: Any
) -> Envelope:
    """One transaction to these addresses (one guest when none is named)."""
    deliveries = tuple(
        address if isinstance(address, Delivery) else delivery(address)
        for address in addresses or ("anna@guest.example",)
    )
    return Envelope(
        message=message(mail_from=mail_from, **changes), deliveries=deliveries, content=content, mail_from=mail_from
    )


def connector(
    *,
    contexts: TlsContexts = CONTEXTS,
    hostname: str = "relay.example.com",
    machine_name: str = "machine",
    own_addresses: Container[str] = (),
    listeners: list[Listener] | None = None,
    **delivery_settings: Any,
) -> SmtpConnector:
    """A connector that may connect to loopback unless told otherwise."""
    values = {"allow_private_addresses": True, "record": "all", **delivery_settings}
    config = Config(node=Node(hostname=hostname), delivery=DeliverySettings(**values), listener=listeners or [])
    return SmtpConnector(
        config,
        contexts=contexts,
        own_addresses=own_addresses,
        now=lambda: NOW,
        clock=time.monotonic,
        machine_name=machine_name,
    )


def host(port: int, *, name: str = "mx.test", ip: str = "127.0.0.1", is_configured: bool = False) -> Host:
    """The scripted server as an MX host."""
    return Host(name=name, ip=ip, port=port, is_configured=is_configured)


async def open_session(
    port: int, *, tls: TlsMode = TlsMode.MAY, credentials: Credentials | None = None, **settings: Any
) -> SmtpSession:
    """Connect, and fail the test when that does not work."""
    found = await connector(**settings).connect(host(port), tls=tls, credentials=credentials)
    assert isinstance(found, SmtpSession), found
    return found


async def send(port: int, sent: Envelope | None = None, *, tls: TlsMode = TlsMode.MAY, **settings: Any) -> HostResult:
    """Connect, run one transaction, hang up; whatever happens first is the result."""
    found = await connector(**settings).connect(host(port), tls=tls)
    if isinstance(found, HostResult):
        return found
    try:
        return await found.deliver(sent or envelope())
    finally:
        found.abort()


def only_reply(result: HostResult) -> Reply:
    """The one reply of a result."""
    (reply,) = result.replies.values()
    return reply
