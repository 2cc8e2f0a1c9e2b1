"""What replies ask of us: how long to stay away (try_again.py), and not to come over IPv6 (ipv6_refusal.py)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from relay.delivery.ipv6_refusal import is_about_ipv6, is_all_about_ipv6
from relay.delivery.try_again import asked_wait, heeded
from tests.delivery.fake_sites import OK, refusal

LADDER = [timedelta(minutes=1), timedelta(minutes=5), timedelta(hours=4)]

ASKED = [
    ("Greylisted, please try again in 5 minutes", 300),
    ("Greylisted for 300 seconds (see http://postgrey.example/help)", 300),
    ("Greylisting in action, please come back in 00:05:00", 300),
    ("Too many connections, try again in 30s", 30),
    ("rate limit exceeded; retry in 10 min.", 600),
    ("Temporarily blocked for 2 hours due to high volume", 7200),
    ("Please wait 15 mins and resend", 900),
    ("Your IP is sending too fast.\nTry again\nin 1 hour", 3600),
    ("Zu viele Verbindungen, bitte in 10 Minuten erneut versuchen", 600),
    ("Bitte versuchen Sie es in 2 Stunden wieder", 7200),
    ("Trop de connexions, veuillez réessayer dans 5 minutes", 300),
    ("Réessayez dans 1 heure", 3600),
    ("Demasiados mensajes, inténtelo de nuevo en 20 minutos", 1200),
    ("Troppi messaggi, riprovare tra 10 minuti", 600),
    ("Muitas mensagens, tente novamente em 3 horas", 10800),
    ("Te veel berichten, probeer het over 5 minuten opnieuw", 300),
    ("För många meddelanden, försök igen om 10 minuter", 600),
    ("For mange meldinger, prøv igjen om 2 timer", 7200),
    ("Liian monta viestiä, yritä uudelleen 5 minuutin kuluttua", 300),
    ("Zbyt wiele połączeń, spróbuj ponownie za 5 minut", 300),
    ("Příliš mnoho zpráv, zkuste to znovu po 2 hodinách", 7200),
    ("Слишком много писем, попробуйте через 10 минут", 600),
    ("请在 5 分钟后再试", 300),
    ("30 分後に再試行してください", 1800),
]

SILENT = [
    "Service not available, try again later",
    "Too many messages: limit is 100 messages per 10 minutes, try again later",
    "421 too many errors within 60 minutes. Please try again",
    "More than 50 messages in the last 60 minutes, try again later",
    "mailbox full, 2048 MB used; try again later",
    "try again 3 times",
    "see https://help.example/30m for how to retry",
    "Your message was queued 5 minutes ago",
    "try again in 0 seconds",
    "try again in 99999 hours",
]


@pytest.mark.parametrize(("text", "seconds"), ASKED)
def test_a_server_that_says_when_to_come_back_is_understood(text: str, seconds: int) -> None:
    assert asked_wait(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", SILENT)
def test_other_numbers_are_no_time_to_come_back(text: str) -> None:
    assert asked_wait(text) is None


def test_no_server_is_believed_beyond_the_last_step_nor_met_sooner_than_asked() -> None:
    for random in (0.0, 0.5, 0.999):
        wait = heeded("try again in 10 minutes", ladder=LADDER, random=lambda random=random: random)  # type: ignore[misc]
        assert timedelta(minutes=10) <= wait <= timedelta(minutes=11)
    assert heeded("blocked for 24 hours", ladder=LADDER, random=lambda: 0.0) == timedelta(hours=4)
    assert heeded("try again later", ladder=LADDER, random=lambda: 0.5) == timedelta(0)


GMAIL = (
    "[2001:db8:11::11] Our system has detected that this message does\n"
    "not meet IPv6 sending guidelines regarding PTR records and authentication"
)


@pytest.mark.parametrize(
    ("code", "enhanced", "text", "is_about"),
    [
        (550, "5.7.1", GMAIL, True),
        (421, "4.7.0", "IPv6 mail from your network is blocked by policy", True),
        (550, "5.7.25", "The IP address sending this message does not have a PTR record", True),
        (554, None, "2001:db8::9 is listed in our DNS blocklist", True),
        (550, "5.1.1", "no such user", False),
        (550, "5.7.1", "[2001:db8::9] Our system has detected that this message is likely unsolicited mail", False),
        (450, "4.2.0", "greylisted at 12:05:00", False),
        (250, "2.0.0", "taken over IPv6 by policy", False),
        (None, None, "IPv6 refused", False),
    ],
)
def test_only_a_refusal_of_ipv6_itself_is_taken_for_one(
    code: int | None, enhanced: str | None, text: str, is_about: bool
) -> None:
    assert is_about_ipv6(refusal(code, enhanced=enhanced, text=text)) is is_about


def test_a_mail_that_anybody_got_was_not_refused_for_ipv6() -> None:
    no_ipv6, no_user = refusal(550, enhanced="5.7.1", text=GMAIL), refusal(550, enhanced="5.1.1")
    assert is_all_about_ipv6([no_ipv6, no_user])
    assert not is_all_about_ipv6([no_ipv6, OK])
    assert not is_all_about_ipv6([no_user])
    assert not is_all_about_ipv6([])
