"""How a recipient's mail server behaves, as data.

A Temper says what a scripted server (mx.py) answers at each step, what it offers, and where it fails: late, wrong,
half, or not at all. The common tempers have names here; a test makes any other with `Temper(...)`, `at`, `drops`,
`recovering` or `replace(ACCEPTS, ...)`. Replies are texts of one or more lines ("550-5.1.1 No\\n550 5.1.1 such user");
a reply given as bytes goes out exactly as it is, which is how garbage and two replies in one segment are written.
In texts {host}, {client}, {rcpt} and {id} stand for the server's name, the client's address, the recipient and the
number of the message. No I/O here. RFC 5321 4.2 (replies), RFC 3463 (enhanced codes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

Answer = str | bytes


class Step(StrEnum):
    """A place in the conversation where a server can answer, wait or fail."""

    GREETING = "greeting"
    EHLO = "ehlo"
    HELO = "helo"
    STARTTLS = "starttls"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  #: the answer to the DATA command
    CONTENT = "content"  #: while the content arrives; only hanging up is possible here
    FINAL = "final"  #: the answer to the final dot
    RSET = "rset"
    QUIT = "quit"


class Tls(StrEnum):
    """What becomes of STARTTLS."""

    NONE = "none"  #: not offered
    GOOD = "good"  #: offered, works; the certificate is self-signed
    BROKEN = "broken"  #: offered, then garbage instead of a handshake
    REFUSED = "refused"  #: offered, then 454


@dataclass(frozen=True, slots=True, kw_only=True)
class Temper:
    """The behaviour of one server."""

    name: str
    extensions: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN")
    size: int | None = 50 * 1024**2  #: announced and enforced; None: no SIZE
    tls: Tls = Tls.NONE
    #: Step -> the answer given instead of the normal one.
    replies: Mapping[Step, Answer] = field(default_factory=dict)
    #: (pattern for the part before the @, answer to RCPT); first match wins; "*" and "?" as in a shell.
    people: tuple[tuple[str, Answer], ...] = ()
    is_greylisting: bool = False  #: 450 for the first try of each (client, sender, recipient)
    max_recipients: int | None = None  #: 452 4.5.3 beyond so many in one transaction
    max_connections: int | None = None  #: 421 in the greeting beyond so many at one time
    delays: Mapping[Step, float] = field(default_factory=dict)  #: seconds before the answer; math.inf = never
    tarpit: float = 0.0  #: seconds before each single byte of each answer
    hangs_up: frozenset[Step] = frozenset()  #: closes instead of answering
    hangs_up_after: frozenset[Step] = frozenset()  #: closes right after answering; 421 always does
    is_resetting: bool = False  #: hangs up with RST
    lasts: int | None = None  #: after so many connections the server accepts everything


def at(step: Step, answer: Answer, *, name: str | None = None) -> Temper:
    """Make a server that accepts everything but answers so at one step."""
    return Temper(name=name or f"{step} answer", replies={step: answer})


def drops(step: Step, *, is_resetting: bool = False) -> Temper:
    """Make a server that vanishes instead of answering at one step."""
    return Temper(name=f"drops at {step}", hangs_up=frozenset({step}), is_resetting=is_resetting)


def recovering(temper: Temper, *, after: int) -> Temper:
    """Make a server that is itself again after so many connections."""
    return replace(temper, name=f"{temper.name}, then accepts", lasts=after)


ACCEPTS = Temper(name="accepts")
NO_PIPELINING = Temper(name="one command at a time", extensions=("8BITMIME", "ENHANCEDSTATUSCODES"))
OLD = Temper(name="HELO only", replies={Step.EHLO: "502 5.5.1 Command not implemented"})
GREYLISTS = Temper(name="greylists", is_greylisting=True)
FULL_FOR_NOW = at(Step.RCPT, "452 4.2.2 <{rcpt}>: mailbox is full, try again later", name="mailbox full for now")
FULL = at(Step.RCPT, "552 5.2.2 <{rcpt}>: mailbox is full, quota exceeded", name="mailbox full")
UNKNOWN_USER = at(
    Step.RCPT,
    "550 5.1.1 <{rcpt}>: Recipient address rejected: User unknown in local recipient table",
    name="no such user",
)
PARTIAL = Temper(
    name="knows some people",
    people=(
        ("*full*", "452 4.2.2 <{rcpt}>: mailbox is full"),
        ("*later*", "450 4.3.0 <{rcpt}>: please try again later"),
        ("*unknown*", "550 5.1.1 <{rcpt}>: no such user here"),
        ("*closed*", "550 5.2.1 <{rcpt}>: this account has been disabled"),
    ),
)
REPUTATION = at(
    Step.RCPT,
    "550 5.7.1 Service unavailable, client host [{client}] blocked using a block list",
    name="blocks our server",
)
POLICY = at(Step.RCPT, "550 5.7.1 <{rcpt}>: only members may write to this group", name="private group")
SPAM = at(Step.FINAL, "554 5.7.1 Message rejected as spam by content filter", name="takes it for spam")
RATE_LIMITED = at(
    Step.MAIL, "421 4.7.28 Unusual rate of mail from your address [{client}], slow down", name="limits our rate"
)
SLOW = Temper(name="slow", delays=dict.fromkeys((Step.GREETING, Step.EHLO, Step.MAIL, Step.FINAL), 0.4))
TARPIT = Temper(name="tarpit", tarpit=0.01)
TLS_GOOD = Temper(name="encrypts", tls=Tls.GOOD)
TLS_BROKEN = Temper(name="broken encryption", tls=Tls.BROKEN)
TLS_REFUSED = Temper(name="refuses its own STARTTLS", tls=Tls.REFUSED)
DROPS_GREETING = drops(Step.GREETING)
DROPS_EHLO = drops(Step.EHLO)
DROPS_MAIL = drops(Step.MAIL)
DROPS_DATA = drops(Step.DATA)
DROPS_CONTENT = drops(Step.CONTENT)
DROPS_FINAL = drops(Step.FINAL)
NO_SERVICE = Temper(
    name="no service",
    replies={Step.GREETING: "554 5.3.2 {host} takes no mail"},
    hangs_up_after=frozenset({Step.GREETING}),
)
BUSY = at(Step.GREETING, "421 4.3.2 {host} too busy, try again later", name="too busy")
FEW_RECIPIENTS = Temper(name="two recipients at a time", max_recipients=2)
SMALL = Temper(name="takes small mail only", size=1024)
TWO_REPLIES = at(Step.MAIL, b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n", name="answers twice")
GARBAGE = at(Step.EHLO, b"\x00\xff\x1b[31m!?\r\n\r\nHTTP/1.1 400 Bad Request\r\n\r\n", name="talks nonsense")
SILENT = Temper(name="never greets", delays={Step.GREETING: float("inf")})

#: Every named temper.
TEMPERS: Mapping[str, Temper] = {
    temper.name: temper
    for temper in (
        *(ACCEPTS, NO_PIPELINING, OLD, GREYLISTS, FULL_FOR_NOW, FULL, UNKNOWN_USER, PARTIAL, REPUTATION, POLICY, SPAM),
        *(RATE_LIMITED, SLOW, TARPIT, TLS_GOOD, TLS_BROKEN, TLS_REFUSED, DROPS_GREETING, DROPS_EHLO, DROPS_MAIL),
        *(
            DROPS_DATA,
            DROPS_CONTENT,
            DROPS_FINAL,
            NO_SERVICE,
            BUSY,
            FEW_RECIPIENTS,
            SMALL,
            TWO_REPLIES,
            GARBAGE,
            SILENT,
        ),
    )
}
