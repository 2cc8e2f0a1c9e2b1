"""What replies mean: class, category, blame and block, and the safeguards that no good address is blocked."""

from __future__ import annotations

from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.classify import classify, parse_reply
from relay.classify.classifier import BLAME, HARD, SUPPRESSING
from relay.model import Blame, Category, Reply, ReplyClass, Stage

LINES = [
    ("invalid_address", "550 5.1.1 unknown or illegal alias: sari@gv.example"),
    ("invalid_address", "550 #5.1.0 Address rejected."),
    ("invalid_address", "550 5.1.0 <sari@b.example> Address rejected"),
    ("invalid_address", "550 Unrouteable address"),
    ("invalid_address", "550 5.1.1 Not our Customer"),
    ("invalid_address", "550 5.7.1 No such user!"),
    ("invalid_address", "550 Invalid recipient <sari@b.example> (#5.1.1)"),
    ("invalid_address", "550 <sari@b.example>: User unknown"),
    ("invalid_address", "550 : User unknown"),
    ("invalid_address", "550 5.1.1 <sari@b.example> is not a valid mailbox"),
    ("invalid_address", "550 5.0.0 sari@b.example... No such user here"),
    ("invalid_address", "554 5.1.1 Unknown address error 550-'5.1.1 sari@b.example... User unknown'"),
    ("invalid_address", "550 5.1.1 sari@b.example Email address could not be found, or was misspelled (G8)"),
    ("invalid_address", "550 5.2.1 : (RCPT) Mailbox not found"),
    ("invalid_address", "511 sorry, no mailbox here by that name (#5.1.1 - chkuser)"),
    ("invalid_address", "550 Account not found"),
    ("invalid_address", "550 5.1.1 Käyttäjää ei löydy"),
    ("invalid_address", "550 Vastaanottajaa ei ole olemassa"),
    ("invalid_address", "550 Mottagaren finns inte"),
    ("invalid_address", "550 Empfänger unbekannt"),
    ("invalid_address", "550 Dieser Benutzer existiert nicht"),
    ("invalid_address", "550 Die angegebene Adresse ist unbekannt"),
    ("invalid_address", "550 Cette adresse n'existe pas"),
    ("invalid_address", "550 La cuenta de correo no existe"),
    ("invalid_address", "550 L'indirizzo specificato non esiste"),
    ("invalid_address", "550 Usuário não encontrado"),
    ("invalid_address", "550 Deze gebruiker bestaat niet"),
    ("invalid_address", "550 Nie ma takiego użytkownika"),
    ("invalid_address", "550 Пользователь не найден"),
    ("invalid_address", "550 宛先不明"),
    ("invalid_address", "550 5.1.1 <x>: Email address doesn't exist on this server"),
    ("invalid_address", "550 The recipient's mailbox does not exist here"),
    ("invalid_address", "553 5.3.0 <sari@b.example>... No such user here"),
    ("invalid_address", "550 5.1.1 recipient unknown"),
    ("invalid_address", "550 sari@b.example is not a known address"),
    ("invalid_address", "550 relay: no such local user"),
    (
        "invalid_address",
        "550 5.4.1 Recipient address rejected: Access denied. [DB3EUR04FT031.eop-eur04.prod.protection.outlook.com]",
    ),
    ("invalid_address", "550 5.1.1 The email account that you tried to reach does not exist"),
    ("invalid_address", "550 User local part does not match anything"),
    ("mailbox_disabled", "550 5.2.1 The account is disabled"),
    ("mailbox_disabled", "554 5.2.1 mailbox disabled, not accepting messages"),
    ("mailbox_disabled", "550 This user's account has been suspended"),
    ("mailbox_disabled", "550 Das Postfach ist gesperrt"),
    ("mailbox_disabled", "550 5.7.1 <x>: recipient's account is inactive"),
    ("mailbox_disabled", "550 Cuenta desactivada"),
    ("invalid_domain", "556 5.1.10 domain takes no mail"),
    ("invalid_domain", "550 5.1.2 unknown host"),
    ("invalid_domain", "550 No MX record for domain b.example"),
    ("invalid_domain", "521 Server does not accept mail"),
    ("moved", "551 5.1.6 User has moved; please try new@c.example"),
    ("mailbox_full", "552 5.2.2 Over quota"),
    ("mailbox_full", "550 Postfach ist voll"),
    ("mailbox_full", "552 La boîte aux lettres est pleine"),
    ("mailbox_full", "550 El buzón está lleno"),
    ("mailbox_full", "550 Caixa postal cheia"),
    ("mailbox_full", "552 Postilaatikko on täynnä"),
    ("mailbox_full", "552 5.2.2 mailbox for user is full"),
    ("mailbox_full", "550 5.7.0 User's mailbox is over the allowed quota"),
    ("mailbox_full", "554 5.2.2 mailbox full;STOREDRV.Deliver.Exception:QuotaExceededException"),
    ("message_too_large", "552 5.3.4 Message size exceeds fixed limit"),
    ("message_too_large", "552 Message exceeds the maximum allowed size"),
    ("message_too_large", "523 the message size exceeds the recipient's size limit"),
    (
        "reputation_block",
        "554 Your access to this mail system has been rejected due to the sending MTA's poor reputation.",
    ),
    (
        "reputation_block",
        "521 5.7.1 192.0.2.1 blocked by ldap:ou=rblmx,dc=att,dc=net. Error - Blocked for abuse.",
    ),
    ("reputation_block", "550 5.7.649 Access denied"),
    ("reputation_block", "550 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using Trend Micro RBL+."),
    ("reputation_block", "550 Your IP 192.0.2.1 has been blocked for sending spam"),
    ("reputation_block", "554 5.7.1 The server sending your mail [192.0.2.1] does not have a good reputation"),
    ("reputation_block", "550 5.7.1 Connection rejected by policy: bad reputation"),
    ("reputation_block", "550 JunkMail rejected - relay (host) [192.0.2.1] is in an RBL, see http://bl.spamcop.net"),
    ("reputation_block", "554 The user's ISP mail server 192.0.2.1 is on our blacklist"),
    ("reputation_block", "550 Suspected spam ip. https://service.mail.qq.com"),
    ("spam_content", "550 spam message rejected. Please visit http://help.mail.ru/notspam-support"),
    ("spam_content", "554 5.7.1 [1] Message rejected under suspicion of SPAM"),
    ("spam_content", "550 High probability of spam"),
    ("spam_content", "554 5.7.1 Email cannot be delivered. Reason: Email flagged as Spam."),
    (
        "spam_content",
        "550 5.7.1 This message has been blocked because it contains FortiGuard - AntiSpam blocking URL(s)",
    ),
    ("spam_content", "550 Nachricht wurde als Spam erkannt"),
    ("content_rejected", "552 Virus infected message rejected"),
    ("content_rejected", "550 This message contains malware (Eicar)"),
    ("content_rejected", "554 5.6.0 Message contains invalid header"),
    ("auth_failure", "553-SPF (Sender Policy Framework) domain authentication fail. Refer to the Troubleshooting page"),
    (
        "auth_failure",
        "550 5.7.515 Access denied, sending domain hotel.example doesn't meet the required authentication level.",
    ),
    (
        "auth_failure",
        "550 5.7.509: Access denied, sending domain hotel.example does not pass DMARC verification.",
    ),
    ("auth_failure", "550 DKIM signature verification failed"),
    ("sender_dns", "550 Connections not accepted from servers without a valid PTR. Fix reverse DNS for 192.0.2.1"),
    ("sender_dns", "554 5.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]"),
    ("sender_dns", "550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)"),
    ("sender_dns", "421 Temporarily rejected. Reverse DNS for 192.0.2.1 failed."),
    ("sender_rejected", "550 Sender verify failed"),
    ("sender_rejected", "550 5.1.8 Access denied, bad outbound sender"),
    ("sender_rejected", "550 Sender address rejected: user unknown"),
    ("sender_rejected", "553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)"),
    ("sender_rejected", "501 5.1.8 Domain of sender address desk@hotel.example does not exist"),
    ("relay_denied", "550 relay not permitted"),
    ("relay_denied", "550 5.7.1 Unable to relay for sari@b.example"),
    ("relay_denied", "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
    ("relay_denied", "550 we do not relay"),
    (
        "relay_denied",
        "553 you are trying to use me [server-9.bemta] as a relay, but I have not been configured to let you",
    ),
    ("policy", "554 5.7.1 <sari@b.example>: Recipient address rejected: Access denied"),
    ("policy", "550 5.7.1 Message rejected due to local policy"),
    ("policy", "554 Denied by policy"),
    ("policy", "550 Administrative prohibition"),
    ("policy", "550 5.7.193 Recipient only accepts mail from within its organization"),
    (
        "policy",
        "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required",
    ),
    ("policy", "550 Only members may post to this list"),
    ("policy", "550 You are not allowed to send mail to this recipient"),
    ("rate_limited", "550 5.7.1 too many messages from your IP this hour"),
    ("rate_limited", "550 Ip frequency limited"),
    ("rate_limited", "554 5.2.0 exceeded the maximum number of messages per session"),
    ("network", "554 5.4.6 Too many hops"),
    ("network", "550 5.4.14 Hop count exceeded - possible mail loop ATTR34"),
    ("tls_required", "554 5.7.1 TLS is required"),
    ("tls_required", "530 5.7.0 Must issue a STARTTLS command first"),
    ("protocol_error", "503 bad sequence of commands"),
    ("protocol_error", "500 5.5.1 Command unrecognized"),
    ("system_error", "554 5.3.0 Internal server error"),
    ("system_error", "550 5.3.5 System configuration error"),
    ("unknown", "550 xyzzy"),
    ("unknown", "554 5.0.0 frobnicated"),
    ("greylisted", "450 4.3.2 Service currently unavailable"),
    ("greylisted", "451 4.7.1 Try again later"),
    ("greylisted", "451 4.7.1 Greylisted, try after some time"),
    ("rate_limited", "421 4.7.0 Too many connections"),
    ("system_error", "451 4.3.2 System busy"),
    ("system_error", "451 Requested action aborted: local error in processing"),
    ("network", "421 4.4.2 Connection timed out"),
    ("mailbox_full", "452 4.2.2 over quota"),
    ("reputation_block", "451 4.7.1 temporarily blocked, your IP has a poor reputation"),
]


def class_of(category: str, code: int) -> ReplyClass:
    if code < 500:
        return ReplyClass.DEFERRED
    return ReplyClass.HARD if Category(category) in HARD else ReplyClass.SOFT


@pytest.mark.parametrize(("category", "line"), LINES, ids=[line for _, line in LINES])
def test_lines_as_servers_write_them_are_understood(category: str, line: str) -> None:
    got = classify(parse_reply(line))
    assert (got.category, got.reply_class) == (category, class_of(category, int(line[:3])))


@pytest.mark.parametrize(("category", "line"), LINES, ids=[line for _, line in LINES])
def test_the_same_words_with_a_4yz_are_deferred_and_block_nothing(category: str, line: str) -> None:
    got = classify(parse_reply("4" + line[1:].replace("\n5", "\n4").replace(" 5.", " 4.").replace("-5.", "-4.")))
    assert (got.reply_class, got.suppress) == (ReplyClass.DEFERRED, False)


@pytest.mark.parametrize(
    ("stage", "code", "enhanced", "text", "category", "suppress"),
    [
        (Stage.DNS, 556, "5.1.10", "b.example has a null MX", "invalid_domain", True),
        (Stage.DNS, 550, "5.1.2", "b.example: no such domain", "invalid_domain", True),
        (Stage.DNS, 550, "5.4.6", "the MX of b.example is ourselves", "network", False),
        (Stage.DNS, 550, "5.4.4", "every address of b.example is private", "network", False),
        (Stage.CONNECT, 550, "5.4.6", "mx.b.example is this relay itself", "network", False),
        (Stage.CONNECT, 550, "5.4.4", "10.0.0.1 is a private address, refused", "network", False),
        (Stage.MAIL, 552, "5.3.4", "the message has 9 bytes, the server takes 5", "message_too_large", False),
        (Stage.MAIL, 553, "5.6.7", "the address needs SMTPUTF8", "protocol_error", False),
        (Stage.DNS, None, "4.4.3", "SERVFAIL for b.example; no such domain", "dns_failure", False),
        (Stage.DNS, None, None, "timed out", "dns_failure", False),
        (Stage.CONNECT, None, None, "connection refused", "network", False),
        (Stage.EHLO, None, "4.4.2", "connection lost", "network", False),
        (Stage.STARTTLS, None, None, "certificate verify failed", "tls_required", False),
        (Stage.AUTH, None, None, "connection lost", "network", False),
        (Stage.RCPT, None, "4.4.2", "timed out: user unknown", "network", False),
        (Stage.DATA, None, "4.4.2", "connection lost after the final dot", "network", False),
        (
            Stage.RCPT,
            None,
            "4.5.0",
            'the server said "250 no such user" where 354 was due',
            "protocol_error",
            False,
        ),
        (Stage.CONNECT, None, "4.4.7", "the time to try ran out", "expired", False),
        (Stage.DATA, 250, None, "ok where 354 was expected", "protocol_error", False),
    ],
)
def test_our_own_findings_and_silence_are_read_by_stage(
    stage: Stage, code: int | None, enhanced: str | None, text: str, category: str, suppress: bool
) -> None:
    got = classify(Reply(stage=stage, code=code, enhanced=enhanced, text=text))
    assert (got.category, got.suppress) == (category, suppress)
    if code is None or code < 500:
        assert got.reply_class is ReplyClass.DEFERRED


@pytest.mark.parametrize("stage", [Stage.CONNECT, Stage.EHLO, Stage.STARTTLS, Stage.AUTH, Stage.MAIL])
@pytest.mark.parametrize(
    "line", ["550 5.1.1 User unknown", "550 5.2.1 account disabled", "553 5.1.6 moved", "550 5.1.2 x"]
)
def test_before_rcpt_nothing_is_held_against_the_recipient(stage: Stage, line: str) -> None:
    got = classify(parse_reply(line, stage))
    assert (got.reply_class, got.suppress, got.blame) == (ReplyClass.SOFT, False, Blame.US)


def test_host_that_takes_no_mail_says_so_in_its_greeting() -> None:
    got = classify(parse_reply("521 5.3.2 Host does not accept mail", Stage.CONNECT))
    assert (got.category, got.reply_class) == (Category.INVALID_DOMAIN, ReplyClass.HARD)


@pytest.mark.parametrize(
    ("line", "category", "reply_class"),
    [
        (
            "550 5.1.1 <a@b.example>: undeliverable: host mx.b.example[192.0.2.1] said: 550 No such user",
            "invalid_address",
            "hard",
        ),
        ("550 5.1.1 <a@b.example>: undeliverable: host mx.b.example said: 450 4.2.0 Greylisted", "greylisted", "soft"),
        ("550 5.1.1 <a@b.example>: undeliverable: host mx.b.example said: 451 4.3.0 xyzzy", "system_error", "soft"),
        ("554 5.1.1 <a@b.example>: host mx.b.example said: 552 5.2.2 xyzzy", "mailbox_full", "soft"),
        ("450 4.1.1 <a@b.example>: host mx.b.example said: 550 5.1.1 User unknown", "invalid_address", "deferred"),
    ],
)
def test_reply_inside_a_reply_is_read(line: str, category: str, reply_class: str) -> None:
    got = classify(parse_reply(line))
    assert (got.category, got.reply_class) == (category, reply_class)


def test_last_line_that_blames_us_beats_mailbox_unavailable() -> None:
    got = classify(parse_reply("550-Requested action not taken: mailbox unavailable\n550 IP address is block listed"))
    assert got.category is Category.REPUTATION_BLOCK


def test_reply_that_names_our_sender_is_about_us() -> None:
    reply = parse_reply("550 <Desk@hotel.example>: user unknown")
    assert classify(reply, sender="desk@hotel.example", recipient="a@b.example").category is Category.SENDER_REJECTED
    assert classify(reply, sender="other@hotel.example").category is Category.INVALID_ADDRESS
    assert classify(reply, sender="desk@hotel.example", recipient="DESK@hotel.example").suppress


def test_provider_is_known_by_its_host_too() -> None:
    reply = Reply(stage=Stage.DATA, code=550, enhanced="5.7.27", text="xyzzy", host="gmail-smtp-in.l.google.com")
    assert classify(reply).category is Category.AUTH_FAILURE
    assert classify(Reply(stage=Stage.DATA, code=550, enhanced="5.7.27", text="xyzzy")).category == "sender_rejected"


def test_rule_names_the_catalogue_entry_where_the_category_says_too_little() -> None:
    assert classify(parse_reply("550 5.7.0 Virus detected")).entry == "virus"
    assert classify(parse_reply("501 5.1.3 xyzzy")).entry == "bad-address"


def test_blame_of_every_category_is_as_agreed() -> None:
    us = "sender_rejected reputation_block rate_limited auth_failure sender_dns tls_required protocol_error"
    message = "message_too_large spam_content content_rejected"
    recipient = "invalid_address invalid_domain mailbox_disabled mailbox_full moved"
    for category in Category:
        want = Blame.US if category in us.split() else Blame.THEIR_SERVER
        want = Blame.MESSAGE if category in message.split() else want
        want = Blame.RECIPIENT if category in recipient.split() else want
        assert BLAME[category] is want, category


REPLIES = st.builds(
    Reply,
    stage=st.sampled_from(Stage),
    code=st.none() | st.integers(200, 599),
    enhanced=st.none() | st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True),
    text=st.text(max_size=300) | st.lists(st.sampled_from([line[4:] for _, line in LINES]), max_size=3).map("\n".join),
    host=st.none() | st.sampled_from(["mx.google.com", "b.example", ""]),
)


