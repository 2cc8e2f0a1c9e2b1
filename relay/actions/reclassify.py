"""Replay today's rules over history: what would be read differently, and what that means for blocks and counters.

Three steps, so that a large store is never locked for long: `changed_readings` reads and classifies page by page;
`foresee` says for one address what follows and changes nothing; `reclassify` does it, a few addresses in one
transaction, with one event for each. What changed meanwhile is left alone, and a second run changes nothing. What is
still being tried is not touched: its next answer is read by today's rules anyway.

An open notice all of whose failures have another cause now ends, and that cause's notice takes its place, if the desk
can do anything about it. Incidents are not made after the fact: they stop what is going on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from relay.model import Event, Suppression
from relay.notices import State, cause_of
from relay.reclassify import AddressEffect, Change, decide, read_again
from relay.settings import Suppressions
from relay.status import FAILED
from relay.store import counters, events, failures, notices, suppressions
from relay.store.protocols import Tx
from relay.wording import say

__all__ = ["Change", "Place", "Readings", "Reclassified", "changed_readings", "foresee", "reclassify"]

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How far a replay has read."""

    status: int = 0  #: which of failures.STATUSES
    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """One page of a replay."""

    changes: tuple[Change, ...]
    seen: int
    passed_over: int  #: of those seen, how many have no answer to read
    next: Place | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reclassified:
    """What was done, or would be, for one address."""

    address: str
    changes: tuple[Change, ...]
    effect: AddressEffect
    count_before: int
    count_after: int


def changed_readings(tx: Tx, *, place: Place, since: datetime | None = None, limit: int = 500) -> Readings:
    """Read the next page of ended failures by today's rules."""
    page = failures.page(tx, failures.STATUSES[place.status], since=since or _EVER, after=place.after, limit=limit)
    changes = tuple(change for one in page.failures if (change := read_again(one)) is not None)
    following: Place | None = replace(place, after=page.after) if page.after is not None else None
    if following is None and place.status + 1 < len(failures.STATUSES):
        following = Place(status=place.status + 1)
    return Readings(
        changes=changes,
        seen=len(page.failures) + page.passed_over,
        passed_over=page.passed_over,
        next=following,
    )


def foresee(
    tx: Tx, address_key: str, changes: Iterable[Change], *, now: datetime, settings: Suppressions
) -> Reclassified:
    """Say what the new readings mean for one address."""
    in_order = tuple(sorted(changes, key=lambda one: one.past.seq))
    case = failures.case_of(tx, address_key, in_order, now=now)
    effect = decide(case, settings=settings)
    return Reclassified(
        address=address_key,
        changes=in_order,
        effect=effect,
        count_before=case.error_count,
        count_after=case.error_count + effect.by,
    )


def reclassify(
    tx: Tx, changes: Mapping[str, Iterable[Change]], *, by: str, now: datetime, settings: Suppressions
) -> list[Reclassified]:
    """Write the new readings of some addresses, with what follows from them."""
    done = []
    for address_key, wanted in changes.items():
        written = [change for change in wanted if failures.update(tx, change)]
        if not written:
            continue
        result = foresee(tx, address_key, written, now=now, settings=settings)
        _apply(tx, result, by=by, now=now)
        done.append(result)
    return done


def _apply(tx: Tx, result: Reclassified, *, by: str, now: datetime) -> None:
    effect, key = result.effect, result.address
    if effect.by:
        counters.recount(tx, key, by=effect.by)
    for change in result.changes:
        counters.correct_last_error(tx, key, delivery_id=change.past.id, category=change.outcome.category)
    if effect.lifts:
        for one in suppressions.active_on(tx, key, scope="address", now=now):
            if one.source == "automatic":
                suppressions.lift(tx, one.id, now=now, by=by, note=say("today's rules would not have blocked it"))
    if effect.block_reason is not None and effect.cause is not None:
        suppressions.block(tx, _block(effect.block_reason, effect.cause, now=now))
    _put_notices_right(tx, result, now=now)
    only = result.changes[0].past if len(result.changes) == 1 else None
    events.add(
        tx,
        Event(
            at=now,
            kind="reclassify",
            text=_text(result),
            message_id=only.message_id if only else None,
            delivery_id=only.id if only else None,
            address=key,
            by=by,
        ),
    )


def _put_notices_right(tx: Tx, result: Reclassified, *, now: datetime) -> None:
    """Let open notices say the causes that their failures have now."""
    causes = {one.past.id: cause_of(one.status, outcome=one.outcome, reply=one.past.reply) for one in result.changes}
    for notice in notices.search(tx, address=result.address):
        failed = {mail.id for mail in notices.mails_of(tx, notice) if mail.status in FAILED}
        if not failed or not failed <= causes.keys() or {causes[each] for each in failed} == {notice.cause}:
            continue
        notices.close(tx, notice.id, state=State.RESOLVED, at=now, by="", note=say("read again by today's rules"))
        for change in result.changes:
            cause = causes[change.past.id]
            if change.past.id in failed and cause is not None:
                notices.raise_notice(
                    tx,
                    result.address,
                    cause=cause,
                    shown=notice.shown,
                    delivery_id=change.past.id,
                    app=notice.app,
                    at=change.past.ended_at,
                )


def _block(reason: str, cause: Change, *, now: datetime) -> Suppression:
    return Suppression(
        id=0,
        scope="address",
        value=cause.past.address_key,
        reason=reason,
        since_at=now,
        category=cause.outcome.category,
        delivery_id=cause.past.id,
        reply=cause.past.reply.text,
        rule=cause.outcome.rule,
    )


def _text(result: Reclassified) -> str:
    first, count = result.changes[0], len(result.changes)
    what = (
        f"{first.past.outcome.category} → {first.outcome.category}"
        if count == 1
        else say("{count} deliveries", count=count)
    )
    parts = [say("Read again by today's rules: {what}", what=what)]
    if result.effect.by:
        parts.append(say("error counter {before} → {after}", before=result.count_before, after=result.count_after))
    if result.effect.lifts:
        parts.append(say("unblocked"))
    if result.effect.block_reason:
        parts.append(say("blocked ({reason})", reason=result.effect.block_reason))
    return "; ".join(parts)
