"""Decide what becomes of a delivery after a try: the whole failure policy of the relay, in one place.

In words. 2yz after the content is `delivered`, at a smarthost `sent`. 4yz and silence are `deferred` until the retries
are used up, then `soft_bounced` with the last reason's category. 5yz is final, and its category says which end it is:
no such address `invalid`; no such domain, closed mailbox, moved `hard_bounced`; everything else `soft_bounced`.
Three 5yz are not final: *too many recipients* at RCPT (the rest is sent in a further transaction), a greeting or EHLO
that says 5yz while another host of the site did not (RFC 5321 5.1: a lower preference may know better), and a refused
STARTTLS, which is the TLS policy's business. A smarthost that refuses us before it looks at a recipient leaves the
delivery `rejected`: our settings are wrong and retrying does not mend them.
A message with a deadline ends `soft_bounced`, category expired, when no further try fits before it; nothing of it is
begun after it. The last answer and whose fault that was stay beside it.
NXDOMAIN is believed unless the domain took mail lately or many domains vanish at once; then our resolver is suspected.

Times, randomness and the classifier are given; no I/O and no state here. retry.py decides when, suppress.py what it
does to the address, site.py what it does to the site.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from relay import deadline as deadlines
from relay import incidents, suppress
from relay.classify.classifier import BLAME
from relay.delivery.try_again import heeded
from relay.endings import end_of_final
from relay.endings import is_final as is_final
from relay.endings import is_too_many_recipients as is_too_many_recipients
from relay.model import (
    Attempt,
    Blame,
    Category,
    Claimed,
    Delivery,
    Disposition,
    Outcome,
    Reply,
    ReplyClass,
    Stage,
    Suppression,
)
from relay.retry import next_try
from relay.status import Status

#: A domain that took mail this lately is not believed to have vanished.
RECENTLY = timedelta(days=90)

#: Where a smarthost has not looked at any recipient yet: its 5yz is about us.
_BEFORE_RECIPIENTS = frozenset({Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.MAIL})

#: Where a 5yz speaks for one host and not for the site.
_ABOUT_THE_HOST = frozenset({Stage.CONNECT, Stage.EHLO})

#: Reasons for which a whole site is left alone for a while.
_SLOWS_THE_SITE = frozenset({Category.RATE_LIMITED, Category.REPUTATION_BLOCK})

#: How an NXDOMAIN is read that is not believed: whether one known domain vanished, or many at once.
NXDOMAIN_DOUBTED, NXDOMAIN_EPIDEMIC = (
    Outcome(reply_class=ReplyClass.DEFERRED, category=Category.DNS_FAILURE, blame=Blame.THEIR_SERVER, rule=rule)
    for rule in (incidents.NXDOMAIN_DOUBTED, incidents.NXDOMAIN_EPIDEMIC)
)
_DOUBTED_RULES = frozenset({incidents.NXDOMAIN_DOUBTED, incidents.NXDOMAIN_EPIDEMIC})

INTERNAL_ERROR = Outcome(
    reply_class=ReplyClass.DEFERRED,
    category=Category.SYSTEM_ERROR,
    blame=Blame.US,
    rule="internal_error",
)


class Classify(Protocol):
    """How a reply is read; relay.classify.classify fits."""

    def __call__(self, reply: Reply, *, sender: str = "", recipient: str = "") -> Outcome:
        """Read it; the addresses help where the reply names one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPlan:
    """How long and how often deliveries are tried."""

    ladder: Sequence[timedelta]
    give_up_after: timedelta
    random: Callable[[], float]


def deciding_reply(replies: Sequence[Reply]) -> Reply:
    """Choose the reply that decides among those of the hosts tried, in order.

    The last host's word counts, but a host that said 5yz in its greeting or to EHLO speaks only for itself: when
    another one was merely unreachable or busy, the delivery waits for that one.
    """
    last = replies[-1]
    if last.stage in _ABOUT_THE_HOST and is_final(last):
        for reply in reversed(replies[:-1]):
            if not is_final(reply):
                return reply
    return last


def doubt_of_nxdomain(*, last_delivered_at: datetime | None, is_epidemic: bool, now: datetime) -> Outcome | None:
    """Say why DNS is not believed that a domain does not exist; None when it is really gone."""
    if is_epidemic:
        return NXDOMAIN_EPIDEMIC
    is_known = last_delivered_at is not None and now - last_delivered_at <= RECENTLY
    return NXDOMAIN_DOUBTED if is_known else None


def slows_site(reply: Reply, outcome: Outcome) -> bool:
    """Tell whether a reply given after EHLO is about our pace or name at the whole site.

    A greylisted guest, a full mailbox or any other word about one recipient never slows a provider: those are kept
    out by category, by blame, and by the enhanced subject (RFC 3463: x.1 addressing, x.2 mailbox).
    """
    if outcome.category not in _SLOWS_THE_SITE or outcome.blame is Blame.RECIPIENT or is_too_many_recipients(reply):
        return False
    return reply.enhanced is None or reply.enhanced.split(".")[1:2] not in (["1"], ["2"])


