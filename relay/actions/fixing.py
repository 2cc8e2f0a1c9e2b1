"""Mend a customer's address in one step: correct it, send again what did not arrive, redirect what is still to come.

Policy. It is one unit of work for `Store.write`: all of it happens or, when the address cannot be corrected or
redirected so, nothing. What is sent again and what is left out is decided by correct.py. One step sends at most AT_ONCE
mails, since their contents are in memory together; the answer says when there are more, and doing it again sends the
next ones and none twice.

`foresee_fix` lists for `Store.read` what the step would do, for the form that asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from relay.actions.answer import Answer, no
from relay.actions.correct import Correction, catch_up, correct, plan_correction
from relay.actions.redirect import redirect
from relay.actions.resend import plan_resend
from relay.store.protocols import Tx
from relay.wording import say

AT_ONCE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """What a person wants done about an address."""

    old: str
    new: str
    resend_since: datetime | None = None  #: send again what did not arrive since then; None: nothing
    redirect_until: datetime | None = None  #: send new mail for the old address to the new one until then; None: do not
    apps: tuple[str, ...] | None = None  #: send again only mail of these apps; None: of all
    note: str = ""


def foresee_fix(tx: Tx, fix: Fix, *, now: datetime) -> Correction | Answer:
    """List what would be sent again; an Answer says why the address cannot be corrected so.

    Raises:
        Refused: one of the two is no address.
    """
    found = plan_correction(tx, fix.old, fix.new, now=now, since=fix.resend_since or now)
    if isinstance(found, Answer) or fix.apps is None:
        return found
    return replace(found, chosen=tuple(row for row in found.chosen if row.app in fix.apps))


def fix_address(tx: Tx, fix: Fix, *, by: str, now: datetime, hostname: str) -> Answer:
    """Correct the address and do what was ticked beside it; `deliveries` are the new ones, `count` how many.

    The key is sent_again, corrected (nothing had to be sent) or sent_some (the sentence says what was not, and why).

    Raises:
        Refused: one of the two is no address.
    """
    found = foresee_fix(tx, fix, now=now)
    if isinstance(found, Answer):
        return found
    redirected = None
    if fix.redirect_until is not None:  # before the rest: it can be refused, and then nothing was done
        redirected = redirect(tx, fix.old, fix.new, by=by, now=now, until=fix.redirect_until, note=fix.note)
        if not redirected.is_done:
            return no(redirected.key, say("Nothing was done: {what}", what=redirected.sentence))
    said = [correct(tx, found, by=by, now=now).sentence]
    sent, refused = _send_again(tx, found, by=by, now=now, hostname=hostname)
    made = tuple(delivery for answer in sent for delivery in answer.deliveries)
    said += [_sent(len(made))] if fix.resend_since is not None else []
    said += [answer.sentence for answer in refused[:3]]
    has_more = len(found.chosen) > AT_ONCE or found.has_more
    said += [say("There are more: do it again for the next ones.")] if has_more else []
    said += [redirected.sentence] if redirected is not None else []
    return Answer(
        key="sent_some" if refused or has_more else "sent_again" if made else "corrected",
        sentence=" ".join(said),
        count=len(made),
        deliveries=made,
    )


def _send_again(
    tx: Tx, found: Correction, *, by: str, now: datetime, hostname: str
) -> tuple[list[Answer], list[Answer]]:
    sent: list[Answer] = []
    refused: list[Answer] = []
    for row in found.chosen[:AT_ONCE]:
        plan = plan_resend(tx, row.id, by=by, now=now, hostname=hostname, to=found.new)
        answer = plan if isinstance(plan, Answer) else catch_up(tx, plan, found, by=by, now=now)
        (sent if answer.is_done else refused).append(answer)
    return sent, refused


def _sent(count: int) -> str:
    if count == 0:
        return say("Nothing had to be sent again.")
    return say("1 email is sent again now.") if count == 1 else say("{count} emails are sent again now.", count=count)
