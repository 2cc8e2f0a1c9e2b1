"""Judge a finished transaction: an end or a retry for each recipient, and what it says about the site.

This is where results (what hosts said) become attempt rows and dispositions (what is stored); the policy itself is
fate.py. One row for each host tried and recipient, all of one number. The conversation is kept for answers that are
not 2xx, or for all when the configuration says so. No I/O; the clock and the classifier are given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from relay.delivery import fate
from relay.delivery.contract import HostResult, Route
from relay.delivery.return_path import ReturnPath, as_given
from relay.delivery.transaction import NO_RECIPIENT, Transaction
from relay.model import Attempt, Category, Claimed, Delivery, DeliveryId, Disposition, Outcome, Reply, Stage

_UNREACHED = frozenset({Stage.CONNECT, Stage.EHLO})

#: How replies were read, by reply and whether the sender wrote to himself.
Outcomes = dict[tuple[Reply, bool], Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a site is to be left alone for a while."""

    category: Category
    reply: str


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What a transaction came to."""

    decided: list[tuple[Claimed, Disposition]] = field(default_factory=list)
    rest: list[Claimed] = field(default_factory=list)  #: not taken for their number only: send them at once
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """The judging of transactions with what it depends on."""

    classify: fate.Classify
    plan: fate.RetryPlan
    clock: Callable[[], datetime]
    records_all: bool = False  #: keep the conversation of every attempt
    return_path: ReturnPath = as_given

    def judge(self, transaction: Transaction) -> Verdict:
        """Decide for every recipient of a transaction that some host answered, or none did."""
        now = self.clock()
        verdict = Verdict()
        outcomes: Outcomes = {}  # replies to several recipients are often one and the same
        is_any_taken = False
        troubles: list[Trouble] = []
        splits = self._splits(transaction)
        for claim in transaction.claims:
            if claim.delivery.id in splits:
                verdict.rest.append(claim)
                continue
            disposition = self._decide(transaction, claim, outcomes, now=now)
            verdict.decided.append((claim, disposition))
            reply, outcome = disposition.reply, disposition.outcome
            if outcome is None:
                is_any_taken = True
            elif reply is not None and fate.slows_site(reply, outcome):
                troubles.append(Trouble(category=outcome.category, reply=reply.text))
        if not is_any_taken and not verdict.rest:
            verdict.trouble = _unreached(transaction, verdict) or (troubles[-1] if troubles else None)
        return verdict

    def judge_no_route(self, claim: Claimed, route: Route, *, doubt: Outcome | None = None) -> Disposition:
        """Decide for a delivery whose domain has no host to go to; `doubt` is why an NXDOMAIN is not believed."""
        reply = route.failure
        if reply is None:
            raise ValueError(f"the route of {claim.delivery.domain} has neither hosts nor a failure")
        now = self.clock()
        outcome = doubt if doubt is not None else self._outcome(reply, claim, {})
        row = Attempt(
            delivery_id=claim.delivery.id,
            number=claim.delivery.attempts + 1,
            started_at=now - route.took,
            took=route.took,
            reply=reply,
            outcome=outcome,
            timings={"dns": route.took.total_seconds()},
        )
        return fate.decide(
            claim.delivery,
            reply,
            outcome=outcome,
            rows=(row,),
            plan=self.plan,
            now=now,
            deadline=claim.message.expires_at,
        )

    def judge_error(self, claim: Claimed, error: BaseException) -> Disposition:
        """Decide for a delivery whose attempt failed inside the relay itself."""
        now = self.clock()
        reply = Reply(
            stage=Stage.CONNECT,
            code=None,
            enhanced="4.3.0",
            text=f"the relay itself failed ({type(error).__name__}); the server was not to blame",
        )
        row = Attempt(
            delivery_id=claim.delivery.id,
            number=claim.delivery.attempts + 1,
            started_at=now,
            took=timedelta(0),
            reply=reply,
            outcome=fate.INTERNAL_ERROR,
        )
        return fate.decide(
            claim.delivery,
            reply,
            outcome=fate.INTERNAL_ERROR,
            rows=(row,),
            plan=self.plan,
            now=now,
            deadline=claim.message.expires_at,
        )

    def _splits(self, transaction: Transaction) -> set[DeliveryId]:
        """Name the recipients refused for their number while others went through, so that a rest can be sent."""
        last = transaction.results[-1].replies
        refused = {key for key, reply in last.items() if fate.is_too_many_recipients(reply)}
        return refused if len(refused) < len(last) else set[DeliveryId]()

    def _decide(self, transaction: Transaction, claim: Claimed, outcomes: Outcomes, *, now: datetime) -> Disposition:
        delivery = claim.delivery
        replies = []
        rows = []
        is_unknown = False
        for result in transaction.results:
            reply = result.replies.get(delivery.id) or result.replies.get(NO_RECIPIENT)
            if reply is None:
                continue
            replies.append(reply)
            rows.append(self._row(delivery, result, reply, self._outcome(reply, claim, outcomes), transaction.route))
            is_unknown = is_unknown or (result.is_unknown and reply.code is None)
        reply = fate.deciding_reply(replies)
        decided = fate.decide(
            delivery,
            reply,
            outcome=self._outcome(reply, claim, outcomes),
            rows=tuple(rows),
            plan=self.plan,
            now=now,
            mx=reply.host or transaction.results[-1].host.name,
            is_smarthost=transaction.route.is_smarthost,
            is_unknown=is_unknown,
            deadline=claim.message.expires_at,
        )
        return replace(decided, is_dsn_passed_on=transaction.results[-1].is_dsn_passed_on)

    def _row(
        self, delivery: Delivery, result: HostResult, reply: Reply, outcome: Outcome | None, route: Route
    ) -> Attempt:
        return Attempt(
            delivery_id=delivery.id,
            number=delivery.attempts + 1,
            started_at=result.started_at,
            took=result.took,
            reply=reply,
            mx=result.host.name,
            ip=result.host.ip,
            source=result.source,
            tls=result.tls,
            tls_decision=result.tls_decision,
            outcome=outcome,
            timings={"dns": route.took.total_seconds(), **result.timings},
            conversation=(result.conversation or None) if outcome is not None or self.records_all else None,
            is_unknown=result.is_unknown and reply.code is None,
            reused=result.is_reused,
        )

    def _outcome(self, reply: Reply, claim: Claimed, outcomes: Outcomes) -> Outcome | None:
        if reply.is_positive:
            return None
        sender, recipient = self.return_path(claim), claim.delivery.address
        key = (reply, sender.lower() == recipient.lower())  # all that the recipient changes in the reading
        outcome = outcomes.get(key)
        if outcome is None:
            outcome = outcomes[key] = self.classify(reply, sender=sender, recipient=recipient)
        return outcome


def _unreached(transaction: Transaction, verdict: Verdict) -> Trouble | None:
    """Tell whether every host failed at connect, greeting or EHLO, and at least one of them was asked at all."""
    tried = transaction.results[transaction.earlier :]
    if not all(result.is_host_failure for result in tried) or not any(result.was_asked for result in tried):
        return None
    replies = [reply for result in tried for reply in result.replies.values()]
    if not replies or any(reply.stage not in _UNREACHED for reply in replies):
        return None
    rows = verdict.decided[-1][1].attempt_rows if verdict.decided else ()
    outcome = next((row.outcome for row in rows if row.reply is replies[-1]), None)
    return Trouble(category=outcome.category if outcome else Category.NETWORK, reply=replies[-1].text)
