"""Forget what is older than `[retention]` allows, in small steps between which mail goes first.

The steps and what they spare are relay/store/retention.py's; here is only the going on until nothing is left. A dry
run reads alone and counts what would be forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from relay.settings import Retention
from relay.store import retention
from relay.store.protocols import Store, Tx
from relay.store.retention import Step

#: Between two steps.
_BREATH = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What a round forgot, or would forget."""

    contents: int = 0  #: raw mails forgotten alone; those of forgotten messages are not counted here
    messages: int = 0
    rows: int = 0  #: ended blocks, notices and incidents, refusals, events
    addresses: int = 0


async def prune(
    store: Store, settings: Retention, *, now: datetime, is_dry: bool = False, breath: timedelta = _BREATH
) -> Forgotten:
    """Forget what is old enough; with `is_dry` only count the contents and messages that would be."""

    async def go(unit: Callable[..., Step], after: str | int) -> int:
        count = 0
        place: str | int | None = after
        while place is not None:
            here = partial(unit, after=place)
            step = await (store.read(here) if is_dry else store.write(here))
            count, place = count + step.count, step.after
            if place is not None:
                await asyncio.sleep(breath.total_seconds())
        return count

    contents = messages = rows = addresses = 0
    if not is_dry:
        await go(partial(_forget_sign_ins, now=now), 0)
    if settings.content is not None:
        unit = partial(retention.forget_contents, before=now - settings.content, is_dry=is_dry)
        contents = await go(unit, "")
    if settings.log is not None:
        before = now - settings.log
        messages = await go(partial(retention.forget_messages, before=before, is_dry=is_dry), 0)
        if not is_dry:
            rows = await go(partial(_forget_rows, before=before, now=now), 0)
            addresses = await go(partial(retention.forget_addresses, before=before), "")
    return Forgotten(contents=contents, messages=messages, rows=rows, addresses=addresses)


def _forget_sign_ins(tx: Tx, *, now: datetime, after: int) -> Step:
    return retention.forget_sign_ins(tx, now=now)


def _forget_rows(tx: Tx, *, before: datetime, now: datetime, after: int) -> Step:
    return retention.forget_rows(tx, before=before, now=now)
