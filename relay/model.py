"""The things the relay speaks of, as frozen values.

One word per thing: a *message* is what an app gave us, a *delivery* is message × recipient (the status lives there),
an *attempt* is one try of a delivery at one host, a *reply* is what that host said, an *outcome* is our reading of it.
All times are aware UTC datetimes, all sizes are bytes. No I/O here.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NewType

from relay.status import Status

MessageId = NewType("MessageId", str)
DeliveryId = NewType("DeliveryId", str)

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32, as in a ULID
_PAIRS = [high + low for high in _ALPHABET for low in _ALPHABET]
_SHIFTS = range(120, -1, -10)
_last_id = 0
_random_bytes = b""
_making_id = threading.Lock()


def new_id() -> str:
    """Make a time-ordered id of 26 characters: 48 bits of milliseconds, 80 random bits (ULID layout).

    Ids made by one process never run backwards: within one millisecond the random part counts upward. Any thread may
    call it.
    """
    global _last_id, _random_bytes
    with _making_id:
        if len(_random_bytes) < 10:
            _random_bytes = os.urandom(2560)  # for 256 ids, so that not each one asks the kernel
        random, _random_bytes = _random_bytes[:10], _random_bytes[10:]
        value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(random, "big")
        if value <= _last_id:
            value = _last_id + 1
        _last_id = value
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])


def time_of(identity: str) -> datetime:
    """Tell when an id was made, to the millisecond.

    Raises:
        ValueError: it is no id of ours.
    """
    value = 0
    for letter in identity[:10]:
        value = value * 32 + _ALPHABET.index(letter)
    return datetime.fromtimestamp(value / 1000, UTC)


#: Why mail of an app with mode = "hold" is held; other reasons are what a person wrote, or a pause.
APP_HOLD = "hold: app is in hold mode"


class Stage(StrEnum):
    """How far the conversation had come when the reply (or silence) arrived."""

    DNS = "dns"
    CONNECT = "connect"  #: TCP connect and greeting
    EHLO = "ehlo"
    STARTTLS = "starttls"
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  #: DATA command, content and final answer


class ReplyClass(StrEnum):
    """What a reply means for the delivery: keep trying, ended but fixable, ended for good."""

    DEFERRED = "deferred"
    SOFT = "soft"
    HARD = "hard"


class Blame(StrEnum):
    """Whose fault a failure is."""

    RECIPIENT = "recipient"
    THEIR_SERVER = "their_server"
    US = "us"
    MESSAGE = "message"


class Category(StrEnum):
    """The reason of a failure: exactly these 23 names, stable in store, API and JSON."""

    INVALID_ADDRESS = "invalid_address"
    INVALID_DOMAIN = "invalid_domain"
    MAILBOX_DISABLED = "mailbox_disabled"
    MOVED = "moved"
    MAILBOX_FULL = "mailbox_full"
    MESSAGE_TOO_LARGE = "message_too_large"
    SPAM_CONTENT = "spam_content"
    CONTENT_REJECTED = "content_rejected"
    POLICY = "policy"
    SENDER_REJECTED = "sender_rejected"
    REPUTATION_BLOCK = "reputation_block"
    RATE_LIMITED = "rate_limited"
    GREYLISTED = "greylisted"
    AUTH_FAILURE = "auth_failure"
    SENDER_DNS = "sender_dns"
    RELAY_DENIED = "relay_denied"
    TLS_REQUIRED = "tls_required"
    PROTOCOL_ERROR = "protocol_error"
    SYSTEM_ERROR = "system_error"
    NETWORK = "network"
    DNS_FAILURE = "dns_failure"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What one server said about one recipient, or that it said nothing."""

    stage: Stage
    code: int | None  #: None: there never was an answer; then `text` says what happened instead
    enhanced: str | None  #: "5.1.1"; never glued to the text
    text: str  #: all lines joined with "\n", without codes; clean UTF-8, at most 4 KiB
    host: str | None = None  #: the MX host name it came from

    @property
    def is_positive(self) -> bool:
        """Tell whether the server said yes (2yz)."""
        return self.code is not None and 200 <= self.code < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Our reading of a negative reply."""

    reply_class: ReplyClass
    category: Category
    blame: Blame
    rule: str  #: the name of the rule that decided
    suppress: bool = False  #: this reply alone blocks the address
    entry: str | None = None  #: a catalogue key of classify.explain, when the rule names one


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A booking, customer, kind, phone, name, event start or thread found in a mail, with where it was found."""

    kind: str  #: booking | customer | kind | phone | name | event_start | thread
    value: str  #: as written
    source: str  #: header | esp_header | schema_org | icalendar | pattern | thread | subject | person
    rule: str = ""  #: header name, pattern or rule that found it
    confidence: int = 100  #: 0-100


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One submission: what an app gave us in one transaction."""

    id: MessageId
    accepted_at: datetime
    app: str
    mail_from: str  #: reverse path as given, without <>; "" is the null sender
    header_from: str  #: address of the From: header
    from_name: str = ""
    reply_to: str = ""
    subject: str = ""  #: decoded, clean UTF-8
    message_id: str = ""  #: of the Message-ID header, with <>
    size: int = 0  #: bytes of the stored content
    kind: str | None = None
    booking: str | None = None
    customer: str | None = None
    phone: str | None = None
    expires_at: datetime | None = None
    event_at: datetime | None = None  #: start of the booked event, when the mail says it
    listener: str = ""
    client_ip: str = ""
    helo: str = ""
    auth_user: str | None = None
    tls: str | None = None  #: "TLSv1.3 TLS_AES_256_GCM_SHA384", None in clear
    is_8bit: bool = False
    is_smtputf8: bool = False
    ret: str | None = None  #: DSN RET=
    envid: str | None = None  #: DSN ENVID=
    repairs: tuple[str, ...] = ()  #: what intake mended, stable words (bare_lf, date_added …)
    duplicate_of: MessageId | None = None  #: an earlier message of the app with the same Message-ID
    store_content: str = "all"  #: all | until_ended | none


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message for one recipient; the unit of the log."""

    id: DeliveryId
    message_id: MessageId
    address: str  #: exactly as in RCPT; goes on the wire byte for byte
    domain: str  #: lower-case A-label of the domain
    status: Status
    created_at: datetime
    name: str = ""  #: display name from the To/Cc header, if any
    intended: str | None = None  #: the original recipient, when mode = redirect changed it
    category: Category | None = None
    blame: Blame | None = None
    rule: str | None = None
    attempts: int = 0
    next_at: datetime | None = None  #: when it is due; while leased, when the lease runs out; None once ended
    lease_owner: str | None = None
    held: str | None = None  #: reason, when it must not be claimed
    code: int | None = None
    enhanced: str | None = None
    reply: str | None = None
    mx: str | None = None
    delivered_at: datetime | None = None
    ended_at: datetime | None = None
    resend_of: DeliveryId | None = None
    form: str = "full"  #: full | plain
    notify: str | None = None  #: DSN NOTIFY=
    orcpt: str | None = None  #: DSN ORCPT=
    dsn: str | None = None  #: what the sender is still to be told of it by mail; see dsn_rules.py
    by: str | None = None  #: who asked for the resend
    is_unknown: bool = False  #: an earlier attempt ended with its outcome unknown, so a copy may exist
    marks: tuple[str, ...] = ()

    @property
    def is_being_tried(self) -> bool:
        """Tell whether a delivery process has it now; `next_at` is then no time for people."""
        return self.lease_owner is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """All that intake commits in one transaction before it says 250."""

    message: Message
    content: bytes
    deliveries: tuple[Delivery, ...]
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something intake refused; searchable, because a refused mail is otherwise invisible."""

    at: datetime
    listener: str
    client_ip: str
    stage: str  #: connect | auth | mail | rcpt | data
    code: int
    enhanced: str
    text: str
    reason: str  #: stable word, see errors.Refused.reason
    app: str | None = None
    helo: str = ""
    auth_user: str | None = None
    mail_from: str | None = None
    rcpt_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try of one delivery at one host, as it is stored."""

    delivery_id: DeliveryId
    number: int  #: the scheduled try it belongs to, from 1; several hosts may share one number
    started_at: datetime
    took: timedelta
    reply: Reply
    mx: str | None = None
    ip: str | None = None
    source: str | None = None  #: our address on that connection
    tls: str | None = None  #: version and cipher, None in clear
    tls_decision: str | None = None  #: in words: why TLS was or was not used
    outcome: Outcome | None = None  #: None when the reply is positive
    timings: dict[str, float] = field(default_factory=dict)  #: seconds by step: dns connect ehlo tls mail rcpt data
    conversation: str | None = None
    is_unknown: bool = False  #: the content was sent and no final answer came
    reused: bool = False  #: the connection had carried other mail before


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery leased to this process, with what is needed to send it."""

    delivery: Delivery
    message: Message
    blocked: Suppression | None = None  #: set when the block list forbids the attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """A block on one address or one whole domain."""

    id: int
    scope: str  #: address | domain
    value: str  #: normalised address or A-label domain
    reason: str  #: manual | invalid_address | invalid_domain | errors | complaint
    since_at: datetime
    source: str = "automatic"  #: automatic | manual | complaint | import
    category: Category | None = None
    note: str = ""
    by: str = ""
    until_at: datetime | None = None
    delivery_id: DeliveryId | None = None
    reply: str = ""
    app: str | None = None  #: None: holds for all apps
    rule: str | None = None  #: that read the reply, for an automatic block


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRecord:
    """What is known about one recipient address."""

    address: str  #: normalised
    shown: str  #: as last written
    error_count: int = 0
    last_error_at: datetime | None = None
    last_category: Category | None = None
    last_reply: str | None = None
    last_delivery_id: DeliveryId | None = None
    last_delivered_at: datetime | None = None
    name: str = ""
    phone: str | None = None
    customer: str | None = None
    corrected_to: str | None = None  #: the customer's current address, as a person gave it
    corrected_at: datetime | None = None
    reset_at: datetime | None = None  #: when the counter last began at zero again


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something a person did or a late report said, where no other table has it."""

    at: datetime
    kind: str  #: resend | cancel | block | unblock | reset | interrupted | hold | release …
    text: str
    message_id: MessageId | None = None
    delivery_id: DeliveryId | None = None
    address: str | None = None
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """What becomes of a delivery after an attempt round; decided by the scheduler, recorded in one transaction."""

    delivery_id: DeliveryId
    status: Status
    attempts: int
    at: datetime
    attempt_rows: tuple[Attempt, ...] = ()
    outcome: Outcome | None = None  #: of the deciding reply; None when delivered
    reply: Reply | None = None  #: the deciding reply
    mx: str | None = None
    next_at: datetime | None = None  #: set exactly when the status is still open
    is_unknown: bool = False
    is_dsn_passed_on: bool = False  #: the server that took it offers DSN, so it tells the sender what was asked for
