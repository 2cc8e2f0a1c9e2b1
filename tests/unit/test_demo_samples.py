"""The sample messages of the demo are real messages, each with what its kind of program writes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from relay.demo.samples import BUSINESSES, Guest, Sample, Written, load, write

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SAMPLES = sorted(load().values(), key=lambda sample: sample.name)
MODERN = [sample for sample in SAMPLES if not sample.is_old]


def written(sample: Sample) -> Written:
    guest = Guest(name="Élodie Mäkelä", addresses=["elodie@guest.example", "maki@guest.example"])
    return write(sample, guest, number=1042, now=NOW)


def parsed(sample: Sample) -> EmailMessage:
    message = message_from_bytes(written(sample).content, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def by_name(sample: Sample) -> str:
    return sample.name


def test_every_language_has_every_kind() -> None:
    kinds = {(sample.language, sample.kind) for sample in SAMPLES}

    assert kinds == {
        (lang, kind) for lang in ("en", "fi", "fr", "nl", "de") for kind in ("confirmation", "reminder", "cancellation")
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=by_name)
def test_sample_is_filled_in_and_fit_for_smtp(sample: Sample) -> None:
    got = written(sample)

    assert b"${" not in got.content
    assert got.content.count(b"\n") == got.content.count(b"\r\n")
    assert max(map(len, got.content.split(b"\r\n"))) < 200
    assert got.mail_from.endswith("@" + sample.business.domain)
    assert got.recipients == ("elodie@guest.example", "maki@guest.example")
    picture = re.escape(sample.business.booking_pattern).replace(r"\#", r"\d")
    assert re.fullmatch(picture, got.booking)


@pytest.mark.parametrize("sample", MODERN, ids=by_name)
def test_modern_sample_parses_without_a_defect_and_names_its_guest(sample: Sample) -> None:
    message = parsed(sample)

    assert [part.defects for part in message.walk() if part.defects] == []
    assert [address.display_name for address in message["To"].addresses] == ["Élodie Mäkelä"] * 2
    assert message["Date"].datetime == NOW
    assert message["Message-ID"].endswith(f"@{sample.business.domain}>")
    text = message.get_body(("plain",))
    assert text is not None
    assert "Élodie Mäkelä" in text.get_content()
    assert "1042" in message.as_string() + str(message["Subject"])


@pytest.mark.parametrize("sample", [s for s in MODERN if "html" in s.parts and s.name != "fi-reminder"], ids=by_name)
def test_html_carries_its_reservation_as_json_ld(sample: Sample) -> None:
    html = parsed(sample).get_body(("html",))
    assert html is not None

    [script] = re.findall(r'<script type="application/ld\+json">(.*?)</script>', html.get_content(), re.DOTALL)

    reservation = json.loads(script)
    assert reservation["reservationNumber"] == written(sample).booking
    assert reservation["underName"]["name"] == "Élodie Mäkelä"
    ending = "Cancelled" if sample.kind == "cancellation" else "Confirmed"
    assert reservation["reservationStatus"] == f"https://schema.org/Reservation{ending}"


@pytest.mark.parametrize("sample", [s for s in MODERN if "ics" in s.parts], ids=by_name)
def test_confirmation_has_a_calendar_entry(sample: Sample) -> None:
    [calendar] = [part for part in parsed(sample).walk() if part.get_content_type() == "text/calendar"]

    text = calendar.get_content()

    assert f"UID:{written(sample).booking}@" in text
    assert "DTSTART:20260314T160000Z" in text
    assert calendar.get_param("method") == "PUBLISH"


def test_own_headers_stand_in_the_reminders() -> None:
    message = parsed(load()["en-reminder"])

    got = {name: message[name] for name in message if name.startswith("X-Waybill-")}

    assert got == {
        "X-Waybill-Booking": "BK-01042",
        "X-Waybill-Customer": "C1042",
        "X-Waybill-Phone": "+44 1632 960 777",
        "X-Waybill-Tag": "reminder",
    }


def test_old_program_writes_latin_1_and_leaves_out_what_it_does_not_know() -> None:
    content = written(load()["fi-old-app"]).content
    head = content.partition(b"\r\n\r\n")[0]

    assert "KÄSITTELIJÄ".encode("latin-1") in content
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    assert [line.partition(b":")[0] for line in head.split(b"\r\n")] == [b"From", b"To", b"Subject"]


@pytest.mark.parametrize("sample", SAMPLES, ids=by_name)
def test_same_arguments_give_the_same_bytes(sample: Sample) -> None:
    assert written(sample) == written(sample)


def test_businesses_can_be_told_apart_by_their_domain() -> None:
    domains = [business.domain for business in BUSINESSES.values()]

    assert len(set(domains)) == len(domains) == 3
