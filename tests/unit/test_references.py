"""Booking, customer and kind, from nothing but the mail."""

from __future__ import annotations

import base64
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.headers import parse_block
from relay.intake.references import Extractor, Found, compile_pattern


def _find(mail: bytes, *patterns: str, kinds: dict[str, str] | None = None) -> Found:
    return Extractor(patterns=patterns, kinds=kinds).find(parse_block(mail), mail)


def _seen(found: Found) -> set[tuple[str, str, str]]:
    return {(reference.kind, reference.value, reference.source) for reference in found.references}


@pytest.mark.parametrize(
    ("header", "want"),
    [
        ("X-Waybill-Booking: BK-1", {("booking", "BK-1", "header")}),
        ("x-waybill-customer: C-9", {("customer", "C-9", "header")}),
        ("X-Waybill-Phone: +358 40 123", {("phone", "+358 40 123", "header")}),
        ("X-Waybill-Tag: reminder", {("kind", "reminder", "header")}),
        ("X-Booking-Reference: BK-1", {("booking", "BK-1", "header")}),
        ("X-Customer-Id: 77", {("customer", "77", "header")}),
        ("X-PM-Metadata-booking_id: BK-1", {("booking", "BK-1", "esp_header")}),
        ("X-PM-Tag: confirmation", {("kind", "confirmation", "esp_header")}),
        ('X-Mailgun-Variables: {"booking-reference": "BK-1", "x": [1]}', {("booking", "BK-1", "esp_header")}),
        ('X-MC-Metadata: {"customer": 12}', {("customer", "12", "esp_header")}),
        ("X-MC-Tags: reminder,hotel", {("kind", "reminder", "esp_header")}),
        (
            "X-SES-MESSAGE-TAGS: order=55, category=receipt",
            {("booking", "55", "esp_header"), ("kind", "receipt", "esp_header")},
        ),
        (
            'X-SMTPAPI: {"unique_args": {"reservation": "R1"}, "category": ["reminder"]}',
            {("booking", "R1", "esp_header"), ("kind", "reminder", "esp_header")},
        ),
        ('X-MSYS-API: {"metadata": {"booking": "BK-2"}}', {("booking", "BK-2", "esp_header")}),
        ('X-MJ-EventPayload: {"booking": "BK-3"}', {("booking", "BK-3", "esp_header")}),
        ("X-Metadata-Customer: C1", {("customer", "C1", "esp_header")}),
        ("X-Cuttlefish-Metadata-booking: BK-4", {("booking", "BK-4", "esp_header")}),
        ("X-Postal-Tag: cancellation", {("kind", "cancellation", "esp_header")}),
        ("X-Mailgun-Variables: {broken", set()),
        ("X-Mailgun-Variables: " + "[" * 5000, set()),
        ("X-Waybill-Booking:", set()),
        ("X-Mailer: booking machine", set()),
        ("X-Entity-Ref-ID: 8f4b1c", set()),
    ],
)  # fmt: skip
def test_header_fields_are_understood(header: str, want: set[tuple[str, str, str]]) -> None:
    assert _seen(_find(header.encode() + b"\r\nSubject: x\r\n\r\nbody\r\n")) == want


def test_entity_ref_counts_only_when_it_looks_like_a_booking() -> None:
    mail = b"X-Entity-Ref-ID: BK-12345\r\n\r\nx\r\n"
    assert _find(mail).first("booking") is None
    assert _find(mail, "BK-#####").first("booking") == "BK-12345"


@pytest.mark.parametrize(
    ("picture", "text", "want"),
    [
        ("BK-#####", "Your booking BK-12345.", "BK-12345"),
        ("BK-#####", "bk-12345", "bk-12345"),
        ("BK-#####", "BK-123456", None),
        ("BK-#####", "XBK-12345", None),
        ("RES ######", "RES 123456 is confirmed", "RES 123456"),
        ("@@-*", "order AB-x9Y8", "AB-x9Y8"),
        ("#*", "12ab!", "12ab"),
        ("(#)", "see (7)", "(7)"),
        (r"re:Buchung (?P<booking>\d+) Kunde (?P<customer>\d+)", "Buchung 12 Kunde 34", "12"),
        (r"re:R(\d{4})", "R1234", "1234"),
        (r"re:R\d{4}", "R1234", "R1234"),
    ],
)
def test_pattern_is_found_in_the_subject(picture: str, text: str, want: str | None) -> None:
    assert _find(f"Subject: {text}\r\n\r\nbody\r\n".encode(), picture).first("booking") == want


def test_named_groups_give_more_than_the_booking() -> None:
    found = _find(b"Subject: b12 c34 reminder\r\n\r\n", r"re:b(?P<booking>\d+) c(?P<customer>\d+) (?P<tag>\w+)")
    assert (found.first("booking"), found.first("customer"), found.kind) == ("12", "34", "reminder")


