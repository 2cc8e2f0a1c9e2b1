"""The one normalisation: what is mended, what it is called, and that everything else stays byte for byte."""

from __future__ import annotations

import base64
import binascii
import contextlib
import email
import email.policy
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.errors import Refused
from relay.headers import clean, decode_value
from relay.intake.long_lines import has_long_line, wrap
from relay.intake.repair import Origin, encode_words, repair

ORIGIN = Origin(
    message_id="01KTEST",
    hostname="relay.test",
    at=datetime(2026, 3, 1, 8, 0, tzinfo=UTC),
    protocol="ESMTP",
    mail_from="desk@hotel.example",
)
RECEIVED = b"Received: by relay.test with ESMTP id 01KTEST;\r\n\tSun, 1 Mar 2026 08:00:00 +0000\r\n"
WHOLE = (
    b"From: Desk <desk@hotel.example>\r\nTo: guest@example.com\r\nSubject: x\r\n"
    b"Date: Sun, 1 Mar 2026 07:59:00 +0000\r\nMessage-ID: <a@hotel.example>\r\n"
)


def _origin(**changes: object) -> Origin:
    values = {name: getattr(ORIGIN, name) for name in ORIGIN.__slots__}
    return Origin(**{**values, **changes})


def test_whole_mail_is_kept_byte_for_byte_behind_our_received_line() -> None:
    mail = WHOLE + b"\r\n.body\r\n \t\r\n\xff\xfe ..\r\n".replace(b"\xff\xfe", b"")
    repaired = repair(mail, ORIGIN)
    assert repaired.content == RECEIVED + mail
    assert repaired.repairs == ()


@pytest.mark.parametrize(
    ("mail", "repairs", "want"),
    [
        pytest.param(
            WHOLE.replace(b"\r\n", b"\n") + b"\none\ntwo\n",
            ("bare_lf",),
            WHOLE + b"\r\none\r\ntwo\r\n",
            id="bare LF",
        ),
        pytest.param(WHOLE + b"\r\na\rb\r\n", ("bare_cr",), WHOLE + b"\r\na b\r\n", id="bare CR"),
        pytest.param(
            WHOLE.replace(b"\r\n", b"\r\r\n") + b"\r\r\nx\r\r\n", ("bare_cr",), WHOLE + b"\r\nx\r\n", id="CR CR LF"
        ),
        pytest.param(
            b"From me Mon Jan 1\r\n" + WHOLE + b"\r\nx\r\n", ("mbox_line_removed",), WHOLE + b"\r\nx\r\n", id="mbox"
        ),
        pytest.param(b"\r\n" + WHOLE + b"\r\nx\r\n", ("blank_line_removed",), WHOLE + b"\r\nx\r\n", id="blank first"),
        pytest.param(WHOLE + b"text\r\n", ("blank_line_added",), WHOLE + b"\r\ntext\r\n", id="no blank line"),
        pytest.param(WHOLE, (), WHOLE + b"\r\n", id="header only"),
        pytest.param(
            WHOLE + b"Bcc: a@b.c,\r\n d@e.f\r\nResent-Bcc: x@y.z\r\n\r\nx\r\n",
            ("bcc_removed",),
            WHOLE + b"\r\nx\r\n",
            id="Bcc",
        ),
        pytest.param(
            b"X-Waybill-Booking: 1\r\n" + WHOLE + b"\r\nx\r\n",
            ("private_headers_removed",),
            WHOLE + b"\r\nx\r\n",
            id="private headers",
        ),
        pytest.param(
            b"just text\r\n",
            ("header_added", "date_added", "message_id_added", "from_added"),
            b"Date: Sun, 1 Mar 2026 08:00:00 +0000\r\nMessage-ID: <01KTEST@relay.test>\r\n"
            b"From: <desk@hotel.example>\r\n\r\njust text\r\n",
            id="no header",
        ),
    ],
)
def test_fault_is_mended_and_named(mail: bytes, repairs: tuple[str, ...], want: bytes) -> None:
    repaired = repair(mail, ORIGIN)
    assert repaired.content == RECEIVED + want
    assert repaired.repairs == repairs


