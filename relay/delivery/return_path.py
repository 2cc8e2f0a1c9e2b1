"""Which sender a delivery leaves with: the app's own, or a return path made for this delivery alone.

Where it is made for each delivery (relay/verp.py), a transaction can carry one recipient only. Pure.
"""

from __future__ import annotations

from collections.abc import Callable

from relay.delivery.transaction import MAX_RECIPIENTS
from relay.model import Claimed

#: Gives the reverse path of a delivery; it must be the same at every try.
ReturnPath = Callable[[Claimed], str]


def as_given(claim: Claimed) -> str:
    """Give the sender as the app gave it."""
    return claim.message.mail_from


def most_recipients(claim: Claimed, return_path: ReturnPath) -> int:
    """Say how many recipients of this message may share a transaction."""
    return MAX_RECIPIENTS if return_path(claim) == claim.message.mail_from else 1
