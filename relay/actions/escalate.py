"""What is handed on when the desk can do no more: to the recipient's IT, to a colleague, to the customer.

Three texts about one delivery. The *technical report* is for the people who run the recipient's mail server: times in
UTC, our address and name, theirs, TLS, every answer word for word, the ids that stand in both logs; nothing of the
content, no subject, no booking, no name. The *package* is for whoever takes the case over inside the house: the
answer, the booking and its time, the address the mail should have gone to, all that happened, and the technical
report. The *text for the customer* can be sent or read out as it is; nothing internal is in it.

Reads only; English, since the first two are for the trade and the house.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from relay.actions.asking import case_of
from relay.address import address_key
from relay.model import Attempt, DeliveryId, Reply
from relay.store import log, reports
from relay.store.protocols import Tx
from relay.store.reports import ReportRow
from relay.why import Case, answer, customer_text, standing_of, what_it_is


@dataclass(frozen=True, slots=True, kw_only=True)
class Ourselves:
    """How this relay shows itself to other servers."""

    hostname: str
    names: Mapping[str, str]  #: our address -> its EHLO name, where it has one of its own

    def name_at(self, source: str | None) -> str:
        """Give the name we say at one of our addresses."""
        return self.names.get(source or "", "") or self.hostname


@dataclass(frozen=True, slots=True, kw_only=True)
class Papers:
    """The three texts about one delivery."""

    delivery: DeliveryId
    report: str
    package: str
    for_customer: str


def papers(
    tx: Tx, wanted_id: str, *, now: datetime, give_up_after: timedelta, ourselves: Ourselves
) -> tuple[Papers, ...]:
    """Write the texts about a delivery, or about every recipient of a message; none when there is no such id.

    Of a message the resends are left out: they are told of beside what they repeat.
    """
    found = log.find(tx, wanted_id)
    if found is None:
        return ()
    wanted = [found.delivery_id] if found.delivery_id else [one.id for one in found.deliveries if one.resend_of is None]
    made = []
    for delivery_id in wanted:
        case = case_of(tx, delivery_id, now=now, give_up_after=give_up_after)
        assert case is not None  # the row was read in the same snapshot
        made.append(_papers(case, reports.get(tx, delivery_id), ourselves))
    return tuple(made)


def _papers(case: Case, returned: list[ReportRow], ourselves: Ourselves) -> Papers:
    report = technical_report(case, returned, ourselves)
    return Papers(
        delivery=case.delivery.id,
        report=report,
        package=_package(case, report),
        for_customer=customer_text(case, zone=UTC),
    )


def technical_report(case: Case, returned: Iterable[ReportRow], ourselves: Ourselves) -> str:
    """Write what the recipient's IT needs to find the mail in their log."""
    message, delivery = case.message, case.delivery
    lines = [
        f"Delivery report of {ourselves.hostname}; all times are UTC.",
        "",
        *_pairs(
            ("Recipient", delivery.address),
            ("Envelope sender given", message.mail_from or "<> (none)"),
            ("From", message.header_from),
            ("Message-ID", _message_id(case, ourselves)),
            ("Our queue id", f"{delivery.id} (message {message.id})"),
            ("Size", f"{message.size} bytes"),
            ("Given to us", _utc(delivery.created_at)),
            ("Status", delivery.status.value),
            ("Tries", str(len(case.attempts)) if case.attempts else "none"),
        ),
    ]
    for attempt in case.attempts:
        lines += ["", *_attempt(attempt, ourselves)]
    for one in returned:
        lines += ["", *_returned(one)]
    return "\n".join(lines) + "\n"


def _message_id(case: Case, ourselves: Ourselves) -> str:
    # A resend has an id of its own, unless its author signed the mail; both help to find it.
    original = case.message.message_id
    if case.delivery.resend_of is None:
        return original
    return f"<{case.delivery.id}@{ourselves.hostname}>, or of a signed mail {original}"


