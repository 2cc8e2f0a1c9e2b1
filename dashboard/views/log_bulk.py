"""What is done to many mails of the log: sending them again, after a look at what that would do; putting them on the
to-do list.

What is sent again is decided by relay.actions.many; here a person chooses it (ticked rows, or all that fit), reads what
would happen, and for more than a few types how many. The form holds the ids, so that what is sent is what was shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from starlette.responses import Response
from starlette.routing import Route

from dashboard import log_asked, one_mail
from dashboard.access import Role
from dashboard.desk import Desk
from dashboard.guard import at
from dashboard.log_asked import LogAsked
from dashboard.marking import N_
from relay import actions
from relay.actions import Answer, Chosen, Fate, ManyForeseen, Tally, Telling
from relay.model import DeliveryId
from relay.store import log
from relay.store.protocols import Tx
from relay.wording import say

#: From so many on, the number has to be typed.
_UNTYPED = 50

#: So many are made ready at the same time; the store commits them together.
_TOGETHER = 16

_LIMIT = timedelta(seconds=10)


async def preview(desk: Desk) -> Response:
    """Show what sending the ticked mails, or all that fit, again would do."""
    asked = await _asked(desk)
    ids = [DeliveryId(one) for one in await desk.fields("id")]
    if await desk.field("what") == "all":
        query = asked.query(apps=desk.apps, now=desk.now, zone=desk.tongue.zone, limit=actions.MOST_RESENT + 1)
        found = await desk.read(lambda tx: log.page(tx, replace(query, before=None)), limit=_LIMIT)
        if found.is_partial or len(found.rows) > actions.MOST_RESENT:
            return await _page(desk, asked, [], problem=N_("These are too many at once. Narrow the search first."))
        ids = [row.id for row in found.rows]
    return await _page(desk, asked, ids)


async def to_do(desk: Desk) -> Response:
    """Put the ticked mails that did not arrive on the list of what has to be seen to."""
    asked = await _asked(desk)
    ids = list(dict.fromkeys(await desk.fields("id")))[: actions.MOST_RESENT]

    def unit(tx: Tx) -> list[Telling]:
        return [told for one in ids if (told := one_mail.tell(tx, desk, one)) is not None]

    mails = await desk.read(unit)

    def work(tx: Tx) -> Answer:
        if not mails:
            return Answer(key="none_ticked", sentence=say("Nothing is ticked."), is_done=False)
        return actions.add_many_notices(tx, mails, by=desk.person.name, now=desk.now)

    addresses = ", ".join(dict.fromkeys(told.delivery.address for told in mails))
    return await desk.do("to-do_many", work, back=asked.url(), on=asked.text, kind="log", note=addresses)


async def _asked(desk: Desk) -> LogAsked:
    """Read which page of the log the form stood on."""
    return log_asked.read({name: await desk.field(name) for name in ("q", "since", "order")})


async def resend(desk: Desk) -> Response:
    """Send them again."""
    asked = await _asked(desk)
    ids = [DeliveryId(one) for one in (await desk.field("ids")).split()]
    with_delivered = await desk.field("delivered") == "yes"
    foreseen = await _foresee(desk, ids)
    wanted = foreseen.to_send(with_delivered=with_delivered)
    is_repeated = not wanted and ids  # the form came twice: the first time has sent them
    if not is_repeated and len(wanted) > _UNTYPED and await desk.field("number") != str(len(wanted)):
        sentence = N_("Type the number of emails that will be sent again.")
        return await _page(desk, asked, ids, problem=sentence, field="number", with_delivered=with_delivered)
    if not ids:
        return await _page(desk, asked, ids)
    return await desk.do_many(
        "resend_many",
        lambda: _send(desk, wanted, with_delivered=with_delivered),
        back=asked.url(),
        on=asked.text,
        kind="log",
    )


async def _send(desk: Desk, wanted: Sequence[Chosen], *, with_delivered: bool) -> Answer:
    """Queue them, each in a transaction of its own."""
    tally = Tally()
    for start in range(0, len(wanted), _TOGETHER):
        part = wanted[start : start + _TOGETHER]
        for answer in await asyncio.gather(*(_send_one(desk, one, with_delivered) for one in part)):
            tally.add(answer)
    return tally.answer()


async def _send_one(desk: Desk, one: Chosen, with_delivered: bool) -> Answer:
    hostname, by = desk.config.node.hostname, desk.person.name
    plan = await desk.read(lambda tx: actions.plan_resend(tx, one.row.id, by=by, now=desk.now, hostname=hostname))
    if isinstance(plan, Answer):
        return plan
    return await desk.store.write(lambda tx: actions.resend_one_of_many(tx, plan, with_delivered=with_delivered))


async def _foresee(desk: Desk, ids: Sequence[DeliveryId]) -> ManyForeseen:
    def unit(tx: Tx) -> ManyForeseen:
        return actions.foresee_many(tx, ids, now=desk.now, apps=desk.apps)

    return await desk.read(unit)


async def _page(
    desk: Desk,
    asked: LogAsked,
    ids: Sequence[DeliveryId],
    *,
    problem: str = "",
    field: str = "",
    with_delivered: bool = False,
) -> Response:
    foreseen = await _foresee(desk, ids)
    chosen, delivered = foreseen.of(Fate.CHOSEN), foreseen.of(Fate.DELIVERED)
    is_possible = bool(chosen or delivered)
    return await desk.page(
        "log_resend.html",
        status=422 if problem or not ids else 200,
        asked=asked,
        ids=" ".join(one.row.id for one in foreseen.mails),
        foreseen=foreseen,
        fates=Fate,
        chosen=chosen,
        delivered=delivered,
        people=len({one.to.lower() for one in chosen}),
        is_possible=is_possible,
        must_type=len(chosen) + len(delivered) > _UNTYPED,
        problem=problem,
        field=field,
        with_delivered=with_delivered,
    )


ROUTES: list[Route] = [
    at("/log/to-do", to_do, need=Role.SUPPORT, methods=["POST"]),
    at("/log/resend", preview, need=Role.SUPPORT, methods=["POST"]),
    at("/log/resend/go", resend, need=Role.SUPPORT, methods=["POST"]),
]
