"""Decide what becomes of a delivery after a try: the whole failure policy of the relay, in one place.

In words. 2yz after the content is `delivered`, at a smarthost `sent`. 4yz and silence are `deferred` until the retries
are used up, then `soft_bounced` with the last reason's category. 5yz is final, and its category says which end it is:
no such address `invalid`; no such domain, closed mailbox, moved `hard_bounced`; everything else `soft_bounced`.
Three 5yz are not final: *too many recipients* at RCPT (the rest is sent in a further transaction), a greeting or EHLO
that says 5yz while another host of the site did not (RFC 5321 5.1: a lower preference may know better), and a refused
STARTTLS, which is the TLS policy's business. A smarthost that refuses us before it looks at a recipient leaves the
delivery `rejected`: our settings are wrong and retrying does not mend them.
NXDOMAIN is believed unless the domain took mail lately or many domains vanish at once; then our resolver is suspected.

Times, randomness and the classifier are given; no I/O and no state here. retry.py decides when, suppress.py what it
does to the address, site.py what it does to the site.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from relay.classify.classifier import BLAME
from relay.model import (
    Attempt,
    Blame,
    Category,
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

_STATUS_OF_FINAL: dict[Category, Status] = {
    Category.INVALID_ADDRESS: Status.INVALID,
    Category.INVALID_DOMAIN: Status.HARD_BOUNCED,
    Category.MAILBOX_DISABLED: Status.HARD_BOUNCED,
    Category.MOVED: Status.HARD_BOUNCED,
}

#: Where a smarthost has not looked at any recipient yet: its 5yz is about us.
_BEFORE_RECIPIENTS = frozenset({Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.MAIL})

#: Where a 5yz speaks for one host and not for the site.
_ABOUT_THE_HOST = frozenset({Stage.CONNECT, Stage.EHLO})

#: Reasons for which a whole site is left alone for a while.
_SLOWS_THE_SITE = frozenset({Category.RATE_LIMITED, Category.REPUTATION_BLOCK})

NXDOMAIN_DOUBTED = Outcome(
    reply_class=ReplyClass.DEFERRED,
    category=Category.DNS_FAILURE,
    blame=Blame.THEIR_SERVER,
    rule="nxdomain_doubted",
)

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


def is_too_many_recipients(reply: Reply) -> bool:
    """Tell whether the reply says that this transaction has enough recipients (RFC 5321 4.5.3.1.10)."""
    if reply.stage is not Stage.RCPT or reply.code not in (452, 552):
        return False
    if reply.enhanced is not None and reply.enhanced.endswith(".5.3"):
        return True
    return "too many recipients" in reply.text.lower()


def is_final(reply: Reply) -> bool:
    """Tell whether the reply ends the delivery by itself; which host said it is not looked at here."""
    if reply.code is None or not 500 <= reply.code < 600:
        return False
    return reply.stage is not Stage.STARTTLS and not is_too_many_recipients(reply)


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


def should_believe_nxdomain(*, last_delivered_at: datetime | None, is_epidemic: bool, now: datetime) -> bool:
    """Tell whether a domain that DNS says does not exist is really gone."""
    if is_epidemic:
        return False
    return last_delivered_at is None or now - last_delivered_at > RECENTLY


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
    return _STATUS_OF_FINAL.get(outcome.category, Status.SOFT_BOUNCED)


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
) -> Disposition:
    """Turn the deciding reply of a try into the delivery's next state; `outcome` is None when it is positive."""
    attempts = delivery.attempts + 1
    next_at = None
    if outcome is not None and outcome.category is Category.EXPIRED and delivery.blame is not None:
        outcome = replace(outcome, blame=delivery.blame)  # time is nobody's fault; what used it up is
    if outcome is None:
        status = Status.SENT if is_smarthost else Status.DELIVERED
    elif is_final(reply) and outcome.rule != NXDOMAIN_DOUBTED.rule:
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
        )
        status = Status.SOFT_BOUNCED if next_at is None else Status.DEFERRED
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
    what = "the domain" if block.scope == "domain" else "the address"
    text = f"{what} {block.value} has been blocked since {block.since_at:%Y-%m-%d} ({block.reason})"
    return Disposition(
        delivery_id=delivery.id,
        status=Status.SUPPRESSED,
        attempts=delivery.attempts,
        at=now,
        reply=Reply(stage=Stage.RCPT, code=None, enhanced=None, text=text),
        is_unknown=delivery.is_unknown,
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
