"""The values and small interfaces between the parts of delivery.

scheduler.py (by claiming.py) claims and decides; mx.py finds the hosts; site.py limits; session.py speaks SMTP on one
connection.
A remote refusal is a value (Reply) everywhere; nothing here raises for what a server says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from relay.delivery.dane import Tlsa
from relay.model import Delivery, DeliveryId, Message, Reply


class TlsMode(StrEnum):
    """How a connection may be protected."""

    NONE = "none"  #: never
    MAY = "may"  #: when offered, certificate not checked, clear text when it fails
    ENCRYPT = "encrypt"  #: always, certificate not checked; no clear text
    VERIFY = "verify"  #: always, certificate must match the host
    IMPLICIT = "implicit"  #: TLS from the first byte (a smarthost's port 465), certificate must match
    DANE = "dane"  #: always, certificate must fit the host's TLSA records
    TESTING = "testing"  #: as VERIFY, but what fails goes on as MAY, and is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What one host's connection must be protected with, and who asks for it."""

    mode: TlsMode
    because: str = ""  #: "the MTA-STS policy of guest.example", "its TLSA records"; "" = our own settings
    tlsa: tuple[Tlsa, ...] = ()
    names: tuple[str, ...] = ()  #: that the certificate may be for, with DANE


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One address of one server that may take the mail."""

    name: str  #: MX host name, A-label, no trailing dot
    ip: str
    port: int
    preference: int = 0
    is_configured: bool = False  #: named in the configuration: it may have a private address
    protection: Protection | None = None  #: None: as the route says
    sources: tuple[str, ...] = ()  #: addresses of ours it may be reached from; () = any


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A smarthost's user and password; the password never shows in repr or logs."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where the mail of one domain (or app) goes, or why it cannot go anywhere."""

    site: str  #: what limits and back-off go by: the sorted MX host names, or host:port of a route
    hosts: tuple[Host, ...] = ()  #: in the order to try
    tls: TlsMode = TlsMode.MAY
    credentials: Credentials | None = None
    is_smarthost: bool = False  #: taking it there is `sent`, not `delivered`
    failure: Reply | None = None  #: set when there are no hosts: stage dns, code None or a synthetic code
    is_nxdomain: bool = False  #: the failure is NXDOMAIN; the scheduler decides whether to believe it
    took: timedelta = timedelta(0)

    @property
    def sources(self) -> tuple[str, ...]:
        """Which addresses of ours the mail may leave from; () = any."""
        return self.hosts[0].sources if self.hosts else ()


class Router(Protocol):
    """Finds the route of a recipient domain."""

    async def route(self, *, domain: str, app: str) -> Route:
        """Look up; never raises for what DNS says."""


Awaited = Callable[[tuple[DeliveryId, ...]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One SMTP transaction to send: one message, the recipients that share a site."""

    message: Message
    deliveries: tuple[Delivery, ...]
    content: bytes  #: CRLF lines, not dot-stuffed
    mail_from: str = ""
    awaited: Awaited | None = None  #: hears of whom the content has left us for, when the answer takes long


@dataclass(frozen=True, slots=True, kw_only=True)
class HostResult:
    """What happened at one host; one Attempt row per recipient is made from it."""

    host: Host
    started_at: datetime
    took: timedelta
    replies: dict[DeliveryId, Reply]  #: the deciding reply of each recipient
    source: str | None = None
    tls: str | None = None
    tls_decision: str | None = None
    timings: dict[str, float] = field(default_factory=dict)  #: seconds by step
    conversation: str = ""  #: bounded, secrets masked
    is_unknown: bool = False  #: content was sent, the final answer never came
    is_reused: bool = False
    is_dsn_passed_on: bool = False  #: the server offers DSN and was given what the client asked for
    is_host_failure: bool = False  #: failed before MAIL (connect, greeting, EHLO, TLS): try the next host
    was_asked: bool = True  #: False: we refused to connect there, so it says nothing about the host


class Session(Protocol):
    """One open SMTP connection, used for one transaction after another."""

    @property
    def is_usable(self) -> bool:
        """False after any surprise (unsolicited bytes, time-out, cancel, 421): never reuse it."""

    @property
    def sent_count(self) -> int:
        """Transactions begun on this connection."""

    async def deliver(self, envelope: Envelope) -> HostResult:
        """Run one transaction; the replies cover every recipient."""

    async def quit(self) -> None:
        """Say QUIT, wait 5 s at most, close."""

    def abort(self) -> None:
        """Close at once."""


class Connector(Protocol):
    """Opens sessions."""

    async def connect(
        self, host: Host, *, tls: TlsMode, credentials: Credentials | None = None
    ) -> Session | HostResult:
        """Connect, greet, EHLO, STARTTLS, AUTH; a HostResult without replies and `is_host_failure` says why not.

        A failed connect's HostResult has its one Reply under the key DeliveryId("").
        """
