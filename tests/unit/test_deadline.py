"""deadline.py and what reads it: until when a mail is worth delivering."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import deadline
from relay.deadline import Setting, deadline_of, parse_time
from relay.headers import parse_block
from relay.intake.policy import Policy
from relay.intake.references import Extractor
from relay.intake.submission import Circumstances, Recipient, Transaction, build
from relay.model import Message, MessageId
from relay.settings import App, Config

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SOON, LATER, PAST = NOW + timedelta(hours=5), NOW + timedelta(days=3), NOW - timedelta(hours=1)
HOURS = timedelta(hours=48)

SOON_MAIL = b"Expires: Sun, 22 Nov 2026 17:00:00 +0200\r\n"
PAST_MAIL = b"Expires: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
OWN = b"X-Waybill-Expires: 2026-11-22T15:00:00Z\r\n"
OWN_PAST = b"X-Waybill-Expires: 2026-11-22T09:00:00Z\r\n"


@pytest.mark.parametrize(
    ("fields", "setting", "kind", "event", "want"),
    [
        (b"", None, None, None, None),
        # the event: of a reminder, or when the app says so, and never a past one
        (b"", None, "reminder", SOON, SOON),
        (b"", None, "Reminder", SOON, SOON),
        (b"", None, "confirmation", SOON, None),
        (b"", None, None, SOON, None),
        (b"", None, "reminder", PAST, None),
        (b"", None, "reminder", NOW, None),
        (b"", None, "reminder", None, None),
        (b"", "event", "confirmation", SOON, SOON),
        (b"", "event", None, SOON, SOON),
        (b"", "event", "receipt", PAST, None),
        (b"", "none", "reminder", SOON, None),
        # a span, and the earlier of both
        (b"", HOURS, None, None, NOW + HOURS),
        (b"", HOURS, "confirmation", SOON, NOW + HOURS),
        (b"", HOURS, "reminder", SOON, SOON),
        (b"", HOURS, "reminder", LATER, NOW + HOURS),
        (b"", HOURS, "reminder", PAST, NOW + HOURS),
        # the header speaks for its mail alone
        (SOON_MAIL, None, None, None, SOON),
        (SOON_MAIL, "none", "reminder", LATER, SOON),
        (SOON_MAIL, timedelta(hours=1), "reminder", LATER, SOON),
        (SOON_MAIL.replace(b"Expires", b"Expiry-Date"), None, None, None, SOON),
        (OWN, None, None, None, SOON),
        (b"X-Waybill-Expires: 2026-11-25T10:00Z\r\n" + SOON_MAIL, None, None, None, LATER),
        # a dead Expires is a copy from a web page; our own field means what it says
        (PAST_MAIL, None, None, None, None),
        (PAST_MAIL, HOURS, None, None, NOW + HOURS),
        (b"Expires: 0\r\n", "event", None, SOON, SOON),
        (b"Expires: 0\r\nExpiry-Date: Sun, 22 Nov 2026 15:00:00 GMT\r\n", None, None, None, SOON),
        (OWN_PAST, None, "reminder", SOON, PAST),
        (b"X-Waybill-Expires: tomorrow\r\n", HOURS, None, None, NOW + HOURS),
        (b"X-Waybill-Expires:\r\n", None, "reminder", SOON, SOON),
    ],
)
def test_the_deadline_is_the_headers_or_the_earlier_of_span_and_event(
    fields: bytes, setting: Setting, kind: str | None, event: datetime | None, want: datetime | None
) -> None:
    block = parse_block(fields + b"Subject: x\r\n\r\n")
    assert deadline_of(block, setting=setting, kind=kind, event_until=event, accepted_at=NOW) == want


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("Sun, 22 Nov 2026 15:00:00 +0000", SOON),
        ("22 Nov 2026 15:00 GMT", SOON),
        ("Sun, 22 Nov 2026 15:00:00 -0000", SOON),
        ("2026-11-22T15:00:00+00:00", SOON),
        ("2026-11-22 17:00:00+02:00", SOON),
        ("20261122T150000Z", SOON),
        ("2026-11-22T15:00", SOON),  # without a zone: UTC
        ("2026-11-22", datetime(2026, 11, 23, tzinfo=UTC)),  # a day: to its end
        ("", None),
        ("-1", None),
        ("never", None),
        ("Sun, 99 Nov 2026 15:00:00 +0000", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9" * 10_000, None),
    ],
)
def test_times_are_read_as_mail_and_programs_write_them(text: str, want: datetime | None) -> None:
    assert parse_time(text) == want


def test_the_last_day_of_all_has_no_next() -> None:
    assert parse_time("9999-12-31") == datetime(9999, 12, 31, tzinfo=UTC)


@given(st.text(max_size=60))
def test_any_text_is_a_time_or_none(text: str) -> None:
    at = parse_time(text)
    assert at is None or at.utcoffset() == timedelta(0)


def reservation(start: str) -> bytes:
    node = {"@type": "FoodEstablishmentReservation", "reservationNumber": "BK-1", "startTime": start}
    return f'<script type="application/ld+json">{json.dumps(node)}</script>'.encode()


def accepted(*, html: bytes = b"", fields: bytes = b"", setting: object = None) -> Message:
    app = App.model_validate({"name": "desk", "networks": [ip_network("127.0.0.0/8")], "deadline": setting})
    transaction = Transaction(app=app, mail_from="desk@hotel.example")
    transaction.recipients["ana@guest.example"] = Recipient("ana@guest.example")
    content = b"From: desk@hotel.example\r\nContent-Type: text/html\r\n" + fields + b"\r\n" + html + b"\r\n"
    circumstances = Circumstances(id=MessageId("M1"), at=NOW, hostname="relay.example.com")
    policy = Policy(Config(app=[app]))
    return build(transaction, content, circumstances, policy, lambda _: Extractor()).message


@pytest.mark.parametrize(
    ("fields", "start", "setting", "want"),
    [
        (b"X-Waybill-Tag: reminder\r\n", "2026-11-22T17:00:00+02:00", None, SOON),
        (b"X-PM-Tag: reminder\r\n", "2026-11-22T15:00:00Z", None, SOON),
        (b"X-Waybill-Tag: confirmation\r\n", "2026-11-22T15:00:00Z", None, None),
        (b"X-Waybill-Tag: confirmation\r\n", "2026-11-22T15:00:00Z", "event", SOON),
        (b"X-Waybill-Tag: confirmation\r\n", "2026-11-22T15:00:00Z", "48h", NOW + HOURS),
        (b"X-Waybill-Tag: reminder\r\n", "2026-11-22T15:00:00Z", "none", None),
        (b"X-Waybill-Tag: reminder\r\n", "2026-11-21T15:00:00Z", None, None),
        (b"X-Waybill-Tag: receipt\r\n", "2026-11-21T15:00:00Z", "event", None),
        # a day alone: the reminder of the very day has until its end
        (b"X-Waybill-Tag: reminder\r\n", "2026-11-22", None, datetime(2026, 11, 23, tzinfo=UTC)),
        (b"X-Waybill-Expires: 2026-11-22T15:00Z\r\n", "2026-12-24", None, SOON),
    ],
)
def test_what_is_accepted_bears_its_deadline(fields: bytes, start: str, setting: object, want: datetime | None) -> None:
    assert accepted(html=reservation(start), fields=fields, setting=setting).expires_at == want


@pytest.mark.parametrize(
    ("start", "want"),
    [
        (b"DTSTART;TZID=Europe/Helsinki:20261122T170000", SOON),
        (b"DTSTART;VALUE=DATE:20261122", datetime(2026, 11, 23, tzinfo=UTC)),
    ],
)
def test_a_calendar_gives_the_deadline_too(start: bytes, want: datetime) -> None:
    invite = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + start + b"\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    content = b"Content-Type: text/calendar\r\n\r\n" + invite
    found = Extractor().find(parse_block(content), content)
    assert found.event_until == want
    assert found.event_at is not None


def test_the_fields_for_us_do_not_travel() -> None:
    app = App.model_validate({"name": "desk", "networks": [ip_network("127.0.0.0/8")]})
    transaction = Transaction(app=app, mail_from="desk@hotel.example")
    transaction.recipients["ana@guest.example"] = Recipient("ana@guest.example")
    given = Circumstances(id=MessageId("M1"), at=NOW, hostname="relay.example.com")
    content = b"From: desk@hotel.example\r\n" + OWN + SOON_MAIL + b"\r\nx\r\n"
    sent = build(transaction, content, given, Policy(Config(app=[app])), lambda _: Extractor()).content
    assert b"X-Waybill-Expires" not in sent
    assert SOON_MAIL in sent


@pytest.mark.parametrize("text", ["soon", "0s", "-1h", 48, "Event", ""])
def test_a_setting_that_is_no_deadline_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match='write a duration such as "48h"'):
        App.model_validate({"name": "desk", "networks": ["127.0.0.0/8"], "deadline": text})


@pytest.mark.parametrize(
    ("after", "is_over"), [(timedelta(seconds=-1), False), (timedelta(0), True), (timedelta(days=900), True)]
)
def test_from_the_deadline_on_it_is_over(after: timedelta, is_over: bool) -> None:
    message = accepted(html=reservation("2026-11-22T15:00:00Z"), setting="event")
    assert deadline.is_over(message, SOON + after) is is_over
    assert not deadline.is_over(accepted(), SOON + after)


def test_words_tell_the_appointment_from_any_other_deadline() -> None:
    appointment = accepted(html=reservation("2026-11-22T15:00:00Z"), setting="event")
    assert deadline.text(appointment) == "the appointment was at 2026-11-22 15:00 UTC"
    assert deadline.text(accepted(fields=OWN)) == "it was only wanted until 2026-11-22 15:00 UTC"
