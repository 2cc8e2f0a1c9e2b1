"""Tell whether a server refused a mail only because it came over IPv6; pure.

Some providers ask more of IPv6 senders than of IPv4 ones (a PTR name that leads back, authentication), and their answer
names IPv6 or our IPv6 address. The same mail is then good over IPv4 to the same host. A refusal for any other reason
is never taken there: that would be a second try to get rejected content in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from relay.model import Reply

#: RFC 7372 3.3: the reverse DNS of the client address could not be validated.
_NO_REVERSE = ("4.7.25", "5.7.25")
_IPV6 = re.compile(r"\bip\s?v6\b", re.IGNORECASE)
_LITERAL = re.compile(r"(?<![\w:])[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){2,7}(?![\w:])", re.IGNORECASE)
_POLICY = re.compile(
    r"guideline|polic(?:y|ies)|\bptr\b|reverse|rdns|authenticat|block|refus|reject|denied|not (?:accept|allow|support)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"\bptr\b|reverse|rdns|(?:dns|block|black)[ -]?list|\bdns?bl\b|\brbl\b", re.IGNORECASE)


def is_about_ipv6(reply: Reply) -> bool:
    """Tell whether a reply that came over IPv6 refuses just that."""
    if reply.code is None or reply.code < 400:
        return False
    if reply.enhanced in _NO_REVERSE:
        return True
    if _IPV6.search(reply.text) and _POLICY.search(reply.text):
        return True
    return bool(_LITERAL.search(reply.text) and _ADDRESS.search(reply.text))


def is_all_about_ipv6(replies: Iterable[Reply]) -> bool:
    """Tell whether nobody got the mail, and IPv6 was the reason for at least one."""
    given = list(replies)
    return any(is_about_ipv6(reply) for reply in given) and not any(reply.is_positive for reply in given)
