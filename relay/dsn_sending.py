"""Tell senders by mail: look for what is due, write the notifications, put them into our own queue.

A notification is a message of its own: of the app whose mail it is about, from the null sender, kind `dsn`, visible in
the log and followed like any other, but nobody is told what becomes of it, no address is counted or blocked for it, and
it is no part of the statistics. In mode hold it is held, in mode redirect it goes to the one address. Its content is
not kept once it has ended, for it holds what people may have had erased.

The look is a task of the delivery process, once a second: nothing is composed while mail is recorded, and recipients of
one mail that fail together are told of together. What was planned is found again after a crash (relay/store/dsn.py).
RFC 3461, RFC 3464, RFC 5321 4.5.5.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from relay import dsn, dsn_rules
from relay.address import domain_of
from relay.classify.explain import explain_delivery, render
from relay.dsn_rules import Action
from relay.errors import StoreError
from relay.model import APP_HOLD, Delivery, DeliveryId, Message, MessageId, Stage, Submission, new_id
from relay.settings import Config
from relay.status import Status
from relay.store import dsn as due
from relay.store.dsn import Matter, NotSettled, Told
from relay.store.protocols import Store

log = logging.getLogger(__name__)

KIND = "dsn"

_LOOK_SECONDS = 1.0
_MOST = 10  # notifications in one look: each may hold a whole mail in memory
_MOST_LATE = 100
_LATE_EVERY = timedelta(seconds=20)

_BLOCKED = "the address is blocked by the sending system"

#: How the texts of those replies begin or end that we give in a server's name (delivery/opening.py, commands.py).
_OUR_WORDS = re.compile(r"mail loop: |.*\bnot sent\Z", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Teller:
    """What notifications are made with."""

    hostname: str
    delay_after: timedelta
    give_up_after: timedelta
    modes: Mapping[str, str]  #: of apps that are not live

    @classmethod
    def of(cls, config: Config, *, hostname: str) -> Teller:
        """Read it out of the configuration."""
        return cls(
            hostname=hostname,
            delay_after=config.delivery.delay_notice_after,
            give_up_after=config.delivery.give_up_after,
            modes={app.name: app.mode for app in config.app},
        )


class Telling:
    """Looks for what is to be told; one per delivery process."""

    def __init__(self, store: Store, teller: Teller, *, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._teller = teller
        self._clock = clock
        self._late_at: datetime | None = None  #: when what is late was last looked for

    async def run(self) -> None:
        """Go on until cancelled."""
        while True:
            try:
                count = await self.look()
            except StoreError as error:
                log.warning("notifications to senders wait for the store: %s", error)
                count = 0
            if count < _MOST:
                await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> int:
        """Tell what is due; return how many notifications were looked at."""
        now = self._clock()
        matters = await self._store.read(partial(due.waiting, now=now, limit=_MOST))
        if self._late_at is None or now - self._late_at >= min(_LATE_EVERY, self._teller.delay_after / 4):
            self._late_at = now
            before = now - self._teller.delay_after
            matters += await self._store.read(partial(due.late, before=before, now=now, limit=_MOST_LATE))
        for matter in matters:
            await self._tell(matter, now=now)
        return len(matters)

    async def _tell(self, matter: Matter, *, now: datetime) -> None:
        """Write one notification and store it; one that cannot be written never stands in the way of others."""
        try:
            notification = await asyncio.to_thread(submission, matter, self._teller, now=now)
        except Exception:
            log.exception("the notification about %s cannot be written", matter.message.id)
            with contextlib.suppress(NotSettled):
                await self._store.write(lambda tx: due.give_up(tx, matter, now=now))
            return
        try:
            await self._store.write(lambda tx: due.settle(tx, matter, notification, now=now))
        except NotSettled as error:  # another process was quicker, or it ended: the next look sees what is left
            log.debug("delivery %s was told of meanwhile", error)
            return
        log.info(
            "event=dsn id=%s about=%s action=%s recipients=%d",
            notification.message.id,
            matter.message.id,
            matter.action,
            len(matter.told),
        )


def submission(matter: Matter, teller: Teller, *, now: datetime) -> Submission:
    """Make the message that tells of a matter."""
    about, new = matter.message, MessageId(new_id())
    content = dsn.compose(_notification(matter, teller, new=new, now=now))
    message = Message(
        id=new,
        accepted_at=now,
        app=about.app,
        mail_from="",
        header_from=dsn.sender(teller.hostname),
        from_name="Mail delivery",
        subject=dsn.title(matter.action),
        message_id=f"<{new}@{teller.hostname}>",
        size=len(content),
        kind=KIND,
        is_8bit=not content.isascii(),
        is_smtputf8=not dsn.ascii_form(about.mail_from).isascii(),
        store_content="until_ended",
    )
    return Submission(message=message, content=content, deliveries=(_delivery(about, teller, new=new, now=now),))


def _delivery(about: Message, teller: Teller, *, new: MessageId, now: datetime) -> Delivery:
    kind, _, target = teller.modes.get(about.app, "live").partition(":")
    address = target if kind == "redirect" else about.mail_from
    return Delivery(
        id=DeliveryId(new_id()),
        message_id=new,
        address=address,
        domain=domain_of(address),
        status=Status.QUEUED,
        created_at=now,
        intended=about.mail_from if kind == "redirect" else None,
        next_at=now,
        held=APP_HOLD if kind == "hold" else None,
        notify="NEVER",
        dsn=dsn_rules.ITSELF,
    )


def _notification(matter: Matter, teller: Teller, *, new: MessageId, now: datetime) -> dsn.Notification:
    about = matter.message
    return dsn.Notification(
        id=new,
        at=now,
        hostname=teller.hostname,
        to=about.mail_from,
        action=matter.action,
        recipients=tuple(_recipient(matter, told, teller) for told in matter.told),
        arrived_at=about.accepted_at,
        subject=about.subject,
        message_id=about.message_id,
        envid=about.envid,
        is_utf8=about.is_smtputf8,
        is_full_wanted=about.ret == "FULL",
        original=matter.content,
    )


def _recipient(matter: Matter, told: Told, teller: Teller) -> dsn.Recipient:
    delivery, attempt = told.delivery, told.attempt
    is_blocked = delivery.status is Status.SUPPRESSED
    is_theirs = matter.action is Action.DELAYED and not matter.is_still_waiting  # what we heard is of before
    has_answer = delivery.code is not None and not (is_blocked or is_theirs or _is_ours(told))
    return dsn.Recipient(
        address=delivery.address,
        words=_words(matter, told),
        orcpt=delivery.orcpt,
        status="5.7.1" if is_blocked else delivery.enhanced,
        code=delivery.code if has_answer else None,
        reply=_BLOCKED if is_blocked else "" if is_theirs else delivery.reply or "",
        remote=delivery.mx if has_answer else None,
        last_attempt_at=attempt.started_at if attempt is not None else None,
        retry_until=_retry_until(matter.message, delivery, teller) if matter.is_still_waiting else None,
        log_id=delivery.id,
    )


def _is_ours(told: Told) -> bool:
    """Tell whether a reply with a code was given by us, in the name of a server or of DNS."""
    if told.attempt is None:
        return False
    reply = told.attempt.reply
    return reply.stage is Stage.DNS or told.attempt.ip is None or bool(_OUR_WORDS.match(reply.text))


def _retry_until(message: Message, delivery: Delivery, teller: Teller) -> datetime | None:
    """Say until when it is tried; nobody knows while somebody holds it."""
    if delivery.held is not None:
        return None
    end = delivery.created_at + teller.give_up_after
    return min(end, message.expires_at) if message.expires_at is not None else end


def _words(matter: Matter, told: Told) -> tuple[str, ...]:
    """Say what happened and what to do; of success the heading has said enough."""
    if matter.action is Action.DELAYED and not matter.is_still_waiting:
        return ("The recipient's server took it, and has not been able to pass it on yet.",)
    if matter.action is not Action.FAILED and not matter.is_still_waiting:
        return ()
    block = replace(told.block, note="", by="") if told.block else None  # these are for the desk alone
    said = render(explain_delivery(told.delivery, message=matter.message, blocked=block))
    return tuple(sentence for sentence in (said.happened, said.next_step) if sentence)
