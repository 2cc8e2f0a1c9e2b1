"""Broken and hostile mail: the reader answers, whatever it is given, and soon."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.classify.mime import MAX_BYTES, html_to_text, read_mail, text_of
from relay.classify.report import ReportKind, read_report
from tests.unit.report_samples import BOUNCES
from tests.unit.test_report import feedback, notification

HEAD = b"From: MAILER-DAEMON@x.example\nTo: a@relay.example\nSubject: Undelivered Mail Returned to Sender\n"
SIZE = 1024 * 1024
GROUP = "Final-Recipient: rfc822; {}@x.example\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: x; zzz"
SEEDS = [notification(GROUP.format("a")), feedback("abuse", "Original-Rcpt-To: a@x.example"), BOUNCES[0].raw]


def filled(unit: bytes) -> bytes:
    return (unit * (SIZE // len(unit) + 1))[:SIZE]


def typed(kind: bytes, body: bytes) -> bytes:
    return HEAD + b"Content-Type: " + kind + b"\n\n" + body


HOSTILE = {
    "10,000 parts": typed(b"multipart/mixed; boundary=b", b"--b\nContent-Type: text/plain\n\nx\n" * 10_000),
    "10,000 levels": HEAD + b"Content-Type: message/rfc822\n\n" * 10_000,
    "1,000 multiparts in one another": HEAD
    + b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(1000)),
    "one header line": HEAD + b"X-A: " + b"a" * SIZE + b"\n\nbody",
    "headers": HEAD + filled(b"X-Failed-Recipients: a@b.example\n") + b"\n\nx",
    "a folded header": HEAD + b"X-Failed-Recipients: " + filled(b"\n a@b.example,") + b"\n\nx",
    "encoded words": b"From: " + filled(b"=?utf-8?b?YQ==?= ") + b"\n\nx",
    "addresses": HEAD + b"\nThe following addresses failed:\n" + filled(b"<a@b.example>: 550 5.1.1 unknown\n"),
    "addresses in one line": HEAD + b"\n" + filled(b"a@b.example "),
    "many recipients": notification(*(GROUP.format(n) for n in range(5000))),
    "many listed": HEAD + b"\nfailed:\n" + b"".join(b"<a%d@b.example>: zzz try again\n" % n for n in range(20_000)),
    "at signs": HEAD + b"\n" + filled(b"@"),
    "dots": HEAD + b"\n" + filled(b"a."),
    "codes": HEAD + b"\n" + filled(b"550 "),
    "carriage returns": HEAD + b"\n" + filled(b"\r"),
    "empty lines": HEAD + b"\n" + filled(b"\n"),
    "spaces": HEAD + b"\n" + filled(b" "),
    "dashes": HEAD + b"\n" + filled(b"-----\n"),
    "open tags": typed(b"text/html", filled(b"<a ")),
    "styles": typed(b"text/html", filled(b"<style>")),
    "entities": typed(b"text/html", filled(b"&amp;")),
    "broken base64": HEAD + b"Content-Transfer-Encoding: base64\n\n" + filled(b"AAAA!"),
    "broken quoted-printable": HEAD + b"Content-Transfer-Encoding: quoted-printable\n\n" + filled(b"=3D="),
    "a slow charset": typed(b"text/plain; charset=punycode", filled(b"abc-")),
    "escapes": typed(b"text/plain; charset=iso-2022-jp", filled(b"\x1b$B\x1b(B")),
    "letters that grow": HEAD + b"\n" + filled("\ufdfa".encode()),
    "marks": HEAD + b"\n" + filled("e\u0301\u0327".encode()),
    "boundaries": typed(b"multipart/mixed", filled(b"--aaaaaaaaaa\n")),
    "open objects": HEAD + b'\n{"notificationType":' + b"[" * SIZE,
    "received lines": HEAD + b"\n" + filled(b"Received: from x\n"),
    "nulls": HEAD + b"\n" + b"\0" * SIZE,
}


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_mail_is_read_soon(raw: bytes) -> None:
    read_report(SEEDS[0])  # the rules are loaded once
    before = time.process_time()
    read_report(raw)
    # About 0.05 s here; the limit only tells linear from quadratic work, which takes minutes.
    assert time.process_time() - before < 2


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_read(raw: bytes) -> None:
    assert read_report(raw).kind in ReportKind
    assert read_report(HEAD + raw).kind in ReportKind


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(SEEDS), st.integers(min_value=0, max_value=2000), st.binary(max_size=20), st.integers(0, 40))
def test_a_report_cut_and_damaged_anywhere_is_read(seed: bytes, place: int, damage: bytes, gap: int) -> None:
    read_report(seed[:place])
    read_report(seed[:place] + damage + seed[place + gap :])


def test_what_stands_beyond_the_limit_is_not_looked_at() -> None:
    raw = HEAD + b"\n" + b" \n" * MAX_BYTES + b"<late@x.example>: 550 user unknown\n"
    assert [recipient.address for recipient in read_report(raw).recipients] in ([], [None])


@pytest.mark.parametrize(
    ("charset", "body", "expected"),
    [
        ("utf-8", "Grüße".encode(), "Grüße"),
        ("iso-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        ("utf-8", "Grüße".encode("latin-1"), "Grüße"),
        ("us-ascii", "Grüße".encode(), "Grüße"),
        ("no-such-charset", "Grüße".encode(), "Grüße"),
        ("iso-2022-jp", "宛先不明".encode("iso-2022-jp"), "宛先不明"),
        ("us-ascii", "宛先不明".encode("iso-2022-jp"), "宛先不明"),
        ("shift_jis", "宛先不明".encode("shift_jis"), "宛先不明"),
        ("koi8-r", "не найден".encode("koi8-r"), "не найден"),
        ("gb2312", "不存在".encode("gb2312"), "不存在"),
    ],
)
def test_a_text_is_decoded_even_when_its_label_is_wrong(charset: str, body: bytes, expected: str) -> None:
    assert text_of(read_mail(f"Content-Type: text/plain; charset={charset}\n\n".encode() + body)) == expected


def test_html_is_read_as_people_see_it() -> None:
    markup = (
        "<html><head><style>p {color: red}</style><title>T</title></head><p>To&nbsp;&lt;a@b.example&gt;<br>x<td>y</td>z"
    )
    assert html_to_text(markup).split("\n")[1:] == ["To <a@b.example>", "xy z"]