@settings(max_examples=300, deadline=None)
@given(REPLIES)
def test_any_reply_has_one_steady_outcome_that_keeps_the_rules(reply: Reply) -> None:
    got = classify(reply)
    assert got == classify(reply)
    final = reply.code // 100 == 5 if reply.code else (reply.enhanced or "4")[0] == "5"
    if not final:
        assert got.reply_class is ReplyClass.DEFERRED
    else:
        assert got.reply_class is (ReplyClass.HARD if got.category in HARD else ReplyClass.SOFT)
    assert got.suppress == (final and got.category in SUPPRESSING)
    assert got.blame is BLAME[got.category]


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=3000), st.none() | st.sampled_from(Stage))
def test_no_text_at_all_makes_it_raise(text: str, stage: Stage | None) -> None:
    classify(parse_reply(text, stage))
    classify(parse_reply("550 5.7.1 " + text, stage))


HOSTILE = [
    "blocked " * 300, "user mailbox ip account recipient invalid domain blocked rejected " * 60, "a@" * 2000,
    "said: 450 " * 300, "5.1." * 800, "550-5.1.1 " * 800, "<" * 4000 + "@", "ﷺ" * 3000, "存在" * 1500,
    "recipient … not user " * 200, "x" * 8000, "\x00\n" * 3000, "ofr_" * 1500, "пользователь не " * 300,
]  # fmt: skip


