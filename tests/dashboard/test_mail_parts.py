"""Reading a mail to show it: honest, broken, hostile and huge."""

from __future__ import annotations

import re
import time

import pytest

from dashboard.mail import markup, parts
from tests.dashboard.mails import FILE_NAMES, HEADER, HOSTILE, full_mail, html_mail

MEGABYTE = 1 << 20

ACTS = {"script", "svg", "math", "iframe", "object", "embed", "form", "input", "meta", "base", "link", "body"}
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)([^>]*)>")


def shown(raw: bytes) -> str:
    mail = parts.read(raw)
    assert mail.html is not None
    return markup.page(parts.text_of(mail.html).text, mail.pictures())


def test_a_mail_is_parted_into_texts_and_attachments() -> None:
    mail = parts.read(full_mail())
    assert mail.plain is not None
    assert parts.text_of(mail.plain).text == "See you soon."
    assert [(one.media_type, one.name) for one in mail.others] == [
        ("image/png", ""),
        ("application/pdf", "invoice.pdf"),
    ]
    assert mail.others[1].content() == b"%PDF-1.4 paper"
    assert not mail.is_cut
    assert ("Subject", "Your booking") in mail.fields


def test_pictures_that_stand_in_the_mail_are_shown() -> None:
    assert '<img src="data:image/png;base64,iVBOR' in shown(full_mail(markup='<img src="cid:logo@hotel">'))


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_of_a_hostile_mail_acts(text: str) -> None:
    body = shown(full_mail(markup=text)).partition("<body>")[2].removesuffix("</body></html>")
    for _, name, rest in _TAG.findall(body):
        assert name.lower() not in ACTS
        assert re.fullmatch(r'(?:\s[a-zA-Z:-]+="[^"<>]*")*', rest)
        for attribute in re.findall(r'\s([a-zA-Z:-]+)="', rest):
            assert not attribute.startswith("on")
            assert attribute not in {"href", "action", "srcset", "ping", "target", "background"}
        assert not re.search(r'\ssrc="(?!data:image/(?:png|jpeg|gif|webp|bmp);)', rest)
    assert "url(" not in body.lower()
    assert "@import" not in body
    assert "evil.example" not in re.sub(r' title="[^"]*"', "", body)


def test_links_are_inert_and_say_where_they_led() -> None:
    page = shown(html_mail('<p><a href="https://shop.example/confirm?once=1">Confirm</a></p>'))
    assert '<a title="https://shop.example/confirm?once=1">Confirm</a>' in page


def test_what_lays_out_a_mail_is_kept() -> None:
    text = '<table width="600" bgcolor="#ffffff"><tr><td style="color:red">A &amp; B &lt;c&gt;</td></tr></table>'
    assert text in shown(html_mail(text))


@pytest.mark.parametrize("name", FILE_NAMES)
def test_an_attachment_is_saved_under_a_harmless_name(name: str) -> None:
    mail = parts.read(full_mail(file_name=name.replace("\r\n", " ")))
    for one in mail.others:
        assert re.fullmatch(r"\d+-[A-Za-z0-9_-]{1,60}\.[a-z0-9]{1,8}", one.file_name)


@pytest.mark.parametrize(
    ("head", "body", "expected"),
    [
        (b"Content-Type: text/plain", "Grüße".encode("cp1252"), "Grüße"),
        (b"Content-Type: text/plain; charset=utf-8", "Grüße".encode("cp1252"), "Grüße"),
        (b"Content-Type: text/plain; charset=iso-8859-1", "Grüße".encode("latin-1"), "Grüße"),
        (b"Content-Type: text/plain; charset=no-such", "Grüße".encode(), "Grüße"),
        (b"Content-Type: text/plain; charset=unicode_escape", b"\\x41", "\\x41"),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", b"R3I=\r\n!!", "Gr"),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64", b"R3LDvA", "Grü"),
        (b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable", b"a=\r\nb=C3=BC=Z", "abü=Z"),
        (b"X-Odd: 1", b"no type at all", "no type at all"),
        (b"Content-Type: multipart/mixed", b"no boundary", "no boundary"),
        (b'Content-Type: multipart/mixed; boundary="b"', b"it never comes", "it never comes"),
        (b'Content-Type: multipart/mixed; boundary="b"', b"--b\r\n\r\nthe end is missing", "the end is missing"),
        (b"Content-Type: text/plain", b"a\x00b\x1b[2Jc", "ab[2Jc"),
    ],
)
def test_broken_mail_is_shown_as_well_as_it_can_be(head: bytes, body: bytes, expected: str) -> None:
    mail = parts.read(head + b"\r\n\r\n" + body)
    assert mail.plain is not None
    assert parts.text_of(mail.plain).text.strip() == expected


def test_a_boundary_that_begins_like_another_does_not_part_a_mail() -> None:
    raw = (
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b'Content-Type: multipart/mixed; boundary="bb"\r\n\r\n'
        b"--bb\r\n\r\none\r\n--bb--\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\n"
    )
    mail = parts.read(raw)
    assert mail.plain is not None
    assert mail.html is not None
    assert (parts.text_of(mail.plain).text, parts.text_of(mail.html).text) == ("one", "two")


def _deep() -> bytes:
    levels = [b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(3000)]
    return b"".join(levels) + b"x" * MEGABYTE


def _many() -> bytes:
    head = b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    return head + b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n" * 50_000


def _html(unit: bytes) -> bytes:
    return HEADER + b"Content-Type: text/html\r\n\r\n" + unit * (MEGABYTE // len(unit))


BOMBS = {
    "deep": _deep(),
    "many": _many(),
    "header": b"X-A: b\r\n" * 200_000,
    "base64": HEADER + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * (5 * MEGABYTE // 2),
    "ten megabytes": HEADER + b"\r\n" + b"a line of text\r\n" * (10 * MEGABYTE // 16),
    **{
        f"html {unit!r}": _html(unit)
        for unit in (
            b"<",
            b"<!--",
            b"<a ",
            b"<a b='",
            b"</a",
            b"<style>",
            b"<svg>",
            b"&#",
            b"<a b=\r\n",
            b"<a" + b" " * 60,
        )
    },
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_read_in_bounded_time(name: str) -> None:
    raw = BOMBS[name]
    before = time.process_time()
    mail = parts.read(raw)
    for part in (mail.plain, mail.html):
        if part is not None:
            text = parts.text_of(part)
            assert len(text.text) <= parts.MOST_TEXT
            markup.page(text.text, mail.pictures())
    # What is quadratic takes minutes here; the figure only has to tell that apart on a busy machine.
    assert time.process_time() - before < 10
    assert len(mail.others) <= 200


def test_a_text_that_is_too_long_says_that_it_was_cut() -> None:
    mail = parts.read(BOMBS["ten megabytes"])
    assert mail.plain is not None
    assert parts.text_of(mail.plain).is_cut
    assert parts.read(BOMBS["many"]).is_cut
    assert parts.read(BOMBS["deep"]).is_cut