@pytest.mark.parametrize(
    ("mail", "where"),
    [
        pytest.param(b"Subject: x\r\n\r\nYour number is BK-00007\r\n", "text", id="plain"),
        pytest.param(
            b"Content-Type: text/html\r\n\r\n<p>Your number is <b>BK-</b></p><b>BK-00007</b>\r\n", "text", id="html"
        ),
        pytest.param(
            b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.b64encode(b"<b>BK-00007</b>")
            + b"\r\n",
            "text",
            id="packed html",
        ),
        pytest.param(
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\nBK=2D000=\r\n07\r\n", "text", id="quoted printable"
        ),
        pytest.param(
            b'Content-Type: text/html\r\n\r\n<a href="https://h.example/?b=BK%2D00007">open</a>\r\n', "link", id="link"
        ),
    ],
)
def test_pattern_is_found_in_text_and_links(mail: bytes, where: str) -> None:
    found = _find(mail, "BK-#####")
    assert found.first("booking") == "BK-00007"
    assert found.references[0].rule == f"BK-##### in {where}"


def test_subject_is_trusted_before_the_text() -> None:
    found = _find(b"Subject: BK-00001\r\n\r\nsee also BK-00002\r\n", "BK-#####")
    assert [reference.value for reference in found.references] == ["BK-00001"]


def test_header_is_trusted_before_the_pattern_and_both_are_kept() -> None:
    found = _find(b"X-Waybill-Booking: A1\r\nSubject: BK-00001\r\n\r\n", "BK-#####")
    assert found.first("booking") == "A1"
    assert [reference.value for reference in found.references] == ["A1", "BK-00001"]


RESERVATION = {
    "@context": "http://schema.org",
    "@type": "FoodEstablishmentReservation",
    "reservationNumber": "OT-77",
    "underName": {"@type": "Person", "name": "Sari Virtanen"},
    "startTime": "2026-11-21T19:00:00+02:00",
}


@pytest.mark.parametrize("shape", [lambda r: r, lambda r: [r], lambda r: {"@graph": [r]}])
def test_json_ld_gives_booking_name_and_start(shape: Any) -> None:
    html = f'<script type="application/ld+json">{json.dumps(shape(RESERVATION))}</script>'
    found = _find(f"Content-Type: text/html\r\n\r\n{html}\r\n".encode())
    assert (found.first("booking"), found.first("name")) == ("OT-77", "Sari Virtanen")
    assert found.event_at == datetime(2026, 11, 21, 17, 0, tzinfo=UTC)


def test_event_start_may_stand_in_what_is_reserved() -> None:
    data = {"reservationNumber": "E1", "reservationFor": {"startDate": "2026-12-01"}}
    html = f'<script type="application/ld+json">{json.dumps(data)}</script>'
    assert _find(f"Content-Type: text/html\r\n\r\n{html}\r\n".encode()).event_at == datetime(2026, 12, 1, tzinfo=UTC)