@pytest.mark.parametrize(
    ("mail", "origin", "code", "enhanced"),
    [
        (WHOLE + b"\r\na\0b\r\n", ORIGIN, 550, "5.6.0"),
        (WHOLE + b"\r\na\nb\r\n", _origin(bare_newline="reject"), 550, "5.6.11"),
        (b"Received: x\r\n" * 100 + WHOLE, ORIGIN, 554, "5.4.6"),
        (b"Received: from a by RELAY.test with X\r\n" * 3 + WHOLE, ORIGIN, 554, "5.4.6"),
        (b"Subject: x\r\n\r\n", _origin(mail_from=""), 550, "5.6.0"),
        (b"X-Long: " + b"x" * 2000 + b"\r\n" + WHOLE + b"\r\n", ORIGIN, 554, "5.6.0"),
    ],
    ids=["NUL", "bare newline in reject mode", "many hops", "our own loop", "no sender at all", "unfoldable header"],
)
def test_what_cannot_be_mended_is_refused(mail: bytes, origin: Origin, code: int, enhanced: str) -> None:
    with pytest.raises(Refused) as caught:
        repair(mail, origin)
    assert (caught.value.code, caught.value.enhanced) == (code, enhanced)


def test_raw_8_bit_headers_become_encoded_words() -> None:
    mail = (
        "Subject: Varausvahvistus hyvää päivää ja tervetuloa ravintolaan, pöytä on katettu\r\n"
        'From: "Ravintola Pöytä, Oy" <desk@hotel.example>\r\nTo: Jürgen <j@example.com>, b@example.com\r\n\r\nx\r\n'
    ).encode("latin-1")
    repaired = repair(mail, ORIGIN)
    assert repaired.content.isascii()
    assert "header_encoded" in repaired.repairs
    parsed = email.message_from_bytes(repaired.content, policy=email.policy.default)
    assert parsed["Subject"] == "Varausvahvistus hyvää päivää ja tervetuloa ravintolaan, pöytä on katettu"
    assert parsed["From"].addresses[0].display_name == "Ravintola Pöytä, Oy"
    assert [str(address) for address in parsed["To"].addresses] == ["Jürgen <j@example.com>", "b@example.com"]


@pytest.mark.parametrize(("body", "charset"), [("hyvää".encode(), "utf-8"), ("hyvää".encode("cp1252"), "windows-1252")])
def test_8_bit_body_without_a_type_gets_one(body: bytes, charset: str) -> None:
    repaired = repair(WHOLE + b"\r\n" + body + b"\r\n", ORIGIN)
    assert repaired.repairs == ("charset_added",)
    parsed = email.message_from_bytes(repaired.content, policy=email.policy.default)
    assert (parsed.get_content_charset(), parsed.get_content().strip()) == (charset, "hyvää")


def test_smtputf8_mail_keeps_its_headers() -> None:
    mail = WHOLE.replace(b"Subject: x", "Subject: ä".encode()) + b"\r\nx\r\n"
    assert repair(mail, _origin(is_smtputf8=True)).content == RECEIVED + mail


LONG = b"<p>" + b"word " * 1000 + b"</p>\r\n"


def test_long_line_makes_only_its_own_part_quoted_printable() -> None:
    other = b"--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain \xe4\r\n"
    mail = (
        WHOLE + b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n' + other
        + b"--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + LONG + b"\r\n--b--\r\n"
    )  # fmt: skip
    repaired = repair(mail, ORIGIN)
    assert repaired.repairs == ("long_lines_wrapped",)
    assert other in repaired.content
    assert not has_long_line(repaired.content)
    html = email.message_from_bytes(repaired.content).get_payload()[1]  # type: ignore[index]
    assert html["Content-Transfer-Encoding"] == "quoted-printable"  # type: ignore[index]
    assert html.get_payload(decode=True).replace(b"\r\n", b"\n") == LONG.replace(b"\r\n", b"\n")  # type: ignore[union-attr]


def test_base64_on_one_line_is_wrapped_and_decodes_to_the_same() -> None:
    data = bytes(range(256)) * 40
    body = base64.b64encode(data)
    mail = WHOLE + b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n" + body + b"\r\n"
    repaired = repair(mail, ORIGIN)
    assert repaired.repairs == ("long_lines_wrapped",)
    assert binascii.a2b_base64(repaired.content.partition(b"\r\n\r\n")[2]) == data


def test_long_address_list_is_folded_and_names_the_same_people() -> None:
    people = [f"guest{number}@example.com" for number in range(200)]
    mail = WHOLE + b"Cc: " + ",".join(people).encode() + b"\r\n\r\nx\r\n"
    content = repair(mail, ORIGIN).content
    assert not has_long_line(content)
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    assert [address.addr_spec for address in parsed["Cc"].addresses] == people


