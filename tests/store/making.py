"""Short ways to say what a test of the store is about; Alice writes, guests receive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from relay.model import (
    Attempt,
    Blame,
    Category,
    Claimed,
    Delivery,
    DeliveryId,
    Disposition,
    Message,
    MessageId,
    Outcome,
    Reference,
    Reply,
    ReplyClass,
    Stage,
    Submission,
    new_id,
)
from relay.status import OPEN, Status
from relay.store import spool
from relay.store.protocols import Store

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def submission(
    *recipients: str,
    at: datetime = NOW,
    app: str = "hotel",
    subject: str = "Your booking",
    message_id: str = "",
    booking: str | None = None,
    customer: str | None = None,
    phone: str | None = None,
    name: str = "",
    content: bytes = b"Subject: Your booking\r\n\r\nSee you.\r\n",
    store_content: str = "all",
    references: tuple[Reference, ...] = (),
    held: str | None = None,
) -> Submission:
    """A submission of one app for some recipients (guest@example.com when none is named)."""
    identity = MessageId(new_id())
    message = Message(
        id=identity,
        accepted_at=at,
        app=app,
        mail_from="alice@hotel.example",
        header_from="alice@hotel.example",
        from_name="Alice",
        subject=subject,
        message_id=message_id,
        size=len(content),
        booking=booking,
        customer=customer,
        phone=phone,
        store_content=store_content,
    )
    deliveries = tuple(
        Delivery(
            id=DeliveryId(new_id()),
            message_id=identity,
            address=address,
            domain=address.rpartition("@")[2].lower(),
            status=Status.QUEUED,
            created_at=at,
            name=name,
            held=held,
        )
        for address in recipients or ("guest@example.com",)
    )
    found = references or ((Reference(kind="booking", value=booking, source="header"),) if booking else ())
    return Submission(message=message, content=content, deliveries=deliveries, references=found)


def accept(store: Store, *recipients: str, **kwargs: object) -> Submission:
    """Store a submission and give it back."""
    made = submission(*recipients, **kwargs)  # type: ignore[arg-type]
    store.write_now(lambda tx: spool.accept(tx, made))
    return made


def claim(
    store: Store, *, owner: str = "one", now: datetime = NOW, limit: int = 100, fresh: bool = True
) -> list[Claimed]:
    """Claim what is due."""
    return store.write_now(lambda tx: spool.claim(tx, owner=owner, now=now, lease=5 * MINUTE, limit=limit, fresh=fresh))


def reply(code: int | None = 250, text: str = "2.0.0 ok", *, enhanced: str | None = None) -> Reply:
    """What a server said at the end of the content."""
    return Reply(stage=Stage.DATA, code=code, enhanced=enhanced, text=text, host="mx.example.com")


def outcome(
    category: Category = Category.INVALID_ADDRESS,
    *,
    blame: Blame = Blame.RECIPIENT,
    reply_class: ReplyClass = ReplyClass.HARD,
    suppress: bool = False,
) -> Outcome:
    """A reading of a refusal."""
    return Outcome(reply_class=reply_class, category=category, blame=blame, rule="test", suppress=suppress)


def disposition(
    delivery: DeliveryId,
    status: Status = Status.DELIVERED,
    *,
    at: datetime = NOW,
    attempts: int = 1,
    said: Reply | None = None,
    reading: Outcome | None = None,
    next_at: datetime | None = None,
) -> Disposition:
    """The result of one attempt."""
    said = said or reply()
    tried = Attempt(
        delivery_id=delivery,
        number=attempts,
        started_at=at,
        took=timedelta(milliseconds=1500),
        reply=said,
        mx="mx.example.com",
        ip="192.0.2.1",
        tls="TLSv1.3",
        outcome=reading,
        timings={"mail": 0.1},
    )
    return Disposition(
        delivery_id=delivery,
        status=status,
        attempts=attempts,
        at=at,
        attempt_rows=(tried,),
        outcome=reading,
        reply=said,
        mx="mx.example.com",
        next_at=next_at or (at + MINUTE if status in OPEN else None),
    )
