"""The AUTH command: PLAIN and LOGIN, in any case, with or without initial response.

Offered inside TLS, and in clear only where the listener has auth_without_tls. A failure is answered later each time;
the fifth on one connection ends it, and an IP with too many failures in ten minutes is turned away without a check.
The answer is the same for an unknown user, a wrong password and a user who may not log in from there.
RFC 4954, RFC 4616; LOGIN has no RFC, only clients.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from relay.errors import Refused
from relay.headers import clean

if TYPE_CHECKING:
    from relay.intake.server import RelaySMTP

_MAX_FAILURES = 5


def is_auth_allowed(smtp: RelaySMTP) -> bool:
    """Tell whether a password may be sent on this connection as it is now."""
    return smtp.tls_text is not None or smtp.port.listener.auth_without_tls


async def auth(smtp: RelaySMTP, argument: str) -> None:
    """AUTH: check user and password."""
    _check_state(smtp)
    mechanism, _, initial = argument.partition(" ")
    initial = initial.strip()
    match mechanism.upper():
        case "PLAIN":
            user, password = await _plain(smtp, initial)
        case "LOGIN":
            user, password = await _login(smtp, initial)
        case "":
            raise Refused(501, "5.5.4", "name a mechanism", reason="bad_command")
        case _:
            raise Refused(504, "5.5.4", "PLAIN and LOGIN are offered", reason="bad_command")
    smtp.tried.user = clean(user, limit=200)
    await _check(smtp, user, password)
    smtp.log_in(user)
    smtp.idle_count = 0
    smtp.reply("235 2.7.0 welcome")


def _check_state(smtp: RelaySMTP) -> None:
    if not smtp.helo or smtp.transaction is not None or smtp.auth_user is not None:
        raise Refused(503, "5.5.1", "not now: greet first, log in once, before MAIL", reason="bad_command")
    if not is_auth_allowed(smtp):
        way = "use STARTTLS first; " if smtp.port.listener.tls == "starttls" else ""
        raise Refused(538, "5.7.11", f"{way}passwords are not taken in clear here", reason="auth_failed")
    if not smtp.reception.policy.has_logins:
        raise Refused(502, "5.5.1", "no logins are set up here", reason="bad_command")
    _check_failures(smtp)


def _check_failures(smtp: RelaySMTP) -> None:
    if smtp.reception.failures.is_blocked(smtp.client_ip, now=smtp.loop.time()):
        raise Refused(421, "4.7.0", "too many failed logins, try again later", reason="auth_failed")


async def _plain(smtp: RelaySMTP, initial: str) -> tuple[str, bytes]:
    response = _decode(initial) if initial else await _ask(smtp, b"")
    parts = response.split(b"\0")
    if len(parts) != 3:
        raise Refused(501, "5.5.2", "that is not PLAIN", reason="bad_command")
    return _text(parts[1]), parts[2]


async def _login(smtp: RelaySMTP, initial: str) -> tuple[str, bytes]:
    user = _decode(initial) if initial else await _ask(smtp, b"Username:")
    password = await _ask(smtp, b"Password:")
    return _text(user), password


async def _ask(smtp: RelaySMTP, challenge: bytes) -> bytes:
    smtp.reply(b"334 " + base64.b64encode(challenge))
    line = (await smtp.next_line()).strip()
    smtp.restart_timer()
    if line == b"*":
        raise Refused(501, "5.7.0", "login given up", reason="auth_failed")
    return _decode(line.decode("ascii", "replace"))


def _decode(text: str) -> bytes:
    if text == "=":  # RFC 4954 4: an empty initial response
        return b""
    if len(text) > 12_288:
        raise Refused(500, "5.5.6", "the line is too long", reason="bad_command")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(501, "5.5.2", "that is not base 64", reason="bad_command") from None


def _text(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


async def _check(smtp: RelaySMTP, user: str, password: bytes) -> None:
    reception = smtp.reception
    smtp.pause_timer()
    async with reception.failures.turn(smtp.client_ip):
        _check_failures(smtp)  # again: other connections of this client may have failed since AUTH came
        is_right = await reception.authenticator.check(user, password)
        is_right = is_right and reception.policy.may_log_in(
            user, listener=smtp.port.listener.address, client_ip=smtp.client_ip
        )
        delay = 0.0 if is_right else reception.failures.record(smtp.client_ip, now=smtp.loop.time())
    if not is_right:
        smtp.auth_failure_count += 1
        await reception.sleep(delay)
        if smtp.auth_failure_count >= _MAX_FAILURES:
            raise Refused(421, "4.7.0", "too many failed logins, try again later", reason="auth_failed")
        smtp.restart_timer()
        raise Refused(535, "5.7.8", "user or password is wrong", reason="auth_failed")
    smtp.restart_timer()
