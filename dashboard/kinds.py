"""What kinds of mail are called; an app may have others, which are shown as it writes them."""

from __future__ import annotations

from dashboard.marking import N_
from dashboard.tongue import Tongue

KINDS = {
    "confirmation": N_("Confirmation"),
    "reminder": N_("Reminder"),
    "cancellation": N_("Cancellation"),
    "change": N_("Change"),
    "invoice": N_("Invoice"),
    "receipt": N_("Receipt"),
    "invitation": N_("Invitation"),
    "review": N_("Review request"),
    "newsletter": N_("Newsletter"),
}


def kind_name(kind: str, tongue: Tongue) -> str:
    """Say a kind in the reader's language."""
    known = KINDS.get(kind.lower())
    return tongue.text(known) if known else kind.replace("_", " ")[:60].capitalize()
