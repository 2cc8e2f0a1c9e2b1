"""relay/resend.py: a resend changes three header fields, a plain resend carries the text part alone."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

from hypothesis import given
from hypothesis import strategies as st

from relay.resend import Freshness, forms_of, full_copy, has_plain_form, is_signed, plain_copy

FRESH = Freshness(
    now=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
    message_id="<new@relay.example>",
    old_address="anna@example.com",
    new_address="anna.berg@example.org",
)

HEADER = (
    b"Received: from app by relay.example; Sat, 28 Feb 2026 10:00:00 +0000\r\n"
    b"From: Hotel <desk@hotel.example>\r\n"
    b"To: Anna Berg <Anna@Example.com>,\r\n"
    b" joanna@example.com, anna@example.com.au\r\n"
    b"Message-Id: <old@hotel.example>\r\n"
    b"Subject: BK-10042\r\n"
    b"Date: Sat, 28 Feb 2026 10:00:00 +0000\r\n"
)
PLAIN = HEADER + b"\r\nDear anna@example.com,\r\n\r\n\xe4iti\r\n"
BOTH = (
    HEADER + b"MIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=out\r\n"
    b"\r\n--out\r\n"
    b"Content-Type: multipart/alternative; boundary=in\r\n"
    b"\r\n--in\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
    b"\r\nHyv\xe4\xe4 matkaa!\r\n"
    b"--in\r\n"
    b"Content-Type: text/html\r\n\r\n<p>Hi</p>\r\n"
    b"--in--\r\n"
    b"--out\r\n"
    b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nnotes\r\n"
    b"--out--\r\n"
)


def test_full_copy_renews_date_and_message_id_and_corrects_the_address() -> None:
    got = full_copy(PLAIN, FRESH)
    want = (
        PLAIN.replace(b"Message-Id: <old@hotel.example>", b"Message-ID: <new@relay.example>")
        .replace(b"\r\nDate: Sat, 28 Feb 2026 10:00:00 +0000", b"\r\nDate: Sun, 01 Mar 2026 09:30:00 +0000")
        .replace(b"<Anna@Example.com>", b"<anna.berg@example.org>")
    )
    assert got == want


def test_full_copy_adds_what_the_mail_lacked() -> None:
    got = full_copy(b"From: a@b.example\r\n\r\nHi\r\n", FRESH)
    assert got == (
        b"From: a@b.example\r\nMessage-ID: <new@relay.example>\r\nDate: Sun, 01 Mar 2026 09:30:00 +0000\r\n\r\nHi\r\n"
    )


def test_full_copy_without_a_new_address_leaves_to_as_it_is() -> None:
    fresh = Freshness(now=FRESH.now, message_id=FRESH.message_id, old_address="anna@example.com")
    assert b"<Anna@Example.com>" in full_copy(PLAIN, fresh)


def test_a_mail_signed_by_its_author_is_not_touched() -> None:
    for field in (
        b"DKIM-Signature: v=1; a=rsa-sha256; d=hotel.example\r\n",
        b"Content-Type: multipart/signed;\r\n boundary=x\r\n",
        b"Content-Type: application/pkcs7-mime\r\n",
    ):
        assert is_signed(field + PLAIN)
        assert full_copy(field + PLAIN, FRESH) == field + PLAIN


def test_plain_copy_carries_the_first_text_part_byte_for_byte() -> None:
    got = plain_copy(b"DKIM-Signature: v=1; d=hotel.example;\r\n b=abc\r\n" + BOTH, FRESH)
    assert got is not None
    header, _, body = got.partition(b"\r\n\r\n")
    assert body == b"Hyv\xe4\xe4 matkaa!\r\n"
    assert b"DKIM" not in header
    assert header.count(b"Content-Type") == 1
    read = message_from_bytes(got, policy=default)
    assert read.get_content() == "Hyvää matkaa!\r\n"
    assert read["Subject"] == "BK-10042"
    assert read["Message-ID"] == "<new@relay.example>"
    assert "anna.berg@example.org" in read["To"]


def test_plain_copy_of_a_mail_without_mime_is_the_mail_itself() -> None:
    got = plain_copy(PLAIN, FRESH)
    assert got is not None
    assert got.partition(b"\r\n\r\n")[2] == PLAIN.partition(b"\r\n\r\n")[2]


def test_a_mail_without_a_text_part_has_no_plain_form() -> None:
    html = HEADER + b"Content-Type: text/html\r\n\r\n<p>Hi</p>\r\n"
    attached = HEADER + b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nnotes\r\n"
    assert not has_plain_form(html)
    assert not has_plain_form(attached)
    assert plain_copy(html, FRESH) is None


def test_parts_nested_beyond_reason_have_no_plain_form() -> None:
    bomb = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(3000))
    assert not has_plain_form(bomb)


@given(st.binary(max_size=300))
def test_no_content_makes_it_fail_and_the_body_stays(body: bytes) -> None:
    content = HEADER + b"\r\n" + body
    assert full_copy(content, FRESH).endswith(b"\r\n\r\n" + body)
    full_copy(body, FRESH)
    plain_copy(body, FRESH)


def test_the_forms_are_those_that_can_be_made() -> None:
    html = HEADER + b"Content-Type: text/html\r\n\r\n<p>x</p>\r\n"
    for content in (PLAIN, BOTH, html):
        assert ("plain" in forms_of(content)) == (plain_copy(content, FRESH) is not None)
        assert "full" in forms_of(content)
    assert forms_of(html) == ("full",)
