"""The recorded conversation stays readable and bounded, whatever was said."""

from __future__ import annotations

from relay.delivery.transcript import Transcript


def test_each_line_says_when_and_who() -> None:
    transcript = Transcript()
    transcript.happened(100.0, "connected")
    transcript.received(100.25, 250, "mx.test\nPIPELINING")
    transcript.sent(101.5, b"MAIL FROM:<a@b.example>\r\nDATA")
    assert transcript.text().split("\n") == [
        "  0.000 -: connected",
        "  0.250 S: 250-mx.test",
        "  0.250 S: 250 PIPELINING",
        "  1.500 C: MAIL FROM:<a@b.example>",
        "  1.500 C: DATA",
    ]


def test_nothing_said_is_no_text() -> None:
    assert Transcript().text() == ""


def test_a_long_conversation_keeps_its_beginning_and_its_end() -> None:
    transcript = Transcript()
    for number in range(5000):
        transcript.sent(float(number), f"RCPT TO:<{number}@guest.example>")
    lines = transcript.text().split("\n")
    assert len(lines) == 201
    assert "<0@guest.example>" in lines[0]
    assert "4800 lines left out" in lines[150]
    assert "<4999@guest.example>" in lines[-1]


def test_long_lines_and_long_texts_are_cut() -> None:
    transcript = Transcript()
    for _ in range(200):
        transcript.received(0.0, 550, "x" * 100_000)
    text = transcript.text()
    assert len(text) <= 32 * 1024 + 3
    assert max(len(line) for line in text.split("\n")) <= 501


def test_entries_can_begin_another_transcript() -> None:
    opening = Transcript()
    opening.happened(1.0, "connected")
    following = Transcript(opening.entries)
    following.sent(2.0, "DATA")
    assert following.text() == "  0.000 -: connected\n  1.000 C: DATA"
    assert len(opening.entries) == 1
