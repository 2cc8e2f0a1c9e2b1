"""Make the Reply values of delivery: of what a server said, of silence, and of what we refuse before asking it.

A Reply's enhanced code is taken off the text of each line and kept in its own field. Text is cut to 4 KiB of UTF-8.
No code (None) means that there never was an answer one could act on; then the text says in words what happened, and
the enhanced code is ours. RFC 3463, RFC 5248. Pure.
"""

from __future__ import annotations

import re

from aiosmtplib.errors import SMTPReadTimeoutError
from aiosmtplib.response import SMTPResponse

from relay.delivery.protocol import GarbageReply
from relay.model import Reply, Stage

_MAX_TEXT_BYTES = 4096

# "5.1.1 text", "#5.1.1 text" (IronPort), "5.1.1: text"
_ENHANCED = re.compile(r"#?([245]\.[0-9]{1,3}\.[0-9]{1,3})(?:[ :]+|$)")

#: What we were waiting for, for the sentences.
_AWAITED = {
    Stage.CONNECT: "its greeting",
    Stage.EHLO: "its answer to EHLO",
    Stage.STARTTLS: "its answer to STARTTLS",
    Stage.AUTH: "its answer to AUTH",
    Stage.MAIL: "its answer to MAIL",
    Stage.RCPT: "its answer to RCPT",
    Stage.DATA: "its answer to the content",
}

UNKNOWN_OUTCOME = "the whole message was sent, whether it was accepted is unknown"


class UnexpectedReply(Exception):
    """The server answered with a code that does not fit the question; the conversation cannot go on."""

    def __init__(self, response: SMTPResponse, *, expected: str) -> None:
        super().__init__(f"{response.code} where {expected} was expected")
        self.response = response
        self.expected = expected


def of_server(response: SMTPResponse, *, stage: Stage, host: str) -> Reply:
    """Make a Reply of what the server said."""
    text = response.message
    match = _ENHANCED.match(text)
    if match is None:
        return Reply(stage=stage, code=response.code, enhanced=None, text=cut(text), host=host)
    if "\n" in text:
        text = "\n".join(
            _ENHANCED.sub("", line, count=1) if _ENHANCED.match(line) else line for line in text.split("\n")
        )
    else:
        text = text[match.end() :]
    return Reply(stage=stage, code=response.code, enhanced=match[1], text=cut(text), host=host)


def of_silence(error: Exception, *, stage: Stage, host: str, is_unknown: bool = False) -> Reply:
    """Make a Reply without a code of an answer that never came or could not be used."""
    enhanced, text = "4.4.2", ""
    if isinstance(error, UnexpectedReply):
        said = f"{error.response.code} {error.response.message}"[:300]
        enhanced, text = "4.5.0", f'the server said "{said}" where {error.expected} was expected'
    elif isinstance(error, GarbageReply):
        enhanced, text = "4.5.0", f"{_AWAITED[stage]} {error.message}"
    elif isinstance(error, SMTPReadTimeoutError):
        text = f"{error.message}: we waited for {_AWAITED[stage]}"
    elif isinstance(error, TimeoutError):
        text = "the server took no more data"
    else:
        text = f"{_words(error)} while we waited for {_AWAITED[stage]}"
    if is_unknown:
        text += f"; {UNKNOWN_OUTCOME}"
    return Reply(stage=stage, code=None, enhanced=enhanced, text=cut(text), host=host)


def of_ours(code: int | None, enhanced: str | None, text: str, *, stage: Stage, host: str) -> Reply:
    """Make a Reply that we gave ourselves, without asking the server."""
    return Reply(stage=stage, code=code, enhanced=enhanced, text=cut(text), host=host)


def cut(text: str) -> str:
    """Keep at most 4 KiB of UTF-8."""
    if len(text) <= _MAX_TEXT_BYTES // 4:
        return text
    return text.encode()[:_MAX_TEXT_BYTES].decode("utf-8", "ignore")


def _words(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
