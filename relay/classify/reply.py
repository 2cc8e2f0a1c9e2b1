"""Turn the text of an SMTP reply into a Reply: code, enhanced code and words, three fields for ever.

It reads what stands on the wire ("550-5.1.1 No\\r\\n550 5.1.1 such user"), the same joined to one line as logs and
reports write it, and the forms found in reports ("smtp; 550 5.1.1 …", "host mx.example said: 550 …"). The prefix that
a server repeats on each line is removed; a reply quoted inside the text stays there for the classifier.

It is tolerant and never raises: what it does not recognise stays in the text, and the code is None. It decides nothing.
RFC 5321 4.2 (replies), RFC 2034 and RFC 3463 (enhanced codes), RFC 3464 2.3.6 (diagnostic codes).
"""

from __future__ import annotations

import re

from relay.model import Reply, Stage

#: The stored text of a reply is at most this long, in bytes of UTF-8.
MAX_TEXT_BYTES = 4096

#: More than this is never looked at; a reply line has at most 512 octets (RFC 5321 4.5.3.1.5).
_MAX_INPUT = 8192

#: Assumed when the caller does not know: most replies are about a recipient, and no rule depends on "rcpt" alone.
_DEFAULT_STAGE = Stage.RCPT

_DIAGNOSTIC = re.compile(r"(?:smtp|x-[a-z]{1,20})\s{0,4};\s{0,4}", re.IGNORECASE)
_CODE = re.compile(r"([2-5][0-9]{2})(?:[ \t-]{1,3}|$|(?=\n))")
_ENHANCED = re.compile(r"[#(\[]{0,2}([245]\.[0-9]{1,3}\.[0-9]{1,3})(?![0-9.]*[0-9])[)\]]?(?:[\s,:;-]{1,3}|$)")
_SAID = re.compile(r"\bsaid: {0,2}(?=[245][0-9]{2}[ -])")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


def parse_reply(text: str, stage: Stage | None = None, *, host: str | None = None) -> Reply:
    """Read one reply, however it was written down; `stage` None means that nobody knows."""
    body = _clean(text[:_MAX_INPUT])
    prefix = _DIAGNOSTIC.match(body)
    if prefix:
        body = body[prefix.end() :]
    said = None if _CODE.match(body) else _SAID.search(body)
    if said:
        body = body[said.end() :]
    code, enhanced, body = _split(body)
    return Reply(stage=stage or _DEFAULT_STAGE, code=code, enhanced=enhanced, text=_cut(body), host=host)


def _split(body: str) -> tuple[int | None, str | None, str]:
    """Take the codes off the front, and off the start of each further line."""
    match = _CODE.match(body)
    code = int(match[1]) if match else None
    is_multiline = match is not None and "-" in match[0]
    rest = body[match.end() :] if match else body
    found = _ENHANCED.match(rest)
    enhanced = found[1] if found else None
    if found:
        rest = rest[found.end() :]
    if code is None:
        return None, enhanced, rest.strip()
    return code, enhanced, _without_prefixes(rest, code, enhanced=enhanced, is_multiline=is_multiline)


def _without_prefixes(rest: str, code: int, *, enhanced: str | None, is_multiline: bool) -> str:
    """Remove "550-5.1.1 " where it starts a further line, also in a reply that was joined to one line."""
    if str(code) not in rest:
        return rest.strip()
    again = f"(?:[#(]{{0,2}}{re.escape(enhanced)}[)]?[ :]{{0,2}})?" if enhanced else ""
    rest = re.sub(rf"(?m)^{code}(?:[ -]|$){again}", "", rest)
    if is_multiline and "\n" not in rest:  # joined: only a server that wrote "550-" repeats its code inside
        rest = re.sub(rf"(?<= ){code}-{again}", "", rest)
        rest = re.sub(rf"(?<![:;] )(?<= ){code} {again}", "", rest)
    return rest.strip()


def _clean(text: str) -> str:
    """Leave only characters that may be stored and shown; lines end with "\\n"."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub(" ", text).strip()


def _cut(text: str) -> str:
    """Cut to MAX_TEXT_BYTES without leaving half a character."""
    raw = text.encode()
    return text if len(raw) <= MAX_TEXT_BYTES else raw[:MAX_TEXT_BYTES].decode(errors="ignore")
