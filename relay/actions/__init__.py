"""What people do to mail, and what they ask: the command line, the pages and the API all call these functions.

Nothing else changes a delivery for a person. Each is a unit of work for `Store.write` (or `Store.read`, when it only
asks or plans): it does the thing and writes the event that says who did it, in one transaction. A refusal is an Answer
whose `is_done` is false, not an exception; its sentence is for people, its key is stable.
"""

from relay.actions.answer import Answer
from relay.actions.asking import Inquiry, why
from relay.actions.blocks import block, describe, reset, target, unblock
from relay.actions.queue import cancel, cancel_many, flush, hold, pause, release, resume
from relay.actions.resend import Plan, plan_resend, resend

__all__ = [
    "Answer",
    "Inquiry",
    "Plan",
    "block",
    "cancel",
    "cancel_many",
    "describe",
    "flush",
    "hold",
    "pause",
    "plan_resend",
    "release",
    "resend",
    "reset",
    "resume",
    "target",
    "unblock",
    "why",
]