def test_hostile_text_costs_no_more_than_a_small_multiple_of_plain_text() -> None:
    """The bound is 1 ms; the assertion leaves room for a busy machine and still fails on anything worse than linear."""
    classify(parse_reply("550 load the rules first"))
    for text in HOSTILE:
        best = 1.0
        for _ in range(5):
            started = perf_counter()
            classify(parse_reply("550 5.1.1 " + text))
            best = min(best, perf_counter() - started)
        assert best < 0.01, text[:40]


@pytest.mark.parametrize("line", ["535 5.7.8 xyzzy", "534 5.7.9 too weak", "550 User unknown", "454 4.7.0 later"])
def test_refused_login_is_our_own_set_up(line: str) -> None:
    got = classify(parse_reply(line, Stage.AUTH))
    if line.startswith("5"):
        assert (got.category, got.reply_class) == (Category.AUTH_FAILURE, ReplyClass.SOFT)
    else:
        assert got.reply_class is ReplyClass.DEFERRED


def test_words_without_any_code_are_read_but_never_final() -> None:
    for text, category in (("xyzzy", "unknown"), ("", "unknown"), ("User unknown", "invalid_address")):
        got = classify(parse_reply(text))
        assert (got.category, got.reply_class, got.suppress) == (category, ReplyClass.DEFERRED, False)
