"""MAIL, RCPT and DATA: from the sender to the 250 that means "it is on disk".

Order of the checks at MAIL: is the client allowed here at all, is the sender one it may use, is the store healthy, is
there room, has the app its rate left. Nothing is asked of DNS about a recipient, and no block list is read here: a
blocked recipient is accepted and recorded as suppressed, so that the try is visible.

250 after DATA is said only when the acceptor has returned. The commit runs as a task of its own, kept until it is done,
so a client that vanishes cannot tear it. Shortage is 452 4.3.1, any doubt 451 4.3.0. RFC 5321 3.3, 4.1.1, 4.5.3.1.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING

from relay import maillog
from relay.address import Path, address_key, parse_path, validate
from relay.errors import Refused, StoreError, StoreFull
from relay.headers import clean
from relay.intake.body import Body, BodyReader
from relay.intake.parameters import MailParameters, RcptParameters, parse_mail, parse_rcpt
from relay.intake.submission import Circumstances, Recipient, Transaction, Tried, build
from relay.model import MessageId, Submission, new_id

if TYPE_CHECKING:
    from relay.intake.reception import Reception
    from relay.intake.server import RelaySMTP
    from relay.settings import App

log = logging.getLogger("relay.intake")

_FROM = re.compile(r"FROM[ \t]*:(.*)\Z", re.IGNORECASE | re.DOTALL)
_TO = re.compile(r"TO[ \t]*:(.*)\Z", re.IGNORECASE | re.DOTALL)
_FIRST_SHARE = 256 * 1024  # memory a mail of unknown size waits for before 354
_LARGEST_SHARE = 1024 * 1024
_MEMORY_WAIT = 60.0
_THREAD_ABOVE = 512 * 1024  # larger contents are repaired off the event loop


async def mail(smtp: RelaySMTP, argument: str) -> None:
    """MAIL FROM: begin a transaction."""
    path, parameters = read_sender(smtp, argument)
    app, sender = _choose(smtp, path.address, is_smtputf8=parameters.is_smtputf8)
    smtp.tried.app = app.name
    check_room(smtp, app, parameters)
    repairs = list(path.repairs) + ["sender_replaced"] * (sender != path.address)
    smtp.transaction = Transaction(
        app=app,
        mail_from=sender,
        size=parameters.size,
        is_8bit=parameters.is_8bit,
        is_smtputf8=parameters.is_smtputf8,
        ret=parameters.ret,
        envid=parameters.envid,
        repairs=repairs,
        other_apps=() if sender else tuple(other for other in smtp.candidates() if other is not app),
    )
    smtp.reply("250 2.1.0 ok")


def read_sender(smtp: RelaySMTP, argument: str) -> tuple[Path, MailParameters]:
    """Read what MAIL says, when one may say it now.

    Raises:
        Refused: 503, 501 or 555.
    """
    smtp.tried = Tried()
    if not smtp.helo:
        raise Refused(503, "5.5.1", "say EHLO or HELO first", reason="bad_command")
    if smtp.transaction is not None:
        raise Refused(503, "5.5.1", "one sender at a time; RSET begins anew", reason="bad_command")
    match = _FROM.match(argument)
    if match is None:
        raise Refused(501, "5.5.4", "write MAIL FROM:<address>", reason="bad_command")
    smtp.tried.sender = clean(match[1].strip(), limit=320)
    path = parse_path(match[1], is_sender=True)
    smtp.tried.sender = clean(path.address, limit=320)
    return path, parse_mail(path.parameters)


def _choose(smtp: RelaySMTP, address: str, *, is_smtputf8: bool) -> tuple[App, str]:
    """Give the app and the sender it sends as."""
    policy = smtp.reception.policy
    candidates = smtp.candidates()
    if not candidates and smtp.auth_user is None and policy.has_logins:
        raise Refused(530, "5.7.0", "log in first", reason="unknown_client")
    if candidates and ("@" in address or not any(app.default_from for app in candidates)):
        validate(address, is_sender=True, is_smtputf8=is_smtputf8)
    app = policy.choose(candidates, sender=address)
    if address and not policy.is_allowed(app, address):
        return app, app.default_from or address
    return app, address


def check_room(smtp: RelaySMTP, app: App, parameters: MailParameters) -> None:
    """Pass silently when there is room for this mail and the app has its rate left.

    Raises:
        Refused: 552, 451 or 452.
    """
    reception = smtp.reception
    if parameters.size > app.limits.size:
        raise Refused(552, "5.3.4", f"at most {app.limits.size} bytes are taken", reason="too_large")
    if not reception.acceptor.is_healthy:
        raise Refused(451, "4.3.0", "the store is being checked, try again later", reason="store_trouble")
    wanted = parameters.size + reception.memory.used  # what others are sending has not reached the disk yet
    if reception.free_space() < reception.config.intake.min_free_space + wanted:
        raise Refused(452, "4.3.1", "the disk is full, try again later", reason="shortage")
    if not reception.rates.take(app.name, app.limits.rate, now=smtp.loop.time()):
        raise Refused(451, "4.7.0", "too many mails, try again in a while", reason="rate_limited")


async def rcpt(smtp: RelaySMTP, argument: str) -> None:
    """RCPT TO: add a recipient; one named twice is kept once."""
    transaction, path, parameters = read_recipient(smtp, argument)
    validate(path.address, is_smtputf8=transaction.is_smtputf8)
    key = address_key(path.address)
    if key not in transaction.recipients:
        check_recipient_count(transaction)
        transaction.recipients[key] = Recipient(path.address, parameters.notify, parameters.orcpt)
    for word in path.repairs:
        if word not in transaction.repairs:
            transaction.repairs.append(word)
    smtp.reply("250 2.1.5 ok")


def read_recipient(smtp: RelaySMTP, argument: str) -> tuple[Transaction, Path, RcptParameters]:
    """Read what RCPT says, when one may say it now.

    Raises:
        Refused: 503, 501 or 555.
    """
    match = _TO.match(argument)
    smtp.tried.recipient = clean(match[1].strip(" \t<>"), limit=320) if match else None
    if smtp.transaction is None:
        raise Refused(503, "5.5.1", "say MAIL first", reason="bad_command")
    if match is None:
        raise Refused(501, "5.5.4", "write RCPT TO:<address>", reason="bad_command")
    path = parse_path(match[1])
    smtp.tried.recipient = clean(path.address, limit=320)
    return smtp.transaction, path, parse_rcpt(path.parameters)


def check_recipient_count(transaction: Transaction) -> None:
    """Pass silently when there may be one more recipient.

    Raises:
        Refused: 452 4.5.3.
    """
    if len(transaction.recipients) >= transaction.app.limits.recipients:
        raise Refused(452, "4.5.3", "too many recipients", reason="too_many_recipients")


async def data(smtp: RelaySMTP, argument: str) -> None:
    """DATA: take the content, commit, say 250."""
    transaction, smtp.transaction = smtp.transaction, None
    smtp.tried.recipient = _named(transaction) if transaction is not None else None
    try:
        if transaction is None:
            raise Refused(503, "5.5.1", "say MAIL and RCPT first", reason="bad_command")
        if argument:
            raise Refused(501, "5.5.4", "DATA takes no argument", reason="bad_command")
        if not transaction.recipients:
            raise Refused(554, "5.5.0", "no recipient was accepted", reason="no_recipients")
        reserved = await _reserve(smtp, transaction)
    except Refused:
        # A client that did not wait sends the content now. It must not be taken for commands.
        smtp.is_closing = True
        raise
    body = await _read(smtp, transaction, reserved)
    smtp.pause_timer()
    try:
        await _keep(smtp, transaction, body)
    finally:
        smtp.idle_count = 0
        smtp.restart_timer()


def _named(transaction: Transaction) -> str:
    """Name the recipients, as far as a refusal of the whole mail keeps them."""
    return clean(", ".join([recipient.address for recipient in transaction.recipients.values()]), limit=2000)


async def _reserve(smtp: RelaySMTP, transaction: Transaction) -> int:
    share = min(transaction.size or _FIRST_SHARE, _LARGEST_SHARE)
    if smtp.reception.memory.take(share):
        return share
    smtp.pause_timer()
    try:
        async with asyncio.timeout(_MEMORY_WAIT):
            return await smtp.reception.memory.reserve(share)
    except TimeoutError:
        raise Refused(452, "4.3.1", "too many mails at once, try again later", reason="shortage") from None
    finally:
        smtp.restart_timer()


async def _read(smtp: RelaySMTP, transaction: Transaction, reserved: int) -> Body:
    smtp.reply("354 go ahead, end with a dot on a line of its own")
    reader = BodyReader(
        smtp._reader,
        limit=transaction.app.limits.size,
        memory=smtp.reception.memory,
        reserved=reserved,
        is_legacy=smtp.port.listener.bare_newline == "legacy",
        on_progress=smtp.note_progress,
    )
    is_read = False
    try:
        await smtp.flush()
        async with asyncio.timeout(smtp.reception.config.intake.data_timeout.total_seconds()):
            body = await reader.read()
        is_read = True
        return body
    except TimeoutError:
        raise Refused(421, "4.4.2", "the mail took too long to arrive", reason="shortage") from None
    finally:
        if not is_read:
            smtp.reception.memory.release(reader.body.reserved)


async def _keep(smtp: RelaySMTP, transaction: Transaction, body: Body) -> None:
    """Commit the mail and say 250, or refuse it.

    Raises:
        Refused: 552, 452, 451 or what the content deserves.
    """
    reception = smtp.reception
    if body.content is None:
        reception.memory.release(body.reserved)
        if body.is_short_of_memory:
            raise Refused(452, "4.3.1", "too many mails at once, try again later", reason="shortage")
        raise Refused(552, "5.3.4", f"at most {transaction.app.limits.size} bytes are taken", reason="too_large")
    circumstances = _circumstances(smtp)
    commit = smtp.loop.create_task(_commit(smtp, transaction, body, circumstances))
    reception.commits.add(commit)
    commit.add_done_callback(reception.commits.discard)
    commit.add_done_callback(lambda task: reception.memory.release(body.reserved))
    # The client may vanish at any moment: the wait is cancelled then, the commit is not.
    refused = await asyncio.shield(commit)
    if refused is not None:
        raise refused
    smtp.reply(f"250 2.0.0 queued as {circumstances.id}")


def _circumstances(smtp: RelaySMTP) -> Circumstances:
    return Circumstances(
        id=MessageId(new_id()),
        at=smtp.reception.now(),
        hostname=smtp.reception.hostname,
        listener=smtp.port.name,
        bare_newline=smtp.port.listener.bare_newline,
        client_ip=smtp.client_ip,
        helo=smtp.helo,
        is_extended=smtp.is_extended,
        auth_user=smtp.auth_user,
        tls=smtp.tls_text,
    )


async def _commit(
    smtp: RelaySMTP, transaction: Transaction, body: Body, circumstances: Circumstances
) -> Refused | None:
    """Have the mail kept; a refusal is the result, since nobody may be there to catch it."""
    try:
        await smtp.keep(transaction, body, circumstances)
    except Refused as refused:
        return refused
    except StoreFull:
        return Refused(452, "4.3.1", "the disk is full, try again later", reason="shortage")
    except StoreError as error:
        log.error("mail not kept: %s", error)
        return Refused(451, "4.3.0", "the mail could not be stored, try again later", reason="store_trouble")
    except Exception:
        # Any doubt is 451: the client keeps the mail and tries again.
        log.exception("mail %s from %s not kept", circumstances.id, circumstances.client_ip)
        return Refused(451, "4.3.0", "internal trouble, try again later", reason="store_trouble")
    return None


async def keep_submission(
    reception: Reception, transaction: Transaction, body: Body, circumstances: Circumstances
) -> None:
    """Make the submission and commit it."""
    submission = await _built(reception, transaction, body, circumstances)
    await reception.acceptor.accept(submission)
    maillog.accepted(submission.message, [delivery.address for delivery in submission.deliveries])


async def _built(
    reception: Reception, transaction: Transaction, body: Body, circumstances: Circumstances
) -> Submission:
    """Make the submission; a large one in a thread, one at a time, because each is several copies of its content."""
    content, body.content = body.content or b"", None  # as it came, it is needed no longer than this
    arguments = (circumstances, reception.policy, reception.extractor)
    if len(content) <= _THREAD_ABOVE:
        return build(transaction, content, *arguments)
    async with reception.large_builds:
        return await asyncio.to_thread(build, transaction, content, *arguments)


async def bdat(smtp: RelaySMTP, argument: str) -> None:
    """BDAT is not offered, and what follows it would be content."""
    smtp.transaction = None
    smtp.is_closing = True
    raise Refused(500, "5.5.1", "BDAT is not offered here", reason="bad_command")