def test_microdata_is_read() -> None:
    html = (
        b'<div itemscope itemtype="http://schema.org/LodgingReservation">'
        b'<meta itemprop="reservationNumber" content="H&amp;1"/>'
        b'<div itemprop="underName" itemscope><span itemprop="name">Jean Dubois</span></div>'
        b'<time itemprop="checkinDate" datetime="2026-12-24T15:00:00Z">24 Dec</time></div>'
    )
    found = _find(b"Content-Type: text/html\r\n\r\n" + html + b"\r\n")
    assert (found.first("booking"), found.first("name")) == ("H&1", "Jean Dubois")
    assert found.event_at == datetime(2026, 12, 24, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "want"),
    [
        ("DTSTART:20261121T170000Z", datetime(2026, 11, 21, 17, 0, tzinfo=UTC)),
        ("DTSTART;TZID=Europe/Helsinki:20261121T190000", datetime(2026, 11, 21, 17, 0, tzinfo=UTC)),
        ("DTSTART;VALUE=DATE:20261121", datetime(2026, 11, 21, tzinfo=UTC)),
        ("DTSTART;TZID=../../etc/passwd:20261121T190000", None),
        ("DTSTART:20269999T170000Z", None),
    ],
)
def test_calendar_gives_start_and_uid(start: str, want: datetime | None) -> None:
    calendar = (
        f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:ev-1@hotel.example\r\n{start}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    mail = (
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\ntext\r\n'
        f"--b\r\nContent-Type: text/calendar; charset=utf-8\r\n\r\n{calendar}--b--\r\n"
    )
    found = _find(mail.encode())
    assert found.event_at == want
    assert found.first("thread") == "ev-1@hotel.example"
    assert found.first("booking") is None


def test_kind_comes_from_the_subject_when_no_header_says_it() -> None:
    kinds = {"Muistutus": "reminder", "Vahvistus": "confirmation"}
    mail = b"Subject: =?utf-8?Q?MUISTUTUS=3A_p=C3=B6yt=C3=A4?=\r\n\r\n"
    assert _find(mail, kinds=kinds).kind == "reminder"
    assert _find(b"X-Waybill-Tag: notice\r\n" + mail, kinds=kinds).kind == "notice"
    assert _find(b"Subject: hello\r\n\r\n", kinds=kinds).kind is None


def test_thread_ids_are_kept_for_the_store() -> None:
    found = _find(b"In-Reply-To: <a@b>\r\nReferences: <c@d>\r\n <a@b>\r\n\r\n")
    assert [(r.kind, r.value, r.source) for r in found.references] == [
        ("thread", "<a@b>", "thread"),
        ("thread", "<c@d>", "thread"),
    ]


def test_values_are_clean_and_bounded() -> None:
    found = _find(b"X-Waybill-Booking: <script>\x1b[31m\x00" + b"x" * 5000 + b"\r\n\r\n")
    value = found.first("booking") or ""
    assert len(value) == 200
    assert "\x1b" not in value


def test_nothing_to_find_gives_nothing() -> None:
    assert _find(b"Subject: hello\r\n\r\nworld\r\n").references == ()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/plain", "Your booking BK-12345 is confirmed.\r\n"),
        ("text/html", "<p>Your booking <b>BK-12345</b>\r\n"),
        ("text/html", '<a href="https://example.com/?b=BK%2D12345">see</a>\r\n'),
        ("text/html", '<b itemscope><i itemprop="reservationNumber">R-77</i></b>\r\n'),
        ("text/html", '<script type="application/ld+json">{"reservationNumber": "R-77"}</script>\r\n'),
        ("text/calendar", "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:u1@example.com\r\nDTSTART:20260301T120000Z\r\n"),
        ("text/plain", "Nothing here.\r\n"),
    ],
)
@pytest.mark.parametrize("encoding", ["7bit", "base64"])
def test_beside_a_large_attachment_the_same_is_found(kind: str, text: str, encoding: str) -> None:
    body = text.encode() if encoding == "7bit" else base64.encodebytes(text.encode()).replace(b"\n", b"\r\n")

    def mail(attached: bytes) -> bytes:
        return (
            b"Subject: hello\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\n--xx\r\n"
            + f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
            + body
            + b"\r\n--xx\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + attached
            + b"--xx--\r\n"
        )

    small, large = _find(mail(b"QUJD\r\n"), "BK-#####"), _find(mail((b"QUJD" * 18 + b"\r\n") * 2000), "BK-#####")
    assert large == small
    assert bool(small.references) == ("Nothing" not in text)


def test_broken_expression_is_told_at_once() -> None:
    with pytest.raises(re.error):
        compile_pattern("re:(")


HOSTILE = [
    b"Content-Type: text/html\r\n\r\nschema.org " + b"<" * 1_000_000,
    b"Content-Type: text/html\r\n\r\nschema.org " + b'<a itemprop="name" ' * 60_000,
    b"Content-Type: text/html\r\n\r\n<a " + b"itemprop=name " * 70_000,
    b"Content-Type: text/html\r\n\r\n<a " + b"itemprop=name " * 9_000 + b">" + b"<a " + b"itemprop " * 9_000,
    b"Content-Type: text/html\r\n\r\nschema.org " + b"href=" * 200_000,
    b"Content-Type: text/html\r\n\r\n" + b'<script type="application/ld+json">' * 30_000,
    b'Content-Type: text/html\r\n\r\n<script type="application/ld+json">' + b"[" * 100_000 + b"</script>",
    b"Content-Type: text/calendar\r\n\r\n" + b"UID" * 300_000,
    b"Content-Type: text/calendar\r\n\r\n" + b"DTSTART;" * 120_000,
    b"Subject: x\r\n\r\n" + b"BK-0000 " * 130_000,
    b"Subject: x\r\n\r\n" + b"a" * 1_000_000,
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\nschema.org' + b"\r\n--b\r\n" * 150_000,
]


@pytest.mark.parametrize("mail", HOSTILE)
def test_hostile_content_takes_bounded_time(mail: bytes) -> None:
    extractor = Extractor(patterns=("BK-#####", "**-**-##"), kinds={"x": "y"})
    block = parse_block(mail)
    start = time.process_time()
    extractor.find(block, mail)
    assert time.process_time() - start < 0.5


@given(st.binary(max_size=400))
def test_any_content_is_survived(raw: bytes) -> None:
    mail = b"Content-Type: text/html\r\n\r\nschema.org BEGIN:VCALENDAR <script ld+json>" + raw
    for reference in _find(mail, "BK-#").references:
        reference.value.encode("utf-8")