def status_of_final(reply: Reply, outcome: Outcome, *, is_smarthost: bool) -> Status:
    """Return the end that a final 5yz means."""
    if is_smarthost and reply.stage in _BEFORE_RECIPIENTS:
        return Status.REJECTED
    return end_of_final(outcome.category)


def decide(
    delivery: Delivery,
    reply: Reply,
    *,
    outcome: Outcome | None,
    rows: tuple[Attempt, ...],
    plan: RetryPlan,
    now: datetime,
    mx: str | None = None,
    is_smarthost: bool = False,
    is_unknown: bool = False,
    deadline: datetime | None = None,
) -> Disposition:
    """Turn the deciding reply of a try into the delivery's next state; `outcome` is None when it is positive."""
    attempts = delivery.attempts + 1
    next_at = None
    if outcome is not None and outcome.category is Category.EXPIRED and delivery.blame is not None:
        outcome = replace(outcome, blame=delivery.blame)  # time is nobody's fault; what used it up is
    if outcome is None:
        status = Status.SENT if is_smarthost else Status.DELIVERED
    elif is_final(reply) and outcome.rule not in _DOUBTED_RULES:
        status = status_of_final(reply, outcome, is_smarthost=is_smarthost)
    else:
        next_at = next_try(
            attempts=attempts,
            first_at=delivery.created_at,
            now=now,
            ladder=plan.ladder,
            give_up_after=plan.give_up_after,
            category=outcome.category,
            random=plan.random,
            deadline=deadline,
            asked=heeded(reply.text, ladder=plan.ladder, random=plan.random),
        )
        status = Status.SOFT_BOUNCED if next_at is None else Status.DEFERRED
        if next_at is None and deadline is not None and deadline < delivery.created_at + plan.give_up_after:
            outcome = _too_late(outcome)
    return Disposition(
        delivery_id=delivery.id,
        status=status,
        attempts=attempts,
        at=now,
        attempt_rows=rows,
        outcome=outcome,
        reply=reply,
        mx=mx,
        next_at=next_at,
        is_unknown=is_unknown,
    )


def suppressed(delivery: Delivery, *, block: Suppression, now: datetime) -> Disposition:
    """End a delivery whose address is blocked: no attempt; the reason stands where a reply would."""
    return Disposition(
        delivery_id=delivery.id,
        status=Status.SUPPRESSED,
        attempts=delivery.attempts,
        at=now,
        reply=Reply(stage=Stage.RCPT, code=None, enhanced=None, text=suppress.told_of(block)),
        is_unknown=delivery.is_unknown,
    )


def missed(claim: Claimed, *, now: datetime, category: Category | None = None) -> Disposition:
    """End a delivery without a further attempt because its message's deadline is over; `category`: its site's trouble.

    One that was never tried was kept back by ourselves: a pause, a stop, a hold.
    """
    delivery = claim.delivery
    if delivery.blame is None and category is None:
        delivery = replace(delivery, blame=Blame.US)
    end = expired(delivery, category=category, text=deadlines.text(claim.message), now=now)
    return replace(end, outcome=_too_late(end.outcome) if end.outcome is not None else None)


def _too_late(outcome: Outcome) -> Outcome:
    """Say that the message's own time was over; whose fault that is, is as the last answer was read."""
    return replace(
        outcome,
        reply_class=ReplyClass.SOFT,
        category=Category.EXPIRED,
        rule=deadlines.RULE,
        entry=deadlines.ENTRY,
        suppress=False,
    )


def expired(delivery: Delivery, *, category: Category | None, text: str, now: datetime) -> Disposition:
    """End a delivery whose time ran out while its site was backing off; the site's last reason is its reason."""
    is_sites_reason = category not in (None, Category.EXPIRED)
    outcome = Outcome(
        reply_class=ReplyClass.SOFT,
        category=category or delivery.category or Category.EXPIRED,
        blame=BLAME[category] if category and is_sites_reason else delivery.blame or Blame.THEIR_SERVER,
        rule="retries_used_up",
    )
    if delivery.reply and delivery.category == outcome.category:  # a server's own answer says more than our words
        reply = Reply(stage=Stage.CONNECT, code=delivery.code, enhanced=delivery.enhanced, text=delivery.reply)
    else:
        reply = Reply(stage=Stage.CONNECT, code=None, enhanced="4.4.7", text=text or "the time to try ran out")
    return Disposition(
        delivery_id=delivery.id,
        status=Status.SOFT_BOUNCED,
        attempts=delivery.attempts,
        at=now,
        outcome=outcome,
        reply=reply,
        is_unknown=delivery.is_unknown,
    )
