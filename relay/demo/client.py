"""The booking apps of the demo: they hand messages to the relay by plain SMTP, as any old program does."""

from __future__ import annotations

import re
import smtplib

from relay.demo.samples import Written
from relay.errors import RelayError
from relay.settings import HostPort


class NotAccepted(RelayError):
    """The relay did not take a sample message."""


def send(written: Written, address: HostPort) -> str:
    """Hand a message to the relay; return the id it gave.

    Raises:
        NotAccepted: it said no, with what it said.
    """
    options = ["BODY=8BITMIME"] if not written.content.isascii() else []
    try:
        with smtplib.SMTP(address.host, address.port, local_hostname="desk.example", timeout=30) as client:
            client.ehlo()
            _want(250, client.mail(written.mail_from, options))
            for recipient in written.recipients:
                _want(250, client.rcpt(recipient))
            answer = _want(250, client.data(written.content))
    except (OSError, smtplib.SMTPException) as error:
        raise NotAccepted(f"the relay did not take “{written.subject}”: {error}") from error
    match = re.search(r"queued as (\S+)", answer)
    if match is None:
        raise NotAccepted(f"the relay gave no id for “{written.subject}”: {answer}")
    return match[1]


def _want(code: int, answer: tuple[int, bytes]) -> str:
    if answer[0] != code:
        raise smtplib.SMTPResponseException(*answer)
    return answer[1].decode("utf-8", "replace")