@pytest.mark.parametrize(
    "extra",
    [
        b"DKIM-Signature: v=1; a=rsa-sha256; b=x\r\n\r\n" + LONG,
        b'Content-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n\r\n' + LONG + b"--s--\r\n",
    ],
    ids=["DKIM", "S/MIME"],
)
def test_signed_mail_passes_as_it_is(extra: bytes) -> None:
    mail = b"From: desk@localhost\r\nSubject: x\r\n" + extra
    repaired = repair(mail, _origin(default_from="desk@hotel.example"))
    assert repaired.content == RECEIVED + mail
    assert repaired.repairs == ("long_lines_kept",)


def test_bcc_never_leaves_even_when_signed() -> None:
    repaired = repair(b"DKIM-Signature: v=1\r\nBcc: a@b.c\r\n" + WHOLE + b"\r\n", ORIGIN)
    assert b"Bcc" not in repaired.content


@pytest.mark.parametrize(
    ("header", "want"),
    [
        (b"From: www-data@localhost\r\n", b"From: <desk@hotel.example>"),
        (b"From: Web Shop <www-data@web1>\r\n", b'From: "Web Shop" <desk@hotel.example>'),
        (b"From: root (Cron Daemon)\r\n", b"From: <desk@hotel.example>"),
        (b"From: a@real.example\r\n", b"From: a@real.example"),
    ],
)
def test_default_from_replaces_only_what_cannot_be_right(header: bytes, want: bytes) -> None:
    content = repair(header + b"Subject: x\r\n\r\n", _origin(default_from="desk@hotel.example")).content
    assert want + b"\r\n" in content


@pytest.mark.parametrize("length", [997, 998, 999, 1000, 1001, 5000])
@pytest.mark.parametrize("prefix", [b"", b"a\r\n" * 400, b"b" * 500 + b"\r\n"])
@pytest.mark.parametrize("suffix", [b"\r\n", b"\r\nmore\r\n" * 300, b""])
def test_a_long_line_is_found_wherever_it_stands(length: int, prefix: bytes, suffix: bytes) -> None:
    content = prefix + b"x" * length + suffix
    want = any(len(line) > 998 for line in content.split(b"\r\n"))
    assert has_long_line(content) == want


@given(st.text(max_size=120))
def test_encoded_words_read_back_as_they_were(text: str) -> None:
    words = encode_words(text)
    assert all(len(line) <= 76 for line in words.split(b"\r\n"))
    assert decode_value(words.replace(b"\r\n", b"")) == clean(text)


@given(st.binary(max_size=300).map(lambda raw: raw.replace(b"\0", b"")), st.booleans())
def test_any_content_gives_crlf_lines_or_a_refusal(raw: bytes, has_header: bool) -> None:
    mail = WHOLE + b"\r\n" + raw if has_header else raw
    try:
        content = repair(mail, ORIGIN).content
    except Refused:
        return
    bare = content.replace(b"\r\n", b"")
    assert b"\r" not in bare
    assert b"\n" not in bare
    assert b"\r\n\r\n" in content
    assert not has_long_line(content)
    # Once mended, nothing is left to mend.
    assert repair(content, ORIGIN).repairs == ()


@pytest.mark.parametrize(
    "mail",
    [
        b"\r\n" * 500_000,
        WHOLE + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\n" * 100_000 + b"x" * 2000,
        b"".join(
            b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (depth, depth) for depth in range(1000)
        )
        + b"x" * 2000,
        (WHOLE + b"Content-Type: message/rfc822\r\n\r\n") * 1000 + b"x" * 2000,
        WHOLE + b"\r\n" + b"x" * 1_000_000,
        WHOLE + b"\r\n" + b"\r" * 1_000_000 + b"\n",
        WHOLE + b"\r\n" + b"\r" * 1_000_000 + b"x\r\n",
        WHOLE + b"\r\n" + b"x" * 2000 + b"\r\n" + (b"\r" * 1000 + b"x\n") * 1000,
    ],
    ids=["empty lines", "parts", "deep", "rfc822", "one line", "CRs", "CRs before a letter", "runs of CR"],
)
def test_hostile_content_takes_bounded_time(mail: bytes) -> None:
    start = time.process_time()
    with contextlib.suppress(Refused):
        repair(mail, ORIGIN)
    wrap(mail)
    assert time.process_time() - start < 2
