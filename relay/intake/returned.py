"""The conversation at a listener for returned mail: bounces, complaints and automatic answers from any server.

Anybody may connect, nobody logs in, and nothing is relayed. A recipient is taken only when it is a return path that we
made, of a mail that was sent lately and for which not too much has come back, or one of `returned.complaints`; every
other is refused in the session, so that no report about a forged sender is ever believed or answered. Any sender is
taken, for bounces come from `<>` and automatic answers from people. Nothing that arrives here is ever answered by mail.

The rate is counted at the first good recipient, so that strangers cannot use it up. RFC 5321 4.5.5, RFC 3834 2.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from relay.errors import Refused
from relay.intake.body import Body
from relay.intake.commands import COMMANDS, Command, greet, not_offered, tell_extensions
from relay.intake.returns import ReturnedTransaction, Returns
from relay.intake.server import RelaySMTP
from relay.intake.submission import Circumstances, Recipient, Transaction
from relay.intake.transaction import check_recipient_count, check_room, read_recipient, read_sender

if TYPE_CHECKING:
    from relay.intake.reception import Port, Reception

_MAX_REFUSALS = 20  # a server that brings a bounce names one recipient; who names many is guessing


class ReturnedSMTP(RelaySMTP):
    """The server side of one conversation about returned mail."""

    max_refusals = _MAX_REFUSALS

    def __init__(self, reception: Reception, port: Port, *, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(reception, port, loop=loop)
        assert reception.returns is not None  # config_checks.py: no such listener without returned.domain
        self.returns: Returns = reception.returns

    async def keep(self, transaction: Transaction, body: Body, circumstances: Circumstances) -> None:
        """Commit a returned mail for all its recipients."""
        assert isinstance(transaction, ReturnedTransaction)  # made by _mail below, and by nothing else
        content, body.content = body.content or b"", None
        await self.returns.take(transaction, content, circumstances)


async def _ehlo(smtp: RelaySMTP, argument: str) -> None:
    """EHLO: what a server that brings a bounce needs."""
    greet(smtp, argument, is_extended=True)
    size = _returns(smtp).app.limits.size
    tell_extensions(smtp, ["PIPELINING", f"SIZE {size}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"])


async def _mail(smtp: RelaySMTP, argument: str) -> None:
    """MAIL FROM: begin; any sender will do."""
    path, parameters = read_sender(smtp, argument)
    app = _returns(smtp).app
    check_room(smtp, app, parameters)
    smtp.transaction = ReturnedTransaction(
        app=app, mail_from=path.address, size=parameters.size, is_smtputf8=parameters.is_smtputf8
    )
    smtp.reply("250 2.1.0 ok")


async def _rcpt(smtp: RelaySMTP, argument: str) -> None:
    """RCPT TO: take a return path of ours, or an address for complaints."""
    transaction, path, _ = read_recipient(smtp, argument)
    assert isinstance(transaction, ReturnedTransaction)
    returns = _returns(smtp)
    target = await returns.find(path.address, now=smtp.reception.now())
    if target not in transaction.targets:
        check_recipient_count(transaction)
        if not transaction.targets and not smtp.reception.rates.take(
            returns.app.name, returns.rate, now=smtp.loop.time()
        ):
            raise Refused(451, "4.7.0", "too much comes back at once, try again in a while", reason="rate_limited")
        transaction.targets.append(target)
        transaction.recipients[path.address] = Recipient(path.address)
    smtp.reply("250 2.1.5 ok")


def _returns(smtp: RelaySMTP) -> Returns:
    assert isinstance(smtp, ReturnedSMTP)
    return smtp.returns


ReturnedSMTP.commands = {
    **COMMANDS,
    "EHLO": Command(_ehlo),
    "MAIL": Command(_mail, 1300, "5.1.7"),
    "RCPT": Command(_rcpt, 1300, "5.1.3"),
    "AUTH": Command(not_offered, 12_288, "5.5.2", is_offered=False),
}
