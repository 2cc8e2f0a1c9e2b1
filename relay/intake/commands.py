"""The table of SMTP commands, and the ones that belong to no transaction.

Each command has the longest line it may have (RFC 5321 4.5.3.1.4 plus what each extension adds) and the status of a
line that cannot be read. VRFY tells nothing: whether an address exists is not for strangers to know. RFC 5321 4.1.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ssl import SSLError
from typing import TYPE_CHECKING

from relay.errors import Refused
from relay.intake.login import auth, is_auth_allowed
from relay.intake.transaction import bdat, data, mail, rcpt

if TYPE_CHECKING:
    from relay.intake.server import RelaySMTP

_MAX_IDLE_COMMANDS = 200
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    run: Callable[[RelaySMTP, str], Awaitable[None]]
    max_length: int = 512
    syntax_status: str = "5.5.4"
    is_offered: bool = True


async def helo(smtp: RelaySMTP, argument: str) -> None:
    """HELO: plain SMTP."""
    greet(smtp, argument, is_extended=False)
    smtp.reply(f"250 {smtp.reception.hostname}")


async def ehlo(smtp: RelaySMTP, argument: str) -> None:
    """EHLO: say what we can do, all in one write."""
    greet(smtp, argument, is_extended=True)
    lines = [
        "PIPELINING",
        f"SIZE {_max_size(smtp)}",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "DSN",
    ]
    if is_auth_allowed(smtp) and smtp.reception.policy.has_logins:
        lines.append("AUTH PLAIN LOGIN")
        lines.append("AUTH=PLAIN LOGIN")  # the form of very old Outlook and Java programs
    tell_extensions(smtp, lines)


def tell_extensions(smtp: RelaySMTP, lines: list[str]) -> None:
    """Answer EHLO with these extensions, and STARTTLS where it is to be had."""
    if smtp.port.listener.tls == "starttls" and smtp.tls_text is None:
        lines = [*lines, "STARTTLS"]
    lines = [smtp.reception.hostname, *lines]
    smtp.reply("\r\n".join([f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]))


def _max_size(smtp: RelaySMTP) -> int:
    return max((app.limits.size for app in smtp.candidates()), default=smtp.reception.max_size)


def greet(smtp: RelaySMTP, name: str, *, is_extended: bool) -> None:
    """Take the client's name.

    Raises:
        Refused: 501 5.5.4: there is none.
    """
    count_idle(smtp)
    if not name or len(name) > _MAX_NAME:
        raise Refused(501, "5.5.4", "say your host name after it", reason="bad_command")
    smtp.greet(name, is_extended=is_extended)


async def noop(smtp: RelaySMTP, argument: str) -> None:
    """NOOP."""
    count_idle(smtp)
    smtp.reply("250 2.0.0 ok")


async def rset(smtp: RelaySMTP, argument: str) -> None:
    """RSET: forget the transaction."""
    count_idle(smtp)
    smtp.transaction = None
    smtp.reply("250 2.0.0 ok")


async def vrfy(smtp: RelaySMTP, argument: str) -> None:
    """VRFY: neither yes nor no."""
    count_idle(smtp)
    smtp.reply("252 2.5.2 send the mail and see")


async def help_(smtp: RelaySMTP, argument: str) -> None:
    """HELP."""
    count_idle(smtp)
    smtp.reply("214 2.0.0 " + " ".join(sorted(name for name, known in smtp.commands.items() if known.is_offered)))


async def not_offered(smtp: RelaySMTP, argument: str) -> None:
    """Say no to a command that we know and do not have."""
    raise Refused(502, "5.5.1", "not offered here", reason="bad_command")


async def quit_(smtp: RelaySMTP, argument: str) -> None:
    """QUIT."""
    smtp.transaction = None
    smtp.is_closing = True
    smtp.reply("221 2.0.0 goodbye")


async def starttls(smtp: RelaySMTP, argument: str) -> None:
    """STARTTLS: go over to TLS; what was sent ahead in clear is thrown away."""
    if argument:
        raise Refused(501, "5.5.4", "STARTTLS takes no argument", reason="bad_command")
    if smtp.tls_text is not None:
        raise Refused(503, "5.5.1", "TLS is already on", reason="bad_command")
    if smtp.port.listener.tls != "starttls":
        raise Refused(502, "5.5.1", "not offered here", reason="bad_command")
    try:
        await smtp.secure()
    except (SSLError, ConnectionError) as error:
        # The client hears nothing any more; whoever wonders why the old app sends nothing finds it among the refusals.
        smtp.abort()
        why = getattr(error, "reason", None) or "the client hung up"
        raise Refused(421, "4.7.0", f"no TLS connection came about: {why}", reason="tls_failed") from error


def count_idle(smtp: RelaySMTP) -> None:
    """Count a command that brings no mail nearer; too many of them only hold the connection.

    Raises:
        Refused: 421 4.7.0.
    """
    smtp.idle_count += 1
    if smtp.idle_count > _MAX_IDLE_COMMANDS:
        raise Refused(421, "4.7.0", "too many commands without a mail", reason="rate_limited")


COMMANDS: dict[str, Command] = {
    "HELO": Command(helo),
    "EHLO": Command(ehlo),
    "MAIL": Command(mail, 1300, "5.1.7"),
    "RCPT": Command(rcpt, 1300, "5.1.3"),
    "DATA": Command(data),
    "BDAT": Command(bdat, is_offered=False),
    "RSET": Command(rset),
    "NOOP": Command(noop),
    "QUIT": Command(quit_),
    "AUTH": Command(auth, 12_288, "5.5.2"),
    "STARTTLS": Command(starttls),
    "VRFY": Command(vrfy),
    "EXPN": Command(not_offered, is_offered=False),
    "HELP": Command(help_),
}
