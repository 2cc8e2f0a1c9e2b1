"""Whether a content has a line that begins with a dot, which is what dot-stuffing is about (RFC 5321 4.5.2). Pure.

Most contents have none, and of a large one most is an attachment in base64, which has no dot at all: looking at the
dots one by one is then thirty times faster than searching the whole for a line end with a dot behind it.
"""

from __future__ import annotations

_FEW = 200  #: dots looked at one by one, before the whole is searched


def has_dot_line(content: bytes | bytearray) -> bool:
    """Tell whether a dot stands at the start or right behind a line feed."""
    at = content.find(b".")
    for _ in range(_FEW):
        if at < 0:
            return False
        if at == 0 or content[at - 1] == 0x0A:
            return True
        at = content.find(b".", at + 1)
    return at >= 0 and content.find(b"\n.", at - 1) >= 0