def _attempt(one: Attempt, ourselves: Ourselves) -> list[str]:
    ours = ourselves.name_at(one.source) + (f" [{one.source}]" if one.source else "")
    theirs = f"{one.mx or 'no server'}{f' [{one.ip}]' if one.ip else ''}"
    return [
        f"Try {one.number}, {_utc(one.started_at)}, {one.took.total_seconds():.2f} s",
        *_pairs(
            ("From us", ours if one.ip else ""),
            ("To", theirs),
            ("TLS", one.tls or one.tls_decision or ("none" if one.ip else "")),
            ("At", one.reply.stage.value),
            ("Answer", _verbatim(one.reply)),
            ("Note", "no final answer came: it may have been taken" if one.is_unknown else ""),
            indent="  ",
        ),
    ]


def _returned(one: ReportRow) -> list[str]:
    return [
        f"Returned to us, {_utc(one.at)}",
        *_pairs(("Kind", one.kind.value), ("Status", one.status or ""), ("Answer", one.reply), indent="  "),
    ]


def _verbatim(reply: Reply) -> str:
    """Every line of the answer, with the codes before each as they came."""
    if reply.code is None:
        return reply.text
    codes = f"{reply.code} {reply.enhanced} " if reply.enhanced else f"{reply.code} "
    return "\n".join(codes + line for line in reply.text.split("\n"))


def _package(case: Case, report: str) -> str:
    message, delivery = case.message, case.delivery
    told = answer(case, zone=UTC)
    meant = delivery.intended or delivery.address
    corrected = case.corrected if case.corrected and address_key(case.corrected) != address_key(meant) else ""
    lines = [
        f"{what_it_is(message)}: {told.title}",
        "",
        *_pairs(
            ("Booking", message.booking or "not known"),
            ("Time of the booking", _utc(message.event_at) if message.event_at else "not known"),
            ("Customer", _customer(case)),
            ("Phone", case.phone or ""),
            ("Should have gone to", meant),
            ("Went to", delivery.address if delivery.intended else ""),
            ("Corrected since to", corrected),
            ("Subject", message.subject),
            ("Came from", f"{message.app}, {_utc(message.accepted_at)}"),
            ("Stands", standing_of(delivery)),
        ),
        "",
        f"What happened: {told.happened}",
        f"Next step: {told.next_step}",
        "",
        "What the log shows (UTC):",
        *(f"  {line}" for line in _time_line(case)),
        "",
        "Technical report",
        "----------------",
        report,
    ]
    return "\n".join(lines)


def _customer(case: Case) -> str:
    return ", ".join(part for part in (case.delivery.name, case.message.customer or "") if part)


def _time_line(case: Case) -> list[str]:
    message, delivery = case.message, case.delivery
    entries = [(message.accepted_at, f"accepted from {message.app} as {message.id}")]
    for one in case.attempts:
        said = " ".join(_verbatim(one.reply).split())
        entries.append((one.started_at, f"try {one.number} at {one.mx or 'no server'}: {said}"))
    entries += [
        (event.at, f"{event.text}{f' (by {event.by})' if event.by else ''}")
        for event in case.events
        if event.delivery_id in (None, delivery.id)
    ]
    if delivery.ended_at is not None:
        entries.append((delivery.ended_at, standing_of(delivery)))
    entries += [(one.created_at, f"sent again to {one.address}: {standing_of(one)}") for one in case.resends]
    return [f"{_utc(at)}  {text}" for at, text in sorted(entries, key=lambda entry: entry[0])]


def _pairs(*pairs: tuple[str, str], indent: str = "") -> list[str]:
    """Name and value, one below the other; what is empty is left out, further lines stand below the first."""
    filled = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in filled), default=0) + 1
    below = "\n" + indent + " " * (width + 1)
    return [f"{indent}{name + ':':<{width}} {below.join(value.split(chr(10)))}" for name, value in filled]


def _utc(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
